"""What the dashboard's rows become, on a real dashboard on loopback."""

from datetime import UTC, datetime

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from opsconsole.observation import Counts, Mark, Says
from opsconsole.ports import Recorder, Source
from tests.support.dashboard import rewrite, seen


def test_it_is_what_the_console_asks_for(dashboard: DashboardBackend) -> None:
    assert isinstance(dashboard, Source)
    assert isinstance(dashboard, Recorder)


def test_an_approval_comes_from_the_done_task_with_its_token(dashboard: DashboardBackend) -> None:
    paul = seen(dashboard)["paul-simon-may12"]
    assert paul.says is Says.NOTHING
    assert not paul.keeps_traces
    assert paul.records
    assert paul.approval
    assert (paul.approval.by, paul.approval.reference, paul.approval.recipients) == ("ana", "t-9a8cae17", 2601)
    assert paul.approval.at == datetime(2026, 5, 9, 23, 20, tzinfo=UTC)
    assert paul.details.due
    assert paul.details.due.instant == datetime(2026, 5, 12, 17, 0, tzinfo=UTC)
    assert paul.details.expected_recipients == 2601
    assert [(e.letter, e.label, e.mark) for e in paul.evidence] == [
        ("D", "dashboard", Mark.YES),
        ("D", "task t-9a8cae17", Mark.YES),
    ]


def test_a_sent_campaign_comes_with_its_counts_and_times(dashboard: DashboardBackend) -> None:
    sent = seen(dashboard)["harbor-lights"]
    assert sent.says is Says.SENT
    assert sent.run
    assert sent.run.counts == Counts(total=1204, accepted=1200, failed=4)
    assert sent.run.ended_at == sent.since == datetime(2026, 5, 10, 17, 9, 12, tzinfo=UTC)
    assert sent.run.started_at == datetime(2026, 5, 10, 17, 0, tzinfo=UTC)


def test_every_status_has_its_word_and_a_draft_is_not_approved(dashboard: DashboardBackend) -> None:
    observations = seen(dashboard)
    assert {slug: o.says for slug, o in observations.items()} == {
        "paul-simon-may12": Says.NOTHING,
        "harbor-lights": Says.SENT,
        "winter-letter": Says.NOTHING,
        "regatta": Says.CANCELLED,
        "dock-news": Says.FAILED,
        "crew-brunch": Says.NOTHING,
    }
    assert observations["winter-letter"].approval is None
    assert observations["crew-brunch"].approval
    assert observations["regatta"].approval is None


def test_one_bad_row_hides_no_other(server: DashboardServer, dashboard: DashboardBackend) -> None:
    rewrite(
        server,
        total=9,
        data=[
            "not an object", {"name": "no slug"}, {"slug": "; rm -rf /", "status": "sent"}, {"slug": 7},
            {"slug": "good", "status": "draft"}, {"slug": "good", "status": "sent"},
            {"slug": "odd", "status": "exploded"},
            {
                "slug": "bent", "status": "approved", "due_at": "next tuesday", "timezone": "Moon/Crater",
                "recipient_count": -3, "approved_at": "2026-05-09 16:20",
            },
            {"slug": "gap", "status": "approved", "due_at": "2026-03-08 02:30", "timezone": "America/Los_Angeles"},
        ],
    )  # fmt: skip
    report = dashboard.observe()
    observations = {o.slug: o for o in report.observations}
    assert sorted(observations) == ["bent", "gap", "good", "odd"]
    assert report.foreign == ("; rm -rf /",)
    assert len([f for f in report.findings if "campaigns has no slug" in f]) == 3
    assert any("good twice" in finding for finding in report.findings)
    assert observations["good"].says is Says.NOTHING
    assert "exploded" in observations["odd"].trouble
    problems = observations["bent"].details.problems
    assert {p.split(": ")[1] for p in problems} == {"due_at", "timezone", "recipient_count", "approved_at"}
    assert "doesn't exist" in observations["gap"].details.problems[0]
