#!/usr/bin/env bash
# Make sure that the named Debian packages are there: `bash tests/system_packages.sh espeak-ng chromium`.
# As root it installs what is missing; otherwise it says what to install.
set -euo pipefail
missing=()
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "Missing Debian packages. Run: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
