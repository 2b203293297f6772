"""Room kept back on the store's disk: given up when the disk is full, so that a run's end can still be recorded."""

import os
from contextlib import suppress
from pathlib import Path

SIZE = 1 << 20
"""Bytes: a few hundred records and their journal."""
PLENTY = 8 * SIZE
"""Only with so much free is it made anew."""


class Reserve:
    """A file of SIZE random bytes: no file system can store them as a hole or in less."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._trouble = ""
        self._gone = False

    def keep(self) -> None:
        """Make it when it isn't there whole. No room for it is no error: `state` tells."""
        try:
            if self._whole():
                self._gone, self._trouble = False, ""
                return
            self._gone = True
            if self._free() < PLENTY:
                self._trouble = "the disk is too full for it"
                return
            self._make()
            self._gone, self._trouble = False, ""
        except OSError as error:
            self._gone, self._trouble = True, error.strerror or str(error)

    def restore(self) -> None:
        """After every write: make it again once there is room. Costs nothing while it is there."""
        if self._gone:
            self.keep()

    def pressed(self) -> bool:
        """Whether the disk has less left than the reserve holds, or can't be asked."""
        try:
            return self._free() < SIZE
        except OSError:
            return True

    def give_up(self) -> bool:
        """Hand its room back. False when there was none."""
        self._gone = True
        try:
            if self.path.stat().st_blocks == 0:
                return False
            os.truncate(self.path, 0)  # an unlink can itself need room
        except OSError:
            return False
        return True

    def state(self) -> tuple[bool, str]:
        try:
            if self._whole():
                return True, f"{SIZE >> 20} MiB kept back in {self.path} for a full disk"
        except OSError as error:
            return False, f"the reserve {self.path} can't be looked at: {error.strerror}"
        why = self._trouble or "it was given up when the disk was full"
        return False, f"nothing is kept back in {self.path}: {why}; free space and it is made again"

    def _whole(self) -> bool:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        return status.st_size >= SIZE and status.st_blocks * 512 >= SIZE

    def _free(self) -> int:
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize

    def _make(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            done = 0
            while done < SIZE:
                done += os.pwrite(descriptor, os.urandom(min(1 << 16, SIZE - done)), done)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            raise
        finally:
            os.close(descriptor)
