"""Turns what the probe brought back into HostFacts. Pure, and wary: the document comes from outside.

One campaign that can't be read becomes a folder with a trouble; a document that isn't one raises BadAnswer.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from backends.blasthost.errors import HostLost
from backends.blasthost.hashcache import Key, Known, key_of
from opsconsole.campaign import FILES
from opsconsole.hostfacts import (
    CronFact,
    DiskFact,
    FileFact,
    FolderFacts,
    HoldFact,
    HostFacts,
    Kind,
    ProcessFact,
    RunFact,
)
from opsconsole.settings import BlastHost

_QUEUED = re.compile(r"in (\d+) Requests?")
_RECENT_NS = 2 * 10**9
GREATEST = 2**63  # of what a kernel tells in signed numbers
LAST_SECOND = 2.0e11  # of the year 8307: later ones are no dates here
_KINDS = {str(kind): kind for kind in Kind}


class BadAnswer(HostLost):
    """The host answered, but not with a whole probe: nothing may be concluded from it."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The host's answer to the probe can't be used: {why}.",
            "Nothing is known about the files and runs on it.",
            'Look again; if it stays, set python = "never" for this host and see the host screen.',
        )


def file_fact(
    path: str, found: list[Any], digest: list[Any] | None = None, *, executable: bool = False
) -> FileFact:
    """A fact of one stat as the scripts give it, with [sha256, rows, exact, trouble] when hashed."""
    kind, size, mtime, ctime, device, inode, mode, owner, group, trouble = found
    sha256, rows, exact, why = digest or (None, None, True, "")
    if sha256 is not None and (len(sha256) != 64 or sha256.strip("0123456789abcdef")):
        raise ValueError("a digest that isn't one")
    if any(not -GREATEST <= int(number) < 2 * GREATEST for number in (device, inode)):
        raise ValueError("a number that no file has")
    if any(not -GREATEST <= int(number) < GREATEST for number in (size, mtime, ctime, rows or 0)):
        raise ValueError("a number that no file has")
    return FileFact(
        path=path,
        kind=_KINDS[kind],
        size=int(size),
        mtime_ns=int(mtime),
        ctime_ns=int(ctime),
        device=int(device),
        inode=int(inode),
        mode=int(mode),
        owner=str(owner),
        group=str(group),
        sha256=sha256,
        rows=None if rows is None else int(rows),
        rows_exact=bool(exact),
        executable=executable,
        trouble=str(why or trouble),
    )


def text_of(raw: str) -> str:
    """Bytes that travelled as latin-1, as text."""
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")


def _document(raw: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text_of(raw))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def run_fact(raw: Mapping[str, Any]) -> RunFact:
    texts: Mapping[str, str] = raw.get("texts", {})
    stats: Mapping[str, list[Any]] = raw["stats"]
    trouble = str(raw.get("trouble", ""))
    # An end that can't be read is no end: the run is then in doubt, which stops everything but looking.
    finished = _document(texts.get("finished", "")) or None
    if finished is None and stats["finished"][0] != Kind.MISSING:
        trouble = trouble or "its finished record can't be read"
    if not trouble and "claim.json" in texts and not _document(texts["claim.json"]):
        trouble = "its claim.json can't be read"
    return RunFact(
        attempt=int(raw["n"]),
        claim=_document(texts.get("claim.json", "")),
        plan=_document(texts.get("plan.json", "")),
        owner=text_of(texts.get("owner", "")).strip(),
        owner_alive=bool(raw["life"][0]),
        owner_stopped=bool(raw["life"][1]),
        # A started file that can't be read still says that it started, and so does an end that can't.
        started=text_of(texts.get("started", "")).strip()
        or ("?" if {stats["started"][0], stats["finished"][0]} != {Kind.MISSING} else ""),
        finished=finished,
        released=stats["released"][0] == Kind.FILE,
        control=text_of(texts.get("control", "")).strip(),
        capabilities=_document(texts.get("runner.json", "")),
        out_size=int(raw["out"][1]),
        out_mtime_ns=int(raw["out"][2]),
        out_tail=text_of(raw.get("tail", "")),
        released_ns=int(stats["released"][2]),
        beat_ns=int(raw["beat"][2]),
        trouble=trouble,
    )


class Reading:
    """Takes the records of one look, fills in the digests that are known, and collects the new ones."""

    def __init__(self, settings: BlastHost, known: Mapping[Key, Known], now_ns: int) -> None:
        self._settings, self._known, self._now_ns = settings, known, now_ns
        self.fresh: dict[Key, Known] = {}

    def folder(self, raw: Mapping[str, Any]) -> FolderFacts:
        slug = str(raw["s"])
        if raw.get("bad"):
            return _broken(slug, str(raw["bad"]))
        try:
            return self._folder(slug, raw)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            return _broken(slug, f"the host's answer about it can't be read ({type(error).__name__})")

    def _folder(self, slug: str, raw: Mapping[str, Any]) -> FolderFacts:
        where = f"{self._settings.campaigns_dir.rstrip('/')}/{slug}"
        digests = raw.get("h", {})
        files = {name: self._file(f"{where}/{name}", raw["f"][name], digests.get(name)) for name in FILES}
        metadata = raw.get("m")
        return FolderFacts(
            slug=slug,
            folder=Kind(raw["d"][0]),
            files=files,
            metadata=metadata.encode("latin-1") if metadata is not None else None,
            log=file_fact(f"{self._settings.log_dir.rstrip('/')}/{slug}.log", raw["l"]),
            log_tail=text_of(raw.get("lt", "")),
            runs=tuple(sorted(map(run_fact, raw["r"]), key=lambda run: run.attempt)),
            trouble=str(raw.get("t", "") or _denied(raw["d"])),
        )

    def _file(self, path: str, found: list[Any], digest: list[Any] | None) -> FileFact:
        if digest is None and found[0] == Kind.FILE:
            key = Key(path, found[4], found[5], found[1], found[2], found[3])
            known = self._known.get(key)
            if known is not None:
                digest = [*known, ""]
            return file_fact(path, found, digest)
        fact = file_fact(path, found, digest)
        if fact.sha256 is not None and abs(self._now_ns - max(fact.mtime_ns, fact.ctime_ns)) > _RECENT_NS:
            self.fresh[key_of(fact)] = Known(fact.sha256, fact.rows, fact.rows_exact)
        return fact


def host_facts(
    raw: Mapping[str, Any],
    campaigns: Mapping[str, FolderFacts],
    settings: BlastHost,
    *,
    clock_offset: float,
    clock_error: float,
    round_trip_ms: float,
) -> HostFacts:
    """Everything of one look. Raises BadAnswer."""
    try:
        return HostFacts(
            host=settings.ssh,
            hostname=str(raw["hostname"]),
            machine_id=str(raw["machine"]),
            boot_id=str(raw["boot"]),
            user=str(raw["user"]),
            epoch=float(raw["clock"]),
            zone=str(raw["zone"]),
            clock_offset=clock_offset,
            clock_error=clock_error,
            round_trip_ms=round_trip_ms,
            python=str(raw["python"]),
            memory_total=int(raw["memory"][0]),
            memory_available=int(raw["memory"][1]),
            swap_used=int(raw["memory"][2]),
            load=float(raw["load"]),
            mail_queue=_queue_length(str(raw["queue"])),
            disks=tuple(DiskFact(path=p, free=f, total=t, free_inodes=i) for p, f, t, i in raw["disks"]),
            processes=_processes(raw["processes"], settings),
            cron=tuple(_cron(*table) for table in raw["cron"]),
            runner=file_fact(settings.runner, raw["runner"], executable=bool(raw["runner_x"])),
            credentials=file_fact(settings.credentials, raw["credentials"]),
            state_dir=file_fact(settings.state_dir, raw["state"]),
            log_dir=file_fact(settings.log_dir, raw["log"]),
            holds=tuple(HoldFact(scope=s, text=text_of(t), unreadable=bool(u)) for s, t, u in raw["holds"]),
            survives_logout=_survival(str(raw["logout"]), str(raw["user"])),
            campaigns=campaigns,
            campaigns_dir=Kind(raw["dir"][0]),
            foreign=tuple(map(str, raw["foreign"])),
            troubles=_troubles(raw, settings),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise BadAnswer(f"a part of it has the wrong shape ({type(error).__name__}: {error!s:.80})") from error


def clock(raw: Mapping[str, Any], before: float, after: float) -> tuple[float, float]:
    """(offset, half width): host minus console, from the console's readings around the exchange. Raises BadAnswer.

    The script read its clock first and then worked for `took` seconds, which are no part of the journey.
    """
    try:
        told, took, grain = (float(raw.get(name, 0.0)) for name in ("clock", "took", "clock_grain"))
    except (TypeError, ValueError, OverflowError) as error:
        raise BadAnswer(f"its clock can't be read ({type(error).__name__})") from error
    if not (abs(told) < LAST_SECOND and 0 <= took < LAST_SECOND and 0 <= grain < LAST_SECOND):
        raise BadAnswer("its clock shows no time there is")
    last = max(after - took, before)
    # The grain is that of a host which tells whole seconds only.
    return told - (before + last) / 2, (last - before + grain) / 2


def _broken(slug: str, why: str) -> FolderFacts:
    return FolderFacts(slug=slug, folder=Kind.ERROR, trouble=why)


def _denied(found: list[Any]) -> str:
    if found[0] in (Kind.DENIED, Kind.ERROR):
        return f"the campaign folder can't be looked at: {found[9] or found[0]}"
    return ""


def _cron(path: str, found: list[Any], text: str | None) -> CronFact:
    return CronFact(file=file_fact(path, found), text=None if text is None else text.encode("latin-1"))


def _processes(found: list[Any], settings: BlastHost) -> tuple[ProcessFact, ...]:
    name = settings.runner.rpartition("/")[2]
    facts = (
        ProcessFact(pid=int(pid), ppid=int(ppid), elapsed_s=int(elapsed), user=str(user), args=str(args))
        for pid, ppid, elapsed, user, args in found
    )
    return tuple(fact for fact in facts if name in fact.args and "--campaign" in fact.args)


def _queue_length(last_line: str) -> int | None:
    if "queue is empty" in last_line:
        return 0
    found = _QUEUED.search(last_line)
    return int(found[1]) if found else None


def _survival(word: str, user: str) -> str:
    if word != "kills":
        return ""
    return (
        "logind ends a user's processes at logout here (KillUserProcesses=yes) and lingering is off, so a send "
        f"would die with the connection: run `loginctl enable-linger {user}` as root."
    )


def _troubles(raw: Mapping[str, Any], settings: BlastHost) -> tuple[str, ...]:
    found = []
    kind, why = raw["dir"]
    if kind == Kind.MISSING:
        found.append(f"{settings.campaigns_dir} doesn't exist on the host: no campaign can be seen there.")
    elif kind != Kind.FOLDER:
        found.append(f"{settings.campaigns_dir} can't be listed ({why or kind}): campaigns there may be unseen.")
    if raw["state_trouble"]:
        found.append(
            f"{settings.state_dir} can't be listed ({raw['state_trouble']}): runs recorded there may be unseen."
        )
    if count := len(raw["foreign"]):
        one = "1 entry of it is no campaign: its name doesn't fit"
        what = one if count == 1 else f"{count} entries of it are no campaigns: their names don't fit"
        found.append(f"{settings.campaigns_dir}: {what}.")
    return tuple(found)
