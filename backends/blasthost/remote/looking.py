"""Runs on the blast host, sent before probe.py: how one path is looked at, read, hashed and counted.

Nothing is ever opened through a symbolic link, and no pipe or device is waited for.
"""
# ruff: noqa: RUF005, UP006, UP031, UP035 -- hosts may have Python 3.6

import errno
import grp
import hashlib
import io
import os
import pwd
import stat

TYPE_CHECKING = False  # importing typing would take the host longer than looking at a hundred campaigns
if TYPE_CHECKING:
    from typing import Any, List, Tuple

WHOLE = 1 << 20  # bytes: up to here a quoted CSV is counted in memory
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink"}

names = {}  # type: dict[Any, str]


def kind_of_error(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "missing"
    return "denied" if error.errno in (errno.EACCES, errno.EPERM) else "error"


def name_of(table: "Any", number: int) -> str:
    key = (table.__name__, number)
    if key not in names:
        try:
            names[key] = (pwd.getpwuid(number) if table is pwd else grp.getgrgid(number))[0]
        except KeyError:
            names[key] = str(number)
    return names[key]


def stat_of(path: str) -> "Any":
    """The lstat of the path, or the error there was."""
    try:
        return os.lstat(path)
    except (OSError, ValueError) as error:
        return error


def look(path: str) -> "List[Any]":
    return told(stat_of(path))


def told(found: "Any") -> "List[Any]":
    """[kind, size, mtime_ns, ctime_ns, device, inode, mode, owner, group, trouble] of what stat_of found."""
    if isinstance(found, OSError):
        why = kind_of_error(found)
        return [why, 0, 0, 0, 0, 0, 0, "", "", "" if why == "missing" else str(found.strerror)]
    if isinstance(found, ValueError):
        return ["error", 0, 0, 0, 0, 0, 0, "", "", str(found)]
    mode = found.st_mode
    owner, group = name_of(pwd, found.st_uid), name_of(grp, found.st_gid)
    times = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino]
    return [KINDS.get(stat.S_IFMT(mode), "other")] + times + [stat.S_IMODE(mode), owner, group, ""]


def sign(found: "Any") -> str:
    """A text that changes whenever `told` would tell something else."""
    if isinstance(found, Exception):
        return "%s %s" % (type(found).__name__, found)
    return "%d %d %d %d %d %d %d %d" % (
        found.st_mode, found.st_ino, found.st_dev, found.st_uid, found.st_gid,
        found.st_size, found.st_mtime_ns, found.st_ctime_ns,
    )  # fmt: skip


def opened(path: str) -> "Any":
    """The regular file at `path` as a raw stream; a link, pipe or device is refused, never waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return io.FileIO(descriptor, "rb")


def read(stream: "Any", cap: int) -> bytes:
    data = stream.read(cap)
    while data and len(data) < cap:
        more = stream.read(cap - len(data))
        if not more:
            break
        data += more
    return bytes(data)


def content(path: str, cap: int) -> str:
    """Up to `cap` bytes from the start, as latin-1 so that every byte survives."""
    with opened(path) as stream:
        return read(stream, cap).decode("latin-1")


def tail(path: str, size: int, cap: int) -> str:
    with opened(path) as stream:
        if size > cap:
            stream.seek(size - cap)
        return read(stream, cap).decode("latin-1")


def by_csv(stream: "Any") -> int:
    """Records behind the header by the csv module: slow, and right about odd quoting and blank lines."""
    import csv

    stream.seek(0)
    lines = (line.decode("latin-1") for line in io.BufferedReader(stream, 1 << 16))
    try:
        return max(sum(1 for row in csv.reader(lines) if row) - 1, 0)
    except csv.Error as error:
        raise ValueError(str(error)) from error


def lines_of(data: bytes) -> "List[bytes]":
    """The lines with their ends. This way takes half as long as split(), and less than count()."""
    return io.BytesIO(data).readlines()


def plain(data: bytes, lines: "List[bytes]") -> bool:
    """Whether lines are records, one for one: none is blank and there is no lone carriage return."""
    if b"\n" in lines:
        return False
    return b"\r" not in data or (b"\r\n" not in lines and data.count(b"\r") == data.count(b"\r\n"))


def well_quoted(outside: "List[bytes]") -> bool:
    """Whether every quote stands where a field begins or ends, so that counting them is enough."""
    before = all(not part or part[-1:] in b",\n" for part in outside[:-1])
    return before and all(not part or part[:1] in b",\r\n" for part in outside[1:])


def hashed(path: str, size: int, count: bool, cap: int) -> "Tuple[List[Any], bytes]":
    """([sha256, rows, exact, trouble], the content when it is small); `size` is what stat said.

    The file is read once in most cases, and never kept whole if large.
    """
    digest = hashlib.sha256()
    lines, simple, last = 0, True, b""
    with opened(path) as stream:
        total = 0
        while True:
            # A buffer much larger than the file costs as much as reading it.
            data = stream.read(min(max(size + 1, 1 << 16), WHOLE))
            if not data:
                break
            total += len(data)
            if total > cap:
                return [None, None, False, "not hashed: it grew while it was read"], b""
            digest.update(data)
            if count and simple:
                parts = lines_of(data)
                simple = b'"' not in data and plain(data, parts)
                lines += len(parts) - (data[-1:] != b"\n")
            last = data
        sha, whole = digest.hexdigest(), len(last) == total
        if not count:
            return [sha, None, True, ""], last if whole else b""
        if simple:
            return [sha, max(lines - (last[-1:] in (b"\n", b"")), 0), True, ""], b""
        if whole:
            outside = last.split(b'"')[::2]
            unquoted = b"x".join(outside)
            parts = lines_of(unquoted)
            if last.count(b'"') % 2 == 0 and well_quoted(outside) and plain(unquoted, parts):
                return [sha, max(len(parts) - 1, 0), True, ""], b""
        try:
            return [sha, by_csv(stream), True, ""], b""
        except ValueError as error:
            return [sha, lines or None, False, "rows not counted exactly: %s" % error], b""


def say_size(size: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6)):
        if size >= scale:
            return "%.1f %s" % (size / scale, unit)
    return "%d bytes" % size
