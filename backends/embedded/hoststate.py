"""What runs leave behind on a blast host: claims, owners, starts, ends, and logs in a person's words."""

import hashlib
import json
import os
from datetime import datetime, timedelta
from pathlib import Path

from backends.embedded.campaigns.story import Fate, Past

LINES_OF_PROGRESS = 8
DEAD_OWNER = "999999999 1 00000000-0000-0000-0000-000000000000\n"  # of a boot that never was: surely gone


def write_run(runs: Path, logs: Path, slug: str, past: Past, began: datetime, total: int) -> Path | None:
    """The run's folder and log, with the times they would have. Returns the folder; None when it has only a log."""
    ended = began + timedelta(seconds=past.seconds)
    log = run_log(slug, past, began, total)
    if past.fate is not Fate.CLAIMED:
        _write(logs / f"{slug}.log", log, ended)
    if past.fate is Fate.LOG_ONLY:
        return None
    folder = runs / slug / "1"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    folder.chmod(0o700)
    (folder.parent / "lock").touch(0o600)
    claim = {
        "at": _utc(began - timedelta(seconds=2)),
        "run_id": hashlib.sha256(f"{slug}|{began.isoformat()}|1".encode()).hexdigest()[:16],
        "slug": slug,
        "attempt": 1,
        "by": past.by,
        "host": "ops-laptop-2",
        "plan": "",
    }
    _write(folder / "claim.json", json.dumps(claim) + "\n", began)
    _write(folder / "out", "" if past.fate is Fate.CLAIMED else log, ended)
    if past.fate is Fate.CLAIMED:
        return folder
    _write(folder / "started", _utc(began) + "\n", began)
    _write(folder / "owner", DEAD_OWNER, began)
    if past.fate is Fate.ENDED:
        finished = {"rc": past.rc, "at": _utc(ended), "counts": _counts(past, total)}
        _write(folder / "finished", json.dumps(finished) + "\n", ended)
    return folder


def run_log(slug: str, past: Past, began: datetime, total: int) -> str:
    """The lines an older runner prints: a start, progress, and a summary when it came to an end."""
    done = total if past.done is None else past.done
    lines = [(0.0, f"starting campaign {slug}, mode send")]
    for step in range(1, LINES_OF_PROGRESS + 1):
        share = step / LINES_OF_PROGRESS
        if done:
            lines.append((past.seconds * share, f"{round(done * share):,} / {total:,} handed to the mail server"))
    if past.error:
        lines.append((past.seconds, past.error))
    elif past.fate in (Fate.ENDED, Fate.LOG_ONLY):
        average = 1000 * past.seconds / max(done, 1)
        lines += [
            (past.seconds, f"{done:,} recipients processed"),
            (past.seconds, f"{past.failed:,} SMTP failures or bounces detected"),
            (
                past.seconds,
                f"{past.seconds / 60:.1f} minutes total execution time ({average:.0f} ms per recipient)",
            ),
        ]
    return "".join(f"{began + timedelta(seconds=at):%Y-%m-%d %H:%M:%SZ} {text}\n" for at, text in lines)


def odd_log(now: datetime) -> str:
    """A rehearsal's log with all that a terminal would obey, if it were let."""
    lines = (
        "starting campaign tall-ships-preview, mode dry-run",
        "\x1b[2J\x1b[31;5mWARNING\x1b[0m \x1b]0;owned\x07preview at \x1b]8;;https://www.example.com\x07this link",
        "[bold red]not markup[/] [@click=app.quit]nor a link[/] \u202ehctiws\u202c \u2066and\u2069 back",
        "240 recipients counted",
    )
    return "".join(f"{now - timedelta(minutes=41):%Y-%m-%d %H:%M:%SZ} {line}\n" for line in lines)


def owner_line(pid: int) -> str:
    """`PID START BOOT` of a live process: what tells it from another that gets its number later.

    Raises ProcessLookupError for one that is gone, or waits to be buried.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return f"{pid} {fields[19]} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}\n"


def live_owners(runs: Path) -> list[int]:
    """The pids of all owners on record that still are who they were."""
    pids = []
    for owner in runs.glob("*/*/owner"):
        try:
            line = owner.read_text()
            pid = int(line.split()[0])
            if owner_line(pid).split() == line.split():
                pids.append(pid)
        except (OSError, ValueError, IndexError):
            continue
    return pids


def _counts(past: Past, total: int) -> dict[str, int] | None:
    if past.error:
        return None
    done = total if past.done is None else past.done
    return {"total": total, "accepted": done - past.failed, "failed": past.failed, "unknown": 0, "deferred": 0}


def _write(path: Path, text: str, at: datetime) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    os.utime(path, (at.timestamp(), at.timestamp()))


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
