"""Room on the disk, kept for a file that will grow: what it is kept for can be written though the disk fills up."""

import errno
import functools
import os
from collections.abc import Callable

_KEEP_SIZE = 1  # the file doesn't get longer by it
_CANT = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def keep_room(fd: int, size: int) -> None:
    """Have the disk keep what this file needs to grow to `size` bytes. Where the file system can't keep anything,
    it is only looked whether there is as much now. Raises OSError: ENOSPC, EDQUOT when there isn't."""
    if (fallocate := _fallocate()) is not None:
        code = fallocate(fd, size)
        if not code:
            return
        if code not in _CANT:
            raise OSError(code, os.strerror(code))
    disk = os.fstatvfs(fd)
    if disk.f_bavail * disk.f_frsize < size - os.fstat(fd).st_size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@functools.cache
def _fallocate() -> Callable[[int, int], int] | None:
    """fallocate(2) for a descriptor and a size, giving an errno or 0. Python has only the one that makes a file
    longer, which would leave a journal with zeros at its end."""
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        call = getattr(libc, "fallocate64", None) or libc.fallocate
    except (ImportError, OSError, AttributeError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    call.restype = ctypes.c_int

    def allocate(fd: int, size: int) -> int:
        while call(fd, _KEEP_SIZE, 0, size) != 0:
            if (code := ctypes.get_errno()) != errno.EINTR:
                return code
        return 0

    return allocate
