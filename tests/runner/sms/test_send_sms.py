"""A campaign of text messages through the whole runner: rehearsed, sent, killed, resumed, looked at."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.conftest import Host, wait_for
from tests.support.sms_gateway import ACCOUNT, SECRET, Cuts, Gateway, Says, refused

TEMPLATE = "{{ first_name }}, 20 € off today: shop.example/s\n"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.stop()


@pytest.fixture
def sms(host: Host, gateway: Gateway) -> Host:
    """A host whose credentials file names the gateway."""
    section = f"kind = twilio\nurl = {gateway.url}\naccount = {ACCOUNT}\nsecret = {SECRET}\nfrom = +442079460100\n"
    host.credentials.write_text(f"[sms]\n{section}")
    host.credentials.chmod(0o600)
    return host


def campaign(host: Host, numbers: list[str], template: str = TEMPLATE, **metadata: object) -> None:
    rows = "".join(f"{number},Ann{row}\n" for row, number in enumerate(numbers, 1))
    (host.folder / "blast_data.csv").write_text(f"phone,first_name\n{rows}")
    (host.folder / "blast_template.txt").write_text(template)
    (host.folder / "blast_metadata.json").write_text(json.dumps({"name": "May", "channel": "sms"} | metadata))


def drama(count: int) -> list[str]:
    """Numbers that are nobody's."""
    return [f"+447700900{row:03d}" for row in range(count)]


def no_number_in(folder: Path, numbers: list[str]) -> bool:
    files = [path.read_text() for path in folder.rglob("*") if path.is_file() and "campaigns" not in path.parts]
    return not any(number.lstrip("+") in text for number in numbers for text in files)


@pytest.mark.slow
def test_given_a_campaign_of_text_messages_then_each_number_gets_its_text_and_who_is_there_twice_gets_one(
    sms: Host, gateway: Gateway
) -> None:
    first, second, third, fourth = drama(4)
    gateway.by_number[third] = refused(21610, f"Attempt to send to unsubscribed recipient {third}")
    gateway.by_number[fourth] = Cuts("body")
    campaign(sms, [first, "+44 7700 900-001", first, third, fourth])
    sent = sms.run("send", "--log-delivery")
    assert sent.rc == 1
    counts = sent.summary["counts"]
    assert (counts["accepted"], counts["failed"], counts["unknown"]) == (2, 1, 1)
    assert gateway.recipients() == {first: 1, second: 1, fourth: 1}
    assert {form["Body"] for form in gateway.taken if form["To"] == first} == {
        "Ann1, 20 € off today: shop.example/s"
    }
    assert sent.json[-2]["classes"] == {"unsubscribed": 1}
    assert no_number_in(sms.root, [first, second, third, fourth])
    looked = sms.run("list-unknown")
    assert looked.unknown == [5]
    assert looked.summary["rows"][0]["who"] == "+44•••003"
    assert "no text messages" in looked.summary["maillog"]
    sms.run("resolve", "--resend", "5", "--by", "ana")
    del gateway.by_number[fourth]
    assert sms.run("resume").summary["counts"]["accepted"] == 3
    assert gateway.recipients()[fourth] == 2


@pytest.mark.slow
def test_given_kills_while_200_are_sent_then_after_resumes_each_has_it_once_or_is_unknown(
    sms: Host, gateway: Gateway
) -> None:
    numbers = drama(200)
    campaign(sms, numbers)
    for attempt, until in enumerate((40, 90, 150)):
        process = sms.start("resume" if attempt else "send", "--connections", "4", "--rate", "150")
        wait_for(lambda until=until: len(gateway.taken) >= until)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    ended = sms.run("resume", "--connections", "4")
    counts = ended.summary["counts"]
    assert set(gateway.recipients().values()) == {1}
    assert counts["accepted"] + counts["unknown"] == counts["total"] == 200
    assert counts["unknown"] <= 3 * 4
    got = gateway.recipients()
    assert [number for row, number in enumerate(numbers, 1) if number not in got and row not in unknown(sms)] == []


def unknown(host: Host) -> list[int]:
    return host.run("list-unknown").unknown


@pytest.mark.slow
def test_given_a_gateway_that_throttles_then_the_texts_go_out_later_and_each_once(
    sms: Host, gateway: Gateway
) -> None:
    numbers = drama(3)
    campaign(sms, numbers)
    gateway.script += [Says(429, {"code": 20429, "message": "Too many requests"}, {"Retry-After": "1"})] * 2
    sent = sms.run("send", "--connections", "2")
    assert sent.rc == 0
    assert gateway.recipients() == dict.fromkeys(numbers, 1)


@pytest.mark.slow
def test_given_a_wrong_secret_then_the_send_stops_and_nobody_is_in_doubt(sms: Host, gateway: Gateway) -> None:
    sms.credentials.write_text(sms.credentials.read_text().replace(SECRET, "another"))
    campaign(sms, drama(5))
    sent = sms.run("send")
    assert sent.rc == 78
    assert "refuses this account" in sent.summary["error"]
    assert sms.run("list-unknown").unknown == []
    assert gateway.taken == []


@pytest.mark.slow
def test_given_ten_refusals_that_are_about_us_then_the_campaign_pauses_and_cancelled_leaves_nobody_in_doubt(
    sms: Host, gateway: Gateway
) -> None:
    numbers = drama(30)
    campaign(sms, numbers)
    for number in numbers:
        gateway.by_number[number] = refused(21606, "The From number is not yours")
    process = sms.start("send", "--connections", "2")
    wait_for(lambda: '"paused"' in out(sms))
    process.send_signal(signal.SIGTERM)
    assert sms.ended(process).rc == 143
    assert sms.run("list-unknown").unknown == []
    gateway.by_number.clear()
    assert sms.run("resume").summary["counts"]["accepted"] == 30
    assert gateway.recipients() == dict.fromkeys(numbers, 1)


def out(host: Host) -> str:
    path = host.runs / "1" / "out"
    return path.read_text() if path.exists() else ""


@pytest.mark.slow
def test_given_a_dry_run_then_segments_are_counted_and_what_is_too_long_is_refused_before_anything_is_sent(
    sms: Host, gateway: Gateway
) -> None:
    campaign(sms, [*drama(2), "020 7946 0100"], "Hi {{ first_name }}" + " ж" * 50, max_segments=1)
    rehearsed = sms.run("dry-run")
    assert rehearsed.rc == 1
    assert rehearsed.summary["refused_kinds"] == {"text": 2, "address": 1}
    assert "takes 2 segments, max_segments is 1; U+0436" in rehearsed.summary["refused"][0]["why"]
    assert "country code" in rehearsed.summary["refused"][2]["why"]
    campaign(sms, drama(2), "Hi {{ first_name }}" + " ж" * 50)
    rehearsed = sms.run("dry-run")
    assert rehearsed.rc == 0
    assert rehearsed.summary["segments_total"] == 4
    assert (gateway.posts, rehearsed.summary["sample"]["to"]) == (0, "+44•••000")
