"""Telling a channel: what people read, what a machine reads, and that no address shows when it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.notify import Webhook, notifier
from opsconsole.audit.tidings import head, message
from opsconsole.config import ConfigError, parse
from opsconsole.ports import OutOfReach, Refused
from opsconsole.redact import DEFAULT
from opsconsole.settings import Notify, SecretFrom
from tests.support.channel import CANARY, Channel

MAC = "9f" * 32
ENDED = {
    **message("warning", "the send ended partial: 5,258 accepted, 343 failed of 5,601", campaign="spring-offer"),
    **head(52, MAC),
}


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


def webhook(url: str, tmp_path: Path, timeout: str = "5 s") -> Webhook:
    file = tmp_path / "url"
    file.write_text(url + "\n")
    file.chmod(0o600)
    made = notifier("ops", Notify(kind="webhook", url=SecretFrom(file=str(file)), timeout=timeout))
    assert isinstance(made, Webhook)
    return made


def test_a_channel_gets_the_words_the_fields_and_the_audit_head(channel: Channel, tmp_path: Path) -> None:
    hook = webhook(channel.url, tmp_path)
    assert hook.name == "notify:ops"
    hook.record(ENDED)
    hook.record(ENDED)
    (path, headers, body), (_, again, _) = channel.got
    assert path == f"/services/{CANARY}"
    assert body["text"] == (
        f"spring-offer: the send ended partial: 5,258 accepted, 343 failed of 5,601\nAudit head, record 52:\n{MAC}"
    )
    assert (body["severity"], body["audit"]) == ("warning", {"seq": 52, "mac": MAC})
    assert body["fields"] == {"campaign": "spring-offer"}
    assert headers["Idempotency-Key"] == again["Idempotency-Key"], "the same message is known by the same key"


@pytest.mark.parametrize(
    ("status", "error"), [(500, OutOfReach), (429, OutOfReach), (404, Refused), (403, Refused), (302, Refused)]
)
def test_a_failure_names_its_status_and_never_the_address(
    channel: Channel, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    channel.status, channel.body = status, f"no such hook {CANARY}".encode()
    with pytest.raises(error, match=str(status)) as raised:
        webhook(channel.url, tmp_path).record(ENDED)
    assert "CANARY" not in str(raised.value)
    assert len(channel.got) == 1, "tried once, and led nowhere else"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/services/{}", "http://[bad/{}", "gopher://127.0.0.1/{}", "{}", "https:///{}"]
)
def test_an_address_that_leads_nowhere_is_not_shown_either(tmp_path: Path, url: str) -> None:
    with pytest.raises((OutOfReach, Refused)) as raised:
        webhook(url.format(CANARY), tmp_path).record(ENDED)
    assert "CANARY" not in repr(raised.value)
    assert raised.value.__cause__ is None, "nor in what a crash would print"
    assert "CANARY" not in DEFAULT.redact(f"posting to {url.format(CANARY)} failed")


def test_a_channel_that_does_not_answer_is_left_in_time(channel: Channel, tmp_path: Path) -> None:
    channel.slow = True
    with pytest.raises(OutOfReach, match=r"didn't answer within 0\.3 s"):
        webhook(channel.url, tmp_path, timeout="0.3 s").record(ENDED)


def test_an_answer_without_end_is_not_read_to_the_end(channel: Channel, tmp_path: Path) -> None:
    channel.body = b"x" * (8 << 20)
    webhook(channel.url, tmp_path).record(ENDED)
    assert len(channel.got) == 1


def test_a_notification_that_lacks_something_is_named_by_the_configuration() -> None:
    table = "[environments.prod.blasthost.b]\nssh = 'b'\n[environments.prod.notify.{}]\n{}\n"
    for name, text, says in (
        ("ops", "kind = 'webhook'", "kind 'webhook' needs the key 'url'"),
        ("ops", "kind = 'email'\nhost = 'mail.example.com'\nto = ['a@example.com']", "needs the key 'sender'"),
        ("ops", "kind = 'pigeon'", "must be one of"),
        ('"a b"', "kind = 'webhook'\nurl = { env = 'HOOK' }", "can't name a notification"),
        ("ops", "kind = 'webhook'\nurl = { env = 'HOOK' }\ntimeout = 'soon'", "not a span of time"),
    ):
        with pytest.raises(ConfigError, match=says):
            parse(table.format(name, text), "config.toml")
    assert parse(table.format("ops", "kind = 'webhook'\nurl = { env = 'HOOK' }"), "c").environments["prod"].notify


def test_the_other_kinds_and_the_dead_man_are_checked_as_well() -> None:
    host = "[environments.prod.blasthost.b]\nssh = 'b'\n"
    pager = "[environments.prod.notify.p]\nkind = 'pagerduty'\n"
    prometheus = "[environments.prod.notify.am]\nkind = 'alertmanager'\nendpoint = 'http://127.0.0.1:9093'\n"
    for text, says in (
        (pager, "needs the key 'routing_key'"),
        ("[environments.prod.notify.p]\nkind = 'alertmanager'", "needs the key 'endpoint'"),
        (prometheus.replace("http://", ""), "must begin with https:// or http://"),
        (pager + "on = ['weather']", r"notify\.p\.on"),
        ("[environments.prod.dead_man]\nevery = '1 min'", "exactly one of the keys"),
        ("[environments.prod.dead_man]\nalertmanager = 'am'", "no notification of kind 'alertmanager'"),
        (prometheus + "[environments.prod.dead_man]\nalertmanager = 'am'\nevery = 'often'", "not a span of time"),
    ):
        with pytest.raises(ConfigError, match=says):
            parse(host + text, "config.toml")
    good = parse(host + prometheus + "[environments.prod.dead_man]\nalertmanager = 'am'", "config.toml")
    assert good.environments["prod"].dead_man


def test_slack_gets_text_alone_in_which_nothing_acts(channel: Channel, tmp_path: Path) -> None:
    webhook(channel.url, tmp_path)
    slack = notifier("ops", Notify(kind="slack", url=SecretFrom(file=str(tmp_path / "url"))))
    slack.record({**ENDED, "text": "<!channel> click <https://example.test|here> & now"})
    (body,) = channel.bodies
    assert list(body) == ["text"]
    assert body["text"].startswith("&lt;!channel&gt; click &lt;https://example.test|here&gt; &amp; now\n")
