"""Runs on the blast host, sent before probe.py: how one path is looked at, read, hashed and counted.

Nothing is ever opened through a symbolic link, and no pipe or device is waited for.
"""
# ruff: noqa: RUF005, UP006, UP031, UP035 -- hosts may have Python 3.6

import csv
import errno
import grp
import hashlib
import io
import os
import pwd
import stat
from typing import Any, Dict, List

WHOLE = 1 << 20  # bytes: up to here a quoted CSV is counted in memory

names: Dict[Any, str] = {}


def kind_of_error(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "missing"
    return "denied" if error.errno in (errno.EACCES, errno.EPERM) else "error"


def name_of(table: Any, number: int) -> str:
    key = (table.__name__, number)
    if key not in names:
        try:
            names[key] = (pwd.getpwuid(number) if table is pwd else grp.getgrgid(number))[0]
        except KeyError:
            names[key] = str(number)
    return names[key]


def look(path: str) -> List[Any]:
    """[kind, size, mtime_ns, ctime_ns, device, inode, mode, owner, group, trouble] of the path itself."""
    try:
        found = os.lstat(path)
    except OSError as error:
        why = kind_of_error(error)
        return [why, 0, 0, 0, 0, 0, 0, "", "", "" if why == "missing" else str(error.strerror)]
    except ValueError as error:
        return ["error", 0, 0, 0, 0, 0, 0, "", "", str(error)]
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink"}
    kind = kinds.get(stat.S_IFMT(found.st_mode), "other")
    owner, group = name_of(pwd, found.st_uid), name_of(grp, found.st_gid)
    times = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino]
    return [kind] + times + [stat.S_IMODE(found.st_mode), owner, group, ""]


def opened(path: str) -> Any:
    """The regular file at `path` as a raw stream; a link, pipe or device is refused, never waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return io.FileIO(descriptor, "rb")


def content(path: str, cap: int) -> str:
    """Up to `cap` bytes from the start, as latin-1 so that every byte survives."""
    with opened(path) as stream:
        return str(io.BufferedReader(stream).read(cap).decode("latin-1"))


def tail(path: str, size: int, cap: int) -> str:
    with opened(path) as stream:
        stream.seek(max(size - cap, 0))
        return str(io.BufferedReader(stream).read(cap).decode("latin-1"))


def by_csv(stream: Any) -> int:
    """Records behind the header by the csv module: slow, and right about odd quoting and blank lines."""
    stream.seek(0)
    lines = (line.decode("latin-1") for line in io.BufferedReader(stream, 1 << 16))
    return max(sum(1 for row in csv.reader(lines) if row) - 1, 0)


def plain(data: bytes, lines: List[bytes]) -> bool:
    """Whether lines are records, one for one: none is blank and there is no lone carriage return.

    `lines` is `data` split at its line ends. Searching for two line ends in a row would take three times as long.
    """
    if b"" in lines[:-1]:
        return False
    return b"\r" not in data or (b"\r" not in lines and data.count(b"\r") == data.count(b"\r\n"))


def well_quoted(outside: List[bytes]) -> bool:
    """Whether every quote stands where a field begins or ends, so that counting them is enough."""
    before = all(not part or part[-1:] in b",\n" for part in outside[:-1])
    return before and all(not part or part[:1] in b",\r\n" for part in outside[1:])


def hashed(path: str, count: bool, cap: int) -> List[Any]:
    """[sha256, rows, exact, trouble]; the file is read once in most cases, and never kept whole if large."""
    digest = hashlib.sha256()
    lines, simple, last = 0, True, b""
    with opened(path) as stream:
        total = 0
        while True:
            data = stream.read(WHOLE)
            if not data:
                break
            total += len(data)
            if total > cap:
                return [None, None, False, "not hashed: it grew while it was read"]
            digest.update(data)
            if count and simple:
                parts = data.split(b"\n")
                simple = b'"' not in data and plain(data, parts)
                lines += len(parts) - 1
            last = data
        sha = digest.hexdigest()
        if not count:
            return [sha, None, True, ""]
        if simple:
            return [sha, max(lines - (last[-1:] in (b"\n", b"")), 0), True, ""]
        if total <= WHOLE:
            outside = last.split(b'"')[::2]
            unquoted = b"x".join(outside)
            parts = unquoted.split(b"\n")
            if last.count(b'"') % 2 == 0 and well_quoted(outside) and plain(unquoted, parts):
                return [sha, max(len(parts) - 1 - (last[-1:] == b"\n"), 0), True, ""]
        try:
            return [sha, by_csv(stream), True, ""]
        except csv.Error as error:
            return [sha, lines or None, False, "rows not counted exactly: %s" % error]


def say_size(size: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6)):
        if size >= scale:
            return "%.1f %s" % (size / scale, unit)
    return "%d bytes" % size
