"""`opsconsole watch` as a program of its own, over the embedded world."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.embedded.world import World
from tests.support.channel import Channel

pytestmark = pytest.mark.slow


class Watched(World):
    """A world whose console tells a channel, and answers a dead-man switch."""

    def tells(self, hook: str, ping: str) -> None:
        tables = (
            f'[environments.demo.notify.ops]\nkind = "webhook"\nurl = {{ env = "{hook}" }}\non = ["attention"]\n'
            f'[environments.demo.dead_man]\nurl = {{ env = "{ping}" }}\nevery = "1 s"\n'
        )
        self.config_path.write_text(f"{self.config_path.read_text()}\n{tables}")

    def opsconsole(self, *args: str, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "opsconsole.cli", "--config", str(self.config_path), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


@pytest.fixture
def ping() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path, channel: Channel, ping: Channel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv("OPS_HOOK", channel.url)
    monkeypatch.setenv("OPS_PING", ping.url)
    (tmp_path / "world").mkdir()
    with Watched(tmp_path / "world") as made:
        made.tells("OPS_HOOK", "OPS_PING")
        yield made


def paged(channel: Channel) -> list[str]:
    return [body["alarm"]["key"] for body in channel.bodies if body["alarm"]["event"] == "trigger"]


def test_two_watchers_page_once_say_each_line_and_end_cleanly(
    world: Watched, channel: Channel, ping: Channel
) -> None:
    both = [world.opsconsole("watch", "--json") for _ in range(2)]
    try:
        firsts = [json.loads(one.stdout.readline()) for one in both if one.stdout]
        assert [first["event"] for first in firsts] == ["trigger", "trigger"]
        end = time.monotonic() + 40
        while "paul-simon-may12" not in " ".join(paged(channel)) or not ping.got:
            assert time.monotonic() < end, (paged(channel), len(ping.got))
            time.sleep(0.1)
        time.sleep(2)  # the other one has had every occasion to page as well
    finally:
        for one, number in zip(both, (signal.SIGTERM, signal.SIGINT), strict=True):
            one.send_signal(number)
    assert [one.wait(timeout=20) for one in both] == [0, 0]
    keys = paged(channel)
    assert len(keys) == len(set(keys)), "nobody is told twice"
    for one, first in zip(both, firsts, strict=True):
        assert one.stdout is not None
        rest = one.stdout.read()  # not communicate(), which doesn't know what readline() read ahead
        told = [first, *(json.loads(line) for line in rest.splitlines())]
        assert "paul-simon-may12" in {line["campaign"] for line in told}
    assert not list(world.config_path.parent.rglob("watching-*.json")), "who leaves on purpose isn't missed"


def test_once_is_for_cron_and_a_read_only_one_tells_nobody(world: Watched, channel: Channel) -> None:
    looked = world.opsconsole("--read-only", "watch", "--once", "--json")
    out, err = looked.communicate(timeout=60)
    assert (looked.returncode, channel.got) == (1, [])
    assert "nobody is notified" in err
    lines = [json.loads(line) for line in out.splitlines()]
    overdue = next(line for line in lines if line["campaign"] == "paul-simon-may12")
    assert overdue["status"] == "OVERDUE"
    once = world.opsconsole("watch", "--once")
    out, _ = once.communicate(timeout=60)
    assert once.returncode == 1, "something needs attention"
    assert "OVERDUE    paul-simon-may12" in out
    keys = paged(channel)
    assert any("paul-simon-may12/OVERDUE" in key for key in keys)
    again = world.opsconsole("watch", "--once")
    out, _ = again.communicate(timeout=60)
    assert (out, paged(channel)) == ("", keys)


def test_a_test_message_shows_whether_it_is_taken(world: Watched, channel: Channel) -> None:
    good = world.opsconsole("watch", "--test", "ops")
    out, _ = good.communicate(timeout=60)
    assert (good.returncode, out) == (0, "ops took a test message, and its end.\n")
    channel.status = 404
    bad = world.opsconsole("watch", "--test", "ops")
    _, err = bad.communicate(timeout=60)
    assert bad.returncode == 3
    assert "refused the message (404), and would refuse it again" in err
    assert "CANARY" not in err
    unknown = world.opsconsole("watch", "--test", "oops")
    _, err = unknown.communicate(timeout=60)
    assert unknown.returncode == 2
    assert "Known are: ops" in err


def test_doctor_names_a_notification_that_could_not_be_sent(
    world: Watched, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notified() -> dict[str, dict[str, Any]]:
        out, _ = world.opsconsole("doctor", "--json").communicate(timeout=60)
        return {line["what"]: line for line in json.loads(out)}

    assert notified()["notify:ops"]["ok"]
    monkeypatch.delenv("OPS_HOOK")
    lines = notified()
    assert not lines["notify:ops"]["ok"]
    assert "OPS_HOOK is empty or not set" in lines["notify:ops"]["says"]
    assert lines["dead man"]["ok"]
    assert channel.got == []
