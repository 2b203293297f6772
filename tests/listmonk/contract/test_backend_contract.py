"""The backend against a listmonk: started, paused, resumed, cancelled, followed to its end. A real one, if given.

What can only be seen inside of the stand-in (who got mail) isn't asked here: listmonk's own counts are.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.listmonk import triggers
from backends.listmonk.platform import ListmonkBackend
from opsconsole.observation import Says
from opsconsole.plan import Plan
from opsconsole.policy import Policy
from opsconsole.ports import Followed, Refused, Remembered, Started, Surroundings, Verb
from tests.listmonk.contract.peer import Draft, Peer

pytestmark = pytest.mark.slow

PEOPLE = 40


@dataclass
class Place:
    """The backend as one user's console has it."""

    peer: Peer
    backend: ListmonkBackend
    remembered: dict[str, Remembered] = field(default_factory=dict)

    def slug(self, draft: Draft) -> str:
        """As the board has it."""
        report = self.backend.observe()
        assert not report.trouble, report.trouble
        return next(o.slug for o in report.observations if o.reference == f"campaign {draft.id}")

    def plan(self, slug: str) -> Plan:
        control, at = self.backend.control, datetime.now(UTC)
        campaign = control.find(slug)
        return Plan(
            slug=slug,
            environment="test",
            carrier="lists",
            host=self.backend.identity(),
            digests=control.digests(campaign),
            audience=control.audience(campaign) or PEOPLE,
            subject=campaign.subject,
            due=None,
            latest_start=None,
            window="",
            dry_run_seq=1,
            dry_run_at=at,
            planned_by="mara",
            created_at=at,
            expires_at=at + timedelta(minutes=30),
        )

    def start(self, plan: Plan) -> Started:
        self.remembered[plan.slug] = Remembered(
            run_id=plan.run_id, attempt=1, at=datetime.now(UTC), by="mara", planned=plan.audience
        )
        return self.backend.start(plan, "mara")

    def follow(self, slug: str) -> tuple[Followed, str]:
        heard: list[bytes] = []
        stop = threading.Event()
        timer = threading.Timer(60.0, stop.set)
        timer.start()
        try:
            followed = self.backend.follow(slug, 1, 0, heard.append, stop)
        finally:
            timer.cancel()
        return followed, b"".join(heard).decode()


@pytest.fixture
def place(listmonk: Peer, tmp_path: Path) -> Iterator[Place]:
    listmonk.need("campaigns:send")
    listmonk.need("settings:get")
    remembered: dict[str, Remembered] = {}
    around = Surroundings(
        policy=Policy(),
        data_dir=tmp_path / "data",
        clock=lambda: datetime.now(UTC),
        started=lambda carrier, slug: remembered.get(slug),
    )
    backend = ListmonkBackend("lists", listmonk.settings(tmp_path, refresh_every="1 s"), around)
    yield Place(listmonk, backend, remembered)
    backend.close()


def test_a_small_campaign_is_started_picked_up_and_ends_with_everybody_counted(place: Place) -> None:
    draft = place.peer.draft(people=3)
    slug = place.slug(draft)
    plan = place.plan(slug)
    started = place.start(plan)
    assert started.fresh
    assert started.state.run_id == plan.run_id
    assert started.state.says in (Says.RUNNING, Says.ENDED)
    assert "not picked up" not in started.state.word.note
    followed, said = place.follow(slug)
    assert followed.end is not None
    assert followed.end.says is Says.ENDED
    counts = followed.end.word.counts
    assert counts is not None
    assert counts.total == 3
    assert counts.accepted + counts.failed == 3  # a real one may have no mail server that takes it
    assert f"start processing campaign ({draft.name})" in said
    assert place.peer.campaign(draft.id)["status"] == "finished"
    again = place.start(plan)
    assert not again.fresh
    assert place.peer.campaign(draft.id)["sent"] == counts.accepted


def test_an_edit_after_the_plan_refuses_the_start(place: Place) -> None:
    draft = place.peer.draft(people=2)
    slug = place.slug(draft)
    plan = place.plan(slug)
    edit = {**place.peer.content([draft.list_id]), "subject": "Another"}
    place.peer.data("PUT", f"/api/campaigns/{draft.id}", json=edit)
    with pytest.raises(Refused, match=r"(?s)stale: .*subject was"):
        place.start(plan)
    assert place.peer.campaign(draft.id)["status"] == "draft"


def test_paused_until_drained_resumed_and_everybody_counted_once(place: Place) -> None:
    draft = place.peer.draft(people=PEOPLE)
    slug = place.slug(draft)
    place.start(place.plan(slug))
    try:
        state = place.backend.signal(slug, 1, Verb.PAUSE)
    except Refused:
        pytest.skip("it was faster than the pause")
    if state.says is Says.ENDED:
        pytest.skip("it was faster than the pause")
    assert place.peer.campaign(draft.id)["status"] == "paused"
    place.peer.until(lambda: "drained: nothing" in _note(place, slug))
    assert _note(place, slug).startswith("drained")
    place.backend.signal(slug, 1, Verb.RESUME)
    followed, _ = place.follow(slug)
    assert followed.end is not None
    counts = followed.end.word.counts
    assert counts is not None
    assert counts.accepted + counts.failed + counts.unknown <= PEOPLE
    assert place.peer.campaign(draft.id)["status"] == "finished"


def test_cancelled_it_is_over_for_good(place: Place) -> None:
    draft = place.peer.draft(people=PEOPLE)
    slug = place.slug(draft)
    place.start(place.plan(slug))
    try:
        place.backend.signal(slug, 1, Verb.CANCEL)
    except Refused:
        pytest.skip("it was faster than the cancel")
    assert place.peer.campaign(draft.id)["status"] in ("cancelled", "finished")
    followed, _ = place.follow(slug)
    assert followed.end is not None
    assert followed.end.says is Says.ENDED
    with pytest.raises(Refused, match="It is over"):
        place.backend.signal(slug, 1, Verb.RESUME)


def test_a_date_is_switched_off_and_on_and_a_scheduled_one_sent_now_loses_it(place: Place) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    draft = place.peer.draft(people=2, send_at=tomorrow.isoformat())
    slug = place.slug(draft)
    assert place.peer.put_status(draft.id, "scheduled").status_code == 200
    key = triggers.key(place.backend.control.find(slug))
    place.backend.switch_trigger(key, False, "mara")
    assert place.peer.campaign(draft.id)["status"] == "draft"
    place.backend.switch_trigger(key, True, "mara")
    assert place.peer.campaign(draft.id)["status"] == "scheduled"
    started = place.start(place.plan(slug))
    assert started.state.says in (Says.RUNNING, Says.ENDED)
    assert place.peer.campaign(draft.id)["send_at"] is None
    followed, _ = place.follow(slug)
    assert followed.end is not None


def _note(place: Place, slug: str) -> str:
    state = place.backend.run_state(slug)
    return state.word.note if state else ""
