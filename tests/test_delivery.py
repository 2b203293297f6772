"""What others must be told, until each acknowledges: never more than once, never in the wrong order."""

from dataclasses import replace
from datetime import timedelta

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.store import AuditStore
from opsconsole.delivery import Delivery
from opsconsole.observation import Says
from opsconsole.ports import OutOfReach
from opsconsole.runs import Runs
from tests.domain.test_plan import plan as make_plan
from tests.domain.words import NOW, dashboard, host, verdict
from tests.support.scripted import DONE, NOTHING_LEFT, Host, a_carrier, a_store, decided, moved, some_runs, state  # noqa: F401 - fixtures


class Dashboard:
    """A recorder that may be down."""

    name = "dashboard"

    def __init__(self) -> None:
        self.down, self.heard = False, []  # type: ignore[var-annotated]

    def record(self, payload) -> None:  # type: ignore[no-untyped-def]
        if self.down:
            raise OutOfReach("The dashboard answered 503")
        self.heard.append(payload["run_id"])


def test_the_outbox_is_retried_until_acknowledged_and_sends_nothing_again(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    runs.start(plan)
    runs.close(state(Says.ENDED, plan.run_id, DONE))
    board, now = Dashboard(), [NOW]
    delivery = Delivery(lambda: store, {"dashboard": board}, lambda: now[0], "prod")
    board.down = True
    assert delivery.deliver() == (0, 1)
    assert delivery.deliver() == (0, 0)  # not before its time
    (item,) = delivery.waiting()
    assert "1 try, next in" in item.says(now[0])
    board.down = False
    now[0] = NOW + timedelta(hours=1)
    assert delivery.deliver() == (1, 0)
    assert delivery.deliver() == (0, 0)
    assert board.heard == [plan.run_id]
    assert len(carrier.starts) == 1


def test_a_word_that_came_late_never_undoes_the_newer_one(store: AuditStore) -> None:
    board, now, before = Dashboard(), [NOW], verdict(dashboard(), host())
    other = verdict(replace(dashboard(), slug="may"), replace(host(), slug="may"))
    delivery = Delivery(lambda: store, {"dashboard": board}, lambda: now[0], "prod")
    decisions = decided(store)
    decisions.cancel(before, "sold out", NOTHING_LEFT)
    board.down = True
    assert delivery.deliver() == (0, 1)
    board.down = False
    decisions.reschedule(*moved(before, "2026-05-14 11:00"), "the boat is late")
    decisions.cancel(replace(other, slug="may"), "sold out", NOTHING_LEFT)
    assert delivery.deliver() == (1, 0), "what isn't about this campaign waits for nothing"
    assert [key.split(":")[0] for key in board.heard] == ["may"]
    now[0] = NOW + timedelta(hours=1)
    assert delivery.deliver() == (2, 0)
    assert [key.split(":")[1] for key in board.heard] == ["cancel", "cancel", "reschedule"]
    assert delivery.waiting() == []


def test_one_environment_never_tells_the_systems_of_another(runs: Runs, carrier: Host, store: AuditStore) -> None:
    plan = make_plan()
    runs.start(plan)
    runs.close(state(Says.ENDED, plan.run_id, DONE))
    board = Dashboard()
    assert Delivery(lambda: store, {"dashboard": board}, lambda: NOW, "staging").deliver() == (0, 0)
    assert board.heard == []
    assert Delivery(lambda: store, {"dashboard": board}, lambda: NOW, "prod").deliver() == (1, 0)


def test_news_that_nobody_can_deliver_keeps_none_behind_it(store: AuditStore) -> None:
    board = Dashboard()

    class Odd(Dashboard):
        def record(self, payload) -> None:  # type: ignore[no-untyped-def]
            if payload["n"] == 1:
                raise KeyError("n")
            board.record({"run_id": payload["n"]})

    outbox = Outbox(store)
    for number in (1, 2):
        outbox.put("dashboard", f"k{number}", {"n": number})
    delivery = Delivery(lambda: store, {"dashboard": Odd()}, lambda: NOW, "prod")
    assert delivery.deliver() == (1, 1)
    assert board.heard == [2]
    (left,) = delivery.waiting()
    assert "KeyError" in left.last_error
