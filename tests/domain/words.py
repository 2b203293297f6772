"""Building blocks for stories about verdicts: one approved campaign and what sources may say of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from opsconsole.campaign import Approval, Details
from opsconsole.observation import Content, Counts, Hold, Observation, RunWord, Says, Trigger
from opsconsole.policy import Policy
from opsconsole.schedule import Window, resolve_due
from opsconsole.verdict import Verdict, judge

SLUG = "paul-simon-may12"
DUE = resolve_due("2026-05-12 10:00", "America/Los_Angeles")
NOW = DUE.instant + timedelta(minutes=52)
WINDOW = Window(opens=datetime(2026, 1, 1, 9).time(), closes=datetime(2026, 1, 1, 18).time())
DIGEST = "a" * 64
APPROVAL = Approval(by="ana", at=DUE.instant - timedelta(days=3), reference="t-9a8cae17", recipients=2601)
DETAILS = Details(due=DUE, zone=DUE.zone, window=WINDOW, expected_recipients=2601, subject="An evening with us")
ALL = Counts(total=2601, accepted=2601)
POLICY = Policy()


def host(says: Says = Says.NOTHING, **more: Any) -> Observation:
    """The blast host, looked at ten seconds ago."""
    known: dict[str, Any] = {
        "source": "blast-mail-prod",
        "slug": SLUG,
        "observed_at": NOW - timedelta(seconds=10),
        "fresh_for": timedelta(seconds=90),
        "says": says,
        "keeps_traces": True,
        "details": DETAILS,
        "content": Content(digest=DIGEST, rows=2601),
    }
    return Observation(**(known | more))


def dashboard(says: Says = Says.NOTHING, **more: Any) -> Observation:
    """The dashboard, where ana approved it."""
    known: dict[str, Any] = {
        "source": "dashboard",
        "slug": SLUG,
        "observed_at": NOW - timedelta(seconds=12),
        "fresh_for": timedelta(seconds=90),
        "says": says,
        "approval": APPROVAL,
        "records": True,
        "details": Details(due=DUE, zone=DUE.zone),
    }
    return Observation(**(known | more))


def console(says: Says = Says.ABSENT, **more: Any) -> Observation:
    """The console's own store."""
    known: dict[str, Any] = {
        "source": "console",
        "slug": SLUG,
        "observed_at": NOW,
        "fresh_for": timedelta(hours=24),
        "says": says,
        "own_runs": (),
    }
    return Observation(**(known | more))


def ended(
    counts: Counts | None = ALL, *, rc: int = 0, ago: timedelta = timedelta(minutes=20), **more: Any
) -> RunWord:
    return RunWord(
        run_id="r1",
        by="mara",
        started_at=NOW - ago - timedelta(minutes=9),
        ended_at=NOW - ago,
        rc=rc,
        counts=counts,
        **more,
    )


def running(moved: timedelta = timedelta(seconds=1), **more: Any) -> RunWord:
    return RunWord(
        run_id="r1",
        by="mara",
        started_at=NOW - timedelta(minutes=20),
        progress_at=NOW - moved,
        counts=Counts(total=2601, accepted=1587),
        **more,
    )


def stale(o: Observation) -> Observation:
    """The same word, but the source has been out of reach for eleven minutes."""
    return replace(o, out_of_reach_since=NOW - timedelta(minutes=11), trouble="did not answer within 8 s")


def at(due_offset: timedelta) -> datetime:
    return DUE.instant + due_offset


def verdict(*words: Observation, now: datetime = NOW, policy: Policy = POLICY) -> Verdict:
    """The verdict at `now`; the words are moved along so that they stay as fresh as they were."""
    shift = now - NOW
    return judge(SLUG, [_moved(o, shift) for o in words], policy, now)


def _moved(o: Observation, shift: timedelta) -> Observation:
    seen = o.observed_at + shift if o.observed_at else None
    lost = o.out_of_reach_since + shift if o.out_of_reach_since else None
    return replace(o, observed_at=seen, out_of_reach_since=lost)


def line(fires: timedelta | None, **more: Any) -> Trigger:
    return Trigger(
        where="/etc/cron.d/mail-blasts:7",
        text="0 14 12 5 * root mail-blast-runner --campaign paul-simon-may12 --mode send",
        next_fire=NOW + fires if fires is not None else None,
        **more,
    )


HOLD = Hold(scope=SLUG, by="mara", at=NOW - timedelta(minutes=5), reason="wrong subject")
