"""Which cells are one deliverable address, and who it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.campaign.address import Address, BadAddress, check, mask, mask_text, recipient_key


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("ann@example.com", "ann@example.com"),
        (" ann+x@example.com\t", "ann+x@example.com"),
        ("o'neil@sub.example.com", "o'neil@sub.example.com"),
        ("Ann@Example.COM", "Ann@Example.COM"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
        ("a@" + "b." * 125 + "co", "a@" + "b." * 125 + "co"),
        ("ann@exämple.de", "ann@xn--exmple-cua.de"),
        ("ann@EXÄMPLE.de", "ann@xn--exmple-cua.de"),
    ],
)
def test_addresses_that_are_taken(raw: str, text: str) -> None:
    found = check(raw)
    assert isinstance(found, Address)
    assert found.text == text


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param(" \t", "empty", id="blank"),
        pytest.param("ann", "not an e-mail address", id="no at"),
        pytest.param("@example.com", "not an e-mail address", id="no local part"),
        pytest.param("ann@bo@example.com", "not an e-mail address", id="two ats"),
        pytest.param("ann@localhost", "not an e-mail address", id="no dot"),
        pytest.param("ann@192.0.2.1", "not an e-mail address", id="number"),
        pytest.param("ann@[192.0.2.1]", "not an e-mail address", id="literal"),
        pytest.param(".ann@example.com", "not an e-mail address", id="leading dot"),
        pytest.param("ann.@example.com", "not an e-mail address", id="dot before the at"),
        pytest.param("a..n@example.com", "not an e-mail address", id="two dots"),
        pytest.param("ann@-example.com", "not an e-mail address", id="leading dash"),
        pytest.param("a" * 65 + "@example.com", "not an e-mail address", id="65 characters before the at"),
        pytest.param("a@" + "b." * 125 + "com", "not an e-mail address", id="255 characters"),
        pytest.param("Ann <ann@example.com>", "leave out the name", id="name"),
        pytest.param("a@b.com, c@d.com", "one row, one address", id="two, comma"),
        pytest.param("a@b.com;c@d.com", "one row, one address", id="two, semicolon"),
        pytest.param("ann@example.com\r\nRCPT TO:<x@example.com>", "line break", id="CRLF injection"),
        pytest.param("ann@example.com\n", "line break", id="line break at the end"),
        pytest.param("ann@example.com> SIZE=1", "not an e-mail address", id="parameter"),
        pytest.param('"a b"@example.com', "not an e-mail address", id="quoted local part"),
        pytest.param("änn@example.com", "SMTPUTF8", id="local part not ASCII"),
        pytest.param("ann@example.com\u200b", "U+200B", id="zero-width space"),
        pytest.param("\ufeffann@example.com", "U+FEFF", id="byte order mark"),
        pytest.param("ann@example.com\u00a0", "U+00A0", id="no-break space"),
        pytest.param("ann\u202e@example.com", "U+202E", id="text turned round"),
        pytest.param("ann@exam ple.com", "not an e-mail address", id="space inside"),
        pytest.param("ann@example.com.", "not an e-mail address", id="trailing dot"),
    ],
)
def test_addresses_that_are_refused_with_the_reason_and_without_the_address(raw: str, why: str) -> None:
    found = check(raw)
    assert isinstance(found, BadAddress)
    assert why in found.why
    assert "ann" not in found.why


def test_the_same_person_has_the_same_key_in_whatever_case_they_are_written() -> None:
    one, same, other = check("Ann@Example.COM"), check("ann@example.com"), check("anna@example.com")
    assert isinstance(one, Address)
    assert isinstance(same, Address)
    assert isinstance(other, Address)
    assert one.key == same.key != other.key


def test_a_key_stays_what_journals_of_before_hold() -> None:
    assert f"{recipient_key('ann@example.com'):016x}" == "c2b011ed0571909e"
    assert f"{recipient_key('Ann@Example.COM'):016x}" == "c2b011ed0571909e"


@given(st.text("ab.@-_+A1é<> ,\n", max_size=20))
def test_what_is_taken_is_one_address_and_taken_again_as_it_is(raw: str) -> None:
    found = check(raw)
    if isinstance(found, Address):
        assert found.text.isascii()
        assert found.text.count("@") == 1
        assert not set(" ,;<>\r\n") & set(found.text)
        assert check(found.text) == found


def test_addresses_in_texts_are_masked() -> None:
    assert mask("jane@example.com") == "j•••@example.com"
    assert mask_text("550 <jane.d@example.com>: no\x1b[2J") == "550 <j•••@example.com>: no [2J"
    for number in [*range(0x40), *range(0x41, 0x300), *range(0x2000, 0x2100), 0xFEFF]:  # the quick way round too
        control = number < 32 or 127 <= number < 160 or number in (0x2028, 0x2029)
        assert mask_text(f"ok {chr(number)}") == f"ok {' ' if control else chr(number)}"
    assert mask_text("a@example.com=b@example.com,c@d@x.com") == "a•••@example.com=b•••@example.com,c•••@d@x.com"
    # By the square of its length this word would take minutes, while the send waits.
    assert mask_text(f"{'x' * 300_000} jane@example.com").endswith("x j•••@example.com")
