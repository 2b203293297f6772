"""The mail server's log, as Postfix writes it and as somebody hostile would like it to be read."""

import gzip
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from runner.record import maillog
from runner.record.maillog import look

ID = "<0123456789abcdef@example.com>"
OTHER = "<fedcba9876543210@example.com>"


def line(daemon: str, text: str) -> str:
    return f"May 11 10:00:01 blast postfix/{daemon}[4711]: {text}\n"


def log(tmp_path: Path, *lines: str, name: str = "mail.log") -> Path:
    path = tmp_path / name
    path.write_text("".join(lines), errors="surrogateescape")
    return path


BEGUN = line("cleanup", f"4ABCDE: message-id={ID}")
TAKEN = line("qmgr", "4ABCDE: from=<news@example.com>, size=9000, nrcpt=1 (queue active)")
SENT = line(
    "smtp",
    "4ABCDE: to=<u1@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=2.0.0, "
    "status=sent (250 2.0.0 Ok: queued for u1@example.com)",
)
DEFERRED = SENT.replace("dsn=2.0.0, status=sent (250 2.0.0 Ok", "dsn=4.2.0, status=deferred (450 4.2.0 later")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], ""),
        ([BEGUN], "begun at the mail server as 4ABCDE, no word that it was taken"),
        ([BEGUN, TAKEN], "taken by the mail server as 4ABCDE, no delivery logged yet"),
        (
            [BEGUN, TAKEN, DEFERRED, SENT],
            "server as 4ABCDE, status sent, dsn 2.0.0 (250 2.0.0 Ok: queued for u•••@example.com)",
        ),
        ([BEGUN, SENT.replace("postfix/smtp", "postfix-out/lmtp")], "4ABCDE, status sent"),
        ([BEGUN, TAKEN, DEFERRED], "4ABCDE, status deferred, dsn 4.2.0"),
        ([BEGUN, TAKEN, SENT.replace("2.0.0, status=sent", "5.1.1, status=bounced")], "status bounced, dsn 5.1.1"),
        ([line("cleanup", f"4ABCDE: message-id={OTHER}"), TAKEN, SENT], ""),
        ([TAKEN, SENT, BEGUN], "no word that it was taken"),  # that was the mail before, under the same queue id
        ([BEGUN, TAKEN, line("qmgr", "4ABCDE: removed"), SENT], "no delivery logged yet"),
        ([BEGUN, line("cleanup", f"4ABCDE: message-id={OTHER}"), TAKEN, SENT], "no word that it was taken"),
        (
            [BEGUN, TAKEN, SENT, BEGUN.replace("4ABCDE", "5FFFFF"), SENT.replace("4ABCDE", "5FFFFF")],
            "; taken by the mail server as 5FFFFF, status sent",
        ),
        ([BEGUN.replace("May 11 10:00:01", "2026-05-11T10:00:01.123456+02:00")], "begun at the mail server"),
    ],
)
def test_what_is_read_of_one_mail(tmp_path: Path, lines: list[str], says: str) -> None:
    found = look([log(tmp_path, *lines)], [ID]).about(ID)
    assert says in found
    assert bool(says) == bool(found)


@pytest.mark.parametrize(
    "hostile",
    [
        line("smtp", f"9Z9Z9Z: to=<x@example.com>, status=bounced (postfix/cleanup[1]: 4ABCDE: message-id={ID})"),
        line("smtp", f"9Z9Z9Z: host said May 11 10:00:01 blast postfix/cleanup[1]: 4ABCDE: message-id={ID}"),
        "May 11 10:00:01 blast sshd[1]: Invalid user " + BEGUN,
        line("cleanup", f"4ABCDE: warning: header Subject: message-id={ID}"),
        line("cleanup", f"4ABCDE: message-id={ID[:-1]}"),
        line("smtpd", f"4ABCDE: message-id={ID}"),
    ],
)  # fmt: skip
def test_words_of_others_are_no_record_of_the_mail_server(tmp_path: Path, hostile: str) -> None:
    assert look([log(tmp_path, hostile, TAKEN, SENT)], [ID]).about(ID) == ""


def test_a_reply_that_says_sent_does_not_make_a_bounce_a_delivery(tmp_path: Path) -> None:
    forged = SENT.replace(
        "dsn=2.0.0, status=sent (250", "dsn=5.0.0, status=bounced (550 dsn=2.0.0, status=sent (250"
    )
    assert "status bounced, dsn 5.0.0" in look([log(tmp_path, BEGUN, TAKEN, forged)], [ID]).about(ID)


def test_rotated_and_packed_logs_are_read_oldest_first(tmp_path: Path) -> None:
    newest = log(tmp_path, SENT)
    middle = log(tmp_path, TAKEN, DEFERRED, name="mail.log.1")
    oldest = tmp_path / "mail.log.2.gz"
    oldest.write_bytes(gzip.compress(BEGUN.encode()))
    for age, path in enumerate((newest, middle, oldest)):
        os.utime(path, (1000 - age, 1000 - age))

    found = look([newest, middle, oldest], [ID])

    assert "status sent" in found.about(ID)
    assert found.where.startswith(f"{oldest}: 1 lines read, the first of May 11 10:00:01; {middle}: 2 lines")


def test_what_cannot_be_read_is_said_and_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(BEGUN.encode() * 400)[:-9])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = look([torn, pipe, tmp_path, tmp_path / "gone", log(tmp_path, BEGUN, TAKEN)], [ID])
    assert "taken by the mail server" in found.about(ID)
    for said in (
        "torn.gz can't be read",
        "pipe can't be read: it is not a file",
        "gone can't be read: No such file",
    ):
        assert said in found.where
    monkeypatch.setattr(maillog, "PLACES", (tmp_path / "gone", tmp_path / "gone too"))
    nothing = look([], [ID])
    assert nothing.where.startswith("no mail log was read: there is no ")
    assert not nothing.read
    monkeypatch.setattr(maillog, "PLACES", (tmp_path / "gone", tmp_path / "mail.log"))
    assert "taken" in look([], [ID]).about(ID)


def test_any_bytes_are_read_in_bounded_memory(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "mail.log"
    with path.open("wb") as file:
        for _ in range(300):
            file.write(chance.randbytes(chance.randrange(2000)))
            file.write((BEGUN + SENT).encode()[: chance.randrange(300)])
        file.write(b"\n" + BEGUN.encode())
        file.write(b"x" * (40 << 20))  # one line, as long as that
        file.write(b"\n" + TAKEN.encode())
    tracemalloc.start()
    found = look([path], [ID])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "taken by the mail server as 4ABCDE" in found.about(ID)
    assert peak < 4 << 20


def test_what_is_kept_does_not_grow_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maillog, "MAX_BYTES", 1000)
    path = log(tmp_path, *[BEGUN.replace("4ABCDE", f"{number:06d}") for number in range(50)])
    found = look([path], [ID])
    assert len(found.traces[ID]) <= 4
    assert "not to its end" in found.where
