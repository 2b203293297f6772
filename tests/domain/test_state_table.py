"""The state table against the judge: each row with its status, all of its findings, and whether it may be sent."""

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.observation import Counts, Observation, RunWord, Says
from opsconsole.verdict import Status, Verdict
from tests.domain import table
from tests.domain.table import FINDINGS, ROWS, RULES, RUNS, SOURCES, Row
from tests.domain.words import ALL, APPROVAL, DIGEST, HOLD, NOW, at, console, dashboard, host, stale, verdict

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
AFTER_DUE = {
    "before": -HOUR,
    "due": timedelta(0),
    "grace-1s": 10 * MINUTE - SECOND,
    "grace+1s": 10 * MINUTE + SECOND,
    "overdue": 52 * MINUTE,
    "latest-1s": 8 * HOUR - SECOND,
    "latest+1s": 8 * HOUR + SECOND,
    "expired": 26 * HOUR,
}
APPROVED = {
    "approved": replace(APPROVAL, digest=DIGEST),
    "approval expired": replace(APPROVAL, digest=DIGEST, expires=at(-2 * HOUR)),
    "other digest": replace(APPROVAL, digest="b" * 64),
    "none": None,
}
HOST_SAYS = {
    "none": Says.NOTHING,
    "claimed": Says.CLAIMED,
    "running": Says.RUNNING,
    "stalled": Says.RUNNING,
    "started": Says.STARTED,
    "ended ok": Says.ENDED,
    "ended partial": Says.ENDED,
    "failed": Says.ENDED,
}
COUNTS = {
    "ended ok": ALL,
    "ended partial": Counts(total=2601, accepted=2590, failed=11),
    "failed": Counts(total=2601),
}


def observed(row: Row) -> tuple[Observation, ...]:
    """What the sources say in a row."""
    now = at(AFTER_DUE[row.moment])
    ended = row.run in COUNTS
    run = RunWord(
        run_id="r1",
        by="mara",
        claimed_at=now - 6 * MINUTE - SECOND,
        started_at=None if row.run == "claimed" else now - 6 * MINUTE,
        progress_at=now - (6 * MINUTE if row.run == "stalled" else 4 * SECOND),
        ended_at=now - MINUTE if ended else None,
        rc=0 if row.run == "ended ok" else 1 if ended else None,
        counts=COUNTS.get(row.run),
    )
    there = host(
        HOST_SAYS[row.run],
        run=None if row.run == "none" else run,
        since=now - MINUTE if ended else None,
    )
    opposite = Says.FAILED if row.mailed else Says.SENT
    board = dashboard(opposite if row.contradicted else Says.NOTHING, approval=APPROVED[row.approval])
    if row.sources == "host stale":
        there = replace(there, observed_at=NOW - HOUR)
    elif row.sources == "host unreachable":
        there = stale(there)
    elif row.sources == "dashboard unreachable":
        board = stale(board)
    ours = console(
        Says.NOTHING,
        own_runs=() if row.run == "none" else ("r1",),
        holds=(HOLD,) if row.hold == "hold" else (),
    )
    return there, board, ours


def judged(row: Row) -> Verdict:
    return verdict(*observed(row), now=at(AFTER_DUE[row.moment]))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("sources", SOURCES)
def test_every_row_is_judged_as_it_was_decided(run: str, sources: str) -> None:
    wrong = []
    for row in (r for r in ROWS if (r.run, r.sources) == (run, sources)):
        told = judged(row)
        decided = (table.status(row), table.findings(row), table.sendable(row))
        got = (str(told.status), {f.code for f in told.findings}, not told.obstacles)
        if got != decided:
            wrong.append(f"{row}\n  decided {decided}\n  got     {got}: {told.why}")
        if ("send" in told.next_steps) > (told.status in (Status.DUE, Status.OVERDUE)):
            wrong.append(f"{row}\n  offers a send while it is {told.status}")
    assert not wrong, f"{len(wrong)} rows differ:\n" + "\n".join(wrong[:8])


def test_the_table_has_no_dead_rule_and_leaves_no_row_undecided() -> None:
    used = {next(rule for rule in RULES if rule.when(row)) for row in ROWS}
    assert used == set(RULES)
    assert {code for row in ROWS for code in table.findings(row)} == set(FINDINGS)
    assert all(rule.because for rule in RULES)
    assert len(ROWS) == len(set(ROWS)) == 2560


def test_nothing_blind_held_or_begun_is_ever_to_be_sent_and_nothing_early_is_ever_late() -> None:
    """What the table itself must never decide, whoever edits it."""
    for row in ROWS:
        if table.sendable(row):
            assert (row.blind, row.contradicted, row.began, row.hold) == (False, False, False, "none"), row
            assert table.status(row) in ("DUE", "OVERDUE"), row
        if row.moment == "before":
            assert table.status(row) not in ("DUE", "OVERDUE", "EXPIRED"), row
            assert "approved-not-executed" not in table.findings(row), row
        if table.status(row) in ("OVERDUE", "EXPIRED", "PENDING", "DUE"):
            assert not row.blind, row
