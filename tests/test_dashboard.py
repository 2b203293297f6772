"""The dashboard backend against a real dashboard on loopback: what it reads, writes, and says when it can't."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from backends.embedded.dashboard_state import DashboardState
from opsconsole.observation import Counts, Mark, Observation, Says
from opsconsole.ports import Completion, OutOfReach, Recorder, Refused, Source, Trouble
from opsconsole.settings import Dashboard, SecretFrom

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
TOKEN = "tok-for-tests-4711"

CAMPAIGNS: list[dict[str, Any]] = [
    {
        "slug": "paul-simon-may12", "name": "Paul Simon", "status": "approved", "task_token": "t-9a8cae17",
        "due_at": "2026-05-12 10:00", "timezone": "America/Los_Angeles", "recipient_count": 2601,
        "approved_by": "ana", "approved_at": "2026-05-09T16:20:00-07:00",
    },
    {
        "slug": "harbor-lights", "status": "sent", "completion_timestamp": "2026-05-10T17:09:12Z",
        "recipient_count": 1204, "failure_count": 4, "execution_duration_seconds": 552.0, "session_id": "s-17",
    },
    {"slug": "winter-letter", "status": "draft", "task_token": "t-2", "approved_by": "ben"},
    {"slug": "regatta", "status": "cancelled", "completion_timestamp": "2026-05-11T08:00:00Z"},
    {"slug": "dock-news", "status": "failed", "completion_timestamp": "2026-05-11T09:00:00Z"},
    {"slug": "crew-brunch", "status": "scheduled"},
]  # fmt: skip
TASKS = [
    {"token": "t-9a8cae17", "title": "Send Paul Simon", "status": "done", "campaign": "paul-simon-may12"},
    {"token": "t-2", "title": "Winter letter", "status": "doing", "campaign": "winter-letter"},
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DashboardServer]:
    with DashboardServer(DashboardState(tmp_path / "dashboard.json", CAMPAIGNS, TASKS), TOKEN) as server:
        yield server


@pytest.fixture
def dashboard(server: DashboardServer, tmp_path: Path) -> Iterator[DashboardBackend]:
    backend = reach(server.url, tmp_path)
    yield backend
    backend.close()


def reach(url: str, tmp_path: Path, token: str = TOKEN, timeout: float = 5) -> DashboardBackend:
    file = tmp_path / "token"
    file.write_text(token + "\n")
    return DashboardBackend(
        "dashboard",
        Dashboard(url=url, token=SecretFrom(file=str(file))),
        fresh_for=timedelta(seconds=90),
        timeout=timedelta(seconds=timeout),
        clock=lambda: NOW,
    )


def seen(backend: DashboardBackend) -> dict[str, Observation]:
    report = backend.observe()
    assert report.trouble == ""
    return {observation.slug: observation for observation in report.observations}


def completion(**changes: Any) -> dict[str, Any]:
    return {
        "slug": "paul-simon-may12",
        "run_id": "0123456789abcdef",
        "status": "SENT",
        "completed_at": "2026-05-12T18:01:12+00:00",
        "counts": {"total": 2601, "accepted": 2601, "failed": 0, "unknown": 0, "deferred": 0},
        "duration_s": 552.0,
        "session": "s-42",
        "operator": "mara",
    } | changes


def rewrite(server: DashboardServer, **document: Any) -> None:
    server.faults.raw = json.dumps(document).encode()


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


def test_all_pages_are_read_and_unchanged_ones_only_asked_about(tmp_path: Path) -> None:
    many = [{"slug": f"campaign-{n}", "status": "draft"} for n in range(450)]
    with DashboardServer(DashboardState(tmp_path / "d.json", many, []), TOKEN) as server:
        backend = reach(server.url, tmp_path)
        assert len(seen(backend)) == 450
        server.requests.clear()
        assert len(seen(backend)) == 450
        assert {status for _, _, status in server.requests} == {304}
        server.state.change("campaign-7", {"status": "approved"})
        assert seen(backend)["campaign-7"].approval
        backend.close()


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


@pytest.mark.parametrize(
    ("faults", "kind", "words"),
    [
        ({"status": 401}, Refused, ("doesn't accept our token", "token")),
        ({"status": 403}, Refused, ("doesn't let our token", "token")),
        ({"status": 404}, Refused, ("404", "url in the config")),
        ({"status": 409}, Refused, ("conflicts", "decide")),
        ({"status": 422}, Refused, ("refused it (422", "out of order")),
        ({"status": 429, "retry_after": "17"}, OutOfReach, ("wait (429), 17 s", "Wait")),
        ({"status": 429, "retry_after": "\x1b]0;x"}, OutOfReach, ("until '\\x1b]0;x'", "Wait")),
        ({"status": 503}, OutOfReach, ("failed by itself (503)", "Try again")),
        ({"status": 302}, Refused, ("elsewhere (302)", "config")),
        ({"html": True}, Trouble, ("text/html and not JSON", "sign-in page")),
        ({"raw": b'{"data": ['}, Trouble, ("broken", "Ask")),
        ({"raw": b"[1, 2]"}, Trouble, ("not with what was written",)),
    ],
)
def test_each_failure_says_what_it_means_and_what_to_do(
    server: DashboardServer,
    dashboard: DashboardBackend,
    faults: dict[str, Any],
    kind: type[Trouble],
    words: tuple[str],
) -> None:
    for name, value in faults.items():
        setattr(server.faults, name, value)
    with pytest.raises(kind) as caught:
        dashboard.record(completion())
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "kept and can be recorded again" in caught.value.means
    assert TOKEN not in text
    report = dashboard.observe()
    assert report.trouble
    assert report.out_of_reach_since == NOW
    assert report.observations == ()
    assert TOKEN not in report.trouble


def test_reading_recovers_by_itself(server: DashboardServer, dashboard: DashboardBackend) -> None:
    server.faults.status = 503
    assert dashboard.observe().out_of_reach_since == NOW
    server.faults.status = None
    assert dashboard.observe().out_of_reach_since is None


def test_a_stopped_dashboard_is_out_of_reach_and_a_slow_one_too(
    server: DashboardServer, dashboard: DashboardBackend, tmp_path: Path
) -> None:
    hasty = reach(server.url, tmp_path, timeout=0.2)
    server.faults.slow = 0.6
    assert "didn't answer within 0.2 s" in hasty.observe().trouble
    with pytest.raises(OutOfReach):
        hasty.record(completion())
    hasty.close()
    server.faults.slow = 0
    server.stop()
    trouble = dashboard.observe().trouble
    assert "can't be reached" in trouble
    assert "See whether it is up" in trouble


def test_an_endless_answer_is_cut_off(server: DashboardServer, dashboard: DashboardBackend) -> None:
    server.faults.raw = b" " * (33 * 1024 * 1024)
    assert "more than 32 MiB" in dashboard.observe().trouble


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


def test_the_token_is_read_again_after_it_was_refused(server: DashboardServer, tmp_path: Path) -> None:
    backend = reach(server.url, tmp_path, token="an-old-token-0815")
    assert "401" in backend.observe().trouble
    (tmp_path / "token").write_text(TOKEN)
    assert backend.observe().trouble == ""
    backend.close()


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (SecretFrom(), "exactly one"),
        (SecretFrom(env="A", file="B"), "exactly one"),
        (SecretFrom(env="OPSCONSOLE_TEST_NO_SUCH_VARIABLE"), "empty or not set"),
        (SecretFrom(file="/nonexistent/token"), "can't be read"),
        (SecretFrom(cmd=["/nonexistent/pass"]), "can't be run"),
        (SecretFrom(cmd=["sh", "-c", "echo hush-4711 >&2; exit 3"]), "ended with code 3"),
        (SecretFrom(cmd=["printf", "hush-4711\nmore"]), "characters that no token has"),
    ],
)
def test_a_token_that_cannot_be_had_is_explained_without_showing_anything(
    server: DashboardServer, kept: SecretFrom, words: str
) -> None:
    backend = DashboardBackend(
        "dashboard",
        Dashboard(url=server.url, token=kept),
        fresh_for=timedelta(seconds=90),
        timeout=timedelta(seconds=5),
    )
    trouble = backend.observe().trouble
    assert words in trouble
    assert "hush" not in trouble
    assert server.requests == []
    backend.close()


def test_a_token_from_a_command_or_the_environment_works(
    server: DashboardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCONSOLE_TEST_TOKEN", TOKEN)
    for kept in (SecretFrom(env="OPSCONSOLE_TEST_TOKEN"), SecretFrom(cmd=["printenv", "OPSCONSOLE_TEST_TOKEN"])):
        backend = DashboardBackend(
            "dashboard",
            Dashboard(url=server.url, token=kept),
            fresh_for=timedelta(seconds=90),
            timeout=timedelta(seconds=5),
        )
        assert backend.observe().trouble == ""
        assert TOKEN not in repr(vars(backend))
        backend.close()


def test_the_server_keeps_its_state_in_a_file_and_asks_for_the_token(
    server: DashboardServer, tmp_path: Path
) -> None:
    kept = json.loads((tmp_path / "dashboard.json").read_text())
    assert [row["slug"] for row in kept["campaigns"]] == [row["slug"] for row in CAMPAIGNS]
    assert stat.S_ISREG((tmp_path / "dashboard.json").stat().st_mode)
    stranger = reach(server.url, tmp_path, token="guess")
    assert "401" in stranger.observe().trouble
    stranger.close()
