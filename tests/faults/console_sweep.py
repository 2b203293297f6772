"""A console that starts a run, spoiled at one call of its own: `python -m tests.faults.console_sweep FOLDER`.

Reads points as JSON lines from standard input (none: looks what calls there are) and writes what came of each. What
is spoiled is the console's process, at its store's files and at the pipes that lead to the host; the host is real
and goes on as it would. Afterwards another console opens on the same store, a moment later and once more when a
start can't be under way any longer.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from opsconsole.audit.records import Phase
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from opsconsole.plan import Plan
from opsconsole.ports import Carrier, MaybeStarted, Trouble
from opsconsole.runs import STARTING_FOR, Identity, Runs
from tests.audit.support import KEY
from tests.faults.hosts import Case, HereCarrier, case
from tests.faults.sweep import Point, seen
from tests.faults.tracer import Asked, Tracer


def runs_of(store: AuditStore, one: Case, session: str, later: timedelta) -> Runs:
    carriers = {"blast": cast(Carrier, HereCarrier(one))}
    return Runs(lambda: store, carriers, Identity("mara", session, "test"), lambda: datetime.now(UTC) + later)


def opened(folder: Path, later: timedelta = timedelta(0)) -> AuditStore:
    return AuditStore(folder / "data" / "audit.db", KEY, clock=lambda: datetime.now(UTC) + later)


def start(one: Case, folder: Path, said: int) -> None:
    with opened(folder) as store:
        try:
            runs_of(store, one, "s-1", timedelta(0)).start(one.plan)
            word = "started"
        except MaybeStarted:
            word = "maybe"
        except (Trouble, AuditUnavailable) as trouble:
            word = f"refused {type(trouble).__name__}"
    os.write(said, word.encode())


def attempt(one: Case, folder: Path, session: str, plan: Plan, later: timedelta) -> str:
    """What a further start of `plan` comes to."""
    with opened(folder, later) as store:
        try:
            return "fresh" if runs_of(store, one, session, later).start(plan).fresh else "joined"
        except Trouble as trouble:
            return type(trouble).__name__


def look_after(one: Case, folder: Path, session: str, later: timedelta) -> dict[str, Any]:
    """What the next console finds and does, and what is on record of the run then."""
    with opened(folder, later) as store:
        words = runs_of(store, one, session, later).reconcile()
        records = store.for_run(one.plan.run_id)
        state = one.state()
        return {
            "words": words,
            "sound": store.verify().ok,
            "intents": sum(r.phase is Phase.INTENT for r in records),
            "results": [r.detail.get("result") for r in records if r.phase is Phase.OUTCOME],
            "open": len(store.unresolved()),
            "host": str(state.says) if state else None,
            "mailed": dict(one.mailed),
        }


def spoiled(folder: Path, point: Point | None) -> dict[str, Any]:
    one = case(folder / "host")
    opened(folder).close()
    reads, writes = os.pipe()
    spoil: dict[str, Any] = {"at": point.n, "fault": point.fault} if point else {}
    # A pipe that fails is nothing a session over SSH could show: there the line breaks, which is tested apart.
    pipes = point is None or point.fault == "kill"
    log = folder / "calls"
    asked = Asked(prefixes=(str(folder / "data"),), log=str(log), root_only=True, pipes=pipes, **spoil)
    Tracer(asked).run(lambda: start(one, folder, writes))
    os.close(writes)
    said = os.read(reads, 4096).decode()
    os.close(reads)
    calls = seen(log)
    result = {
        "point": asdict(point) if point else None,
        "calls": calls if point is None else [],
        "fired": any("fired" in call for call in calls),
        "said": said,
        "soon": look_after(one, folder, "s-2", timedelta(seconds=1)),
        "later": look_after(one, folder, "s-3", 2 * STARTING_FOR),
        "again": attempt(one, folder, "s-3", one.plan, 2 * STARTING_FOR),
        "other": attempt(one, folder, "s-3", one.other_plan(), 2 * STARTING_FOR),
    }
    one.until_quiet()
    result["mailed"] = dict(one.mailed)
    shutil.rmtree(folder)
    return result


def main(folder: Path) -> None:
    asked = [Point(**json.loads(line)) for line in sys.stdin]
    for number, point in enumerate(asked or [None]):
        print(json.dumps(spoiled(folder / f"case-{number}", point)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
