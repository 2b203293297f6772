"""The log of one campaign's run, as the console follows it: a file of ours that is only ever added to.

It holds lines of our runner's format for progress, and between them what the kept log tells of this campaign. An
offset into it means the same bytes for everybody. Beyond FULL bytes no more log lines are added, but progress is.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from backends.listmonk.kept import Entry, KeptLog, append
from backends.listmonk.loglines import Told, cleaned, sleeping, told

FULL: Final = 8 * 1024 * 1024
CHUNK: Final = 256 * 1024
SLACK: Final = timedelta(seconds=5)  # by which its database's clock and its own may differ
OUR_WORD: Final = "--- "
_AS_BEFORE: Final = ("state", "total", "accepted", "failed", "unknown", "why", "summary")


@dataclass(frozen=True, slots=True)
class Span:
    """Which lines are a campaign's: those that name it while it ran; names aren't unique. `until` None: it does."""

    name: str
    since: datetime
    until: datetime | None = None

    def of(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """What tells of it, and what befell all of them meanwhile: windows used up, restarts."""
        name = cleaned(self.name)
        since, until = self.since - SLACK, self.until + SLACK if self.until else None
        return tuple(
            entry
            for entry in entries
            if entry.at >= since
            and (until is None or entry.at <= until)
            and ((name in entry.text and _about(entry.text, self.name, name)) or entry.gap or sleeping(entry.text))
        )

    def told(self, entries: Iterable[Entry]) -> tuple[tuple[datetime, Told], ...]:
        """What its lines tell, oldest first."""
        found = []
        for entry in self.of(entries):
            if (word := told(entry.text, self.name) or sleeping(entry.text)) is not None:
                found.append((entry.at, word))
        return tuple(found)


class RunFile:
    """The file of the campaign of this key. `kept` lends its lock, so consoles don't write at the same time."""

    def __init__(self, kept: KeptLog, key: str, full: int = FULL) -> None:
        self.path: Path = kept.folder / f"run-{key}.log"
        self._kept, self._full = kept, full
        self._read_to = 0
        self._newest: tuple[datetime, set[str]] = (datetime.min.replace(tzinfo=UTC), set())
        self._progress: dict[str, Any] = {}
        self._ours: set[str] = set()
        self._is_full = False
        self._moved_at: datetime | None = None

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def moved_at(self) -> datetime | None:
        """When the newest line of progress saw more accepted than the one before it."""
        return self._moved_at

    def read(self, offset: int) -> bytes:
        """At most CHUNK bytes from `offset` on; b"" at the end."""
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read(CHUNK)
        except FileNotFoundError:
            return b""

    def absorb(self, entries: Iterable[Entry]) -> None:
        """Add those of a campaign's lines that aren't there yet; `entries` as `Span.of` gives them."""
        with self._kept.locked():
            self._refresh()
            if self._is_full:
                return
            newest, there = self._newest
            lines = []
            for entry in entries:
                line = f"{_stamp(entry.at)} {entry.text}"
                if entry.at > newest or (entry.at == newest and line not in there):
                    lines.append(line)
            if lines and self._read_to + sum(map(len, lines)) > self._full:
                lines = [f"{lines[0].split(' ')[0]} {_FULL_WORD}"]
            self._add(lines)

    def progress(self, document: Mapping[str, Any], at: datetime) -> None:
        """Add a line of progress, unless the last one told the same. `document` has the runner's keys."""
        with self._kept.locked():
            self._refresh()
            if all(self._progress.get(key) == document.get(key) for key in _AS_BEFORE):
                return
            stamp = at.astimezone(UTC).isoformat(timespec="milliseconds")
            moved = self._moved_at
            if document.get("accepted") != self._progress.get("accepted"):
                moved = at
            told = {"moved": moved.astimezone(UTC).isoformat(timespec="milliseconds")} if moved else {}
            self._add([json.dumps({"v": 1, "t": stamp, "mode": "send", **told, **document})])

    def say(self, text: str, at: datetime) -> None:
        """Add a word of the console's own, once however often it is said."""
        word = OUR_WORD + cleaned(text)
        with self._kept.locked():
            self._refresh()
            if word not in self._ours:
                self._add([f"{_stamp(at)} {word}"])

    def said(self, begins: str) -> bool:
        """Whether a word of the console's own that begins so is there already."""
        with suppress(OSError), self._kept.locked():
            self._refresh()
        return any(word.startswith(OUR_WORD + begins) for word in self._ours)

    def _add(self, lines: Iterable[str]) -> None:
        data = "".join(f"{line}\n" for line in lines).encode()
        if data:
            append(self.path, data)
            self._refresh()

    def _refresh(self) -> None:
        size = self.size
        if size < self._read_to:
            self._read_to = 0
        while self._read_to < size:
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                data = file.read(1024 * 1024)
            whole, end, _ = data.rpartition(b"\n")
            if not end:  # a line that was cut when a console was killed: the next one closes it
                break
            self._read_to += len(whole) + 1
            for line in whole.decode("utf-8", "replace").split("\n"):
                self._learn(line)

    def _learn(self, line: str) -> None:
        if line.startswith("{"):
            try:
                document = json.loads(line)
            except ValueError:
                return
            if isinstance(document, dict):
                if document.get("accepted") != self._progress.get("accepted"):
                    self._moved_at = _instant(document.get("t")) or self._moved_at
                self._progress = document
            return
        stamp, _, text = line.partition(" ")
        if text == _FULL_WORD:
            self._is_full = True
        try:
            at = datetime.fromisoformat(stamp)
        except ValueError:
            return
        if text.startswith(OUR_WORD) and not Entry(at, text).gap:
            self._ours.add(text)
            return
        newest, there = self._newest
        if at > newest:
            self._newest = at, {line}
        elif at == newest:
            there.add(line)


_FULL_WORD = OUR_WORD + "this log is full: further lines of listmonk's are in the platform's kept log only"


def _instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo else None


def _about(text: str, raw: str, name: str) -> bool:
    return told(text, raw) is not None or ("campaign" in text and f"({name})" in text)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
