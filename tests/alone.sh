#!/usr/bin/env bash
# Run a command in a network of its own, where this user may make one: nothing that happens to the network of the
# machine reaches it. Containers that start and end change that, and Chromium then breaks off what is on its way.
set -euo pipefail

if unshare --map-root-user --net ip link set lo up; then
  exec unshare --map-root-user --net bash -c 'ip link set lo up && exec "$@"' bash "$@"
fi
echo "tests/alone.sh: no network of its own for: $*" >&2
exec "$@"
