"""Asking listmonk: what a refusal means, what a lost reply means, and that no answer breaks anything."""

import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.embedded.listmonk.people import READ
from backends.listmonk.campaigns import read_campaign, read_campaigns, read_running
from backends.listmonk.client import LostReply
from backends.listmonk.system import Config, Import, MailList, Profile, Tuning, go_duration
from opsconsole.ports import NotThere, OutOfReach, Refused, Trouble
from tests.listmonk.desk import Desk, desk
from tests.support.listmonk import Listmonk

GOOD: dict[str, Any] = {"id": 5, "uuid": "u", "name": "July", "status": "draft", "lists": [{"id": 1, "name": "L"}]}


@pytest.fixture
def here(standin: Listmonk, tmp_path: Path) -> Desk:
    return desk(standin, tmp_path)


def writes(here: Desk) -> list[tuple[str, str, int]]:
    return [it for it in here.standin.requests if it[0] != "GET"]


def test_what_is_not_there_is_told_apart_from_what_may_not_be_seen(here: Desk) -> None:
    with pytest.raises(NotThere):
        here.backend.client.campaign(4711)


def test_a_permission_that_lacks_is_named(standin: Listmonk, tmp_path: Path) -> None:
    user = standin.standin.add_user("poor", [name for name in READ if name != "settings:get"])
    client = desk(standin, tmp_path, user).backend.client
    client.profile()

    with pytest.raises(Refused, match=r"poor .* lacks settings:get"):
        client.logs()


def test_a_forbidden_transition_is_refused_and_nothing_is_done(here: Desk) -> None:
    number, _ = here.campaign("July", status="finished")

    with pytest.raises(Refused) as no:
        here.backend.client.put_status(number, "running")

    assert "Nothing was changed" in str(no.value)
    assert here.standin.campaign(number).status == "finished"


def test_a_write_whose_reply_is_lost_is_not_repeated_and_is_no_refusal(here: Desk) -> None:
    number, _ = here.campaign("July")
    here.standin.faults.mute, here.standin.faults.only = True, "PUT"

    with pytest.raises(LostReply) as lost:
        here.backend.client.put_status(number, "running")

    assert not isinstance(lost.value, Refused | OutOfReach)
    assert len(writes(here)) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(500, LostReply), (502, LostReply), (429, OutOfReach), (400, Refused)]
)
def test_a_write_fails_by_what_may_have_come_of_it(here: Desk, status: int, kind: type[Trouble]) -> None:
    number, _ = here.campaign("July")
    here.standin.faults.status = status

    with pytest.raises(kind):
        here.backend.client.put_status(number, "running")

    assert len(writes(here)) == 1


def test_a_write_that_was_not_heard_did_nothing(here: Desk) -> None:
    number, _ = here.campaign("July")
    here.standin.kill()

    with pytest.raises(OutOfReach):
        here.backend.client.put_status(number, "running")


def test_a_proxy_that_answers_a_write_proves_nothing(here: Desk) -> None:
    number, _ = here.campaign("July")
    here.standin.faults.html = True

    with pytest.raises(LostReply):
        here.backend.client.put_status(number, "running")


def test_a_read_is_tried_once_more_and_no_cookie_is_kept(here: Desk) -> None:
    here.standin.faults.status = 500
    with pytest.raises(OutOfReach):
        here.backend.client.health()
    assert [path for _, path, _ in here.standin.requests] == ["/api/health", "/api/health"]

    here.standin.faults.status = None
    client = here.backend.client
    client._rest._client.cookies.set("session", "of somebody else")
    client.profile()  # with a cookie listmonk would not look at the token


def test_its_clock_is_compared_by_the_date_of_its_answers(here: Desk) -> None:
    here.standin.offset = timedelta(seconds=90)
    here.backend.client.health()

    assert here.backend.client.clock_offset == pytest.approx(90, abs=5)


HOSTILE: list[Any] = [
    None,
    0,
    -1,
    2**70,
    math.nan,
    math.inf,
    True,
    "",
    "\ud800\x1b[2J",
    "x" * 100_000,
    "0001-01-01T00:00:00Z",
    "2026-13-45T99:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "2026-07-01T09:00:00",
    [],
    [None],
    [[[]]],
    {},
    {"id": "1"},
    {"name": []},
    [{"id": -5, "name": 7}],
]
READERS: list[Callable[[Any], Any]] = [
    read_campaign, read_running, Profile.read, Config.read, Tuning.read, MailList.read, Import.read,
]  # fmt: skip
KEYS = [
    *GOOD, "subject", "from_email", "type", "messenger", "template_id", "tags", "headers", "media", "send_at",
    "started_at", "updated_at", "to_send", "sent", "bounces", "body", "rate", "user_role", "list_role", "username",
    "messengers", "needs_restart", "version", "app.batch_size", "app.message_rate", "smtp", "optin",
    "app.message_sliding_window", "app.message_sliding_window_duration", "subscriber_count",
    "subscriber_statuses", "imported", "total",
]  # fmt: skip


@pytest.mark.parametrize("read", READERS)
def test_whatever_comes_is_read_or_refused_and_nothing_else(read: Callable[[Any], Any]) -> None:
    for value in HOSTILE:
        for document in (value, *({**GOOD, key: value} for key in KEYS)):
            try:
                found = read(document)
            except Trouble:
                continue
            repr(found).encode()  # half a character would not be written


def test_one_row_that_can_not_be_read_hides_no_other() -> None:
    listed = read_campaigns([GOOD, {**GOOD, "id": "six"}, {**GOOD, "id": 7}])

    assert [it.id for it in listed.campaigns] == [5, 7]
    assert len(listed.unread) == 1


def test_spans_are_read_as_go_writes_them() -> None:
    assert go_duration("1h0m0s") == timedelta(hours=1)
    assert go_duration("51m46.5s") == timedelta(minutes=51, seconds=46.5)
    assert go_duration("10ms") == timedelta(milliseconds=10)
    assert go_duration("an hour") is None
    assert go_duration("") is None


def test_how_long_it_takes_by_rate_and_window() -> None:
    base = {"app.concurrency": 10, "app.message_rate": 10}
    window = {
        "app.message_sliding_window": True,
        "app.message_sliding_window_duration": "1h",
        "app.message_sliding_window_rate": 1000,
    }

    assert Tuning.read(base).seconds_for(1000) == 10
    assert Tuning.read({**base, **window}).seconds_for(1000) == 10
    assert Tuning.read({**base, **window}).seconds_for(2500) == 2 * 3600 + 5
    assert Tuning.read({}).seconds_for(2500) == 0
