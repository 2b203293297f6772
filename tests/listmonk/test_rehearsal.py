"""A dry run: rendered there, judged here, tried on the testers, counted, and bound to what was there."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from backends.listmonk import rehearsal
from backends.listmonk.rehearsal import Rehearsal
from opsconsole.plan import DryRun
from opsconsole.ports import NotThere, OutOfReach
from tests.listmonk.desk import Desk, desk
from tests.listmonk.later import Later
from tests.support.listmonk import Listmonk, listmonk

TESTER = "tester@example.com"


@pytest.fixture
def here(standin: Listmonk, tmp_path: Path) -> Desk:
    standin.standin.add_person(TESTER, standin.standin.add_list("Testers"))
    return desk(standin, tmp_path, testers=[TESTER])


def rehearse(at: Desk, slug: str = "july", watched: float = 0.1) -> tuple[DryRun, str]:
    heard: list[bytes] = []
    backend = at.backend
    made = Rehearsal(
        backend.client, backend.looks, backend.control, heard.append, threading.Event(), timedelta(seconds=watched)
    )
    return made.run(slug), b"".join(heard).decode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "EVERY", 0.02)


def test_a_sound_campaign_is_tried_on_the_testers_and_on_nobody_else(here: Desk) -> None:
    number, _ = here.campaign("July", 30)

    result, log = rehearse(here)

    assert result.ok
    assert result.audience == 30
    assert [letter.to for letter in here.standin.post.letters] == [TESTER]
    assert all(letter.test for letter in here.standin.post.letters)
    assert here.standin.campaign(number).status == "draft"
    assert "test mail" in result.summary
    assert result.sample
    assert TESTER not in log
    assert TESTER not in result.summary


def test_it_holds_for_the_very_content_that_the_board_shows(here: Desk) -> None:
    here.campaign("July")

    result, _ = rehearse(here)
    content = here.seen().content

    assert content is not None
    assert result.digest == content.digest
    assert dict(result.digests) == dict(content.digests)


def test_a_test_mail_that_fails_is_found_in_the_log(here: Desk) -> None:
    here.campaign("July")
    here.standin.post.fails = "535 5.7.8 authentication failed"

    result, _ = rehearse(here, watched=5)

    assert not result.ok
    assert "535 5.7.8" in result.troubles[0]


def test_one_that_does_not_render_is_not_tried_on_anybody(here: Desk) -> None:
    here.campaign("July", body="{{ nonsense }}")

    result, _ = rehearse(here)

    assert not result.ok
    assert "can't render" in result.troubles[0]
    assert not here.standin.post.letters


def test_a_token_left_in_it_stops_it(here: Desk) -> None:
    here.campaign("July", body="<p>Dear *|FNAME|*</p>")

    result, _ = rehearse(here)

    assert not result.ok
    assert "FNAME" in result.troubles[0]
    assert not here.standin.post.letters


def test_without_the_right_to_edit_there_is_no_test_mail_and_that_is_said(
    standin: Listmonk, tmp_path: Path
) -> None:
    standin.standin.add_person(TESTER, standin.standin.add_list("Testers"))
    at = desk(standin, tmp_path, standin.sender, testers=[TESTER])
    at.campaign("July", 30)

    result, _ = rehearse(at)

    assert result.ok
    assert "lacks campaigns:manage" in result.summary
    assert "≤ 30" in result.summary
    assert not standin.standin.post.letters


@pytest.mark.slow
def test_a_tester_whom_listmonk_does_not_know_is_a_trouble(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, testers=["nobody@example.com"])
    at.campaign("July")

    result, log = rehearse(at)

    assert not result.ok
    assert "test mail wasn't taken" in result.troubles[0]
    assert "nobody@example.com" not in log


@pytest.mark.slow
def test_a_past_date_does_not_keep_the_testers_from_their_mail(tmp_path: Path, clock: Later) -> None:
    made = listmonk(clock=clock)
    made.standin.add_person(TESTER, made.standin.add_list("Testers"))
    at = desk(made, tmp_path, clock=clock, testers=[TESTER])
    at.campaign("July", send_at=clock() - timedelta(minutes=30))

    result, _ = rehearse(at)

    assert result.ok
    assert len(made.standin.post.letters) == 1
    made.standin.stop()


@pytest.mark.slow
def test_an_audience_out_of_its_bounds_stops_it(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, min_audience=50)
    at.campaign("July", 30)

    result, _ = rehearse(at)

    assert not result.ok
    assert "at least 50" in result.troubles[0]


def test_an_edit_in_the_meantime_makes_it_void(here: Desk) -> None:
    number, _ = here.campaign("July")
    backend = here.backend

    def edit(line: bytes) -> None:
        if line.startswith(b"rendered"):
            here.standin.database.campaigns[number].subject = "Another"

    result = Rehearsal(
        backend.client, backend.looks, backend.control, edit, threading.Event(), timedelta(seconds=0.1)
    ).run("july")

    assert not result.ok
    assert "edited meanwhile (subject)" in result.troubles[0]


@pytest.mark.slow
def test_what_is_not_there_or_not_reached_can_not_be_rehearsed(here: Desk) -> None:
    with pytest.raises(NotThere):
        rehearse(here, "august")
    here.campaign("July")
    here.backend.observe()
    here.standin.kill()
    with pytest.raises(OutOfReach):
        rehearse(here)


def test_the_mail_is_shown_as_listmonk_renders_it(here: Desk) -> None:
    here.campaign("July", subject="Hello")
    here.campaign("August", body="Hi {{ .Subscriber.FirstName }}", content_type="plain")

    html, text = here.backend.preview("july", 1), here.backend.preview("august", 7)

    assert "Hello Demo" in html.html
    assert html.headers["subject"] == "Hello"
    assert "Hi Demo" in text.text
    assert not text.html
    assert text.number == 1
