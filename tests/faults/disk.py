"""A disk that loses power: what was synced is there afterwards, of the rest whatever a pattern leaves.

Pessimistic where file systems differ: a new, renamed or removed name lasts only once its directory was synced.
"""

import base64
import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTOR = 512
FOLDER = 0  # stands for the inode of any folder


@dataclass(frozen=True, slots=True)
class Data:
    inode: int
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Size:
    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Names:
    """One change of names, whole or not at all: paths given an inode, and paths taken away (None)."""

    changes: tuple[tuple[str, int | None], ...]


Op = Data | Size | Names
Pattern = Callable[[Sequence[Op], random.Random], list[Op]]


@dataclass
class Disk:
    """`live` is what the programs see; `pending` what a power cut may still take, in the order it was done."""

    live: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    contents: dict[int, bytearray] = field(default_factory=dict)
    pending: list[Op] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)  # those made while this was recorded

    def apply(self, call: dict[str, Any]) -> None:
        """One recorded call."""
        if call.get("result", -1) < 0 or "fired" in call:
            return
        name, paths, values = call["call"], call["paths"], call["args"]
        path = paths[0]
        if name in ("open", "openat", "creat"):
            flags = {"open": values[1], "openat": values[2], "creat": os.O_CREAT | os.O_TRUNC}[name]
            self._open(path, flags)
        elif name in ("write", "pwrite64") and path in self.live:
            data = base64.b64decode(call["data"])[: call["result"]]
            inode = self.live[path]
            at = values[3] if name == "pwrite64" else self.sizes[inode] if call["append"] else call["pos"]
            self._do(Data(inode, at, data))
        elif name in ("truncate", "ftruncate") and path in self.live:
            self._do(Size(self.live[path], values[1]))
        elif name in ("rename", "renameat", "renameat2") and path in self.live:
            self._do(Names(((paths[1], self.live[path]), (path, None))))
        elif name in ("mkdir", "mkdirat"):
            self.folders.add(path)
            self._do(Names(((path, FOLDER),)))
        elif name == "link":
            self._do(Names(((paths[1], self.live[path]),)))
        elif name in ("unlink", "unlinkat") and path in self.live:
            self._do(Names(((path, None),)))
        elif name in ("fsync", "fdatasync", "syncfs"):
            self._sync(path)

    def left(self, pattern: Pattern, chance: random.Random) -> dict[str, bytes]:
        """The files after a power cut now."""
        names, contents = dict(self.names), {inode: bytearray(data) for inode, data in self.contents.items()}
        for op in pattern(self.pending, chance):
            settle(op, names, contents)
        gone = {folder for folder in self.folders if folder not in names}
        return {
            path: bytes(contents.get(inode, b""))
            for path, inode in names.items()
            if inode != FOLDER and not gone.intersection(map(str, Path(path).parents))
        }

    def _open(self, path: str, flags: int) -> None:
        if path not in self.live:
            if not flags & os.O_CREAT:
                return
            inode = len(self.sizes) + 1
            self.sizes[inode] = 0
            self._do(Names(((path, inode),)))
        elif flags & os.O_TRUNC:
            self._do(Size(self.live[path], 0))

    def _do(self, op: Op) -> None:
        self.pending.append(op)
        if isinstance(op, Data):
            self.sizes[op.inode] = max(self.sizes[op.inode], op.at + len(op.data))
        elif isinstance(op, Size):
            self.sizes[op.inode] = op.size
        else:
            for path, inode in op.changes:
                rename(self.live, path, inode)

    def _sync(self, path: str) -> None:
        inode = self.live.get(path)
        kept: list[Op] = []
        for op in self.pending:
            if isinstance(op, Names):
                synced = inode in (None, FOLDER) and all(os.path.dirname(name) == path for name, _ in op.changes)
            else:
                synced = op.inode == inode
            if synced:
                settle(op, self.names, self.contents)
            else:
                kept.append(op)
        self.pending = kept


def rename(names: dict[str, int], path: str, inode: int | None) -> None:
    if inode is None:
        names.pop(path, None)
    else:
        names[path] = inode


def settle(op: Op, names: dict[str, int], contents: dict[int, bytearray]) -> None:
    if isinstance(op, Names):
        for path, inode in op.changes:
            rename(names, path, inode)
        return
    content = contents.setdefault(op.inode, bytearray())
    if isinstance(op, Size):
        del content[op.size :]
        content.extend(bytes(op.size - len(content)))
        return
    content.extend(bytes(max(0, op.at - len(content))))
    content[op.at : op.at + len(op.data)] = op.data


def torn(ops: Sequence[Op]) -> list[Op]:
    """All but a part of the last data."""
    for at in range(len(ops) - 1, -1, -1):
        op = ops[at]
        if isinstance(op, Data):
            half = max(len(op.data) // 2 // SECTOR * SECTOR, min(len(op.data) // 2, SECTOR - 1))
            return [*ops[:at], Data(op.inode, op.at, op.data[:half]), *ops[at + 1 :]]
    return list(ops)


PATTERNS: dict[str, Pattern] = {
    "nothing": lambda ops, _: [],
    "all": lambda ops, _: list(ops),
    "data only": lambda ops, _: [op for op in ops if not isinstance(op, Names)],
    "names only": lambda ops, _: [op for op in ops if isinstance(op, Names)],
    "the first half": lambda ops, _: list(ops[: len(ops) // 2]),
    "the last half": lambda ops, _: list(ops[len(ops) // 2 :]),
    "every other": lambda ops, _: list(ops[::2]),
    "the others": lambda ops, _: list(ops[1::2]),
    "the last one torn": lambda ops, _: torn(ops),
    "by chance": lambda ops, chance: [op for op in ops if chance.random() < 0.5],
}


@dataclass(frozen=True)
class Left:
    """What one power cut left: after which call, by which pattern, and what had been said to the world by then."""

    after: int
    pattern: str
    files: dict[str, bytes]
    said: tuple[Any, ...]


def power_cuts(
    calls: Iterable[dict[str, Any]], says: Callable[[dict[str, Any]], Any], seed: int
) -> tuple[int, list[Left]]:
    """How many states there are (each call by each pattern), and those that differ in what is left.

    `says` tells what a call made known to the world (None: nothing); of equal states the one that said most stays.
    """
    disk, chance = Disk(), random.Random(seed)
    said: tuple[Any, ...] = ()
    states = 0
    found: dict[frozenset[tuple[str, bytes]], Left] = {}
    for call in calls:
        disk.apply(call)
        word = says(call)
        if word is not None:
            said = (*said, word)
        for name, pattern in PATTERNS.items():
            states += 1
            files = disk.left(pattern, chance)
            found[frozenset(files.items())] = Left(call["n"], name, files, said)
    return states, list(found.values())


def put_down(files: dict[str, bytes], old: Path, new: Path) -> None:
    """The files that lay below `old`, below `new`."""
    for path, data in files.items():
        place = new / os.path.relpath(path, old)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o600)
