"""What others are told of which record, and who of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backends.notify import words
from opsconsole.audit.records import Phase, Record
from opsconsole.audit.tidings import Ear, tidings

MAC = "9f" * 32
NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)


def record(action: str, phase: Phase, **detail: Any) -> Record:
    return Record(
        seq=52,
        utc=NOW,
        operator="mara",
        session="s-1",
        environment="prod",
        campaign="spring-offer",
        run="ab12",
        action=action,
        phase=phase,
        reason="the list was mended",
        detail=detail,
        prev="0" * 64,
        mac=MAC,
    )


@pytest.mark.parametrize(
    ("made", "severity", "says"),
    [
        (record("send-started", Phase.NOTE, joined=False, attempt=1), "info", "a send started, by mara"),
        (record("send-unclear", Phase.NOTE), "critical", "may have started"),
        (
            record("send", Phase.OUTCOME, result="ended", status="sent", counts={"total": 2601, "accepted": 2601}),
            "info",
            "the send ended sent: 2,601 accepted of 2,601",
        ),
        (
            record(
                "send-rest",
                Phase.OUTCOME,
                result="ended",
                status="partial",
                counts={"total": 9, "accepted": 5, "failed": 3, "unknown": 1},
            ),
            "warning",
            "the send ended partial: 5 accepted, 3 failed, 1 unknown of 9",
        ),
        (record("send", Phase.OUTCOME, result="ended", status="failed", rc=2), "warning", "exit code 2, no counts"),
        (record("settle", Phase.OUTCOME, result="done", unsent=4, unknown=0), "warning", "4 unsent and 0 unknown"),
        (record("release-claim", Phase.OUTCOME, result="done"), "warning", "gave the claim back"),
        (record("close", Phase.NOTE), "warning", "closed it as it is"),
        (
            record("break-glass", Phase.NOTE, expires="2026-05-12T18:07:00+00:00"),
            "critical",
            "without a second person until 18:07 UTC",
        ),
        (record("host-accepted", Phase.NOTE, host="blast-1"), "warning", "accepted blast-1 as it is"),
    ],
)
def test_what_others_must_know_is_told_with_the_head_of_that_very_record(
    made: Record, severity: str, says: str
) -> None:
    first, second = tidings(made, (Ear("ops"), Ear("team")))
    assert (first.destination, second.destination) == ("notify:ops", "notify:team")
    assert first.key != second.key
    payload = first.payload
    assert payload["severity"] == severity
    assert says in str(payload["title"])
    assert payload["audit"] == {"seq": 52, "mac": MAC}
    title, text = words(payload)
    assert title.startswith("prod: spring-offer: ")
    assert text.endswith(f": the list was mended\nAudit head, record 52:\n{MAC}")


@pytest.mark.parametrize(
    "made",
    [
        record("send", Phase.INTENT),
        record("send", Phase.OUTCOME, result="not-started"),
        record("send-started", Phase.NOTE, joined=True),
        record("settle", Phase.INTENT),
        record("settle", Phase.OUTCOME, result="failed"),
        record("dry-run", Phase.NOTE),
        record("close", Phase.INTENT),
    ],
)
def test_nobody_is_bothered_with_the_rest(made: Record) -> None:
    assert tidings(made, (Ear("ops"),)) == ()


def test_each_hears_what_it_asked_for_and_from_its_severity_on() -> None:
    pager = Ear("pager", frozenset({"attention", "safety"}), "critical")
    channel = Ear("channel", frozenset({"send"}), "warning")
    glass = record("break-glass", Phase.NOTE, expires="2026-05-12T18:07:00+00:00")
    started = record("send-started", Phase.NOTE, joined=False)
    partial = record("send", Phase.OUTCOME, result="ended", status="partial", counts={"accepted": 1})
    told = [[o.destination for o in tidings(made, (pager, channel))] for made in (glass, started, partial)]
    assert told == [["notify:pager"], [], ["notify:channel"]]
