"""The `whisper-sv` command: how it begins and how it ends."""

import signal
import sys

from services.contract.errors import SttError


def main() -> None:
    """Run a command; an error of ours is one line and exit status 1."""
    # Loading the verbs takes most of a second: Ctrl-C in it ends the process without a trace.
    found = signal.getsignal(signal.SIGINT)
    if found is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from services.client.verbs import app

    signal.signal(signal.SIGINT, found)
    try:
        app()
    except SttError as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None
