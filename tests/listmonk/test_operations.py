"""How listmonk sends is changed only while nothing is in flight, and what came of it is read again."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backends.listmonk.operations import Operator
from backends.listmonk.othermail import other_mail_trouble
from opsconsole.ports import Operated, Operation, Refused, Trouble, Verb
from tests.listmonk.desk import Desk, desk, now
from tests.support.listmonk import Listmonk, standin

__all__ = ["standin"]

PASSWORDS = {"main": "main-secret-77", "spare": "spare-secret-4242"}


def block(name: str, host: str, *, enabled: bool) -> dict[str, object]:
    return {
        "name": f"email-{name}",
        "uuid": f"00000000-0000-4000-8000-00000000000{len(name)}",
        "enabled": enabled,
        "host": host,
        "hello_hostname": "",
        "port": 25,
        "auth_protocol": "login",
        "username": name,
        "password": PASSWORDS[name],
        "email_headers": [],
        "max_conns": 10,
        "max_msg_retries": 2,
        "msg_retry_delay": "10ms",
        "idle_timeout": "15s",
        "wait_timeout": "5s",
        "tls_type": "none",
        "tls_skip_verify": False,
        "from_addresses": [],
    }


@pytest.fixture
def at(standin: Listmonk, tmp_path: Path) -> Iterator[Desk]:
    blocks = [block("main", "main.example.com", enabled=True), block("spare", "spare.example.com", enabled=False)]
    standin.standin.configure({"smtp": blocks})
    made = desk(standin, tmp_path, fallback_smtp="spare", provider_rate=200.0)
    yield made
    made.backend.close()


def operator(at: Desk) -> Operator:
    return Operator(at.backend.control, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))


def offered(at: Desk, name: str) -> Operation:
    return next(one for one in operator(at).operations() if one.id == name)


def operate(at: Desk, operation: Operation, value: str = "") -> Operated:
    return operator(at).operate(operation, value, "mara", lambda line: None, threading.Event())


def running(at: Desk) -> int:
    at.standin.configure({"app.concurrency": 2, "app.message_rate": 1000, "app.batch_size": 20})
    at.standin.post.latency = 0.05
    number, _ = at.campaign(people=200)
    at.start(at.plan())
    at.standin.until(lambda: len(at.standin.post.sent_to(number)) >= 3)
    return number


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("message-rate", "app.message_rate", 7),
        ("concurrency", "app.concurrency", 4),
        ("batch-size", "app.batch_size", 250),
        ("max-send-errors", "app.max_send_errors", 12),
    ],
)
def test_a_number_of_its_settings_is_changed_and_in_force_after_its_restart(
    at: Desk, name: str, key: str, value: int
) -> None:
    operation = offered(at, name)
    assert operation.against == ""
    assert "restarts itself" in dict(operation.lines)["restart"]
    done = operate(at, operation, str(value))
    assert at.standin.settings[key] == value
    assert done.after == str(value)
    assert "in force" in done.says
    assert any(entry.restart for entry in at.backend.control.kept.entries())


@pytest.mark.slow
def test_the_fallback_mail_server_is_switched_to_and_no_password_is_lost(at: Desk) -> None:
    operation = offered(at, "fallback-smtp")
    assert dict(operation.lines)["then by"].startswith("spare")
    done = operate(at, operation)
    assert (done.before, done.after) == ("main", "spare")
    stored = {one["name"]: one for one in at.standin.settings["smtp"]}
    assert [stored[f"email-{name}"]["enabled"] for name in ("main", "spare")] == [False, True]
    assert {name: stored[f"email-{name}"]["password"] for name in PASSWORDS} == PASSWORDS
    number, _ = at.campaign()
    at.start(at.plan())
    at.standin.until_status(number, "finished")
    assert {letter.server for letter in at.standin.post.letters} == {"spare.example.com"}
    back = offered(at, "other-smtp")
    with pytest.raises(Refused, match="no mail server 'nobody'"):
        operate(at, back, "nobody")
    assert operate(at, back, "main").after == "main"
    assert {name: stored[f"email-{name}"]["password"] for name in PASSWORDS} == PASSWORDS


def test_no_bullet_is_ever_sent_back_as_a_password(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    write = at.backend.client.write

    def noted(method: str, path: str, body: object, doing: str, needs: object = ()) -> object:
        sent.append(body)
        return write(method, path, body, doing, needs)  # type: ignore[arg-type]

    monkeypatch.setattr(at.backend.client, "write", noted)
    operate(at, offered(at, "fallback-smtp"))
    assert len(sent) == 1
    assert "•" not in repr(sent)


@pytest.mark.slow
def test_a_fallback_that_isn_t_there_is_refused_with_those_that_are(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, fallback_smtp="nobody")
    operation = offered(at, "fallback-smtp")
    assert "no mail server 'nobody'" in operation.against
    at.backend.close()


@pytest.mark.slow
def test_campaigns_that_go_by_the_server_that_is_switched_off_are_named_before(at: Desk) -> None:
    at.campaign("June", messenger="email-main")
    assert any("June is to go by email-main" in warning for warning in offered(at, "fallback-smtp").warnings)


@pytest.mark.slow
def test_nothing_is_changed_while_anything_is_in_flight(at: Desk) -> None:
    before = offered(at, "fallback-smtp")
    number = running(at)
    for name in ("fallback-smtp", "message-rate"):
        assert "July is running" in offered(at, name).against
    with pytest.raises(Refused, match="July is running"):
        operate(at, replace(before, state=offered(at, "fallback-smtp").state))
    at.backend.signal("july", 1, Verb.PAUSE)
    at.standin.until_logged("stop processing campaign (July)")
    assert offered(at, "message-rate").against == ""
    mailed = len(at.standin.post.sent_to(number))
    operate(at, offered(at, "message-rate"), "90")
    at.standin.post.latency = 0.0
    at.backend.signal("july", 1, Verb.RESUME)
    at.standin.until_status(number, "finished")
    assert mailed < len(at.standin.post.sent_to(number)) == 200
    assert set(at.standin.post.sent_to(number).values()) == {1}


@pytest.mark.slow
def test_paused_and_not_drained_still_forbids_it(at: Desk) -> None:
    at.standin.post.only(3)  # the next ones hang on their way
    number, _ = at.campaign(people=200)
    at.start(at.plan())
    at.standin.until(lambda: len(at.standin.post.sent_to(number)) == 3)
    with at.listmonk.as_user(at.listmonk.sender) as other:
        other.put(f"/api/campaigns/{number}/status", json={"status": "paused"}).raise_for_status()
    for name in ("message-rate", "fallback-smtp"):
        assert "not drained yet" in offered(at, name).against
    at.standin.post.only(None)
    at.standin.until_logged("stop processing campaign (July)")
    assert offered(at, "message-rate").against == ""


@pytest.mark.slow
def test_one_that_starts_by_itself_in_a_moment_forbids_it(at: Desk) -> None:
    at.campaign(status="scheduled", send_at=now() + timedelta(seconds=20))
    assert "starts by itself" in offered(at, "concurrency").against


@pytest.mark.slow
def test_settings_that_moved_since_they_were_shown_are_looked_at_again(at: Desk) -> None:
    operation = offered(at, "message-rate")
    at.standin.configure({"app.concurrency": 3})
    with pytest.raises(Refused, match="changed meanwhile"):
        operate(at, operation, "5")
    assert at.standin.settings["app.message_rate"] != 5


@pytest.mark.slow
@pytest.mark.parametrize("value", ["", "fast", "-1", "0", "1e3", "99999999", "٣"])
def test_what_is_no_such_number_changes_nothing(at: Desk, value: str) -> None:
    with pytest.raises(Refused):
        operate(at, offered(at, "message-rate"), value)
    assert not [1 for method, path, _ in at.standin.requests if method == "PUT" and "settings" in path]


@pytest.mark.slow
def test_a_rate_beyond_the_provider_s_is_refused(at: Desk) -> None:
    with pytest.raises(Refused, match="provider takes 200"):
        operate(at, offered(at, "message-rate"), "21")


@pytest.mark.slow
def test_without_settings_manage_it_is_shown_and_not_offered(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, standin.sender)
    assert "lacks settings:manage" in offered(at, "message-rate").against
    at.backend.close()


@pytest.mark.slow
def test_saved_settings_that_wait_are_put_in_force_by_a_restart(at: Desk) -> None:
    at.standin.configure({"app.batch_size": 77}, in_force=False)
    done = operate(at, offered(at, "reload"))
    assert "in force" in done.says
    assert all(one.id != "reload" for one in operator(at).operations())


@pytest.mark.slow
def test_a_pipe_that_nobody_knew_of_leaves_it_saved_and_says_so(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.listmonk.pipes.alive", lambda control: ())
    running(at)
    with pytest.raises(Trouble, match="didn't restart"):
        operate(at, offered(at, "batch-size"), "33")


@pytest.mark.slow
def test_transactional_mail_that_failed_is_counted_over_the_last_hour(at: Desk) -> None:
    at.standin.post.fails = "454 4.7.0 Throttling failure"
    template = at.standin.database.add_template("receipt", "<p>Thanks</p>", type="tx", subject="Your receipt")
    with at.listmonk.as_user(at.listmonk.manager) as shop:
        body = {"subscriber_mode": "external", "subscriber_emails": ["a@example.com"], "template_id": template.id}
        shop.post("/api/tx", json=body).raise_for_status()
    at.standin.until_logged("error sending message '")
    control = at.backend.control
    control.log()
    said = other_mail_trouble(control.kept.entries(), now())
    assert said.startswith("1 mail of no campaign")
    assert "454 4.7.0" in said
    assert other_mail_trouble(control.kept.entries(), now() + timedelta(hours=2)) == ""
