"""What `stat` prints, read: a line for each path that is there, a complaint for each that is not. Pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_COMPLAINT = re.compile(r"stat: [^/]*? '(.+)': (.+)")  # "cannot statx '…'", BusyBox: "can't stat '…'"
_KINDS = {"regular file": "file", "regular empty file": "file", "directory": "folder", "symbolic link": "symlink"}
MISSING = ["missing", 0, 0, 0, 0, 0, 0, "", "", ""]


@dataclass(frozen=True)
class Section:
    """A record of many stats: the digest of its text, and what its lines say, also by path."""

    digest: str = "-"
    lines: Mapping[str, tuple[str, list[Any]]] = field(default_factory=dict)
    stats: Mapping[str, list[Any]] = field(default_factory=dict)


def _nanoseconds(text: str) -> int:
    if text[-10:-9] == "." and text[0] != "-":
        return int(text[:-10] + text[-9:])
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9]) * (-1 if text.startswith("-") else 1)


def _line(line: str) -> tuple[str, list[Any]] | None:
    """(path, stat) of a line of stat or of its complaint; None when it is neither."""
    parts = line.rsplit("|", 9)
    if len(parts) == 10:
        try:
            name, device, inode, size, mtime, ctime, mode, owner, group, kind = parts
            times = [int(size), _nanoseconds(mtime), _nanoseconds(ctime), int(device), int(inode)]
            return name, [_KINDS.get(kind, "other"), *times, int(mode, 8), owner, group, ""]
        except ValueError:
            pass
    if not line.startswith("stat: "):
        return None
    complaint = _COMPLAINT.fullmatch(line)
    if complaint is None:
        raise ValueError(f"stat said {line[:80]!a}")
    return complaint[1], _complaint(complaint[2])


def stats(body: bytes) -> dict[str, list[Any]]:
    """Paths told by stat, those that are there and those it complained about."""
    return dict(filter(None, map(_line, body.decode("utf-8", "replace").split("\n"))))


def _complaint(why: str) -> list[Any]:
    if why in ("No such file or directory", "Not a directory"):
        return list(MISSING)
    kind = "denied" if why in ("Permission denied", "Operation not permitted") else "error"
    return [kind, *MISSING[1:9], why]


def section(body: bytes, old: Section) -> Section:
    """The stats in a record. A line that `old` has already gives the very same list again."""
    body = body.rstrip(b"\n")
    text, known = body.decode("utf-8", "replace"), old.lines
    lines = {line: one for line in text.split("\n") if (one := known.get(line) or _line(line)) is not None}
    return Section(hashlib.sha256(body).hexdigest(), lines, dict(lines.values()))
