"""What the host's administrator allows in the credentials file, and what a campaign asks for besides."""

import argparse
import json
from pathlib import Path

import pytest

from runner.campaign import metadata
from runner.cli import parser
from runner.errors import CONFIG, Refused
from runner.policy.limits import Limits
from runner.settings import Settings, Smtp, from_args, read_credentials, read_sms, suppression_list

SMTP = "[smtp]\nhost = smtp.example.com\nusername = blast\npassword = hunter2\n"
ALL = """
[limits]
rate = 50
burst = 10
connections = 8
per_connection = 100
warmup = 500, 1000, 2000
domain.Example.com = 5
domain.* = 20
"""
PLAIN = {"subject": "May", "from": "news@example.com"}


def credentials(folder: Path, text: str) -> Path:
    path = folder / "credentials.conf"
    path.write_text(text)
    path.chmod(0o600)
    return path


def read(folder: Path, text: str) -> Smtp:
    return read_credentials(credentials(folder, SMTP + text))


def test_limits_are_the_accounts(tmp_path: Path) -> None:
    limits = read(tmp_path, ALL).limits
    assert limits == Limits(50.0, 10, 8, 100, (500, 1000, 2000), {"example.com": 5.0, "*": 20.0})


def test_without_the_section_there_are_none(tmp_path: Path) -> None:
    found = read(tmp_path, "")
    assert found.limits == Limits()
    assert found.fallback is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rat = 50", "key 1 isn't known; known are rate, burst"),
        ("rate = fast", "rate must be a number"),
        ("rate = 0", "rate must be a number"),
        ("rate = nan", "rate must be a number"),
        ("burst = 1.5", "burst must be a whole number"),
        ("connections = -1", "connections must be a whole number"),
        ("per_connection =", "per_connection must be a whole number"),
        ("warmup = 500, many", "warmup must be messages a day"),
        ("warmup = 500,,7", "warmup must be messages a day"),
        ("domain.example.com = 0", "key 1 must be a number"),
        ("domain.hunter2 = 5", "key 1 names no domain"),
        ("domain.exämple.com = 5", "key 1 names no domain"),
    ],
)
def test_what_is_wrong_is_refused_in_words_that_repeat_none_of_it(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(Refused, match=r"in \[limits\] ") as refused:
        read(tmp_path, f"[limits]\n{line}\n")
    assert refused.value.code == CONFIG
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_fallback_account_has_limits_of_its_own(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "[notify]\nto = ops@example.com\n[smtp-fallback]\nhost = other.example.com\nport = 2525\ntls = tls\n"
        "username = second\npassword = hunter3\n[limits-fallback]\nrate = 7\n" + ALL,
    )
    other = found.fallback
    assert other is not None
    assert (other.host, other.port, other.tls, other.username) == ("other.example.com", 2525, "tls", "second")
    assert (other.limits.rate, found.limits.rate) == (7, 50)
    assert other.ident != found.ident
    assert "hunter" not in repr(found)


@pytest.mark.parametrize(
    "line", ["hots = other.example.com", "host =", "host = x\ntls = yes", "host = x\nport = 0"]
)
def test_a_wrong_fallback_is_refused_before_it_is_needed(tmp_path: Path, line: str) -> None:
    with pytest.raises(Refused, match=r"\[smtp-fallback\]"):
        read(tmp_path, f"[smtp-fallback]\n{line}\n")


def test_an_account_is_the_same_for_each_campaign_and_tells_nothing(tmp_path: Path) -> None:
    one, again = read(tmp_path, ""), read(tmp_path, ALL)
    assert one.ident == again.ident
    assert "blast" not in one.ident


def test_text_messages_have_limits_of_their_own(tmp_path: Path) -> None:
    gateway = "[sms]\nkind = twilio\nurl = https://gateway.example.com/\naccount = shop\nsecret = s\n"
    found = read_sms(credentials(tmp_path, gateway + "[limits-sms]\nrate = 3\n" + ALL))
    assert found.limits.rate == 3


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("warmup", [500, 0], "warmup must be messages a day"),
        ("warmup", [], "warmup must be messages a day"),
        ("warmup", [True], "warmup must be messages a day"),
        ("domain_rates", {"example.com": "fast"}, "domain_rates must be a number"),
        ("domain_rates", {"ann@example.com": 5}, "domain_rates names no domain"),
        ("domain_rates", [5], "domain_rates must be an object"),
        ("priority", "urgent", "priority must be one of high, normal, low"),
        ("priority", ["high"], "priority must be one of high, normal, low"),
    ],
)
def test_metadata_that_is_wrong_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(metadata.MetadataError, match=words):
        metadata.parse(json.dumps({**PLAIN, key: value}).encode())


def test_a_campaigns_own_paces() -> None:
    found = metadata.parse(
        json.dumps({**PLAIN, "warmup": [5, 10], "domain_rates": {"Example.com": 5}, "priority": "high"}).encode()
    )
    assert (found.warmup, found.domain_rates, found.priority) == ((5, 10), {"example.com": 5.0}, "high")
    usual = metadata.parse(json.dumps(PLAIN).encode())
    assert (usual.warmup, usual.domain_rates, usual.priority) == ((), {}, "normal")


def settings(folder: Path, **env: str) -> Settings:
    args: argparse.Namespace = parser().parse_args(["--campaign", "may", "--mode", "send"])
    return from_args(args, {"MAIL_BLAST_CREDENTIALS": str(folder / "credentials.conf"), **env})


def test_the_hosts_suppression_list_is_named_by_the_environment_or_the_credentials(tmp_path: Path) -> None:
    assert suppression_list(settings(tmp_path)) is None
    credentials(tmp_path, SMTP)
    assert suppression_list(settings(tmp_path)) is None
    credentials(tmp_path, SMTP + "[suppression]\nfile = /srv/suppressed.txt\n")
    assert suppression_list(settings(tmp_path)) == Path("/srv/suppressed.txt")
    named = settings(tmp_path, MAIL_BLAST_SUPPRESSED="/srv/other.txt")
    assert suppression_list(named) == Path("/srv/other.txt")


def test_the_examples_in_the_documentation_are_taken_as_they_stand(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "runner.md").read_text()
    path = credentials(tmp_path, text.split("```ini\n")[1].split("```")[0])
    found = read_credentials(path)
    assert found.fallback is not None
    assert found.limits == Limits(50.0, 10, 8, 100, (500, 1000, 2000), {"example.com": 5.0, "*": 20.0})
    assert suppression_list(settings(tmp_path)) == Path("/etc/mail/suppressed.txt")
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    told = metadata.parse(json.dumps({**PLAIN, **example}).encode())
    assert told.priority == "high"
    assert told.window is not None
    assert all(f"| `{key}`" in text for key in example if key != "timezone")


@pytest.mark.parametrize("section", ["file = here.txt", "files = /srv/x", "file = /srv/x\nmore = 1", ""])
def test_a_list_that_is_named_wrongly_is_refused(tmp_path: Path, section: str) -> None:
    credentials(tmp_path, SMTP + f"[suppression]\n{section}\n")
    with pytest.raises(Refused, match=r"\[suppression\] must hold file"):
        suppression_list(settings(tmp_path))
