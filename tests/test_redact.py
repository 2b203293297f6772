"""Given text that holds secrets, addresses or characters that act, when it is shown or stored, then it is safe."""

import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.redact import (
    _HINT,
    RedactingFormatter,
    Redactor,
    _patterns,
    csv_cell,
    mask_address,
    mask_addresses,
    redact,
    visible,
)

CANARY = "Canary7Kq2x"

SECRETS = [
    f"Authorization: Bearer {CANARY}",
    f"curl -H 'Authorization: Token {CANARY}' https://example.test/",
    f'Authorization: Digest username="mara", response="{CANARY}"',
    f'{{"Authorization": "Basic {CANARY}=="}}',
    f"Proxy-Authorization: Basic {CANARY}",
    f"sent with bearer {CANARY}",
    "Basic bWFyYTpDYW5hcnk3S3EyeA==",
    f"AUTH PLAIN {CANARY}==",
    f"postgres://mara:{CANARY}@db.example.test/audit",
    f"smtp://mara:p@{CANARY}@mx.example.test:587",
    f"redis://:x/{CANARY}@cache.example.test/0",
    f"https://{CANARY}{CANARY}@errors.example.test/1",
    f"password={CANARY}",
    f"password = '{CANARY} with a space'",
    f'{{"smtp_password": "a \\"quoted\\" {CANARY}"}}',
    f'{{\\"clientSecret\\": \\"{CANARY}\\"}}',
    f"AWS_SECRET_ACCESS_KEY={CANARY}/x+y",
    f"https://example.test/u?id=1&access_token={CANARY}&x=2",
    f"X-Api-Key: {CANARY}",
    f"--password {CANARY}",
    f"password=none-{CANARY}",
    f"Set-Cookie: a=1; session={CANARY}",
    f"https://hooks.slack.com/services/T000/B000/{CANARY}",
    f"xoxb-1234-{CANARY}",
    "AKIACANARY7KQ2XABCDE",
    f"ghp_{CANARY}{CANARY}",
    f"SG.{CANARY}abcdefgh.{CANARY}abcdefgh",
    f"eyJhbGciOiJI.eyJ{CANARY}.{CANARY}",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY} cut short",
]
HARMLESS = [
    "password: missing",
    "token_count=5",
    "basic information about the bearer",
    "250-AUTH PLAIN LOGIN CRAM-MD5",
    "http://example.test:8080/path",
    "ssh://deploy@blast-1",
    "/etc/mail/blast-credentials.conf exists, mode 0600, owner root",
    "2,601 recipients processed, 0 failures",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_goes_and_its_surroundings_stay(text: str) -> None:
    shown = redact(f"before {text}\nafter")
    assert CANARY not in shown
    assert CANARY.upper() not in shown
    assert "bWFyYTpD" not in shown
    assert shown.startswith("before ")
    assert "[redacted" in shown
    assert redact(shown) == shown
    if "cut short" not in text:
        assert shown.endswith("\nafter")


@given(st.lists(st.sampled_from(SECRETS) | st.text(max_size=5), max_size=3), st.integers(0, 99), st.integers(0, 99))
def test_the_quick_look_never_lets_a_secret_pass(parts: list[str], start: int, end: int) -> None:
    text = "".join(parts)[start:end]
    if not _HINT.search(text):
        assert all(not pattern.search(text) for pattern, _ in _patterns())


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_registered_secret_goes_in_every_spelling() -> None:
    redactor = Redactor(["p/w &1"])
    redactor.add_secret("tiny")
    redactor.add_secret("abc")
    redactor.add_secret(" ")
    shown = redactor.redact("p/w &1 p%2Fw%20%261 cC93ICYx tinytiny abc abcde")
    assert shown == "[redacted] [redacted] [redacted] [redacted][redacted] [redacted] abcde"


def test_a_secret_that_contains_another_leaves_no_tail() -> None:
    assert Redactor(["hunter", "hunter2000"]).redact("x hunter2000 y") == "x [redacted] y"


def test_values_are_cleaned_by_their_key() -> None:
    cleaned = Redactor().clean(
        {
            "password": "hunter2",
            "tokens": {"a": "b"},
            "api_key": None,
            "password_set": True,
            "mac_key": "missing",
            "to": ["john@example.com", {"cc": "jane@example.com"}],
            "operator": "mara@example.com",
            "john@example.com": 1,
            "jane@example.com": 2,
        },
        keep=frozenset({"operator"}),
    )
    assert cleaned == {
        "password": "[redacted]",
        "tokens": "[redacted]",
        "api_key": None,
        "password_set": True,
        "mac_key": "missing",
        "to": ["j•••@example.com", {"cc": "j•••@example.com"}],
        "operator": "mara@example.com",
        "j•••@example.com": 1,
        "j•••@example.com'": 2,
    }


@given(
    st.text(alphabet=st.sampled_from("ab=:\"'\\ \n/@-[].0,{}"), max_size=60),
    st.sampled_from(["password", "token", "://u:", "Bearer ", "Authorization: "]),
)
def test_redacting_twice_changes_nothing(text: str, word: str) -> None:
    once = redact(text[: len(text) // 2] + word + text[len(text) // 2 :])
    assert redact(once) == once


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("john@example.com", "j•••@example.com"),
        ("j@example.com", "•••@example.com"),
        ("élan@example.com", "é•••@example.com"),
        ("bounce+john=example.com@lists.example.test", "b•••@lists.example.test"),
        ('"john doe"@example.com', "j•••@example.com"),
        ("a+b@sub.example.com", "a•••@sub.example.com"),
        ("no address", "•••"),
        ("", "•••"),
    ],
)
def test_an_address_keeps_its_first_letter_and_domain(address: str, shown: str) -> None:
    assert mask_address(address) == shown
    assert mask_address(shown) == shown
    assert mask_addresses(f"<{address}>") == f"<{shown if '@' in address else address}>"


def test_addresses_in_text_are_masked_and_logins_stay() -> None:
    text = "to=<john.doe@example.com>, \"Jane\" <x@example.test>; 'bob@example.com' eve@example.com root@blast-1"
    assert mask_addresses("https://example.test/u?id=1&email=john@example.com") == (
        "https://example.test/u?id=1&email=j•••@example.com"
    )
    masked = mask_addresses(text)
    assert masked == (
        "to=<j•••@example.com>, \"Jane\" <•••@example.test>; 'b•••@example.com' e•••@example.com root@blast-1"
    )
    assert mask_addresses(masked) == masked


@pytest.mark.slow
@given(st.emails())
def test_no_local_part_of_two_letters_survives(address: str) -> None:
    local = address.rpartition("@")[0]
    masked = mask_addresses(f"<{address}>")
    assert len(local) < 2 or f"{local}@" not in masked
    assert mask_addresses(masked) == masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("bad\udcffname", "bad\\udcffname"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("two\nlines\r\n\tx", "two\\nlines\\r\\n\\tx"),
        ("naïve 🎷 [bold]x[/bold]", "naïve 🎷 [bold]x[/bold]"),
    ],
)
def test_what_acts_is_shown_instead(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_newlines_stay_where_they_are_wanted() -> None:
    assert visible("a\r\nb\nc\rd\x1b", keep_newlines=True) == "a\nb\nc\\rd\\x1b"


def test_every_control_and_format_character_is_escaped() -> None:
    seen = set(range(0x600, 0x606)) | {
        0x6DD,
        0x890,
        0x891,
        0x8E2,
        0x110BD,
        0x110CD,
    }  # Arabic and Kaithi number signs
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in seen:
            assert visible(chr(code)).isascii(), hex(code)


anything = st.text(st.characters() | st.characters(categories=["Cc", "Cf", "Cs"]), max_size=40)


@given(anything, st.none() | st.integers(1, 30), st.booleans())
def test_shown_text_never_acts_and_showing_twice_changes_nothing(text: str, limit: int | None, keep: bool) -> None:
    shown = visible(text, limit, keep_newlines=keep)
    allowed = "\n" if keep else ""
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in allowed]
    assert not set(shown) & set(
        "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u061c"
    )
    assert limit is None or len(shown) <= limit
    assert visible(shown, limit, keep_newlines=keep) == shown
    shown.encode("utf-8")
    whole = visible(text, keep_newlines=keep)
    assert shown == whole or (limit is not None and shown == whole[: limit - 1] + "…")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("  =cmd|x", "'  =cmd|x"),
        ("\u200b@SUM(A1)", "'\u200b@SUM(A1)"),
        ("\0=1", "'=1"),
        ("＝1", "'＝1"),
        ("-5", "'-5"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("plain, text", "plain, text"),
        ("a=b", "a=b"),
        ("", ""),
        (-5, -5),
        (None, None),
    ],
)
def test_no_exported_cell_is_a_formula(value: object, cell: object) -> None:
    assert csv_cell(value) == cell


def test_a_log_line_is_scrubbed_with_its_arguments_and_traceback() -> None:
    formatter = RedactingFormatter("%(levelname)s %(message)s", redactor=Redactor([CANARY]))
    try:
        raise ValueError(f"no {CANARY} for john@example.com, token=abcdef\x1b[2J")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "login %s", (f"https://mara:{CANARY}@example.test",),
            (type(error), error, error.__traceback__),
        )  # fmt: skip
    line = formatter.format(record)
    assert "Traceback" in line
    assert "\n" in line
    for secret in (CANARY, "john@", "abcdef", "\x1b"):
        assert secret not in line
