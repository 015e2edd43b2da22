"""The command line: ``python -m nnverify`` is ``verify``."""

from __future__ import annotations

import signal
import sys

from . import _core


def main() -> int:
    """Runs the command line with the arguments of the process and returns its exit code."""
    # The command has a way of its own with interrupts: what was found is told.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.flush()
    return _core.command_line(["verify", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
