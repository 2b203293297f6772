"""Who may do what: one table for every action, asked by screens and commands alike."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.action import ROLES
from opsconsole.actions import ACTIONS, BY_ID, Context, Danger, Place, authorize
from opsconsole.cli import COMMANDS
from opsconsole.observation import RunWord, Says
from opsconsole.settings import Role
from opsconsole.verdict import Status
from tests.domain.words import HOLD, NOW, dashboard, host, verdict

ACTING = [action for action in ACTIONS if action.danger is not Danger.LOOK]
MAILING = {"send", "send-rest", "resume", "trigger-on"}
LEAST = {"approve": "approver", "break-glass": "admin", "install-runner": "admin"}


@pytest.mark.parametrize(
    ("action", "role"), list(itertools.product(ACTING, ROLES)), ids=lambda v: getattr(v, "id", v)
)
def test_each_action_asks_for_its_role(action, role: Role) -> None:  # type: ignore[no-untyped-def]
    least = LEAST.get(action.id, "operator")
    refused = authorize(action, Context(role=role, read_only=False))
    assert bool(refused) == (ROLES.index(role) < ROLES.index(least)), refused


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: a.id)
def test_looking_is_free_and_all_else_stops_where_nothing_may_change(action) -> None:  # type: ignore[no-untyped-def]
    for context in (
        Context(role="admin", read_only=True),
        Context(role="admin", read_only=False, store_trouble="The disk is full."),
    ):
        assert bool(authorize(action, context)) == (action.danger is not Danger.LOOK)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: a.id)
def test_a_hold_and_trouble_of_the_carrier_bind_what_mails(action) -> None:  # type: ignore[no-untyped-def]
    held = Context(role="admin", read_only=False, verdict=verdict(dashboard(), host(holds=(HOLD,))))
    lost = Context(role="admin", read_only=False, verdict=verdict(host()), carrier_trouble="It lost its records.")
    assert bool(authorize(action, held)) == (action.id in MAILING)
    assert authorize(action, lost) == ("It lost its records." if action.id in MAILING else "")


def test_what_mails_is_confirmed_twice_or_goes_on_with_what_was() -> None:
    assert {a.id for a in ACTIONS if a.mails} == MAILING
    assert {a.id for a in ACTIONS if a.mails and a.danger is not Danger.DESTRUCTIVE} == {"resume"}


def test_every_key_means_one_thing_and_every_action_has_its_command() -> None:
    keys = [action.key for action in ACTIONS if action.places]
    assert len(keys) == len(set(keys))
    assert all(action.key for action in ACTIONS if action.places)
    assert {action.command.split()[0] for action in ACTIONS if action.command} <= set(COMMANDS)


def test_every_next_step_is_an_action_of_the_place_it_is_named_on() -> None:
    for says in Says:
        for step in verdict(dashboard(), host(says)).next_steps:
            assert BY_ID[step].places & {Place.BOARD, Place.CAMPAIGN, Place.EVERYWHERE}


def test_what_was_closed_is_not_taken_up_again() -> None:
    broken = verdict(host(Says.STARTED, run=None))
    assert replace(broken, closed=True).closed
    for action in ("settle", "send-rest", "close"):
        context = Context(role="admin", read_only=False, verdict=replace(broken, closed=True))
        assert "closed" in BY_ID[action].disabled_reason(context)


@pytest.mark.parametrize("moved", [timedelta(seconds=5), timedelta(hours=2)], ids=["sending", "stalled"])
def test_nothing_is_rehearsed_beside_a_living_run_even_one_that_stands_still(moved: timedelta) -> None:
    going = verdict(host(Says.RUNNING, run=RunWord(started_at=NOW - moved, progress_at=NOW - moved)))
    reason = BY_ID["dry-run"].disabled_reason(Context(role="admin", read_only=False, verdict=going))
    assert reason == f"It is {going.status}: wait until the run has ended."
    assert going.status is (Status.STALLED if moved > timedelta(minutes=30) else Status.SENDING)


@pytest.mark.parametrize(
    ("says", "instead"), [(Says.STARTED, ("doubt", "settle", "close")), (Says.CLAIMED, ("release-claim",))]
)
@pytest.mark.parametrize("action", ["reschedule", "cancel"])
def test_what_a_run_may_have_done_is_neither_moved_nor_called_off_and_it_says_what_to_do_instead(
    says: Says, instead: tuple[str, ...], action: str
) -> None:
    broken = verdict(dashboard(), host(says, run=RunWord(started_at=NOW, claimed_at=NOW)))
    reason = BY_ID[action].disabled_reason(Context(role="admin", read_only=False, verdict=broken))
    assert broken.status in reason
    for step in instead:
        assert step in reason
        assert step in broken.next_steps
