"""A host or a store on a disk that is full: `python -m tests.faults.full_disk SCENE FOLDER`, as root.

Runs in a mount namespace of its own, so that a small file system can be mounted where it needs one; nobody else
sees it. Prints what came of the scene as one JSON object.
"""

import ctypes
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from opsconsole.ports import Carrier, Started, Trouble
from opsconsole.runs import Identity, Runs
from tests.audit.support import KEY
from tests.faults.hosts import Case, HereCarrier, case, real_case
from tests.support.smtp_peer import SmtpPeer

CLONE_NEWNS = 0x00020000


def apart() -> None:
    """From here on mounts are ours alone."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "no mount namespace")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def small(folder: Path, kib: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Take all room but `leave` KiB."""
    with (folder / "filler").open("wb", buffering=0) as file:
        disk = os.statvfs(folder)
        size = disk.f_bavail * disk.f_frsize - leave * 1024
        while size > 0:
            size -= file.write(bytes(min(size, 4096)))


def told(answer: "Started | Trouble", one: Case) -> dict[str, Any]:
    one.until_quiet()
    state = one.state()
    return {
        "answer": "started" if isinstance(answer, Started) else str(answer),
        "says": str(state.says) if state else None,
        "rc": state.word.rc if state else None,
        "counts": state.word.counts.accepted if state and state.word.counts else None,
        "note": state.word.note if state else "",
        "mailed": dict(one.mailed),
    }


def host_before_the_start(folder: Path, leave: int) -> dict[str, Any]:
    """No room for the records of a run."""
    one = case(folder / "host")
    small(one.tree.runs, 64)
    (one.tree.runs / one.plan.slug).mkdir()
    fill(one.tree.runs, leave)
    result = told(one.start(), one)
    (one.tree.runs / "filler").unlink()
    return result | {"afterwards": told(one.start(), one)}


def with_our_runner(folder: Path, spoil: Callable[[Case, int], None], recipients: int) -> dict[str, Any]:
    peer = SmtpPeer()
    try:
        one = real_case(folder / "host", peer, recipients)
        small(one.tree.runs, 4096)
        small(one.tree.logs, 64)
        peer.on_delivery = lambda count: spoil(one, count)
        spoil(one, 0)
        result = told(one.start(), one) | {"out": (one.tree.run_folder() / "out").read_text()}
        (one.tree.runs / "filler").unlink(missing_ok=True)
        (one.tree.logs / "filler").unlink(missing_ok=True)
        peer.on_delivery = lambda count: None
        result |= {"got": len(peer.recipients()), "most": max(peer.recipients().values())}
        state = one.state()
        if state is not None and state.word.rc:
            doubt = one.doubter.doubt(one.plan.slug, state.attempt)
            result["unknown"], result["unsent"] = doubt.unknown_total, doubt.unsent
            one.mender.send_rest(one.plan.slug, state.attempt, state.run_id, "noor")
            one.until_quiet()
        return result | {"in all": len(peer.recipients()), "most in all": max(peer.recipients().values())}
    finally:
        peer.stop()


def log(folder: Path) -> dict[str, Any]:
    return with_our_runner(folder, lambda one, count: fill(one.tree.logs) if not count else None, 30)


def journal_mid_run(folder: Path) -> dict[str, Any]:
    """What the journal needs was kept for it before the first mail."""
    full = []

    def fill_up(one: Case, count: int) -> None:
        if count == 3:
            fill(one.tree.runs)
            full.append(no_room(one.tree.runs))

    return with_our_runner(folder, fill_up, 150) | {"full": any(full)}


def no_room(folder: Path) -> bool:
    try:
        (folder / "more").write_bytes(bytes(4096))
    except OSError as error:
        return error.errno == errno.ENOSPC
    return False


def store(folder: Path) -> dict[str, Any]:
    """No intent, no send; what runs already is recorded from what was kept back."""
    one, data = case(folder / "host"), folder / "data"
    small(data, 16 * 1024)
    with AuditStore(data / "audit.db", KEY, clock=lambda: datetime.now(UTC)) as kept:
        carriers = {"blast": cast(Carrier, HereCarrier(one))}
        runs = Runs(lambda: kept, carriers, Identity("mara", "s-1", "test"), lambda: datetime.now(UTC))
        runs.start(one.plan)
        one.until_quiet()
        fill(data)
        other = case(folder / "other")
        others = Runs(
            lambda: kept,
            {"blast": cast(Carrier, HereCarrier(other))},
            Identity("mara", "s-1", "test"),
            lambda: datetime.now(UTC),
        )
        refused = []
        for _ in range(3):
            try:
                others.start(other.plan)
            except AuditUnavailable as error:
                refused.append(str(error))
        try:
            state = one.state()
            assert state is not None
            closed = runs.close(state) is not None
        except AuditUnavailable as error:
            closed = False
            refused.append(f"outcome: {error}")
        return {
            "refused": refused,
            "mailed by the refused": sum(other.mailed.values()),
            "claimed by the refused": other.tree.attempts(),
            "end recorded": closed,
            "sound": kept.verify().ok,
            "open": len(kept.unresolved()),
        }


SCENES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "host": lambda folder: host_before_the_start(folder, 0),
    "host, nearly": lambda folder: host_before_the_start(folder, 12),
    "log": log,
    "journal": journal_mid_run,
    "store": store,
}


if __name__ == "__main__":
    apart()
    print(json.dumps(SCENES[sys.argv[1]](Path(sys.argv[2]))))
