"""What a rehearsal tells beside its counts: who is left out, how large messages are, what the mail server says."""

import stat
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import pytest

from runner.channel import probe
from runner.dryrun import rehearse
from runner.errors import Refused
from runner.settings import Settings, Smtp
from tests.runner.conftest import Host
from tests.support.smtp_peer import SmtpPeer

MANY = [f"r{number}@example.com" for number in range(1, 8)]


def rehearsed(host: Host, **more: Any) -> tuple[str, dict[str, Any]]:
    """What is said to people, and the summary."""
    settings = Settings(
        slug="may",
        mode="dry-run",
        campaigns_dir=host.root / "campaigns",
        log_dir=host.root / "log",
        state_dir=host.root / "state" / "runs",
        credentials=host.credentials,
        **more,
    )
    lines, summary = rehearse(settings, tick=lambda row: None, now=datetime.now(UTC))
    return "\n".join(lines), summary


def test_given_a_suppression_list_then_its_people_are_counted_apart_and_not_rendered(host: Host) -> None:
    host.campaign([*MANY, "r2@EXAMPLE.com"])
    (host.folder / "blast_suppressed.txt").write_text("# asked us to stop\nr2@example.com\nR5@Example.com\n")
    said, told = rehearsed(host)
    assert told["rc"] == 0
    assert (told["rows"], told["audience"], told["suppressed"], told["duplicates"]) == (8, 5, 3, 0)
    assert told["rendered"] == 5
    assert "3 suppressed rows" in said


def test_a_key_that_looks_misspelt_is_named_and_others_are_left_alone(host: Host) -> None:
    host.campaign(MANY[:1], max_rte=5, approval={}, subject_b="another", windows=7)
    said, told = rehearsed(host)
    assert told["rc"] == 0
    assert "blast_metadata.json says 'max_rte', which does nothing; perhaps max_rate is meant" in said
    assert "'windows'" in said
    assert said.count("does nothing") == 2


def test_given_a_suppression_list_that_cannot_be_read_then_nobody_is_rehearsed(host: Host) -> None:
    host.campaign(MANY)
    (host.folder / "blast_suppressed.txt").write_text("r2 at example.com\n")
    with pytest.raises(Refused, match=r"blast_suppressed\.txt line 1") as refused:
        rehearsed(host)
    assert "r2" not in str(refused.value)


def test_refusals_are_counted_by_kind(host: Host) -> None:
    rows = 'ann@example.com,Ann\nbo,Bo\ncy@example.com\ndi@example.com,"D\ni"\n\nann,A\n'
    host.campaign(csv=f"email,first_name\n{rows}".encode())
    told = rehearsed(host)[1]
    assert told["refused_kinds"] == {"address": 2, "table": 1, "header": 1}
    assert told["refused_total"] == 4
    assert [(row["row"], row["kind"]) for row in told["refused"]] == [
        (2, "address"),
        (3, "table"),
        (4, "header"),
        (5, "address"),
    ]


def test_sizes_are_of_the_bytes_on_the_wire_and_name_the_largest(host: Host) -> None:
    names = ["A", "B", "C" * 900]
    rows = "".join(f"r{number}@example.com,{name}\n" for number, name in enumerate(names))
    host.campaign(csv=f"email,first_name\n{rows}".encode(), subject="News")
    told = rehearsed(host)[1]
    assert told["bytes_median"] < told["bytes_max"]
    assert told["bytes_max_row"] == 3
    assert told["bytes_total"] == 2 * told["bytes_median"] + told["bytes_max"]


def test_more_messages_are_shown_and_saved_whole_only_when_asked(host: Host) -> None:
    host.campaign(MANY, html="<p>Dear {{ first_name }}, you are {{ email }}</p>\n.dot\n")
    folder = host.root / "look"
    told = rehearsed(host, show=3, save_to=folder)[1]
    shown = told["samples"]
    assert [sample["subject"] for sample in shown] == ["For Ann1", "For Ann2", "For Ann3"]
    assert "r2@example.com" not in str(told)
    assert "r•••@example.com" in shown[1]["text"]
    saved = sorted(folder.iterdir())
    assert [path.name for path in saved] == ["1.eml", "2.eml", "3.eml"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *saved)} == {0o700, 0o600}
    mail = message_from_bytes(saved[1].read_bytes(), policy=policy.default)
    assert mail["To"] == "r2@example.com"
    assert ".dot" in mail.get_body(("html",)).get_content().splitlines()

    with pytest.raises(Refused, match="name a new folder"):
        rehearsed(host, save_to=folder)


def test_a_probe_logs_in_and_hands_nothing_over(host: Host) -> None:
    server = SmtpPeer(login=("mara", "s3cret"))
    try:
        host.campaign(MANY)
        host.server(server, "username = mara\npassword = s3cret\n")
        assert rehearsed(host)[1]["probe"] is None
        assert server.connections == 0
        ended = host.run("dry-run", "--probe", "--show", "0")
    finally:
        server.stop()
    assert ended.rc == 0, ended.out
    assert ended.summary["samples"] == []
    told = ended.summary["probe"]
    assert (told["account"], told["tls"], told["trouble"]) == ("mara", "none", None)
    assert told["size"] > 0
    assert server.connections == 1
    assert server.mails == 0
    assert "s3cret" not in ended.out + ended.err
    assert "logged in as mara" in ended.out


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_probe_that_is_refused_fails_the_rehearsal_with_the_reason(host: Host, password: str | None) -> None:
    server = SmtpPeer(login=("mara", "s3cret"))
    host.campaign(MANY)
    host.server(server, f"username = mara\npassword = {password}\n")
    if password is None:
        server.stop()
    try:
        said, told = rehearsed(host, probe=True)
    finally:
        server.stop()
    assert told["rc"] == 1
    assert told["audience"] == 7, "the rows were looked at all the same"
    assert ("refused the login" if password else "127.0.0.1") in told["probe"]["trouble"]
    assert "can't be used" in said


def test_a_probe_without_credentials_is_refused_before_the_rows(host: Host) -> None:
    host.campaign(MANY)
    with pytest.raises(Refused) as refused:
        rehearsed(host, probe=True)
    assert refused.value.code == 78


def test_a_server_that_takes_smaller_messages_fails_the_rehearsal_and_the_row_is_named(
    host: Host, peer: SmtpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def small(smtp: Smtp) -> dict[str, Any]:
        return {**await real(smtp), "size": 100}

    real = probe.probe
    monkeypatch.setattr(probe, "probe", small)
    host.campaign(MANY)
    host.server(peer)
    said, told = rehearsed(host, probe=True)
    assert told["rc"] == 1
    assert "the message of row 1 has " in said
    assert "the mail server takes 100" in said
