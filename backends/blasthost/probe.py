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
from backends.blasthost.answers import Completed, Session
from backends.blasthost.asking import FILE_CAP, TOTAL_CAP, Asking
from backends.blasthost.errors import RemoteFailed
from backends.blasthost.facts import BadAnswer, Reading, clock, host_facts
from backends.blasthost.hashcache import HashCache, Key
from backends.blasthost.wrappers import Wrappers
from opsconsole.campaign import check_slug
from opsconsole.hostfacts import FolderFacts, HostFacts
from opsconsole.settings import BlastHost

SECONDS = 8.0  # of hashing in one look
LIMIT = 45.0  # seconds for one exec
MAX_ANSWER = 256 * 2**20
_MODULES = ("looking", "machine", "probe")


class Looker(Session, Protocol):
    """The part of HostSession a look needs."""

    def run_python(
        self, source: str | bytes, stdin_json: object = None, *, timeout: float | None = None, max_bytes: int = ...
    ) -> Completed: ...


class Probe:
    """Looks at one host through `session`, and remembers between looks what need not travel again."""

    def __init__(
        self, session: Looker, settings: BlastHost, cache: HashCache, *, now: Callable[[], float] = time.time
    ) -> None:
        self._session, self._settings, self._cache, self._now = session, settings, cache, now
        self._python = settings.python != "never"
        self._salt = secrets.token_hex(16)
        self._seen: dict[bytes, FolderFacts] = {}  # by the host's mark of everything that stat tells
        self._told: dict[str, tuple[tuple[Any, ...], FolderFacts]] = {}  # sh: by slug, with what stat told of it
        self._sections, self._owners = shlook.NOTHING, dict[str, str]()
        self._wrappers = Wrappers(session, settings)
        self._lock = threading.Lock()

    def look(self, slugs: Collection[str] | None = None) -> HostFacts:
        """Everything about these campaigns (None: all that are there) and the host.

        Raises HostError when the host can't be asked or its answer isn't whole, BadSlug for a name that isn't one.
        """
        wanted = None if slugs is None else sorted(map(check_slug, slugs))
        with self._lock:
            return self._wrappers.add(self._look(wanted), self._now())

    def _look(self, wanted: list[str] | None) -> HostFacts:
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
        nonce = secrets.token_hex(16)
        have = [self._sections[name].digest for name in shlook.SECTIONS]
        tables = (str(len(settings.cron_files)), *settings.cron_files)
        first = self._session.run(
            _shell_source(), "sweep", nonce, *folders, settings.runner, settings.credentials, *have, *tables,
            *(wanted or ()), timeout=LIMIT, max_bytes=MAX_ANSWER,
        )  # fmt: skip
        after = self._now()
        swept = shlook.sweep(first.stdout, nonce, wanted, settings.cron_files, self._sections)
        marks = {slug: swept.mark(slug) for slug in swept.slugs}
        old = {slug: told for slug, mark in marks.items() if (told := self._told.get(slug)) and told[0] == mark}
        known = self._cache.known(settings.ssh)
        asking = Asking(swept, settings, known, [slug for slug in marks if slug not in old], self._owners)
        gathered = shlook.Gathered()
        if asking.wanted:
            nonce = secrets.token_hex(16)
            second = self._session.run(
                _shell_source(), "gather", nonce, *folders, *asking.wanted, timeout=LIMIT, max_bytes=MAX_ANSWER
            )
            gathered = shlook.gather(second.stdout, nonce)
        self._owners |= gathered.owners
        now_ns = int(swept.host["clock"] * 1e9)
        reading = Reading(settings, known, now_ns)
        campaigns: dict[str, FolderFacts] = {}
        kept: dict[str, tuple[tuple[Any, ...], FolderFacts]] = {}
        for slug, mark in marks.items():
            if slug in old:
                kept[slug], campaigns[slug] = old[slug], old[slug][1]
                continue
            record = shlook.campaign(slug, swept, gathered.texts, self._owners)
            record["h"] = asking.digests(slug, gathered)
            campaigns[slug] = reading.folder(record)
            if swept.quiet(slug, now_ns) and _whole(campaigns[slug]):
                kept[slug] = (mark, campaigns[slug])
        if wanted is None:
            self._sections, self._told = swept.sections, kept
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
            round_trip_ms=max(done.rtt - float(raw.get("took", 0.0)), 0.0) * 1000,
        )


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


def _whole(folder: FolderFacts) -> bool:
    """Whether everything that is there was read."""
    files = [*folder.files.values(), *([folder.log] if folder.log else [])]
    troubles = [folder.trouble, *(fact.trouble for fact in files), *(run.trouble for run in folder.runs)]
    return not any(troubles) and all(fact.sha256 for fact in folder.files.values() if fact.there)


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
