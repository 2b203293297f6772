"""The probe in plain sh: what probe.sh prints, brought into the document that probe.py would have answered.

Pure. The names in the output are told from the words of `stat` by the grammar of what was asked for, and the
records by a nonce, so nothing that lies on the host can pass for a record.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.blasthost.facts import BadAnswer
from backends.blasthost.statlines import MISSING, Section, section, stats
from opsconsole.campaign import FILES, METADATA, is_slug

RUN_FILES = ("claim.json", "plan.json", "owner", "started", "finished", "released", "control", "runner.json")
TEXT_CAP, TAIL, ATTEMPTS = 64 * 1024, 16 * 1024, 20
_RECENT_NS = 2 * 10**9


@dataclass
class Record:
    args: list[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def line(self) -> str:
        return self.text.partition("\n")[0].strip()


def records(output: bytes, nonce: str) -> dict[str, list[Record]]:
    """The records of one answer by their first word. Raises BadAnswer when the END record isn't there."""
    found: dict[str, list[Record]] = {}
    for part in output.split(b"\0" + nonce.encode() + b" ")[1:]:
        head, newline, body = part.partition(b"\n")
        if not newline:
            break
        word, *args = head.decode("utf-8", "replace").split(" ")
        found.setdefault(word, []).append(Record(args, body))
    if not any(end.args == ["0"] for end in found.get("END", [])):
        raise BadAnswer("it was cut off before its end")
    return found


Sections = Mapping[str, Section]  # of FILES, LOGS and RUNS
SECTIONS = ("FILES", "LOGS", "RUNS")
NOTHING: Sections = dict.fromkeys(SECTIONS, Section())


@dataclass
class Sweep:
    """The first of the two answers, taken apart. Stats are lists as probe.py makes them, by path."""

    host: dict[str, Any]
    sections: Sections
    slugs: list[str]
    files: Mapping[str, list[Any]]
    logs: Mapping[str, list[Any]]
    runs: Mapping[str, list[Any]]
    life: Mapping[str, str]
    denied_runs: Collection[str]
    instead: Mapping[str, list[Any]]  # of "files" and "logs": the stat of what stat said nothing about
    unseen_runs: str  # why no run state could be looked at; "" when it could
    attempts: dict[str, list[int]] = field(default_factory=dict)

    def quiet(self, slug: str, now_ns: int) -> bool:
        """Whether nothing of the campaign changed so lately that it may change again under the same times."""
        files, log, runs, _ = self.mark(slug)
        stats = [*files, log, *(stat for _, of_run in runs for stat in of_run)]
        return all(abs(now_ns - max(s[2], s[3])) > _RECENT_NS for s in stats if s is not None and s[0] == "file")

    def mark(self, slug: str) -> tuple[Any, ...]:
        """All that is known of a campaign before anything of it is read; cheap to compare with an older one."""
        where = [f"{slug}/{attempt}" for attempt in self.attempts.get(slug, ())]
        return (
            [self.files.get(path) for path in (slug, *(f"{slug}/{name}" for name in FILES))],
            self.logs.get(f"{slug}.log"),
            [
                (self.life.get(at), [self.runs.get(f"{at}/{name}") for name in (*RUN_FILES, "out", "beat")])
                for at in where
            ],
            (slug in self.denied_runs, self.unseen_runs, self.instead["files"], self.instead["logs"]),
        )


def _stat(record: Record) -> list[Any]:
    return next(iter(stats(record.body).values()), ["error", *MISSING[1:9], "stat said nothing"])


def sweep(
    output: bytes, nonce: str, wanted: Collection[str] | None, cron: Iterable[str], old: Sections = NOTHING
) -> Sweep:
    """Reads the answer of `main sweep`; `cron` and the digests of `old` as they were given to it."""
    found = records(output, nonce)
    try:
        return _sweep(found, wanted, cron, old)
    except (KeyError, IndexError, ValueError) as error:
        raise BadAnswer(f"a part of it has the wrong shape ({type(error).__name__}: {error!s:.80})") from error


def _sweep(
    found: Mapping[str, list[Record]], wanted: Collection[str] | None, cron: Iterable[str], old: Sections
) -> Sweep:
    campaigns, state = _stat(found["CAMPAIGNS"][0]), _stat(found["STATEDIR"][0])
    listed = found.get("LISTED")
    if not listed and campaigns[0] == "folder":
        campaigns = ["denied", *campaigns[1:9], "Permission denied"]
    sections = {name: _section(found[name][0], old[name]) for name in SECTIONS}
    runs = sections["RUNS"].stats
    denied = set(found["DENIEDRUNS"][0].text.split())
    slugs = set(filter(is_slug, listed[0].text.split("\n"))) if listed else set()
    told = {path.partition("/")[0] for path in runs} | denied
    life = dict(line.split(" ") for line in found["LIFE"][0].text.split("\n") if line)
    swept = Sweep(
        host=_host(found, campaigns, state, cron),
        sections=sections,
        slugs=sorted(slugs | set(filter(is_slug, told)) if wanted is None else wanted),
        files=sections["FILES"].stats,
        logs=sections["LOGS"].stats,
        runs=runs,
        life=life,
        denied_runs=denied,
        instead={
            "files": _instead(
                campaigns, campaigns[0] not in ("folder", "missing") and str(campaigns[9] or campaigns[0])
            ),
            "logs": _instead(_stat(found["LOGDIR"][0]), _unseen(found["LOGDIR"][0])),
        },
        unseen_runs=_unseen(found["STATEDIR"][0]),
    )
    for path in runs:
        slug, _, rest = path.partition("/")
        attempt = rest.partition("/")[0]
        if attempt.isdigit() and int(attempt) not in swept.attempts.setdefault(slug, []):
            swept.attempts[slug].append(int(attempt))
    for slug, attempts in swept.attempts.items():
        swept.attempts[slug] = sorted(attempts)[-ATTEMPTS:]
    return swept


def _section(record: Record, old: Section) -> Section:
    if record.args != ["same"]:
        return section(record.body, old)
    if old.digest == Section.digest:
        raise ValueError("it speaks of something never told")
    return old


def _instead(folder: list[Any], unseen: str | bool) -> list[Any]:
    """What holds for a path stat said nothing about: its folder is missing, or shut, or something is wrong."""
    if folder[0] == "missing":
        return MISSING
    return ["denied" if unseen else "error", *MISSING[1:9], unseen or "stat said nothing about it"]


def _unseen(record: Record) -> str:
    """Why what is in this folder couldn't be looked at; "" when it could, or when there is no folder."""
    folder = _stat(record)
    if folder[0] in ("denied", "error"):
        return str(folder[9] or folder[0])
    return "Permission denied" if folder[0] == "folder" and record.args != ["open"] else ""


def _host(
    found: Mapping[str, list[Record]], campaigns: list[Any], state: list[Any], cron: Iterable[str]
) -> dict[str, Any]:
    machine, boot, user, name = found["IDENTITY"][0].text.split("\n")[:4]
    runner = found["RUNNER"][0]
    held = [[" ".join(r.args), r.body.decode("latin-1"), False] for r in found.get("HOLD", [])]
    held += [[" ".join(r.args), "", True] for r in found.get("HELD", [])]
    memory = dict(line.split(":", 1) for line in found["MEMORY"][0].text.split("\n") if ":" in line)

    def kib(name: str) -> int:
        return int((memory.get(name) or "0").split()[0]) * 1024

    begun, done = (_clock(found[word][0]) for word in ("CLOCK", "DONE"))
    fine = not (begun.is_integer() and done.is_integer())  # BusyBox tells whole seconds
    return {
        "clock": begun if fine else begun + 0.5,
        "clock_grain": 0.0 if fine else 1.0,
        "took": max(done - begun, 0.0) if fine else 0.0,
        "machine": machine,
        "boot": boot,
        "user": user,
        "hostname": name,
        "zone": found["ZONE"][0].line or found["LOCALTIME"][0].line.rpartition("/zoneinfo/")[2],
        "python": "",
        "dir": [campaigns[0], campaigns[9]],
        "foreign": sorted(record.text[:200] for record in found.get("FOREIGN", [])),
        "state": state,
        "state_trouble": _unseen(found["STATEDIR"][0]),
        "log": _stat(found["LOGDIR"][0]),
        "cron": list(_cron(found, cron)),
        "holds": held,
        "processes": list(_processes(found.get("PROCESS", []))),
        "disks": [disk for record in found["DISK"] for disk in _disk(record)],
        "memory": [kib("MemTotal"), kib("MemAvailable"), kib("SwapTotal") - kib("SwapFree")],
        "load": float((found["LOAD"][0].text.split() or ["0"])[0]),
        "queue": found["QUEUE"][0].line,
        "logout": "kills" if found["LOGOUT"][0].text.split() == ["b", "true"] else "",
        "runner": _stat(runner),
        "runner_x": runner.args == ["executable"],
        "credentials": _stat(found["CREDENTIALS"][0]),
    }


def _clock(record: Record) -> float:
    """`date +%s.%N`; BusyBox knows no %N and leaves something else behind the dot."""
    return float(re.sub(r"\.(?!\d+$).*", "", record.args[0]))


def _cron(found: Mapping[str, list[Record]], paths: Iterable[str]) -> Iterator[list[Any]]:
    for path, stat, text in zip(paths, found.get("CRON", []), found.get("CRONTEXT", []), strict=True):
        fact = _stat(stat)
        content: str | None = None
        if fact[0] == "file":
            if text.args[1] != "readable":
                fact[9] = "can't be read: Permission denied"
            elif len(text.body) > 1 << 20:
                fact[9] = f"not read ({fact[1] / 1e6:.1f} MB)"
            else:
                content = text.body.decode("latin-1")
        yield [path, fact, content]


def _processes(found: Iterable[Record]) -> Iterator[list[Any]]:
    for record in found:
        pid, ppid, elapsed, user = record.args
        yield [int(pid), int(ppid), max(int(elapsed), 0), user, record.text.strip()]


def _disk(record: Record) -> Iterator[list[Any]]:
    """What `df -Pk` and `df -Pi` say, each a line of headings and one of numbers."""
    tables: dict[str, list[str]] = {}
    kind = ""
    for row in (line.split() for line in record.text.split("\n")):
        if len(row) >= 6 and row[1].isdigit() and row[3].isdigit():
            tables[kind] = row
        elif len(row) >= 6:
            kind = "inodes" if row[1] == "Inodes" else "blocks"
    space, inodes = tables.get("blocks"), tables.get("inodes")
    if space:
        free = int(inodes[3]) if inodes else None
        yield [" ".join(record.args), int(space[3]) * 1024, int(space[1]) * 1024, free]


@dataclass
class Gathered:
    """The second answer: digests and lines by campaign file, texts and tails by (letter, path), owners' names."""

    digests: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    texts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)


def gather(output: bytes, nonce: str) -> Gathered:
    """Reads the answer of `main gather`; letters are C (campaign), R (run state), L (log)."""
    found = records(output, nonce)
    try:
        return _gather(found)
    except (KeyError, IndexError, ValueError) as error:
        raise BadAnswer(f"a part of it has the wrong shape ({type(error).__name__}: {error!s:.80})") from error


def _gather(found: Mapping[str, list[Record]]) -> Gathered:
    result = Gathered()
    for line in found["HASHES"][0].text.split("\n"):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](\S+)", line)
        if match:
            result.digests[match[2]] = match[1]
    for line in found["LINES"][0].text.split("\n"):
        words = line.split()
        if len(words) == 2 and words[0].isdigit() and "/" in words[1]:
            result.lines[words[1]] = int(words[0])
    for line in found["OWNERS"][0].text.split("\n"):
        parts = line.split("|")
        if len(parts) == 4:
            result.owners |= {f"u{parts[0]}": parts[1], f"g{parts[2]}": parts[3]}
    for letter in "CRL":
        for record in found.get(f"{letter}TAR", []):
            result.texts |= {(letter, name): text for name, text in _members(record.body)}
        for record in found.get(f"{letter}TEXT", []) + found.get(f"{letter}TAIL", []):
            result.texts[letter, " ".join(record.args)] = record.body
    return result


def _members(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """The plain files in what tar wrote. Module tarfile would take longer for this than all the rest takes."""
    at = 0
    while len(header := packed[at : at + 512]) == 512:
        at += 512
        if header[0] == 0:  # an end; xargs may have needed several tars
            continue
        size = int(header[124:136].strip(b" \0") or b"0", 8)
        if header[156:157] in (b"0", b"\0"):
            if len(packed) < at + size:
                raise ValueError("a file was cut off")
            yield header[:100].partition(b"\0")[0].decode("ascii", "replace"), packed[at : at + size]
        at += -(-size // 512) * 512


def campaign(
    slug: str, swept: Sweep, texts: Mapping[tuple[str, str], bytes], owners: Mapping[str, str]
) -> dict[str, Any]:
    """One campaign as probe.py tells it, without digests. `texts` and `owners` as Gathered has them."""

    def at(what: str, path: str) -> list[Any]:
        stats = swept.logs if what == "logs" else swept.files
        found = list(stats.get(path) or swept.instead[what])
        found[7:9] = owners.get(f"u{found[7]}", found[7]), owners.get(f"g{found[8]}", found[8])
        return found

    files = {name: at("files", f"{slug}/{name}") for name in FILES}
    trouble = "the run state can't be read: Permission denied" if slug in swept.denied_runs else ""
    if swept.unseen_runs:
        trouble = f"the run state can't be read: {swept.unseen_runs}"
    record: dict[str, Any] = {
        "s": slug,
        "d": at("files", slug),
        "f": files,
        "l": at("logs", f"{slug}.log"),
        "r": [_run(slug, attempt, swept, texts) for attempt in swept.attempts.get(slug, [])],
        "t": trouble,
    }
    metadata = texts.get(("C", f"{slug}/{METADATA}"))
    if metadata is not None:
        record["m"] = metadata.decode("latin-1")
    elif files[METADATA][0] == "file" and files[METADATA][1] <= TEXT_CAP:
        files[METADATA][9] = "can't be read"
    log = texts.get(("L", f"{slug}.log"))
    if log is not None:
        record["lt"] = log[-TAIL:].decode("latin-1")
    elif record["l"][0] == "file" and record["l"][1]:
        record["l"][9] = "can't be read"
    return record


def _run(slug: str, attempt: int, swept: Sweep, texts: Mapping[tuple[str, str], bytes]) -> dict[str, Any]:
    where = f"{slug}/{attempt}"
    silent = ["error", *MISSING[1:9], "stat said nothing about it"]
    stats = {name: swept.runs.get(f"{where}/{name}", silent) for name in RUN_FILES}
    out = swept.runs.get(f"{where}/out", silent)
    trouble, contents = "", {}
    for name, stat in stats.items():
        if stat[0] == "missing":
            continue
        text = texts.get(("R", f"{where}/{name}"))
        contents[name] = (text or b"").decode("latin-1")
        if text is None:
            trouble = trouble or f"{name} can't be read"
    life = swept.life.get(where, "")
    run = {"n": attempt, "stats": stats, "life": [bool(life), life == "stopped"], "trouble": trouble}
    run |= {"out": out, "beat": swept.runs.get(f"{where}/beat", silent)}
    tail = texts.get(("R", f"{where}/out"), b"")
    return {**run, "texts": contents, "tail": tail[-TAIL:].decode("latin-1")}
