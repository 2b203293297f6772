"""Looks at a whole blast host at once: one exec with python3 there, two with sh alone, whatever the number of
campaigns. Nothing on the host changes, and a look that was cut short raises instead of telling less.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import msgspec

from backends.blasthost import shlook
from backends.blasthost.answers import Completed
from backends.blasthost.errors import RemoteFailed
from backends.blasthost.facts import BadAnswer, Reading, clock, host_facts
from backends.blasthost.hashcache import HashCache, Key, Known
from opsconsole.campaign import DATA, FILES, METADATA, check_slug
from opsconsole.hostfacts import FolderFacts, HostFacts
from opsconsole.settings import BlastHost

FILE_CAP = 64 * 2**20  # bytes: a larger file isn't hashed
TOTAL_CAP = 2**30  # bytes hashed in one look; the rest in the next ones
SECONDS = 8.0  # of hashing in one look
LIMIT = 45.0  # seconds for one exec
MAX_ANSWER = 256 * 2**20
_RECENT_NS = 2 * 10**9
_MODULES = ("looking", "machine", "probe")


class Session(Protocol):
    """The part of HostSession a look needs."""

    def run(
        self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = ...
    ) -> Completed: ...

    def run_python(
        self, source: str | bytes, stdin_json: object = None, *, timeout: float | None = None, max_bytes: int = ...
    ) -> Completed: ...


class Probe:
    """Looks at one host through `session`, and remembers between looks what need not travel again."""

    def __init__(
        self, session: Session, settings: BlastHost, cache: HashCache, *, now: Callable[[], float] = time.time
    ) -> None:
        self._session, self._settings, self._cache, self._now = session, settings, cache, now
        self._python = settings.python != "never"
        self._salt = secrets.token_hex(16)
        self._seen: dict[bytes, FolderFacts] = {}  # by the host's mark of everything that stat tells
        self._texts: dict[tuple[str, str], tuple[tuple[int, ...], bytes]] = {}  # sh: contents by stat
        self._lock = threading.Lock()

    def look(self, slugs: Collection[str] | None = None) -> HostFacts:
        """Everything about these campaigns (None: all that are there) and the host.

        Raises HostError when the host can't be asked or its answer isn't whole, BadSlug for a name that isn't one.
        """
        wanted = None if slugs is None else sorted(map(check_slug, slugs))
        with self._lock:
            if self._python:
                try:
                    return self._look_python(wanted)
                except RemoteFailed as error:
                    if error.rc != 127:
                        raise
                    self._python = False  # there is none; asking again would cost each look a round trip
            return self._look_sh(wanted)

    # -- with python3 on the host --------------------------------------------------------------------------
    def _look_python(self, wanted: list[str] | None) -> HostFacts:
        settings, nonce = self._settings, secrets.token_hex(16)
        known = self._cache.known(settings.ssh)
        settled = {folder.slug for folder in self._seen.values()}  # their marks say it all
        orders = {
            "nonce": nonce,
            "salt": self._salt,
            "campaigns": settings.campaigns_dir,
            "log": settings.log_dir,
            "state": settings.state_dir,
            "runner": settings.runner,
            "credentials": settings.credentials,
            "cron": settings.cron_files,
            "slugs": wanted,
            "known": _pack(self._mark(key) for key in known if key.path.rsplit("/", 2)[1] not in settled),
            "seen": _pack(self._seen),
            "file_cap": FILE_CAP,
            "total_cap": TOTAL_CAP,
            "seconds": SECONDS,
            "text_cap": shlook.TEXT_CAP,
            "cron_cap": 2**20,
            "tail": shlook.TAIL,
            "attempts": shlook.ATTEMPTS,
            "foreign": 200,
        }
        done = self._session.run_python(_python_source(), orders, timeout=LIMIT, max_bytes=MAX_ANSWER)
        after = self._now()
        if done.rc:
            return self._without_python(done, wanted)
        raw, parts = unpack(done.stdout, nonce)
        reading = Reading(settings, known, int(float(raw["clock"]) * 1e9))
        folders: dict[str, FolderFacts] = {}
        seen: dict[bytes, FolderFacts] = {}
        told = list(self._seen.items())
        for part in parts:
            if part.same.strip("01") or len(part.same) != len(told):
                raise BadAnswer("it speaks of something never told")
            seen.update(one for one, flag in zip(told, part.same, strict=True) if flag == "1")
        folders.update((folder.slug, folder) for folder in seen.values())
        for record in (record for part in parts for record in part.records):
            folder = reading.folder(record)
            folders[folder.slug] = folder
            mark = base64.b64decode(str(record.get("mark") or ""))
            if mark and all(fact.sha256 for fact in folder.files.values() if fact.there):
                seen[mark] = folder
        self._seen = seen if wanted is None else self._seen | seen
        self._cache.remember(settings.ssh, reading.fresh)
        return self._facts(raw, dict(sorted(folders.items())), done, after)

    def _without_python(self, done: Completed, wanted: list[str] | None) -> HostFacts:
        """The host's python3 failed (too old, broken): sh tells the same, a little slower."""
        self._python = False
        facts = self._look_sh(wanted)
        words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        why = f"python3 on the host can't run the probe ({words}): plain sh is used, which is slower."
        return _with_trouble(facts, why)

    def _mark(self, known: Key) -> bytes:
        """What probe.py makes of the same file, so that only this much of each travels."""
        slug_and_name = "/".join(known.path.rsplit("/", 2)[1:])
        text = f"{slug_and_name}|{known.device}|{known.inode}|{known.size}|{known.mtime_ns}|{known.ctime_ns}"
        return hashlib.blake2b(text.encode(), digest_size=12, key=self._salt.encode()).digest()

    # -- with sh alone -------------------------------------------------------------------------------------
    def _look_sh(self, wanted: list[str] | None) -> HostFacts:
        settings = self._settings
        folders = (settings.campaigns_dir.rstrip("/"), settings.log_dir.rstrip("/"), settings.state_dir.rstrip("/"))
        paths = {"campaigns": folders[0], "log": folders[1], "state": folders[2], "cron": settings.cron_files}
        nonce = secrets.token_hex(16)
        tables = (str(len(settings.cron_files)), *settings.cron_files)
        first = self._session.run(
            _shell_source(), "sweep", nonce, *folders, settings.runner, settings.credentials, *tables,
            *(wanted or ()), timeout=LIMIT, max_bytes=MAX_ANSWER,
        )  # fmt: skip
        after = self._now()
        swept = shlook.sweep(first.stdout, nonce, wanted, paths)
        known = self._cache.known(settings.ssh)
        reading = Reading(settings, known, int(swept.host["clock"] * 1e9))
        asking = _Asking(swept, settings, known, self._texts)
        gathered = shlook.Gathered()
        if asking.wanted:
            nonce = secrets.token_hex(16)
            second = self._session.run(
                _shell_source(), "gather", nonce, *folders, *asking.wanted, timeout=LIMIT, max_bytes=MAX_ANSWER
            )
            gathered = shlook.gather(second.stdout, nonce)
        texts = asking.kept | gathered.texts
        now_ns = int(swept.host["clock"] * 1e9)
        self._texts = {
            at: (key, texts[at])
            for at, key in asking.keys.items()
            if at in texts and abs(now_ns - max(key[3:5])) > _RECENT_NS
        }
        campaigns = {}
        for slug in swept.slugs:
            record = shlook.campaign(slug, swept, texts)
            record["h"] = asking.digests(slug, gathered)
            campaigns[slug] = reading.folder(record)
        self._cache.remember(settings.ssh, reading.fresh)
        return self._facts(swept.host, campaigns, first, after)

    def _facts(
        self, raw: Mapping[str, Any], folders: Mapping[str, FolderFacts], done: Completed, after: float
    ) -> HostFacts:
        offset, error = clock(raw, after - done.rtt, after)
        return host_facts(
            raw,
            folders,
            self._settings,
            clock_offset=offset,
            clock_error=error,
            round_trip_ms=max(done.rtt - float(raw["took"]), 0.0) * 1000,
        )


class _Asking:
    """What the second exec must bring, given the sweep and what is known. Paths are slugs and fixed names."""

    def __init__(
        self,
        swept: shlook.Sweep,
        settings: BlastHost,
        known: Mapping[Key, Known],
        texts: Mapping[tuple[str, str], tuple[tuple[int, ...], bytes]],
    ) -> None:
        self.wanted: list[str] = []
        self.keys: dict[tuple[str, str], tuple[int, ...]] = {}
        self.kept: dict[tuple[str, str], bytes] = {}
        self._not_hashed: dict[str, str] = {}
        self._asked: set[str] = set()
        self._old, self._left = texts, TOTAL_CAP
        self._where, self._known = settings.campaigns_dir.rstrip("/"), known
        for slug in swept.slugs:
            self._campaign(slug, swept)

    def _campaign(self, slug: str, swept: shlook.Sweep) -> None:
        for name in FILES:
            path = f"{slug}/{name}"
            stat = swept.files.get(path)
            if stat is None or stat[0] != "file":
                continue
            if name == METADATA and stat[1] <= shlook.TEXT_CAP:
                self._text("C", "c", path, stat)
            self._hash(path, stat)
        log = swept.logs.get(f"{slug}.log")
        if log is not None and log[0] == "file":
            self._text("L", "l" if log[1] <= shlook.TAIL else "t", f"{slug}.log", log)
        for attempt in swept.attempts.get(slug, []):
            for name in (*shlook.RUN_FILES, "out"):
                path = f"{slug}/{attempt}/{name}"
                stat = swept.runs.get(path)
                if stat is not None and stat[0] == "file" and (name == "out" or stat[1] <= shlook.TEXT_CAP):
                    self._text("R", "o" if name == "out" and stat[1] > shlook.TAIL else "r", path, stat)

    def _text(self, letter: str, job: str, path: str, stat: list[Any]) -> None:
        key = (stat[4], stat[5], stat[1], stat[2], stat[3])
        self.keys[letter, path] = key
        old = self._old.get((letter, path))
        if old is not None and old[0] == key:
            self.kept[letter, path] = old[1]
        else:
            self.wanted.append(f"{job}/{path}")

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


class Part(msgspec.Struct):
    """Some of the campaigns in an answer: a 1 for each of `seen` that stayed the same, and the other ones."""

    same: str
    records: list[dict[str, Any]]


def unpack(answer: bytes, nonce: str) -> tuple[dict[str, Any], list[Part]]:
    """The host and the campaigns in an answer of probe.py. Raises BadAnswer unless it is whole."""
    mark = b"\0" + nonce.encode()
    head, _, rest = answer.partition(mark + b" ANSWER ")[2].partition(b"\n")
    if not head.isdigit() or rest[int(head) :] != mark + b" END 0\n":
        raise BadAnswer("it was cut off before its end")
    try:
        host, *lines = _inflate(rest[: int(head)]).splitlines()
        raw = json.loads(host)
        parts = [_PART.decode(line) for line in lines]
    except (ValueError, zlib.error, RecursionError) as error:
        raise BadAnswer(f"it can't be unpacked ({type(error).__name__})") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("clock"), float):
        raise BadAnswer("it isn't a probe's answer")
    if not all("s" in record for part in parts for record in part.records):
        raise BadAnswer("its list of campaigns has the wrong shape")
    return raw, parts


_PART = msgspec.json.Decoder(Part)


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    document = inflater.decompress(packed, MAX_ANSWER)
    if inflater.unconsumed_tail:
        raise BadAnswer("it is larger than any host's")
    return document


def _with_trouble(facts: HostFacts, why: str) -> HostFacts:
    return replace(facts, troubles=(*facts.troubles, why))


def _pack(marks: Iterable[bytes]) -> str:
    return base64.b64encode(b"".join(marks)).decode()


@cache
def _shell_source() -> str:
    return files("backends.blasthost").joinpath("remote", "probe.sh").read_text("utf-8")


@cache
def _python_source() -> str:
    """The modules that probe.py imports, then probe.py: one program, sent at once."""
    remote = files("backends.blasthost").joinpath("remote")
    looking, machine, probe = (remote.joinpath(f"{name}.py").read_text("utf-8") for name in _MODULES)
    return f"""import sys
def add(name, text=""):
    sys.modules[name] = module = type(sys)(name)
    exec(compile(text, name, "exec"), module.__dict__)
    return module
add("backends"), add("backends.blasthost")
remote = add("backends.blasthost.remote")
add("backends.blasthost.remote.looking", {looking!r})
remote.machine = add("backends.blasthost.remote.machine", {machine!r})
exec(compile({probe!r}, "probe.py", "exec"), {{"__name__": "__main__"}})
"""
