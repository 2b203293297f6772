"""The probe in plain sh: what probe.sh prints, brought into the document that probe.py would have answered.

Pure. The names in the output are told from the words of `stat` by the grammar of what was asked for, and the
records by a nonce, so nothing that lies on the host can pass for a record.
"""

import io
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.blasthost.facts import BadAnswer
from opsconsole.campaign import FILES, METADATA, is_slug

RUN_FILES = ("claim.json", "plan.json", "owner", "started", "finished", "released", "control", "runner.json")
TEXT_CAP, TAIL, ATTEMPTS = 64 * 1024, 16 * 1024, 20

_STAT = re.compile(
    r"(.*)\|(\d+)\|(\d+)\|(\d+)\|(-?\d+(?:\.\d+)?)\|(-?\d+(?:\.\d+)?)\|([0-7]+)\|([^|]*)\|([^|]*)\|([a-z ]+)"
)
_COMPLAINT = re.compile(r"stat: [^/]*? '(.+)': (.+)")  # "cannot statx '…'", BusyBox: "can't stat '…'"
_KINDS = {"regular file": "file", "regular empty file": "file", "directory": "folder", "symbolic link": "symlink"}
_MISSING = ["missing", 0, 0, 0, 0, 0, 0, "", "", ""]


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


@dataclass
class Sweep:
    """The first of the two answers, taken apart. Stats are lists as probe.py makes them, by path."""

    host: dict[str, Any]
    slugs: list[str]
    files: Mapping[str, list[Any]]
    logs: Mapping[str, list[Any]]
    runs: Mapping[str, list[Any]]
    life: Mapping[str, str]
    denied_runs: Collection[str]
    instead: Mapping[str, list[Any]]  # of "files" and "logs": the stat of what stat said nothing about
    unseen_runs: str  # why no run state could be looked at; "" when it could
    attempts: dict[str, list[int]] = field(default_factory=dict)


def _nanoseconds(text: str) -> int:
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9]) * (-1 if text.startswith("-") else 1)


def _stats(body: bytes) -> dict[str, list[Any]]:
    """Paths told by stat, those that are there and those it complained about."""
    found: dict[str, list[Any]] = {}
    for line in body.decode("utf-8", "replace").split("\n"):
        match = _STAT.fullmatch(line)
        if match:
            name, device, inode, size, mtime, ctime, mode, owner, group, kind = match.groups()
            times = [int(size), _nanoseconds(mtime), _nanoseconds(ctime), int(device), int(inode)]
            found[name] = [_KINDS.get(kind, "other"), *times, int(mode, 8), owner, group, ""]
        elif line.startswith("stat: "):
            complaint = _COMPLAINT.fullmatch(line)
            if complaint is None:
                raise ValueError(f"stat said {line[:80]!a}")
            found[complaint[1]] = _complaint(complaint[2])
    return found


def _complaint(why: str) -> list[Any]:
    if why in ("No such file or directory", "Not a directory"):
        return list(_MISSING)
    kind = "denied" if why in ("Permission denied", "Operation not permitted") else "error"
    return [kind, *_MISSING[1:9], why]


def _stat(record: Record) -> list[Any]:
    return next(iter(_stats(record.body).values()), ["error", *_MISSING[1:9], "stat said nothing"])


def sweep(output: bytes, nonce: str, wanted: Collection[str] | None, paths: Mapping[str, Any]) -> Sweep:
    """Reads the answer of `main sweep`. `paths`: campaigns, log, state and cron as they were asked for."""
    found = records(output, nonce)
    try:
        return _sweep(found, wanted, paths)
    except (KeyError, IndexError, ValueError) as error:
        raise BadAnswer(f"a part of it has the wrong shape ({type(error).__name__}: {error!s:.80})") from error


def _sweep(found: Mapping[str, list[Record]], wanted: Collection[str] | None, paths: Mapping[str, Any]) -> Sweep:
    campaigns, state = _stat(found["CAMPAIGNS"][0]), _stat(found["STATEDIR"][0])
    listed = found.get("LISTED")
    if not listed and campaigns[0] == "folder":
        campaigns = ["denied", *campaigns[1:9], "Permission denied"]
    runs = _stats(found["RUNS"][0].body)
    denied = set(found["DENIEDRUNS"][0].text.split())
    slugs = set(filter(is_slug, listed[0].text.split("\n"))) if listed else set()
    told = {path.partition("/")[0] for path in runs} | denied
    life = dict(line.split(" ") for line in found["LIFE"][0].text.split("\n") if line)
    swept = Sweep(
        host=_host(found, campaigns, state, paths),
        slugs=sorted(slugs | set(filter(is_slug, told)) if wanted is None else wanted),
        files=_stats(found["FILES"][0].body),
        logs=_stats(found["LOGS"][0].body),
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


def _instead(folder: list[Any], unseen: str | bool) -> list[Any]:
    """What holds for a path stat said nothing about: its folder is missing, or shut, or something is wrong."""
    if folder[0] == "missing":
        return _MISSING
    return ["denied" if unseen else "error", *_MISSING[1:9], unseen or "stat said nothing about it"]


def _unseen(record: Record) -> str:
    """Why what is in this folder couldn't be looked at; "" when it could, or when there is no folder."""
    folder = _stat(record)
    if folder[0] in ("denied", "error"):
        return str(folder[9] or folder[0])
    return "Permission denied" if folder[0] == "folder" and record.args != ["open"] else ""


def _host(
    found: Mapping[str, list[Record]], campaigns: list[Any], state: list[Any], paths: Mapping[str, Any]
) -> dict[str, Any]:
    machine, boot, user, name = found["IDENTITY"][0].text.split("\n")[:4]
    runner = found["RUNNER"][0]
    held = [[" ".join(r.args), r.body.decode("latin-1"), False] for r in found.get("HOLD", [])]
    held += [[" ".join(r.args), "", True] for r in found.get("HELD", [])]
    memory = dict(line.split(":", 1) for line in found["MEMORY"][0].text.split("\n") if ":" in line)
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
        "cron": list(_cron(found, paths["cron"])),
        "holds": held,
        "processes": list(_processes(found.get("PROCESS", []))),
        "disks": [disk for record in found["DISK"] for disk in _disk(record)],
        "memory": [int((memory.get(name) or "0").split()[0]) * 1024 for name in ("MemTotal", "MemAvailable")],
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
    rows = [line.split() for line in record.text.strip().split("\n")]
    space = next((row for row in rows if len(row) >= 6 and row[1].isdigit() and row[3].isdigit()), None)
    if space:
        inodes = int(rows[1][3]) if len(rows) > 1 and len(rows[1]) >= 6 and rows[1][3].isdigit() else None
        yield [" ".join(record.args), int(space[3]) * 1024, int(space[1]) * 1024, inodes]


@dataclass
class Gathered:
    """The second answer: digests and line counts by campaign file, texts and tails by (letter, path)."""

    digests: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    texts: dict[tuple[str, str], bytes] = field(default_factory=dict)


def gather(output: bytes, nonce: str) -> Gathered:
    """Reads the answer of `main gather`; letters are C (campaign), R (run state), L (log)."""
    found = records(output, nonce)
    result = Gathered()
    for line in found["HASHES"][0].text.split("\n"):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](\S+)", line)
        if match:
            result.digests[match[2]] = match[1]
    for line in found["LINES"][0].text.split("\n"):
        words = line.split()
        if len(words) == 2 and words[0].isdigit() and "/" in words[1]:
            result.lines[words[1]] = int(words[0])
    for letter in "CRL":
        for record in found.get(f"{letter}TAR", []):
            result.texts |= {(letter, name): text for name, text in _members(record.body)}
        for record in found.get(f"{letter}TEXT", []) + found.get(f"{letter}TAIL", []):
            result.texts[letter, " ".join(record.args)] = record.body
    return result


def _members(packed: bytes) -> Iterator[tuple[str, bytes]]:
    if not packed:
        return
    try:
        # xargs may have needed several tars: their ends are blocks of zeros in the middle.
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:", ignore_zeros=True) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is not None:
                    yield member.name, stream.read()
    except tarfile.TarError:
        return


def campaign(slug: str, swept: Sweep, texts: Mapping[tuple[str, str], bytes]) -> dict[str, Any]:
    """One campaign as probe.py tells it, without digests. `texts` as Gathered has them."""

    def at(what: str, path: str) -> list[Any]:
        stats = swept.logs if what == "logs" else swept.files
        return list(stats.get(path) or swept.instead[what])

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
    silent = ["error", *_MISSING[1:9], "stat said nothing about it"]
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
    run = {"n": attempt, "stats": stats, "life": [bool(life), life == "stopped"], "out": out, "trouble": trouble}
    tail = texts.get(("R", f"{where}/out"), b"")
    return {**run, "texts": contents, "tail": tail[-TAIL:].decode("latin-1")}
