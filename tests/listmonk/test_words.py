"""Slugs, audiences, and the mail itself, from values to words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backends.listmonk.audience import at_most, condition
from backends.listmonk.campaigns import Campaign, slugified, slugs
from backends.listmonk.letter import flaws, read
from backends.listmonk.looks import Seen
from backends.listmonk.still import what_refusal, why_still
from backends.listmonk.system import MailList
from backends.listmonk.trail import BLIND, Trail
from opsconsole.campaign import is_slug

UNSUBSCRIBE = '<a href="https://l.example.com/subscription/00000000-0000-0000-0000-000000000000/0">off</a>'


def campaign(number: int = 5, name: str = "July", **fields: Any) -> Campaign:
    made: dict[str, Any] = {
        "id": number, "uuid": "u", "name": name, "status": "draft", "subject": "News",
        "sender": "Lists <lists@example.com>", "body": "<p>Hello</p>", "content_type": "html", **fields,
    }  # fmt: skip
    return Campaign(**made)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("July News 2026", "july-news-2026"),
        ("  Où est l'été?  ", "ou-est-l-ete"),
        ("--- ", ""),
        ("日本", ""),
        ("a" * 200, "a" * 64),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_name_becomes_a_slug_or_none(name: str, slug: str) -> None:
    assert slugified(name) == slug


def test_a_tag_names_the_slug_and_what_is_no_slug_is_not_believed() -> None:
    found = slugs([campaign(1, tags=("x", "slug:Summer-Sale")), campaign(2, "Two", tags=("slug:; rm -rf /",))])

    assert {slug: it.id for slug, it in found.items()} == {"summer-sale": 1, "two": 2}


def test_of_several_with_one_name_the_oldest_keeps_it() -> None:
    found = slugs(
        [campaign(9), campaign(3), campaign(12), campaign(4, "日本"), campaign(13, tags=("slug:july-9",))]
    )

    assert {slug: it.id for slug, it in found.items()} == {
        "july": 3,
        "campaign-4": 4,
        "july-9": 13,
        "9-july": 9,
        "july-12": 12,
    }
    assert all(map(is_slug, found))


def test_two_long_names_stay_slugs_and_apart() -> None:
    found = slugs([campaign(1, "a" * 99), campaign(2, "a" * 99)])

    assert sorted(map(len, found)) == [64, 64]
    assert {it.id for it in found.values()} == {1, 2}


def test_the_bound_counts_what_a_campaign_may_mail() -> None:
    single = MailList(id=1, name="S", statuses={"confirmed": 10, "unconfirmed": 5, "unsubscribed": 3})
    double = MailList(id=2, name="D", optin="double", statuses={"confirmed": 7, "unconfirmed": 4})
    both = campaign(lists=((1, "S"), (2, "D")))

    assert str(at_most(both, [single, double])) == "≤ 22"
    assert str(at_most(campaign(type="optin", lists=((1, "S"), (2, "D"))), [single, double])) == "≤ 4"
    assert at_most(both, [single]).people is None
    assert "cl.campaign_id=5" in condition(both)


def codes(it: Campaign, rendered: str) -> list[str]:
    return [flaw.code for flaw in flaws(it, rendered)]


def test_a_sound_mail_has_no_flaw() -> None:
    assert codes(campaign(), f"<p>Hello Demo</p>{UNSUBSCRIBE}") == []


@pytest.mark.parametrize(
    ("fields", "rendered", "code"),
    [
        ({"subject": " "}, "<p>Hi</p>" + UNSUBSCRIBE, "subject-and-sender"),
        ({"subject": "Hi\r\nBcc: x@example.com"}, "<p>Hi</p>" + UNSUBSCRIBE, "subject-and-sender"),
        ({"sender": "nobody"}, "<p>Hi</p>" + UNSUBSCRIBE, "subject-and-sender"),
        ({"body": ""}, UNSUBSCRIBE, "body-there"),
        ({}, "<p>Hi</p>", "unsubscribe"),
        ({}, "<p>Hi {{ .Subscriber.Name }}</p>" + UNSUBSCRIBE, "template-tokens"),
        ({}, "<p>Hi *|FNAME|*</p>" + UNSUBSCRIBE, "template-tokens"),
        ({}, "<p>Hi &lt;no value&gt;</p>" + UNSUBSCRIBE, "template-tokens"),
        ({}, '<p><a href="">x</a></p>' + UNSUBSCRIBE, "links"),
        ({}, '<p><a href="javascript:x()">x</a></p>' + UNSUBSCRIBE, "links"),
        ({}, '<p><a href="https://[bad">x</a></p>' + UNSUBSCRIBE, "links"),
        ({}, "<p>" + "x" * 110_000 + "</p>" + UNSUBSCRIBE, "size"),
    ],
)
def test_each_flaw_is_found(fields: dict[str, Any], rendered: str, code: str) -> None:
    assert codes(campaign(**fields), rendered) == [code]


def test_text_alone_is_read_as_text() -> None:
    plain = campaign(content_type="plain", body="Hi")

    letter = read(plain, "Hi <b>you</b>, https://l.example.com/subscription/0-0/0 is the way out")

    assert "<b>" in letter.text
    assert letter.links == ("https://l.example.com/subscription/0-0/0",)


@pytest.mark.parametrize(
    "rendered", ["<![if" * 5000, "<a href='" * 3000, "\x00<a", "&#xd800;&#99999999;", "<" * 20000]
)
def test_no_markup_breaks_the_reading(rendered: str) -> None:
    read(campaign(), rendered)


NOW = datetime(2026, 7, 2, 12, tzinfo=UTC)


def test_where_the_log_is_not_to_be_read_that_is_the_reason() -> None:
    running = campaign(status="running", to_send=5)
    seen = Seen(at=NOW, campaigns={"july": running})

    assert "log can't be read" in why_still(running, BLIND, seen, "UTC")
    assert "says nothing of why" in why_still(running, Trail(picked_up=NOW), seen, "UTC")


def test_a_resume_before_the_drain_is_told_as_such() -> None:
    running = campaign(status="running", to_send=5)
    seen = Seen(at=NOW, campaigns={"july": running}, paused_at={5: NOW})

    assert "before it had drained" in why_still(running, Trail(alive=True), seen, "UTC")
    assert "before it had drained" not in why_still(running, Trail(alive=True, drained=NOW), seen, "UTC")


def test_refusals_are_told_by_class() -> None:
    assert what_refusal("454 4.7.0 Throttling failure: Maximum sending rate exceeded") == "rate limited"
    assert what_refusal("550 5.1.1 user unknown") == "mailbox unknown"
    assert what_refusal("dial tcp: connection refused") == ""
