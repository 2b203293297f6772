"""A run in doubt: what the runner tells of it, and what it takes down when a person decides."""

import json
from pathlib import Path

import pytest

from runner.run import claim
from tests.runner.conftest import Ended, Host, wait_for
from tests.runner.test_resume import KEY, addresses, supervised, write_journal
from tests.support.smtp_peer import SmtpPeer

ANOTHER_BOOT = "00000000-0000-0000-0000-000000000000"


def in_doubt(host: Host, peer: SmtpPeer) -> None:
    """Six recipients: 1 accepted, 2 and 3 handed over without an answer, 4 claimed, 5 and 6 not begun."""
    host.campaign(addresses(6))
    host.server(peer)
    write_journal(
        host, "C 1 4", f"B 1 {KEY} 1 <1@example.com>", f"A 1 {KEY} 250 ok", f"B 2 {KEY} 2 <2@example.com>",
        f"B 3 {KEY} 1 <3@example.com>", f"U 3 {KEY} no answer after the message: SMTPServerDisconnected",
    )  # fmt: skip


def decide(host: Host, *args: str) -> Ended:
    return host.run("resolve", "--by", "ana", *args)


def test_given_a_broken_run_then_one_line_tells_a_machine_everything(host: Host, peer: SmtpPeer) -> None:
    in_doubt(host, peer)
    before = (host.runs / "1" / "journal").read_bytes()

    told = host.run("list-unknown", "--maillog", str(host.root / "no.log")).summary

    assert told["maillog"].endswith("no.log can't be read: No such file or directory")
    assert {**told, "maillog": "", "counts": {}} == {
        "v": 1,
        "summary": True,
        "mode": "list-unknown",
        "rc": 0,
        "run_id": "r1",
        "attempt": 1,
        "counts": {},
        "unsent": 3,
        "unknown_total": 2,
        "rows": [
            {
                "row": 2,
                "who": "u•••@example.com",
                "message_id": "<2@example.com>",
                "why": "handed over at attempt 2, no answer recorded",
                "maillog": "",
                "taken": False,
            },
            {
                "row": 3,
                "who": "u•••@example.com",
                "message_id": "<3@example.com>",
                "why": "handed over at attempt 1: no answer after the message: SMTPServerDisconnected",
                "maillog": "",
                "taken": False,
            },
        ],
        "maillog": "",
        "against": "",
    }
    assert (told["counts"]["total"], told["counts"]["accepted"], told["counts"]["unknown"]) == (6, 1, 2)
    assert (host.runs / "1" / "journal").read_bytes() == before, "a look changes nothing"
    assert peer.connections == 0


@pytest.mark.slow
def test_given_rows_claimed_before_a_restart_then_their_message_ids_are_those_the_mails_have(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(4), **{"from": "{{ first_name }} <news@{{ first_name }}.example.com>"})
    host.server(peer)
    write_journal(host, "C 1 4", boot=ANOTHER_BOOT)

    told = host.run("list-unknown").summary
    assert [row["why"].split(";")[0] for row in told["rows"]] == ["claimed before the machine restarted"] * 4
    assert decide(host, "--resend", "all").rc == 0
    assert host.run("resume").rc == 0

    sent = {line.split()[1]: line.split()[4] for line in host.journal() if line.startswith("B ")}
    assert {str(row["row"]): row["message_id"] for row in told["rows"]} == sent
    assert len(set(sent.values())) == 4


@pytest.mark.slow
def test_given_all_of_so_many_then_another_number_by_now_decides_nobody(host: Host, peer: SmtpPeer) -> None:
    in_doubt(host, peer)
    before = host.journal()
    for named in ("all=1", "all=3", "all=0"):
        refused = decide(host, "--sent", named)
        assert refused.rc == 65
        assert "2 recipients are unknown now" in refused.out
    assert host.journal() == before
    assert decide(host, "--sent", "all=2").rc == 0
    assert decide(host, "--sent", "all=2").rc == 65, "nobody is unknown any more"


def test_given_decisions_then_the_sent_count_as_accepted_and_only_the_others_are_sent_again(
    host: Host, peer: SmtpPeer
) -> None:
    in_doubt(host, peer)

    decided = decide(host, "--sent", "2", "--resend", "3")

    assert decided.rc == 0
    assert decided.summary["mode"] == "resolve"
    assert decided.summary["rows"] == []
    assert decided.summary["unsent"] == 4
    assert (decided.summary["counts"]["accepted"], decided.summary["counts"]["decided"]) == (2, 1)
    records = [line.split(" ") for line in host.journal() if line.startswith("R ")]
    assert [(r[1], r[3], r[5]) for r in records] == [("2", "sent", "ana"), ("3", "resend", "ana")]
    again = decide(host, "--sent", "2", "--resend", "3")
    assert again.rc == 0
    assert len([line for line in host.journal() if line.startswith("R ")]) == 2, "saying it twice changes nothing"

    resumed = host.run("resume")

    assert resumed.rc == 0
    assert peer.recipients() == {f"u{i}@example.com": 1 for i in (2, 3, 4, 5)}
    assert resumed.summary["counts"] | {"accepted": 6, "decided": 1} == resumed.summary["counts"]
    idle = host.run("resume")
    assert idle.rc == 0
    assert "Nothing was left to send" in idle.out
    assert sum(peer.recipients().values()) == 4


@pytest.mark.parametrize(
    ("args", "rc", "says"),
    [
        (["--sent", "1"], 65, "row 1: accepted by the mail server"),
        (["--resend", "2,4"], 65, "row 4: claimed and provably not handed over"),
        (["--resend", "5-6"], 65, "row 5: not handed over yet; row 6: not handed over yet"),
        (["--sent", "7"], 65, "there is no row 7: this run has 6"),
        (["--sent", "2", "--resend", "1-3"], 2, "row 2 is named as sent and to be sent again"),
        (["--sent", "all", "--resend", "all"], 2, "is named as sent and to be sent again"),
        (["--sent", "2;rm"], 2, "names no rows"),
        (["--sent", "3-2"], 2, "names no rows"),
        (["--sent", "1-6,1-6"], 2, "name each once"),
    ],
)
def test_given_rows_that_cannot_be_decided_then_nothing_is_written(
    host: Host, peer: SmtpPeer, args: list[str], rc: int, says: str
) -> None:
    in_doubt(host, peer)
    before = host.journal()
    refused = decide(host, *args)
    assert refused.rc == refused.summary["rc"] == rc
    assert says in refused.summary["error"]
    assert host.journal() == before


LOG = """\
May 11 10:00:01 blast postfix/cleanup[9]: 4AAAA: message-id=<2@example.com>
May 11 10:00:01 blast postfix/qmgr[9]: 4AAAA: from=<news@example.com>, size=900, nrcpt=1 (queue active)
May 11 10:00:01 blast postfix/cleanup[9]: 4BBBB: message-id=<3@example.com>
"""


def test_given_a_mail_log_then_only_what_it_proves_is_taken_for_sent(host: Host, peer: SmtpPeer) -> None:
    """Of row 3 the mail server had read the header: that it took the mail over is not said."""
    in_doubt(host, peer)
    log = host.root / "mail.log"
    log.write_text(LOG)

    decided = decide(host, "--from-maillog", "all=2", "--maillog", str(log))

    assert decided.rc == 0, decided.err
    assert "1 recipients settled as sent, by the mail log; the others stay as they are" in decided.out
    assert decided.summary["settled"] == 1
    (left,) = decided.summary["rows"]
    assert (left["row"], left["taken"]) == (3, False)
    assert left["maillog"] == "begun at the mail server as 4BBBB, no word that it was taken"
    (record,) = [line for line in host.journal() if line.startswith("R ")]
    assert record.startswith("R 2 ")
    assert record.endswith(" ana, by the mail log: 4AAAA")
    assert decide(host, "--resend", "3").rc == 0
    assert host.run("resume").rc == 0
    assert peer.recipients() == {f"u{i}@example.com": 1 for i in (2, 3, 4, 5)}


@pytest.mark.slow
def test_given_no_proof_then_the_mail_log_settles_nobody(host: Host, peer: SmtpPeer) -> None:
    in_doubt(host, peer)
    log = host.root / "mail.log"
    before = host.journal()
    unread = decide(host, "--from-maillog", "all", "--maillog", str(log))
    assert unread.rc == 65
    assert "can't be read: No such file or directory. Nothing was written" in unread.err
    log.write_text(LOG.replace("qmgr", "smtpd"))
    assert decide(host, "--from-maillog", "all", "--maillog", str(log)).summary["settled"] == 0
    assert decide(host, "--from-maillog", "all=3", "--maillog", str(log)).rc == 65
    assert "row 5: not handed over yet" in decide(host, "--from-maillog", "5", "--maillog", str(log)).err
    assert decide(host, "--from-maillog", "all", "--sent", "3").rc == 2
    assert host.journal() == before


@pytest.mark.slow
def test_given_a_row_sent_a_second_time_then_the_log_of_the_first_proves_nothing(
    host: Host, peer: SmtpPeer
) -> None:
    in_doubt(host, peer)
    assert decide(host, "--resend", "2").rc == 0
    with (host.runs / "1" / "journal").open("a") as book:
        book.write(f"C 2 2\nB 2 {KEY} 1 <2@example.com>\n")
    log = host.root / "mail.log"
    log.write_text(LOG)
    decided = decide(host, "--from-maillog", "2", "--maillog", str(log))
    assert decided.summary["settled"] == 0
    assert [(row["row"], row["taken"]) for row in decided.summary["rows"]] == [(2, False), (3, False)]


@pytest.mark.slow
def test_given_a_decision_was_made_then_it_is_not_turned_round(host: Host, peer: SmtpPeer) -> None:
    in_doubt(host, peer)
    assert decide(host, "--sent", "all").rc == 0
    turned = decide(host, "--resend", "2")
    assert turned.rc == 65
    assert "row 2: decided already: sent" in turned.summary["error"]


@pytest.mark.slow
def test_given_a_run_is_going_then_nothing_can_be_decided_and_the_look_says_so(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(40))
    host.server(peer)
    peer.delay = 30
    process = host.start("send", "--connections", "3")
    wait_for(lambda: (host.runs / "1" / "journal").exists() and sum(x[0] == "B" for x in host.journal()) == 3)

    refused = decide(host, "--sent", "all")
    looked = host.run("list-unknown").summary

    assert refused.rc == 75
    assert looked["against"].startswith("a run is going")
    process.kill()
    host.ended(process)
    assert host.run("list-unknown").summary["against"] == ""
    assert decide(host, "--sent", "all").summary["counts"]["decided"] == 3


@pytest.mark.slow
def test_given_a_torn_or_damaged_journal_then_a_decision_mends_the_one_and_refuses_the_other(
    host: Host, peer: SmtpPeer
) -> None:
    in_doubt(host, peer)
    journal = host.runs / "1" / "journal"
    with journal.open("a") as file:
        file.write(f"R 2 {KEY} res")
    assert decide(host, "--sent", "2").rc == 0
    assert host.journal()[-1].startswith(f"R 2 {KEY} sent ")
    with journal.open("a") as file:
        file.write(f"R 1 {KEY} resend now ana\n")
    for refused in (decide(host, "--sent", "3"), host.run("resume"), host.run("list-unknown")):
        assert refused.rc == 70
        assert "is damaged" in refused.summary["error"]
    assert peer.connections == 0


@pytest.mark.slow
def test_given_changed_files_a_hold_or_a_release_then_the_look_says_what_is_in_the_way(
    host: Host, peer: SmtpPeer
) -> None:
    in_doubt(host, peer)
    html = (host.folder / "blast_template.html").read_text()
    (host.folder / "blast_template.html").write_text(html + "!")
    changed = host.run("list-unknown").summary
    assert "template was " in changed["against"]
    assert "put the former files back" in changed["against"]
    assert changed["rows"][0]["who"] == "u•••@example.com"
    assert host.run("resume").rc == 65

    (host.folder / "blast_template.html").write_text(html)
    (host.folder / "blast_data.csv").write_text("email,first_name\nother@example.com,Bo\n")
    other = host.run("list-unknown").summary
    assert "data was " in other["against"]
    assert other["rows"][0]["who"] == f"recipient {KEY}"
    assert other["unsent"] == 3
    host.campaign(addresses(6))

    hold = host.root / "state" / "holds" / "ALL"
    hold.parent.mkdir()
    hold.symlink_to("nowhere")
    assert "everything is held" in host.run("list-unknown").summary["against"]
    assert host.run("resume").rc == 77
    hold.unlink()
    (host.runs / "1" / "released").touch()
    assert host.run("list-unknown").summary["against"] == "this attempt was given back"
    assert host.run("resume").rc == decide(host, "--sent", "2").rc == 75
    assert peer.connections == 0


@pytest.mark.slow
def test_given_nothing_was_begun_then_everybody_is_unsent(host: Host, peer: SmtpPeer) -> None:
    host.campaign([*addresses(5), "u1@example.com"])
    host.server(peer)
    env = supervised(host)
    told = host.run("list-unknown", **env).summary
    assert (told["unsent"], told["unknown_total"], told["run_id"]) == (5, 0, "c0ffee")
    assert told["maillog"] == "not looked at: no recipient is unknown"
    assert decide(host, "--sent", "all").rc == 65
    assert host.run("resume", **env).rc == 0
    assert peer.recipients() == dict.fromkeys(addresses(5), 1)


@pytest.mark.slow
def test_given_an_explicit_attempt_then_that_one_is_told_and_decided(host: Host, peer: SmtpPeer) -> None:
    in_doubt(host, peer)
    env = {"MAIL_BLAST_RUN_DIR": str(host.runs / "1"), "MAIL_BLAST_RUN_ID": "r1"}
    (host.runs / "2").mkdir()
    (host.runs / "2" / "claim.json").write_text(json.dumps({"run_id": "r2"}))
    assert host.run("list-unknown").summary["run_id"] == "r2"
    assert host.run("list-unknown", **env).unknown == [2, 3]
    assert host.run("resolve", "--sent", "2", "--by", "ana", **env).unknown == [3]
    other = host.run("resolve", "--sent", "3", "--by", "ana", **(env | {"MAIL_BLAST_RUN_ID": "r2"}))
    assert other.rc == 75


@pytest.mark.slow
def test_given_a_plan_then_a_resume_of_a_supervisor_goes_on_with_what_it_names(host: Host, peer: SmtpPeer) -> None:
    in_doubt(host, peer)
    rehearsed = host.run("dry-run").summary
    folder = host.runs / "1"
    plan = {"slug": "may", "digests": rehearsed["digests"], "audience": 6}
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "finished.1").write_text("{}")
    env = {"MAIL_BLAST_RUN_DIR": str(folder), "MAIL_BLAST_RUN_ID": "r1"}
    assert host.run("list-unknown", **env).summary["against"] == ""
    resumed = host.run("resume", **env)
    assert resumed.rc == 1
    assert peer.recipients() == {f"u{i}@example.com": 1 for i in (3, 4, 5)}
    (folder / "plan.json").write_text(json.dumps(plan | {"digests": rehearsed["digests"] | {"metadata": "0"}}))
    assert "plan is stale: metadata was 0" in host.run("list-unknown", **env).summary["against"]
    assert host.run("resume", **env).rc == 65


@pytest.mark.slow
def test_given_a_hold_placed_while_the_rows_are_looked_at_then_it_counts(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(20_000))
    host.server(peer)
    process = host.start("send", MAIL_BLAST_CREDENTIALS=str(host.credentials))
    assert process.stdout is not None
    assert b'"starting"' in process.stdout.readline()
    hold = host.root / "state" / "holds" / "may"
    hold.parent.mkdir(parents=True, exist_ok=True)
    hold.touch()
    assert host.ended(process).rc == 77
    assert peer.connections == 0
    assert not (host.runs / "1").exists()


@pytest.mark.slow
def test_given_a_cancelled_run_then_resume_sends_exactly_the_rest(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(200))
    host.server(peer)
    peer.delay = 0.05
    process = host.start("send", "--connections", "4")
    wait_for(lambda: len(peer.delivered) > 10)
    host.say("cancel")
    assert host.ended(process).rc == 143
    left = 200 - len(peer.delivered)

    assert host.run("list-unknown").summary["unsent"] == left
    peer.delay = 0
    assert host.run("resume").rc == 0
    assert peer.recipients() == dict.fromkeys(addresses(200), 1)


def test_an_owner_is_alive_only_by_its_pid_its_start_and_this_boot(tmp_path: Path) -> None:
    assert not claim.alive(tmp_path)
    run = claim.RunDir(tmp_path, "r1", 1, supervised=False)
    from datetime import UTC, datetime

    claim.record_start(run, datetime.now(UTC))
    assert claim.alive(tmp_path)
    pid, ticks, boot = (tmp_path / "owner").read_text().split()
    for other in (f"{pid} {int(ticks) + 1} {boot}", f"{pid} {ticks} {ANOTHER_BOOT}", "x", f"-1 {ticks} {boot}"):
        (tmp_path / "owner").write_text(other)
        assert not claim.alive(tmp_path)
