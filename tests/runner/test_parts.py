"""The pure parts, by tables and by properties."""

import json
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.campaign import metadata
from runner.campaign.address import Address
from runner.message.guard import RowTimeout, row_guard
from runner.message.mail import Composer, RowRefused
from runner.message.template import Source, Template, trial, unknown_variables
from runner.policy import window

META = metadata.parse(
    json.dumps(
        {
            "subject": "{{ subject }}",
            "from": "{{ sender }} <news@example.com>",
            "list_unsubscribe": "https://example.com/{{ path }}",
        }
    ).encode()
)
COLUMNS = ("email", "body", "subject", "sender", "path")
COMPOSER = Composer("may", META, "<p>{{ body }}</p>\n.x\nFrom me {{ body }}.", None, COLUMNS)
TO = Address("ann@example.com", 7)
NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
HEADER_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200)


@settings(max_examples=80, deadline=None)
@given(
    body=st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.text(".=\r\n \tFrom é", max_size=300),
    subject=HEADER_TEXT,
    sender=st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters='<>"'), max_size=60
    ),
)
def test_what_arrives_is_what_was_rendered(body: str, subject: str, sender: str) -> None:
    rendered = COMPOSER.render(["ann@example.com", body, subject, sender, "u"])
    wire = COMPOSER.build(rendered, TO, NOW).wire

    assert wire.endswith(b"\r\n.\r\n")
    lines = wire[:-3].split(b"\r\n")
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines)
    assert wire.isascii()
    received = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    assert b"." not in lines, "the mail would end early"
    mail = message_from_bytes(received, policy=policy.default)
    html = mail.get_body(("html",))
    assert html is not None
    assert html.get_payload(decode=True).decode() == as_sent(rendered.html)
    text = mail.get_body(("plain",))
    assert text is not None
    assert text.get_payload(decode=True).decode().endswith("\r\n")
    assert str(mail["Subject"]) == rendered.subject or not rendered.subject.isprintable()
    assert mail["From"].addresses[0].addr_spec == "news@example.com"
    assert [name for name in mail.keys() if name in ("To", "From", "Bcc", "Cc")] == ["From", "To"]  # noqa: SIM118
    assert mail["To"] == "ann@example.com"


def as_sent(html: str) -> str:
    return html.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def test_values_are_escaped_in_html_and_never_run_as_a_template() -> None:
    rendered = COMPOSER.render(["a@example.com", '<b>{{ 7*7 }}"', "s", "n", "u"])
    assert "&lt;b&gt;{{ 7*7 }}&#34;" in rendered.html


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("subject", "a\nBcc: x@example.com"),
        ("subject", "a\x0bb"),
        ("subject", "a\u2028b"),
        ("subject", "a\x00b"),
        ("sender", "x\r\ny"),
        ("sender", "evil <evil@example.com>"),
        ("path", "a b"),
        ("path", "a>,<https://example.com/other"),
        ("path", "é"),
    ],
)
def test_header_values_that_would_break_out_are_refused(column: str, value: str) -> None:
    row = {"email": "a@example.com", "body": "b", "subject": "s", "sender": "n", "path": "u"} | {column: value}
    with pytest.raises(RowRefused) as refused:
        COMPOSER.render([row[name] for name in COLUMNS])
    assert refused.value.kind == "header"


def test_a_message_id_is_the_same_in_every_attempt() -> None:
    rendered = COMPOSER.render(["a@example.com", "b", "s", "n", "u"])
    first = COMPOSER.build(rendered, TO, NOW)
    other = Composer("may", META, "<p>other</p>", None, COLUMNS)
    other.run_id = "another"
    assert other.build(rendered, TO, NOW).message_id == first.message_id


def test_unknown_variables_are_found_without_running_the_template() -> None:
    source = Source("{{ name }}\n{% if frist_name %}{{ 9**9**9 }}{% endif %}{% set x = 1 %}{{ x }}", "t.html", True)
    found = unknown_variables(source, ["email", "name", "first_name"])
    assert [(f.variable, f.line, f.suggestion) for f in found] == [("frist_name", 2, "first_name")]


def test_metadata_names_every_fault_at_once_and_keeps_unknown_keys() -> None:
    bad = {
        "from": 1,
        "timezone": "Mars/Base",
        "window": {"from": "9", "to": "18:00"},
        "max_rate": -1,
        "due_at": "x",
    }
    with pytest.raises(metadata.MetadataError) as error:
        metadata.parse(json.dumps(bad).encode())
    assert len(error.value.problems) == 6
    good = metadata.parse(b'{"subject": "s", "from": "f@example.com", "colour": "red"}')
    assert good.raw["colour"] == "red"


@pytest.mark.parametrize(
    ("html", "limits"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {"cpu_seconds": 1}),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {"wall_seconds": 0.3}),
        ("{{ 'a' | center(300000000) }}", {"memory": 100 << 20}),
    ],
)
def test_a_template_that_runs_away_is_cut_off(html: str, limits: dict[str, Any]) -> None:
    found = trial([Source(html, "t.html", True)], {"name": "Ann"}, **limits)
    assert found is not None
    assert "cut off" in found.what
    assert trial([Source("Dear {{ name }}", "t.html", True)], {"name": "Ann"}, **limits) is None


def test_a_row_that_runs_away_is_cut_off_and_the_next_one_is_rendered() -> None:
    loops = Template(Source("{% for a in range(n|int) %}{% for b in range(n|int) %}{% endfor %}{% endfor %}", "t"))
    with pytest.raises(RowTimeout), row_guard(0.2):
        loops.render({"n": "99999"})
    with row_guard(0.2):
        assert loops.render({"n": "3"}) == ""


LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("days", "opens", "closes", "now", "is_open", "opening"),
    [
        (["mon"], "09:00", "18:00", "2026-05-11T08:00", True, None),
        (["mon"], "09:00", "18:00", "2026-05-11T17:00", False, "2026-05-18T08:00"),
        (["mon"], "22:00", "06:00", "2026-05-12T04:59", True, None),
        (["mon"], "22:00", "06:00", "2026-05-12T05:00", False, "2026-05-18T21:00"),
        (
            ["sun"],
            "01:30",
            "03:00",
            "2026-03-29T00:00",
            False,
            "2026-03-29T01:00",
        ),  # 01:30 doesn't exist that night
        (["sun"], "01:30", "03:00", "2026-10-25T00:00", False, "2026-10-25T00:30"),  # and twice in October
        (["sun"], "09:00", "18:00", "2026-10-25T08:59", False, "2026-10-25T09:00"),
    ],
)
def test_windows_in_their_own_zone(
    days: list[str], opens: str, closes: str, now: str, is_open: bool, opening: str | None
) -> None:
    made = window.parse({"days": days, "from": opens, "to": closes}, LONDON)
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert made.is_open(instant) is is_open
    if opening:
        assert made.next_opening(instant) == datetime.fromisoformat(opening).replace(tzinfo=UTC)
