"""The marks on disk that keep two runs apart: holds, the lock, the claim, and the life of the process."""

import fcntl
import getpass
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.errors import BUSY, HELD, JOURNAL, Refused

AT_WORK = "runner.lock"
_LOCK_SECONDS = 2.0
_END_PAUSE = 1.0
_END_SECONDS = 300.0  # how long a full disk may keep the end of a run from being written down


@dataclass(frozen=True)
class RunDir:
    """One attempt. `supervised`: somebody else records owner, started and finished."""

    path: Path
    run_id: str
    attempt: int
    supervised: bool


def refuse_if_held(holds: Path, slug: str) -> None:
    """Raises Refused (77) when nobody may send; a hold that can't be looked at counts as one."""
    for name, what in (("ALL", "everything"), (slug, slug)):
        try:
            os.lstat(holds / name)
        except FileNotFoundError:
            if not os.path.lexists(holds) or holds.is_dir():
                continue
            raise Refused(HELD, f"whether {what} is held can't be told: {holds} leads nowhere: held") from None
        except OSError as error:
            raise Refused(
                HELD, f"whether {what} is held can't be told ({holds / name}: {error.strerror}): held"
            ) from None
        raise Refused(HELD, f"{what} is held: {holds / name} exists. Release the hold first")


def lock(slug_dir: Path) -> int:
    """Take the campaign's lock for the life of this process; the descriptor is kept open. Raises Refused (75).

    It is waited for a moment: somebody may only be writing down a decision, or about to be refused.
    """
    try:
        slug_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(JOURNAL, f"{slug_dir} can't be made: {error.strerror}") from None
    if (fd := _locked(slug_dir / "lock", fcntl.LOCK_EX)) is None:
        raise Refused(BUSY, f"another run of this campaign is going{_by(latest(slug_dir))}")
    return fd


def work_alone(run: Path, *, deciding: bool = False) -> int:
    """Take this attempt's own lock for the life of this process, or refuse it to whoever sends (`deciding`).

    The campaign's lock is the supervisor's, and a file that somebody may replace: a runner that lost it on the way,
    or outlives its supervisor, still keeps every other one out by this. Raises Refused (75).
    """
    if (fd := _locked(run / AT_WORK, fcntl.LOCK_SH if deciding else fcntl.LOCK_EX)) is None:
        raise Refused(BUSY, f"a runner is at work in {run}{_by(run)}: a run is going")
    return fd


def at_work(run: Path) -> bool:
    """Is a runner sending this attempt, whatever became of its supervisor? Looks only."""
    try:
        fd = os.open(run / AT_WORK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _locked(path: Path, kind: int) -> int | None:
    """The open file, locked; None when somebody else has it for longer than a moment. Raises Refused (70)."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(JOURNAL, f"{path} can't be opened: {error.strerror}") from None
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return fd
        except OSError:
            if time.monotonic() >= end:
                os.close(fd)
                return None
            time.sleep(0.05)


def latest(slug_dir: Path) -> Path | None:
    """The newest attempt's folder."""
    found = attempts(slug_dir)
    return found[-1] if found else None


def attempts(slug_dir: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(
            (p for p in slug_dir.iterdir() if p.name.isdecimal() and p.is_dir()), key=lambda p: int(p.name)
        )
    return []


def next_attempt(slug_dir: Path) -> int:
    """The attempt a new run may claim. Raises Refused (75), saying who holds the claim, when there is none."""
    last = 0
    for attempt in attempts(slug_dir):
        last = int(attempt.name)
        if not released(attempt):
            raise Refused(
                BUSY,
                f"attempt {attempt.name} of this campaign exists already{_by(attempt)}. To go on with it use "
                f"--mode resume; to allow another attempt a person must create {attempt / 'released'}",
            )
    return last + 1


def released(run: Path) -> bool:
    """A person gave this attempt up. Nothing but a plain file says so, as for the launcher."""
    path = run / "released"
    return path.is_file() and not path.is_symlink()


def given_back_at(run: Path) -> str:
    """The boot in which this attempt was given back on proof that nobody was mailed; "" when no paper says so."""
    try:
        paper = json.loads((run / "released").read_bytes()) if released(run) else {}
    except (OSError, ValueError, RecursionError):
        return ""
    boot = paper.get("boot") if isinstance(paper, dict) else None
    return boot if isinstance(boot, str) else ""


def claim(slug_dir: Path, slug: str, attempt: int, now: datetime) -> RunDir:
    """Make the permanent mark that this attempt exists. Raises Refused (75) when somebody was faster."""
    path = slug_dir / str(attempt)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        raise Refused(BUSY, f"attempt {attempt} was claimed a moment ago{_by(path)}") from None
    sync_dir(slug_dir)
    host = socket.gethostname()
    run_id = hashlib.sha256(f"{slug}|{attempt}|{host}|{now.isoformat()}".encode()).hexdigest()[:16]
    record = {
        "run_id": run_id,
        "slug": slug,
        "attempt": attempt,
        "by": f"{_user()} (mail-blast-runner, without a console)",
        "host": host,
        "at": now.isoformat(),
        "plan": "",
    }
    durable_write(path / "claim.json", json.dumps(record) + "\n")
    return RunDir(path, run_id, attempt, supervised=False)


def existing(path: Path, run_id: str | None, supervised: bool) -> RunDir:
    """An attempt somebody claimed before. Raises Refused (70) when its claim can't be read."""
    try:
        record = json.loads((path / "claim.json").read_bytes())
        claimed = str(record["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(JOURNAL, f"{path / 'claim.json'} is missing or unreadable; an operator must decide") from None
    if run_id is not None and run_id != claimed:
        raise Refused(BUSY, f"{path} belongs to run {claimed}, not to {run_id}")
    return RunDir(path, claimed, int(path.name) if path.name.isdecimal() else 0, supervised)


def record_start(run: RunDir, now: datetime) -> None:
    """Who runs it. A former end of the same attempt is put aside once there is an owner, so that it is ended or
    going in every moment; that it began, and when, stays as it was."""
    if run.supervised:
        return
    durable_write(run.path / "owner", f"{os.getpid()} {_born('self')} {boot_id()}\n")
    if os.path.lexists(run.path / "finished"):
        number = 1
        while os.path.lexists(run.path / f"finished.{number}"):
            number += 1
        os.replace(run.path / "finished", run.path / f"finished.{number}")
        sync_dir(run.path)
    if not os.path.lexists(run.path / "started"):
        durable_write(run.path / "started", f"{now.isoformat()}\n")


def record_end(
    run: RunDir, rc: int, counts: dict[str, int] | None, now: datetime, complain: Callable[[str], None]
) -> None:
    """Write down how it ended. A full disk may be freed again, and without its end a run is in doubt: so wait."""
    if run.supervised:
        return None
    end, told = time.monotonic() + _END_SECONDS, False
    while True:
        try:
            text = json.dumps({"rc": rc, "at": now.isoformat(), "counts": counts})
            return durable_write(run.path / "finished", text + "\n")
        except OSError as error:
            if time.monotonic() > end:
                raise
            if not told:
                told = True
                complain(f"{run.path / 'finished'} can't be written ({error.strerror}): waiting for room")
            time.sleep(_END_PAUSE)


def alive(path: Path) -> bool:
    """Is the process that owns this attempt still going? A pid alone proves nothing: it is used again."""
    try:
        pid, ticks, boot = (path / "owner").read_text().split()
        return boot == boot_id() and int(pid) > 0 and _born(pid) == ticks
    except (OSError, ValueError):
        return False


def _born(pid: str) -> str:
    """The start of a process in clock ticks: field 22, counted after the name, which may hold spaces."""
    state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return "" if state in ("Z", "X") else fields[18]


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def durable_write(path: Path, text: str) -> None:
    """Write a file so that after a crash it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8", opener=_private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _by(attempt: Path | None) -> str:
    """` (claimed by ... on ... at ...)`, as far as it can be told."""
    if attempt is None:
        return ""
    try:
        record: dict[str, Any] = json.loads((attempt / "claim.json").read_bytes())
        return f" (claimed by {record['by']} on {record['host']} at {record['at']}, run {record['run_id']})"
    except (OSError, ValueError, KeyError, TypeError):
        return f" ({attempt}, by whom can't be told)"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
