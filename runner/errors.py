"""The exit codes, and the one exception that carries one."""

from typing import Final

OK: Final = 0
SOME_FAILED: Final = 1
USAGE: Final = 2
BAD_DATA: Final = 65
JOURNAL: Final = 70
BUSY: Final = 75
HELD: Final = 77
CONFIG: Final = 78
CANCELLED: Final = 143


class Refused(Exception):
    """The run can't start or go on. `code` is the exit code; the text says what, why, and what to do next."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
