"""The end of a campaign written back: whole, once, and never silently."""

from datetime import UTC, datetime

import pytest

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from opsconsole.observation import Counts, Says
from opsconsole.ports import Completion, OutOfReach, Refused, Trouble
from tests.support.dashboard import NOW, completion, seen


def test_a_result_is_written_back_once_however_often_it_is_recorded(
    server: DashboardServer, dashboard: DashboardBackend
) -> None:
    dashboard.record(completion())
    dashboard.record(completion())
    there = server.state.campaign("paul-simon-may12")
    assert {key: there[key] for key in ("status", "recipient_count", "failure_count", "session_id")} == {
        "status": "sent",
        "recipient_count": 2601,
        "failure_count": 0,
        "session_id": "s-42",
    }
    assert there["completion_timestamp"] == "2026-05-12T18:01:12+00:00"
    assert there["execution_duration_seconds"] == 552.0
    assert [(o["run_id"], o["operator"]) for o in server.state.operations()] == [("0123456789abcdef", "mara")]
    assert seen(dashboard)["paul-simon-may12"].says is Says.SENT


def test_a_completion_itself_may_be_the_payload(server: DashboardServer, dashboard: DashboardBackend) -> None:
    told = Completion(
        slug="crew-brunch", run_id="r1", status="PARTIAL", completed_at=NOW,
        counts=Counts(accepted=400, failed=12), duration_s=61.5, session="s-1", operator="mara",
    )  # fmt: skip
    dashboard.record({name: getattr(told, name) for name in told.__slots__})
    there = server.state.campaign("crew-brunch")
    assert (there["status"], there["recipient_count"], there["failure_count"]) == ("sent", 412, 12)
    assert server.state.operations()[0]["counts"]["failed"] == 12


def test_whoever_is_not_known_to_be_accepted_never_reads_back_as_accepted(
    server: DashboardServer, dashboard: DashboardBackend
) -> None:
    counts = {"total": 1750, "accepted": 1740, "failed": 2, "unknown": 1, "deferred": 3}
    dashboard.record(completion(status="partial", counts=counts, note="1 unknown: may have been accepted"))
    there = server.state.campaign("paul-simon-may12")
    assert (there["recipient_count"], there["failure_count"]) == (1750, 10)
    (operation,) = server.state.operations()
    assert (operation["status"], operation["note"]) == ("partial", "1 unknown: may have been accepted")
    read = seen(dashboard)["paul-simon-may12"]
    assert read.run
    assert read.run.counts == Counts(total=1750, accepted=1740, failed=10)
    assert read.evidence[0].text.endswith("1,750 recipients, 10 failed or unknown")


def test_a_row_that_names_no_failures_tells_nothing_of_who_was_accepted(
    server: DashboardServer, dashboard: DashboardBackend
) -> None:
    dashboard.record(completion(counts=None))
    there, read = server.state.campaign("paul-simon-may12"), seen(dashboard)["paul-simon-may12"]
    assert (there["recipient_count"], there["failure_count"]) == (2601, None)
    assert read.says is Says.SENT
    assert read.run
    assert read.run.counts is None


@pytest.mark.parametrize(
    ("slug", "status"),
    [
        ("paul-simon-may12", "approved"),
        ("winter-letter", "draft"),
        ("crew-brunch", "scheduled"),
        ("regatta", "draft"),
    ],
)
def test_a_new_due_time_is_written_and_approves_nothing(
    server: DashboardServer, dashboard: DashboardBackend, slug: str, status: str
) -> None:
    moved = {
        "slug": slug,
        "run_id": f"{slug}:reschedule:9",
        "status": "approved",
        "decided": "reschedule",
        "reason": "the band is late",
        "operator": "mara",
        "session": "s-42",
        "due": "2026-05-13T17:00:00+00:00",
        "zone": "America/Los_Angeles",
    }
    dashboard.record(moved)
    dashboard.record(moved)
    observation = seen(dashboard)[slug]
    assert observation.details.due
    assert observation.details.due.instant == datetime(2026, 5, 13, 17, 0, tzinfo=UTC)
    assert server.state.campaign(slug)["status"] == status
    assert [operation["reason"] for operation in server.state.operations()] == ["the band is late"]


def test_a_new_due_time_that_comes_late_takes_back_no_word_that_it_was_sent_meanwhile(
    server: DashboardServer, dashboard: DashboardBackend
) -> None:
    slug = "paul-simon-may12"
    by_hand = {"slug": slug, "run_id": "by hand", "status": "sent", "counts": {"total": 2601, "accepted": 2601}}
    dashboard.record(by_hand)
    due = {"due": "2026-05-13T17:00:00+00:00", "zone": "America/Los_Angeles"}
    dashboard.record({"slug": slug, "run_id": "r:9", "status": "approved", "decided": "reschedule", **due})
    assert (server.state.campaign(slug)["status"], seen(dashboard)[slug].says) == ("sent", Says.SENT)


def test_half_an_acknowledgement_is_none(server: DashboardServer, dashboard: DashboardBackend) -> None:
    server.faults.only, server.faults.status = "PATCH", 503
    with pytest.raises(OutOfReach):
        dashboard.record(completion())
    assert server.state.campaign("paul-simon-may12")["status"] == "approved"
    server.faults.status = None
    dashboard.record(completion())
    assert server.state.campaign("paul-simon-may12")["status"] == "sent"
    assert len(server.state.operations()) == 1


def test_writes_are_never_repeated_by_themselves(server: DashboardServer, dashboard: DashboardBackend) -> None:
    server.faults.status = 503
    with pytest.raises(OutOfReach):
        dashboard.record(completion())
    assert len(server.requests) == 1


@pytest.mark.parametrize("changes", [{"status": "IN DOUBT"}, {"slug": "../etc"}])
def test_what_the_dashboard_has_no_word_for_is_not_written(
    server: DashboardServer, dashboard: DashboardBackend, changes: dict[str, str]
) -> None:
    with pytest.raises((Trouble, ValueError)):
        dashboard.record(completion(**changes))
    assert server.requests == []


def test_a_campaign_the_dashboard_lost_is_named(dashboard: DashboardBackend) -> None:
    with pytest.raises(Refused, match="404"):
        dashboard.record(completion(slug="nobody-knows-me"))


def test_a_hold_is_told_and_leaves_the_status_as_it_is(
    server: DashboardServer, dashboard: DashboardBackend
) -> None:
    before = server.state.campaign("harbor-lights")
    dashboard.record({"slug": "harbor-lights", "run_id": "hold-1", "decided": "hold", "reason": "wait"})
    assert server.state.campaign("harbor-lights") == before
    assert server.state.operations()[-1]["reason"] == "wait"


def test_a_log_that_has_the_entry_already_may_say_so_by_a_conflict(
    server: DashboardServer, dashboard: DashboardBackend
) -> None:
    server.faults.only, server.faults.status = "POST", 409
    dashboard.record(completion())
    assert server.state.campaign("paul-simon-may12")["status"] == "sent"
    server.faults.only = "PATCH"
    with pytest.raises(Refused, match="409"):
        dashboard.record(completion())
