"""From a row to a text message: the number, the alphabet, the segments, the account it goes by."""

from pathlib import Path

import pytest

from runner.campaign import metadata, phone
from runner.campaign.address import Address, BadAddress, mask
from runner.errors import Refused
from runner.message import gsm
from runner.message.mail import RowRefused
from runner.message.sms import SmsComposer, Text
from runner.message.template import TemplateError
from runner.settings import Sms, read_sms

TO = Address("+442079460123", 7)


def composer(template: str, **more: object) -> SmsComposer:
    parsed = metadata.parse(repr({"channel": "sms", **more}).replace("'", '"').encode())
    return SmsComposer("may", parsed, template, ["phone", "name"])


@pytest.mark.parametrize(
    "written",
    [
        "+442079460123",
        " +44 20 7946 0123",
        "+44 (20) 7946-0123",
        "+44.20.7946.0123",
        "+44\u00a020\u00a07946\u00a00123",
    ],
)
def test_given_a_number_however_written_then_it_is_the_same_person(written: str) -> None:
    found = phone.check(written)
    assert isinstance(found, Address)
    assert (found.text, found.key) == ("+442079460123", phone.number_key("+442079460123"))
    assert mask(found.text) == "+44•••123"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "empty"),
        ("020 7946 0123", "country code"),
        ("0044 20 7946 0123", "country code"),
        ("+44 (0)20 7946 0123", "(0)"),
        ("+0123456789", "not a phone number"),
        ("+123456", "not a phone number"),
        ("+1234567890123456", "not a phone number"),
        ("+44207946012\uff13", "not a phone number"),
        ("+442079460123\r\n", "not a phone number"),
        ("+442079460123, +442079460124", "more than a number"),
        ("+1 202 555 0143 x12", "more than a number"),
        ("ann@example.com", "country code"),
    ],
)
def test_given_what_is_no_number_then_it_says_why_without_it(written: str, why: str) -> None:
    found = phone.check(written)
    assert isinstance(found, BadAddress)
    assert why in found.why
    assert not written or written not in found.why


@pytest.mark.parametrize(
    ("text", "segments", "ucs2"),
    [
        ("a" * 160, 1, False),
        ("a" * 161, 2, False),
        ("a" * 306, 2, False),
        ("a" * 307, 3, False),
        ("€" * 80, 1, False),
        ("€" * 81, 2, False),
        ("€" * 153, 3, False),  # 76 to a segment: none is cut in two
        ("ж" * 70, 1, True),
        ("ж" * 71, 2, True),
        ("ж" * 134, 2, True),
        ("ж" * 135, 3, True),
        ("😀" * 35, 1, True),
        ("😀" * 36, 2, True),
        ("😀" * 67, 3, True),  # 33 to a segment
        ("a" * 159 + "’", 3, True),
    ],
)
def test_given_a_text_then_it_is_cut_as_networks_do(text: str, segments: int, ucs2: bool) -> None:
    encoded = gsm.encode(text)
    assert (len(encoded.parts), encoded.ucs2) == (segments, ucs2)
    for part in encoded.parts:
        assert len(part) <= (140 if ucs2 else 160)
        if ucs2:
            part.decode("utf-16-be")
        else:
            assert part[-1:] != b"\x1b"
    if ucs2:
        assert b"".join(encoded.parts).decode("utf-16-be") == text


def test_given_the_default_alphabet_then_all_of_it_takes_one_byte_and_nothing_else_is_in_it() -> None:
    aiosmpplib = pytest.importorskip("aiosmpplib")
    every = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    ours = {char for char in every if not gsm.outside(char)}
    assert ours == {char for char in every if aiosmpplib.GSM7BitCodec.is_gsm_text(char)}
    text = "".join(sorted(ours))
    assert b"".join(gsm.encode(text).parts) == aiosmpplib.GSM7BitCodec().encode(text)[0]


def test_given_a_row_then_the_text_is_what_the_phone_shows() -> None:
    made = composer("\r\n{{ name }} & Söhne,\r\n50 % off \r\n", **{"from": "The Shop"})
    text = made.compose(["+442079460123", "Zoe\u0301"], TO, 0.0)
    assert isinstance(text, Text)
    assert text.body == "Zoé & Söhne,\n50 % off"
    assert (text.sender, text.recipient, text.segments) == ("The Shop", "+442079460123", 1)
    assert text.ident == made.compose(["+442079460123", "another"], TO, 9.0).ident


@pytest.mark.parametrize(
    ("template", "name", "why"),
    [
        (" {{ name }} ", "", "the text is empty"),
        ("Hi {{ name }}", "\x1bq", "control character"),
        ("Hi {{ name }}", "a\tb", "tab"),
        ("Hi {{ name }}", "\ud800", "lone surrogate"),
        ("Hi {{ name }}", "x" * 320, "takes 3 segments, max_segments is 2"),
        ("Hi {{ name }}" + "x" * 150, "“”", "U+201C U+201D"),
        ("Hi {{ nmae }}", "Ann", "nmae"),
    ],
)
def test_given_a_row_that_makes_no_text_then_it_is_refused_with_the_reason(
    template: str, name: str, why: str
) -> None:
    with pytest.raises(RowRefused, match=why.replace("+", r"\+")):
        composer(template, max_segments=2).compose(["+442079460123", name], TO, 0.0)


def test_given_a_broken_template_then_there_is_no_composer() -> None:
    with pytest.raises(TemplateError):
        composer("{{ name")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"channel": "fax"}, "channel must be one of email, sms"),
        ({"max_segments": 11}, "max_segments"),
        ({"from": "Shop <news@example.com>"}, "from must be a number"),
        ({"from": "{{ name }}"}, "from must be a number"),
        ({"from": "TwelveLetter"}, "from must be a number"),
    ],
)
def test_given_metadata_that_no_text_message_can_have_then_it_is_refused(
    more: dict[str, object], problem: str
) -> None:
    with pytest.raises(metadata.MetadataError, match=problem):
        composer("x", **more)


GATEWAY = (
    "kind = twilio\nurl = https://api.example.test/M.json\naccount = AC1\nsecret = s3cret\nfrom = +12025550100\n"
)
CARRIER = "kind = smpp\nhost = smpp.example.test\nsystem_id = shop\npassword = pass\nfrom = The Shop\nbinds = 2\n"


def credentials(folder: Path, section: str, mode: int = 0o600) -> Path:
    path = folder / "credentials.conf"
    path.write_text(f"[sms]\n{section}")
    path.chmod(mode)
    return path


def test_given_a_credentials_file_then_the_account_is_read_and_its_secret_never_shown(tmp_path: Path) -> None:
    gateway = read_sms(credentials(tmp_path, GATEWAY))
    url = "https://api.example.test/M.json"
    assert gateway == Sms("twilio", "AC1", "s3cret", "+12025550100", url=url, tls="tls")
    assert "s3cret" not in repr(gateway)
    carrier = read_sms(credentials(tmp_path, CARRIER))
    assert (carrier.host, carrier.port, carrier.tls, carrier.binds) == ("smpp.example.test", 2775, "none", 2)


@pytest.mark.parametrize(
    ("section", "why"),
    [
        (GATEWAY.replace("https:", "http:"), "url in .sms. must be an https:// address"),
        (GATEWAY.replace("secret = s3cret\n", ""), "secret in .sms. is missing"),
        (GATEWAY.replace("+12025550100", "news@example.com"), "from in .sms. must be a number"),
        (GATEWAY.replace("twilio", "pigeon"), "kind in .sms. must be twilio or smpp"),
        (CARRIER.replace("pass\n", "ninechars\n"), "password in .sms. must have 1 to 8 characters"),
        (CARRIER + "port = 0\n", "port in .sms. must be a number"),
        (CARRIER + "tls = maybe\n", "tls in .sms. must be"),
    ],
)
def test_given_an_account_that_cannot_work_then_it_is_refused_without_its_content(
    tmp_path: Path, section: str, why: str
) -> None:
    with pytest.raises(Refused, match=why) as refused:
        read_sms(credentials(tmp_path, section))
    assert refused.value.code == 78
    assert "s3cret" not in str(refused.value)


def test_given_credentials_that_others_can_read_then_they_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="chmod 600"):
        read_sms(credentials(tmp_path, GATEWAY, mode=0o640))
