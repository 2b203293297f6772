"""Given any row, then what the standard library reads out of the mail is what the templates say, and the bytes are
fit for the wire."""

import json
import random
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest

from runner.campaign import metadata
from runner.campaign.address import Address
from runner.message.mail import Composer, Mail, MessageIds, RowRefused

COLUMNS = ("email", "name", "city", "note")
META = metadata.parse(
    json.dumps(
        {
            "subject": "{{ name }}: news",
            "from": "{{ city }} <news@example.com>",
            "reply_to": "Help <help@Example.com>",
            "list_unsubscribe": "https://example.com/u/1",
        }
    ).encode()
)
TO = Address("ann@example.com", 7)
NOW = 1_800_000_000.5
PAGES = {
    "plain": "<p>Dear {{ name }},</p>\n.btn{color:red}\n<p title='{{ note }}'>{{ note }}{{ city }}</p>\n"
    "From {{ note }}",
    "branches": "{% if city %}.{{ city }}.{% else %}From nowhere{% endif %}\n"
    "{% for c in note %}{{ c }}.{% endfor %}",
    "blanks": "   {{ note }}   \n\t{{ note }}\t\n \n{{ name }} {% set x = note ~ '.' %}{{ x }}\n.\n..\n{{ note }}",
    "safe": "{{ note|safe }}.{{ name|e }}{% autoescape false %}{{ note }}<b>{% endautoescape %}{{ note|length }}",
    "long": ("x" * 75 + "{{ note }}" + "y" * 200 + " é=\t" * 60 + "\n" + "." * 90 + "\n") * 2 + "{{ city }}",
    "strange": "{% raw %}{{ x }}{% endraw %}\u2028\x0c\x85{{ note }}😀é\n{% with a = note %}{{ a }}{% endwith %}",
    "macro": "{% macro m(x) %}<i>{{ x }}.</i>\n{% endmacro %}{{ m(note) }}{{ m(city) }}\n.{{ name }}",
    "kept": "{% set k %}<p>{{ note }}</p>{% endset %}{{ k }}.{{ k }}",
    "filtered": "{% filter upper %}{{ note }}{% endfilter %}{% block b %}.{{ city }}{% endblock %}{{ self.b() }}",
    "tree": "{% for a in [note, city] recursive %}.{{ a }}{% if loop.depth < 2 %}{{ loop([a]) }}{% endif %}"
    "{% endfor %}",
}
QUOTED = set(PAGES) - {"macro", "kept", "filtered", "tree"}
BITS = [
    "\r\n",
    "\r",
    "\n",
    ".",
    "..",
    "From ",
    "=",
    "=3D",
    "é",
    "😀",
    "\t",
    " ",
    "<b>",
    "&amp;",
    "'",
    '"',
    "x" * 80,
]
BITS += [
    "{{ name }}",
    "\x0b",
    "\u2028",
    "\x00",
    "a",
    "word",
    "https://example.com/a?b=c&d=e",
    "--=_",
    "\x7f",
    "\xad",
]


def some(chance: random.Random) -> str:
    return "".join(chance.choices(BITS, k=chance.choice((0, 1, 1, 2, 5, 20))))


def row(chance: random.Random) -> list[str]:
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "", some(chance))
    city = re.sub(r'[\x00-\x1f\x7f-\x9f\u2028\u2029<>"]', "", some(chance))
    return ["ann@example.com", name[:500], city[:500], some(chance)]


def read(mail: Mail) -> EmailMessage:
    """The mail as its receiver has it, once the bytes are seen to be fit for the wire."""
    assert mail.size == len(mail.data)
    assert mail.data.isascii()
    assert mail.data.endswith(b"\r\n.\r\n")
    lines = mail.data[: -len(b".\r\n")].split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or line.startswith(b".") for line in lines)
    body = lines[lines.index(b"") :]
    assert max(map(len, body)) <= 76
    assert not any(line.startswith(b"From ") for line in body)
    assert max(map(len, lines)) <= 998
    received = message_from_bytes(b"\r\n".join(lines), policy=policy.default)
    assert not received.defects
    assert not any(part.defects for part in received.walk())
    assert isinstance(received, EmailMessage)
    return received


def part(received: EmailMessage, kind: str) -> str:
    found = received.get_body((kind,))
    assert found is not None
    decoded = found.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return decoded.decode()


def on_the_wire(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def compared(page: str, rows: int, seed: int) -> None:
    chance = random.Random(seed)
    composer = Composer("may", META, PAGES[page], PAGES[page], COLUMNS)
    for _ in range(rows):
        values = row(chance)
        rendered = composer.render(values)
        received = read(composer.compose(values, TO, NOW))
        html = received.get_body(("html",))
        assert html is not None
        assert html["Content-Transfer-Encoding"] == ("quoted-printable" if page in QUOTED else "base64")
        assert part(received, "html") == on_the_wire(rendered.html), values
        assert rendered.text is not None
        assert part(received, "plain") == on_the_wire(rendered.text), values
        assert " ".join(str(received["Subject"]).split()) == " ".join(rendered.subject.split())
        assert received["From"].addresses[0].addr_spec == "news@example.com"
        assert len(received["From"].addresses) == 1


@pytest.mark.parametrize("page", PAGES)
def test_given_any_row_then_the_mail_reads_as_the_templates_say(page: str) -> None:
    compared(page, 12, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_given_thousands_of_rows_then_every_mail_reads_as_the_templates_say(page: str) -> None:
    compared(page, 150, seed=random.randrange(1 << 30))


def test_the_headers_of_a_mail() -> None:
    composer = Composer("may", META, "<p>x</p>", None, COLUMNS)
    composer.run_id = "r-1"
    received = read(composer.compose(["ann@example.com", "Ünal", "The Shop, Ltd", ""], TO, NOW))
    headers = {name: str(value) for name, value in received.items()}
    ident = headers["X-Blast-Id"].removeprefix("r-1 ")
    assert headers == {
        "From": '"The Shop, Ltd" <news@example.com>',
        "Subject": "Ünal: news",
        "Reply-To": "Help <help@Example.com>",
        "List-Unsubscribe": "<https://example.com/u/1>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "To": "ann@example.com",
        "Date": "Fri, 15 Jan 2027 08:00:00 +0000",
        "Message-ID": f"<{ident}@example.com>",
        "X-Blast-Id": f"r-1 {ident}",
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative; boundary="=_{ident}"',
    }


def test_a_row_after_a_refused_one_is_not_touched_by_it() -> None:
    page = "{% set x = note %}{{ 1 // (note|length) }}"
    page += "{% autoescape false %}{{ {}[note] if note == 'k' }}{% endautoescape %}"
    composer = Composer("may", META, page + "{{ x }}<{{ name }}", "{{ x is defined }}", COLUMNS)
    fine = ["ann@example.com", "<n>", "c", "note"]
    before = composer.compose(fine, TO, NOW)
    for note in ("", "k"):
        with pytest.raises(RowRefused) as refused:
            composer.compose(["ann@example.com", "n", "c", note], TO, NOW)
        assert refused.value.kind == "template"
        assert "blast_template.html line 1" in str(refused.value)
    assert composer.compose(fine, TO, NOW) == before
    assert part(read(before), "plain") == "False"


@pytest.mark.parametrize(
    "page", ["{{ note }}", "{% macro m() %}{{ note }}{% endmacro %}{{ m() }}", "<a title='{{ note }}'>"]
)
def test_a_lone_surrogate_is_refused(page: str) -> None:
    composer = Composer("may", META, page, None, COLUMNS)
    with pytest.raises(RowRefused, match="lone surrogate"):
        composer.compose(["ann@example.com", "n", "c", "\ud800"], TO, NOW)


def test_an_undefined_variable_is_told_with_its_line_and_the_column_that_was_meant() -> None:
    composer = Composer("may", META, "<p>\n{{ nmae }}", None, COLUMNS)
    with pytest.raises(RowRefused) as refused:
        composer.compose(["ann@example.com", "n", "c", ""], TO, NOW)
    assert str(refused.value) == "blast_template.html line 2: 'nmae' is undefined; did you mean name?"
    assert refused.value.column == "nmae"


OUTSIDE = metadata.parse(
    json.dumps(
        {
            "subject": "{{ subject }}",
            "from": "{{ sender }} <news@example.com>",
            "list_unsubscribe": "https://example.com/{{ path }}",
        }
    ).encode()
)
ROW = {"email": "a@example.com", "subject": "s", "sender": "n", "path": "u"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("subject", "a\nBcc: x@example.com"),
        ("subject", "a\x0bb"),
        ("subject", "a\u2028b"),
        ("subject", "a\x00b"),
        ("subject", "a" * 2001),
        ("sender", "x\r\ny"),
        ("sender", "evil <evil@example.com>"),
        ("path", "a b"),
        ("path", "a>,<https://example.com/other"),
        ("path", "é"),
        ("path", "a" * 900),
        ("path", "a\n"),
    ],
)
def test_header_values_that_would_break_out_are_refused(column: str, value: str) -> None:
    composer = Composer("may", OUTSIDE, "<p>x</p>", None, tuple(ROW))
    for make in (composer.render, lambda row: composer.compose(row, TO, NOW)):
        with pytest.raises(RowRefused) as refused:
            make(list((ROW | {column: value}).values()))
        assert refused.value.kind == "header"


@pytest.mark.parametrize(
    "name", ["Ann " * 30, "é" * 70, "a, b", "a =?utf-8?q?b?=", "\\", "", "x" * 500, "From: é.", "@"]
)
def test_a_name_of_a_sender_stays_one_name(name: str) -> None:
    composer = Composer("may", OUTSIDE, "<p>x</p>", None, tuple(ROW))
    received = read(composer.compose(["a@example.com", "s", name, "u"], TO, NOW))
    (address,) = received["From"].addresses
    assert address.addr_spec == "news@example.com"
    raw, _ = parseaddr(dict(received.raw_items())["From"])
    assert str(make_header(decode_header(raw))) == name.strip()
    assert [key for key in received.keys() if key in ("To", "From", "Bcc", "Cc")] == ["From", "To"]  # noqa: SIM118


def test_values_are_escaped_in_html_and_never_run_as_a_template() -> None:
    composer = Composer("may", META, "<p>{{ note }}</p>", None, COLUMNS)
    values = ["ann@example.com", "n", "c", '<b>{{ 7*7 }}"']
    assert composer.render(values).html == "<p>&lt;b&gt;{{ 7*7 }}&#34;</p>"
    assert part(read(composer.compose(values, TO, NOW)), "html") == "<p>&lt;b&gt;{{ 7*7 }}&#34;</p>"


def test_a_message_id_is_the_same_in_every_attempt() -> None:
    values = ["ann@example.com", "n", "c", "x"]
    other = Composer("may", META, "<p>other</p>", None, COLUMNS)
    other.run_id = "another"
    ident = other.compose(values, TO, NOW + 1e6).ident
    assert Composer("may", META, "<p>{{ note }}</p>", None, COLUMNS).compose(values, TO, NOW).ident == ident
    assert MessageIds("may", META, COLUMNS).of(values, TO) == ident
    assert Composer("june", META, "<p>other</p>", None, COLUMNS).compose(values, TO, NOW).ident != ident
