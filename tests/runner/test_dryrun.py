"""The rehearsal: everything but the wire."""

import json

import pytest

from runner import cli
from tests.runner.conftest import HTML, Host
from tests.support.smtp_peer import SmtpPeer


def test_given_a_good_campaign_then_it_counts_shows_a_sample_and_contacts_nobody(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(["ann@example.com", "bo@example.com", "ann@EXAMPLE.com"], csv=None)
    host.server(peer)
    ended = host.run("dry-run")
    assert ended.rc == 0, ended.err
    found = ended.summary
    assert (found["audience"], found["rows"], found["duplicates"], found["refused_total"]) == (2, 3, 1, 0)
    assert "2 recipients counted" in ended.out
    assert "0 rows refused" in ended.out
    assert found["sample"]["to"] == "a•••@example.com"
    assert found["sample"]["subject"] == "For Ann1"
    assert found["sample"]["text"].startswith("Dear Ann1,")
    assert found["bytes_max"] >= found["bytes_median"] > 500
    assert found["digests"]["text"] is None
    assert peer.connections == 0
    assert not (host.root / "state").exists(), "no claim, no state"
    assert not host.log.exists()


def test_given_a_misspelt_variable_then_file_line_row_and_the_likely_column_are_named(host: Host) -> None:
    host.campaign(["ann@example.com"], html="<p>one</p>\n<p>{{ frist_name }}</p>")
    ended = host.run("dry-run")
    assert ended.rc == 1
    refused = ended.summary["refused"][0]
    assert refused["row"] == 1
    assert refused["column"] == "frist_name"
    assert refused["why"] == "blast_template.html line 2: 'frist_name' is undefined; did you mean first_name?"


def test_given_a_misspelt_variable_then_a_send_is_refused_before_anything(host: Host, peer: SmtpPeer) -> None:
    host.campaign(["ann@example.com"], html="{{ frist_name }}")
    host.server(peer)
    ended = host.run("send")
    assert ended.rc == 65
    assert "did you mean first_name?" in ended.err
    assert peer.connections == 0
    assert not (host.runs / "1").exists()


@pytest.mark.slow
def test_given_a_line_break_in_a_name_then_that_recipient_is_refused_as_header(host: Host, peer: SmtpPeer) -> None:
    bad = b'email,first_name\nann@example.com,"Ann\r\nBcc: all@example.com"\nbo@example.com,Bo\n'
    host.campaign(csv=bad)
    host.server(peer)
    rehearsed = host.run("dry-run")
    assert rehearsed.rc == 1
    assert rehearsed.summary["refused"] == [
        {
            "row": 1,
            "column": "subject",
            "kind": "header",
            "why": "subject has a line break or control character in it",
        }
    ]
    sent = host.run("send")
    assert sent.rc == 1
    assert peer.recipients() == {"bo@example.com": 1}
    assert any(line.startswith("F 1 ") and "header:" in line for line in host.journal())


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("{{ 'a' | center(3000000000) }}", "cut off"),
        ("{{ 9 ** 9 ** 9 }}", "not allowed"),
        ("{{ first_name.__class__ }}", "unsafe"),
        ("{% include '/etc/passwd' %}", "fails with"),
        ("{% if %}", "line 1"),
    ],
)
def test_given_a_hostile_or_broken_template_then_it_is_cut_off_with_the_reason(
    host: Host, html: str, said: str
) -> None:
    host.campaign(["ann@example.com"], html=html)
    ended = host.run("dry-run")
    assert ended.rc == 1
    assert said in ended.summary["refused"][0]["why"]


@pytest.mark.slow
def test_given_missing_or_malformed_files_then_the_file_and_the_fault_are_named(host: Host) -> None:
    host.campaign(["ann@example.com"])
    (host.folder / "blast_metadata.json").write_text('{"subject": "x",\n "from": }')
    assert "blast_metadata.json line 2" in host.run("dry-run").err
    host.campaign(["ann@example.com"])
    (host.folder / "blast_template.html").unlink()
    ended = host.run("dry-run")
    assert ended.rc == 65
    assert "blast_template.html can't be read" in ended.err
    assert ended.summary["rc"] == 65


def test_given_a_table_without_recipients_then_that_is_said(host: Host) -> None:
    host.campaign([])
    ended = host.run("dry-run")
    assert ended.rc == 1
    assert "no recipient" in ended.summary["refused"][0]["why"]


def test_given_a_text_template_then_it_is_the_text_part_unescaped(host: Host) -> None:
    host.campaign(csv=b"email,first_name\nann@example.com,Ann & Bo\n", html=HTML, text="Hi {{ first_name }}!\n")
    ended = host.run("dry-run")
    assert ended.summary["sample"]["text"] == "Hi Ann & Bo!\n"
    assert len(ended.summary["digests"]["text"]) == 64


def test_capabilities_are_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--capabilities"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["runner"] == "opsconsole"
    assert said["modes"] == ["dry-run", "send", "resume", "list-unknown", "reconcile", "resolve"]


def test_a_slug_outside_the_grammar_is_refused(host: Host) -> None:
    host.campaign(["ann@example.com"])
    process = host.start("dry-run", "--campaign", "../may")
    assert host.ended(process).rc == 65
