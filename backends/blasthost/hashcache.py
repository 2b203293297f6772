"""What the console remembers of files it had hashed: nothing is left on the host, nothing is hashed twice.

A digest is known by everything that changes when the content does: path, device, inode, size, mtime and ctime
(which `touch -d` and `rsync -t` can't put back).
"""

import contextlib
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from opsconsole.hostfacts import FileFact


class Key(NamedTuple):
    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Known(NamedTuple):
    sha256: str
    rows: int | None
    rows_exact: bool


def key_of(fact: FileFact) -> Key:
    return Key(fact.path, fact.device, fact.inode, fact.size, fact.mtime_ns, fact.ctime_ns)


_TABLE = """CREATE TABLE IF NOT EXISTS digest (
    host TEXT, path TEXT, device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    sha256 TEXT NOT NULL, rows INTEGER, rows_exact INTEGER NOT NULL,
    PRIMARY KEY (host, path)) WITHOUT ROWID"""


class HashCache:
    """Digests by host and key, one for each path; in `file`, or in memory only. Safe for several threads.

    A file that can't be used costs the memory between two starts, never a look: it is set aside silently.
    """

    def __init__(self, file: Path | None = None, *, limit: int = 200_000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._loaded: dict[str, dict[Key, Known]] = {}
        self._database = _open(file)

    def known(self, host: str) -> Mapping[Key, Known]:
        """Everything remembered of `host`; a snapshot, not to be changed."""
        with self._lock:
            if host not in self._loaded:
                self._loaded[host] = self._load(host)
            return dict(self._loaded[host])

    def remember(self, host: str, found: Mapping[Key, Known]) -> None:
        """Replaces what was remembered of the same paths; drops the host's oldest beyond the limit."""
        if not found:
            return
        with self._lock:
            paths = {key.path for key in found}
            old = self._loaded.get(host) or self._load(host)
            kept = {key: known for key, known in old.items() if key.path not in paths} | dict(found)
            surplus = list(kept)[: max(len(kept) - self._limit, 0)]
            for key in surplus:
                del kept[key]
            self._loaded[host] = kept
            with contextlib.suppress(sqlite3.Error), self._database:
                self._database.executemany(
                    "REPLACE INTO digest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (host, key.path, _signed(key.device), _signed(key.inode), *key[3:], *known)
                        for key, known in found.items()
                        if key in kept
                    ],
                )
                self._database.executemany(
                    "DELETE FROM digest WHERE host = ? AND path = ?", [(host, key.path) for key in surplus]
                )

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _load(self, host: str) -> dict[Key, Known]:
        try:
            rows = self._database.execute(
                "SELECT path, device, inode, size, mtime_ns, ctime_ns, sha256, rows, rows_exact"
                " FROM digest WHERE host = ? LIMIT ?",
                (host, self._limit),
            ).fetchall()
        except sqlite3.Error:
            return {}
        return {
            Key(path, device % 2**64, inode % 2**64, *times): Known(sha256, count, bool(exact))
            for path, device, inode, *times, sha256, count, exact in rows
        }


def _signed(value: int) -> int:
    """SQLite holds signed 64-bit numbers; device and inode may be larger."""
    return value - 2**64 if value >= 2**63 else value


def _open(file: Path | None) -> sqlite3.Connection:
    if file is not None:
        for _ in range(2):
            database = None
            try:
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                database = sqlite3.connect(file, check_same_thread=False, timeout=2.0)
                # A lost cache is hashed again: no need to wait for the disk.
                database.execute("PRAGMA synchronous = OFF")
                database.execute(_TABLE)
                database.commit()
            except (sqlite3.OperationalError, OSError):  # locked, or no place to write
                break
            except sqlite3.DatabaseError:  # not a database
                if database is not None:
                    database.close()
                with contextlib.suppress(OSError):
                    file.unlink()
            else:
                return database
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute(_TABLE)
    return database
