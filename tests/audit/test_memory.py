"""What the store remembers of the newest start, for carriers that keep no run id."""

from pathlib import Path

from opsconsole.audit.memory import last_start
from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, event, ticking

SLUG, HERE, THERE = "paul-simon-may12", "production", "lists-prod"


def intent(store: AuditStore, run: str = "run-1", carrier: str = THERE, attempt: int = 1, **more: object):  # type: ignore[no-untyped-def]
    plan = {"audience": 2601, "attempt": attempt}
    return store.intent(event(run=run, detail={"plan": plan, "carrier": carrier}, **more))


def test_the_newest_start_on_this_carrier_is_known_and_whether_it_is_over(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db", KEY, clock=ticking())
    assert last_start(store, HERE, THERE, SLUG) is None
    first = intent(store)
    told = last_start(store, HERE, THERE, SLUG)
    assert told is not None
    assert (told.run_id, told.attempt, told.by, told.planned, told.over) == ("run-1", 1, "mara", 2601, False)
    store.outcome(first, event(detail={"result": "ended"}))
    told = last_start(store, HERE, THERE, SLUG)
    assert told is not None
    assert told.over
    intent(store, "run-2", attempt=2)
    told = last_start(store, HERE, THERE, SLUG)
    assert told is not None
    assert (told.run_id, told.attempt, told.over) == ("run-2", 2, False)


def test_what_never_started_was_on_another_carrier_or_elsewhere_is_passed_over(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db", KEY, clock=ticking())
    came_to_nothing = intent(store)
    store.outcome(came_to_nothing, event(detail={"result": "not-started"}))
    intent(store, "run-2", carrier="blast-mail-prod")
    intent(store, "run-3", environment="staging")
    assert last_start(store, HERE, THERE, SLUG) is None
