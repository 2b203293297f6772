"""The runner as it is, noting beside it how much of its journal is on the disk: what a power cut would leave.

    python -m tests.support.noting_runner NOTE RUNNER-ARGUMENTS…

NOTE holds the size of the journal at the beginning of its last fdatasync that went well.
"""

import os
import sys

from runner.cli import main

_sync = os.fdatasync


def noted(fd: int) -> None:
    size = os.fstat(fd).st_size
    _sync(fd)
    os.pwrite(_note, b"%020d" % size, 0)


if __name__ == "__main__":
    _note = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fdatasync = noted
    sys.exit(main())
