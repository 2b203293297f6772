"""A campaign's item and a contact's become a mail, or the reason why they don't."""

from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from runner.message.headers import RowRefused
from runner.message.look import eml
from runner.worker.mail import Content, ContentError

ANA = {"email": "ana@example.com", "first_name": "Ana", "points": Decimal("1200.50"), "city": None}


def campaign(**fields: Any) -> dict[str, Any]:
    plain = {"campaign_id": "spring", "subject": "Hello {{ first_name }}", "from_email": "Shop <shop@example.com>"}
    return {**plain, "body": "<p>{{ first_name }}, you have {{ points }} points</p>", "run_id": "r1", **fields}


def mailed(item: dict[str, Any], contact: dict[str, Any] = ANA) -> Any:
    return message_from_bytes(eml(Content(item).mail(contact, 0.0))[1], policy=default)


def test_fields_are_filled_in_and_headers_are_those_of_the_runner() -> None:
    mail = mailed(campaign(list_unsubscribe="https://example.com/u/{{ first_name }}", reply_to="help@example.com"))

    assert mail["Subject"] == "Hello Ana"
    assert mail["To"] == "ana@example.com"
    assert mail["List-Unsubscribe"] == "<https://example.com/u/Ana>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Reply-To"] == "help@example.com"
    assert mail["X-Blast-Id"].startswith("r1 ")
    assert "Ana, you have 1200.5 points" in mail.get_body(("html",)).get_content()
    assert "Ana, you have 1200.5 points" in mail.get_body(("plain",)).get_content()


def test_the_same_person_has_the_same_message_id_in_every_attempt() -> None:
    first, other = (Content(campaign(run_id=run)).mail(ANA, now).ident for run, now in (("r1", 0.0), ("r2", 9.0)))

    assert first == other


def test_a_field_that_is_used_and_lacks_refuses_this_contact_alone() -> None:
    content = Content(campaign(body="<p>{{ frist_name }} from {{ city }}</p>"))

    with pytest.raises(RowRefused) as refused:
        content.mail(ANA, 0.0)

    assert refused.value.kind == "template"
    assert str(refused.value) == "body line 1: 'frist_name' is undefined; did you mean first_name?"
    with pytest.raises(RowRefused, match="'city' is undefined"):
        content.mail({**ANA, "frist_name": "Ana"}, 0.0)
    assert content.mail({**ANA, "frist_name": "Ana", "city": "York"}, 0.0)


@pytest.mark.parametrize(
    ("contact", "kind"),
    [({**ANA, "email": "ana"}, "address"), ({**ANA, "first_name": "Ana\r\nBcc: x@example.com"}, "header")],
)
def test_values_that_would_break_out_are_refused(contact: dict[str, Any], kind: str) -> None:
    with pytest.raises(RowRefused) as refused:
        Content(campaign()).mail(contact, 0.0)

    assert refused.value.kind == kind
    assert "@" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"body": " "}, "body is empty"),
        ({"subject": None}, "subject is empty"),
        ({"body": "{% if %}"}, "body line 1"),
        ({"text": 7}, "text is not a text"),
        ({"list_unsubscribe": "http://example.com"}, "must begin with https://"),
    ],
)
def test_what_is_wrong_for_everybody_is_told_before_anybody(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ContentError, match=said):
        Content(campaign(**fields))


def test_a_template_reaches_nothing_but_the_fields() -> None:
    with pytest.raises(RowRefused, match=r"unsafe|undefined"):
        Content(campaign(body="{{ first_name.__class__.__mro__ }}")).mail(ANA, 0.0)
