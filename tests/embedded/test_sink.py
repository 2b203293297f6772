"""The mail sink, spoken to by the standard library's own SMTP client."""

import smtplib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path

import pytest

from backends.embedded.sink import MailSink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[MailSink]:
    with MailSink(tmp_path / "mailbox.jsonl") as sink:
        yield sink


def message(to: str, subject: str = "Harbor news") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "crew@example.com", to, subject
    mail["Message-ID"], mail["X-Blast-Id"] = f"<{to}>", "run-1"
    mail.set_content("Hello")
    return mail


@pytest.mark.slow
def test_two_hundred_messages_are_each_counted_and_kept_once(sink: MailSink) -> None:
    people = [f"person{n}@example.com" for n in range(200)]

    def deliver(batch: list[str]) -> None:
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
            for to in batch:
                smtp.send_message(message(to))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, [people[n::4] for n in range(4)]))
    assert sink.counts() == dict.fromkeys(people, 1)
    kept = list(sink.messages())
    assert sorted(entry["rcpt"] for entry in kept) == sorted(people)
    assert {(entry["from"], entry["blast_id"], entry["subject"]) for entry in kept} == {
        ("crew@example.com", "run-1", "Harbor news")
    }
    assert all(entry["message_id"] == f"<{entry['rcpt']}>" and entry["bytes"] > 100 for entry in kept)


def test_recipients_choose_their_faults(sink: MailSink) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
        to = ["u@example.com", "u-450@example.com", "u-550@example.com"]
        refused = smtp.sendmail("crew@example.com", to, message(to[0]).as_bytes())
    assert {address: reply[0] for address, reply in refused.items()} == {
        "u-450@example.com": 450,
        "u-550@example.com": 550,
    }
    assert sink.counts() == {"u@example.com": 1}


def test_a_recipient_put_off_twice_is_taken_the_third_time(sink: MailSink) -> None:
    codes = []
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
        smtp.ehlo()
        for _ in range(3):
            smtp.mail("crew@example.com")
            codes.append(smtp.rcpt("u-451x2@example.com")[0])
            smtp.rset()
    assert codes == [451, 451, 250]


def test_a_dropped_line_takes_nothing(sink: MailSink) -> None:
    with pytest.raises(smtplib.SMTPServerDisconnected):
        smtplib.SMTP("127.0.0.1", sink.port, timeout=10).send_message(message("u-drop@example.com"))
    assert not sink.counts()


def test_a_closing_server_refuses_everybody_for_a_while(sink: MailSink) -> None:
    sink.refuse_all = "421 4.3.2 closing"
    with pytest.raises(smtplib.SMTPException):
        smtplib.SMTP("127.0.0.1", sink.port, timeout=10).send_message(message("u@example.com"))
    sink.refuse_all = ""
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
        smtp.send_message(message("u@example.com"))
    assert sink.counts() == {"u@example.com": 1}


def test_the_pace_is_the_whole_sinks_however_many_connections_there_are(sink: MailSink) -> None:
    sink.pace = 0.05

    def deliver(number: int) -> None:
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
            smtp.send_message(message(f"u{number}@example.com"))

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(deliver, range(8)))
    assert time.monotonic() - began >= 8 * 0.05


def test_a_subject_beyond_ascii_is_kept_readable(sink: MailSink) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
        smtp.send_message(message("u@example.com", "Grüße vom Hafen – [Sale] [/today]"))
    assert [entry["subject"] for entry in sink.messages()] == ["Grüße vom Hafen – [Sale] [/today]"]


def test_what_was_taken_is_still_in_the_file_after_the_end(tmp_path: Path) -> None:
    with MailSink(tmp_path / "box.jsonl") as first, smtplib.SMTP("127.0.0.1", first.port, timeout=10) as smtp:
        smtp.send_message(message("a@example.com"))
    with MailSink(tmp_path / "box.jsonl") as second, smtplib.SMTP("127.0.0.1", second.port, timeout=10) as smtp:
        smtp.send_message(message("b@example.com"))
    assert [entry["rcpt"] for entry in second.messages()] == ["a@example.com", "b@example.com"]
