"""A campaign over SMPP to a carrier simulated by npm's `smpp`, another hand's reading of the standard."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import Host, wait_for
from tests.runner.sms.test_send_sms import campaign, drama
from tests.support.npm import installed

pytestmark = [pytest.mark.needs("node"), pytest.mark.needs("npm"), pytest.mark.slow]

PACKAGE = "smpp@0.5.1"
SCRIPT = Path(__file__).parents[2] / "support" / "smsc.js"


class Simulator:
    def __init__(self, modules: Path) -> None:
        self.said: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            ["node", SCRIPT, "shop", "secret"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(modules)},
        )
        assert self._process.stdout is not None
        self.port = json.loads(self._process.stdout.readline())["port"]
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def segments(self) -> list[dict[str, Any]]:
        return [line for line in self.said if "to" in line]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(json.loads(line))


@pytest.fixture(scope="module")
def modules() -> Path:
    return installed(PACKAGE)


@pytest.fixture
def carrier(modules: Path) -> Iterator[Simulator]:
    made = Simulator(modules)
    yield made
    made.stop()


@pytest.fixture
def sms(host: Host, carrier: Simulator) -> Host:
    section = f"kind = smpp\nhost = 127.0.0.1\nport = {carrier.port}\nsystem_id = shop\npassword = secret\n"
    host.credentials.write_text(f"[sms]\n{section}from = The Shop\nbinds = 2\n")
    host.credentials.chmod(0o600)
    return host


def test_given_a_campaign_over_smpp_then_another_reading_of_the_standard_sees_each_text_whole(
    sms: Host, carrier: Simulator
) -> None:
    numbers = drama(40)
    campaign(sms, numbers, "{{ first_name }}: 5 € @ [home] " + "lång text " * 20)
    sent = sms.run("send")
    assert (sent.rc, sent.summary["counts"]["accepted"]) == (0, 40)
    wait_for(lambda: len(carrier.segments) == 80)
    for row, number in enumerate(numbers, 1):
        mine = [segment for segment in carrier.segments if segment["to"] == number[1:]]
        heads = [bytes.fromhex(segment["udh"][0]) for segment in mine]
        assert [(head[:2], head[-2:]) for head in heads] == [(b"\0\3", b"\2\1"), (b"\0\3", b"\2\2")]
        assert heads[0][2] == heads[1][2]
        whole = "".join(segment["text"] for segment in mine)
        assert whole == f"Ann{row}: 5 € @ [home] " + ("lång text " * 20).strip()
    assert {(segment["from"], segment["ton"]) for segment in carrier.segments} == {("The Shop", 1)}
    assert {"alive": True} in carrier.said


def test_given_refusals_and_cuts_over_smpp_then_each_is_told_apart_and_nobody_gets_two(
    sms: Host, carrier: Simulator
) -> None:
    campaign(sms, drama(80), "Grüße, {{ first_name }} ж")
    sent = sms.run("send")
    counts = sent.summary["counts"]
    assert (counts["accepted"], counts["failed"], counts["unknown"]) == (78, 1, 1)
    assert sent.json[-2]["classes"] == {"number": 1}
    assert sms.run("list-unknown").unknown == [78]
    assert sms.run("resume").summary["counts"] == counts
    wait_for(lambda: len(carrier.segments) == 79)
    assert sorted(segment["to"] for segment in carrier.segments) == [
        number[1:] for number in drama(80) if not number.endswith("66")
    ]


def test_given_a_wrong_password_then_the_send_stops_before_anybody_is_begun(sms: Host, carrier: Simulator) -> None:
    sms.credentials.write_text(sms.credentials.read_text().replace("password = secret", "password = wrong"))
    campaign(sms, drama(5))
    sent = sms.run("send")
    assert sent.rc == 78
    assert "refused the bind: status 0x0e" in sent.summary["error"]
    assert not any(line.startswith("B ") for line in sms.journal())
