"""The second question to a host without python3: what of the campaigns that changed has to be read. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from backends.blasthost import shlook
from backends.blasthost.hashcache import Key, Known
from opsconsole.campaign import DATA, FILES, METADATA
from opsconsole.settings import BlastHost

FILE_CAP = 64 * 2**20  # bytes: a larger file isn't hashed
TOTAL_CAP = 2**30  # bytes hashed in one look; the rest in the next ones


class Asking:
    """What the second exec must bring, given the sweep and what is known. Paths are slugs and fixed names."""

    def __init__(
        self,
        swept: shlook.Sweep,
        settings: BlastHost,
        known: Mapping[Key, Known],
        changed: Iterable[str],
        owners: Mapping[str, str],
    ) -> None:
        self.wanted: list[str] = []
        self._not_hashed: dict[str, str] = {}
        self._asked: set[str] = set()
        self._left = TOTAL_CAP
        self._named = set(owners)
        self._where, self._known = settings.campaigns_dir.rstrip("/"), known
        for slug in changed:
            self._campaign(slug, swept)

    def _campaign(self, slug: str, swept: shlook.Sweep) -> None:
        for name in FILES:
            path = f"{slug}/{name}"
            stat = swept.files.get(path)
            self._owners(f"n/{path}", stat)
            if stat is None or stat[0] != "file":
                continue
            if name == METADATA and stat[1] <= shlook.TEXT_CAP:
                self.wanted.append(f"c/{path}")
            self._hash(path, stat)
        log = swept.logs.get(f"{slug}.log")
        self._owners(f"g/{slug}.log", log)
        if log is not None and log[0] == "file":
            self.wanted.append(f"{'l' if log[1] <= shlook.TAIL else 't'}/{slug}.log")
        for attempt in swept.attempts.get(slug, []):
            for name in (*shlook.RUN_FILES, "out"):
                path = f"{slug}/{attempt}/{name}"
                stat = swept.runs.get(path)
                if stat is not None and stat[0] == "file" and (name == "out" or stat[1] <= shlook.TEXT_CAP):
                    self.wanted.append(f"{'o' if name == 'out' and stat[1] > shlook.TAIL else 'r'}/{path}")

    def _owners(self, job: str, stat: list[Any] | None) -> None:
        """One path for each owner and group whose name isn't known yet."""
        if stat is not None and not {f"u{stat[7]}", f"g{stat[8]}"} <= self._named and stat[7]:
            self._named |= {f"u{stat[7]}", f"g{stat[8]}"}
            self.wanted.append(job)

    def _hash(self, path: str, stat: list[Any]) -> None:
        size = stat[1]
        if Key(f"{self._where}/{path}", stat[4], stat[5], size, stat[2], stat[3]) in self._known:
            return
        if size > FILE_CAP:
            said = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
            self._not_hashed[path] = f"not hashed ({said})"
        elif size > self._left:
            self._not_hashed[path] = f"not hashed yet ({size / 1e6:.1f} MB): the look took long enough"
        else:
            self._left -= size
            self._asked.add(path)
            self.wanted.append(f"h/{path}")
            if path.endswith(DATA):
                self.wanted.append(f"w/{path}")

    def digests(self, slug: str, gathered: shlook.Gathered) -> dict[str, list[Any]]:
        """By file name, as probe.py tells them. Lines behind the header stand for rows, and say so."""
        found: dict[str, list[Any]] = {}
        for name in FILES:
            path = f"{slug}/{name}"
            if path in self._not_hashed:
                found[name] = [None, None, False, self._not_hashed[path]]
            elif path in self._asked:
                lines = gathered.lines.get(path)
                rows = None if lines is None else max(lines - 1, 0)
                sha256 = gathered.digests.get(path)
                found[name] = [sha256, rows, name != DATA, "" if sha256 else "can't be read"]
        return found
