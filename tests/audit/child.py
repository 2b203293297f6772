"""Writers that run as processes of their own: `python -m tests.audit.child MODE PATH …`.

A writer prints a record's seq only after the store has acknowledged it.
"""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from tests.audit.support import KEY, event, ticking


def write(path: Path, count: str, name: str) -> None:
    with AuditStore(path, KEY, clock=ticking(), busy_seconds=60) as store:
        for number in range(int(count)):
            record = store.intent(event(operator=name, detail={"n": number, "padding": "x" * 3000}))
            print(record.seq, flush=True)


def full_disk(path: Path, room: str) -> None:
    """A file size limit stands in for a full disk: writes past it fail part-way, as there."""
    with AuditStore(path, KEY, clock=ticking()) as store:
        acknowledged = store.head().seq
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + int(room), resource.RLIM_INFINITY))
        try:
            for number in range(200):
                acknowledged = store.intent(event(detail={"n": number, "padding": "x" * 3000})).seq
        except AuditUnavailable as error:
            print("unavailable", acknowledged, len(store.search(limit=9999)), store.verify().checked, sep=",")
            print(error.next_step)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("room again", store.intent(event()).seq, sep=",")


def small_disk(path: Path) -> None:
    """`path` lies on a disk of a few MiB of its own, which is filled while a run is under way."""
    filler = path.with_name("filler")
    with AuditStore(path, KEY, clock=ticking()) as store:
        print("kept", store.reserve_state()[0], sep=",")
        intent = store.intent(event())
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        big = {"padding": "x" * 20_000}  # more than the page that may be free
        for write in (lambda: store.intent(event(detail=big)), lambda: store.note(event(run="", detail=big))):
            try:
                write()
                print("taken")
            except AuditUnavailable as error:
                print("unavailable", "df -h" in error.next_step, store.reserve_state()[0], sep=",")
        print("outcome", store.outcome(intent, event(detail=big)).seq, store.reserve_state()[0], sep=",")
        print("note", store.note(event("send-started", detail=big)).seq, sep=",")
        try:
            print("intent", store.intent(event(detail={"padding": "x" * 2_000_000})).seq)
        except AuditUnavailable:
            print("still no intent")
        filler.unlink()
        print("room again", store.intent(event()).seq, store.reserve_state()[0], store.verify().checked, sep=",")


def read_only(path: Path) -> None:
    """Root may write anything, so become nobody once everything is imported."""
    with AuditStore(path.with_name("warm.db"), KEY, clock=ticking()) as warm:
        warm.intent(event())
        warm.verify()
        warm.search("x")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    with AuditStore(path, KEY, clock=ticking()) as store:
        print("readable", len(store.search("paul")), store.verify().ok, len(store.unresolved()), sep=",")
        try:
            store.intent(event())
        except AuditUnavailable as error:
            print("unavailable", "none will be taken" in error.means, "ls -l" in error.next_step, sep=",")


if __name__ == "__main__":
    mode, place, *rest = sys.argv[1:]
    {"write": write, "full": full_disk, "small-disk": small_disk, "read-only": read_only}[mode](Path(place), *rest)
