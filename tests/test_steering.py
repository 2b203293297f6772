"""Telling a run that goes how to go on: who may, what is recorded, what a script gets back."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opsconsole.audit.store import AuditStore
from opsconsole.cli import main
from opsconsole.commands.common import Session
from opsconsole.deeds import say_record
from opsconsole.observation import Counts, Going, Says
from opsconsole.ports import NotThere, OutOfReach, Refused, RunState, Trouble
from opsconsole.wishes import Wish, checked, faster
from tests.domain.words import SLUG
from tests.support.console import PHRASE, Clock, Desk, FakeDashboard, FakeHost, run

OBEYS = ("pause", "resume", "cancel", "rate", "account")


@dataclass
class SteeredHost(FakeHost):
    """A host whose runner does as it is told, at once unless it is `slow`."""

    steered: list[tuple[Wish, str]] = field(default_factory=list)
    slow: bool = False

    def goes(self, **going: object) -> None:
        state = run(Says.RUNNING, "c0ffee", counts=Counts(total=2601, accepted=1587))
        told = Going(rate_limit="20", account="main", controls=OBEYS)
        word = replace(state.word, going=replace(told, **going))  # type: ignore[arg-type]
        self.shows(Says.RUNNING, replace(state, word=word))

    def steer(self, slug: str, attempt: int, wish: Wish, value: str) -> RunState:
        self.steered.append((wish, value))
        assert self.state is not None
        if self.trouble is not None:
            raise self.trouble
        if not self.slow:
            self.goes(**({"rate_limit": value} if wish is Wish.RATE else {"account": value}))
        return self.state


@pytest.fixture
def host() -> SteeredHost:
    made = SteeredHost(Clock())
    made.goes()
    return made


@pytest.fixture
def desk(host: SteeredHost, tmp_path: Path) -> Iterator[Desk]:
    with AuditStore(tmp_path / "audit.db", bytes(range(32)), clock=host.clock) as store:
        yield Desk(store, host, FakeDashboard(host.clock), host.clock)


def story(desk: Desk, action: str) -> list[str]:
    """What the records of an action tell, oldest first."""
    return [say_record(r)[1] for r in reversed(desk.store.search(action=action))]


def test_a_slower_rate_needs_no_reason_and_is_recorded_with_the_one_before(desk: Desk, host: SteeredHost) -> None:
    state = desk.sit().steer(SLUG, "rate", "5")
    assert (host.steered, state.word.going.rate_limit) == ([(Wish.RATE, "5")], "5")
    assert story(desk, "run-rate") == ["asked for 5 a second (it was 20 a second)", "rate: done, it is running"]
    intent = desk.store.search(action="run-rate")[-1]
    assert (intent.detail["was"], intent.detail["to"], intent.operator) == ("20", "5", "mara")


@pytest.mark.parametrize("value", ["50", "none"])
def test_to_go_faster_needs_a_reason(desk: Desk, host: SteeredHost, value: str) -> None:
    console = desk.sit()
    with pytest.raises(Refused, match="Say in a few words why"):
        console.steer(SLUG, "rate", value)
    assert (host.steered, story(desk, "run-rate")) == ([], [])
    console.steer(SLUG, "rate", value, reason="the provider agreed")
    assert host.steered == [(Wish.RATE, value)]
    assert desk.store.search(action="run-rate")[-1].reason == "the provider agreed"


def test_another_account_is_confirmed_with_the_phrase_and_a_reason(desk: Desk, host: SteeredHost) -> None:
    console = desk.sit()
    asked = console.confirmation("account", SLUG)
    assert ("account", "the main account, then the fallback account") in asked.lines
    for typed, reason in (("", "down"), ("yes", "down"), (PHRASE, "")):
        with pytest.raises(Refused):
            console.steer(SLUG, "account", "fallback", typed, reason)
    assert host.steered == []
    console.steer(SLUG, "account", "fallback", PHRASE, "the main one is blocked")
    assert host.steered == [(Wish.ACCOUNT, "fallback")]
    assert story(desk, "run-account")[0] == "asked for the fallback account (it was the main account)"
    back = desk.sit().confirmation("account", SLUG)
    assert ("account", "the fallback account, then the main account") in back.lines


@pytest.mark.parametrize(("action", "value"), [("rate", "5"), ("account", "fallback")])
def test_an_older_runner_is_not_told_what_it_would_not_understand(
    desk: Desk, host: SteeredHost, action: str, value: str
) -> None:
    host.goes(controls=("pause", "resume", "cancel"), rate_limit="", account="")
    with pytest.raises(Refused, match=f"another {action} while it goes .it obeys pause, resume, cancel"):
        desk.sit().steer(SLUG, action, value, PHRASE, "why not")
    assert host.steered == []


def test_viewers_and_ended_runs_and_the_same_again_are_refused(desk: Desk, host: SteeredHost) -> None:
    with pytest.raises(Refused, match="read-only"):
        desk.sit("vic", "viewer").steer(SLUG, "rate", "5")
    with pytest.raises(Refused, match="already"):
        desk.sit().steer(SLUG, "rate", "20")
    host.shows(Says.ENDED, run(Says.ENDED, "c0ffee", counts=Counts(total=2601, accepted=2601)))
    with pytest.raises(Refused, match="this works only when"):
        desk.sit().steer(SLUG, "rate", "5")
    assert (host.steered, story(desk, "run-rate")) == ([], [])


@pytest.mark.parametrize(
    ("trouble", "result"), [(OutOfReach("gone"), "refused, nothing"), (Trouble("cut"), "is unclear")]
)
def test_a_lost_answer_is_none(desk: Desk, host: SteeredHost, trouble: Trouble, result: str) -> None:
    console, host.trouble = desk.sit(), trouble
    with pytest.raises(Trouble):
        console.steer(SLUG, "rate", "5")
    assert result in story(desk, "run-rate")[-1]


@pytest.mark.parametrize("value", ["", "0", "-1", "fast", "nan", "inf", "1e7", "5\naccount fallback", "0.0001"])
def test_what_is_no_rate_goes_nowhere(value: str) -> None:
    with pytest.raises(NotThere, match="no rate"):
        checked(Wish.RATE, value)


def test_rates_are_written_in_one_way_and_compared() -> None:
    assert [checked(Wish.RATE, v) for v in (" 50 ", "5e1", "0.50", "NONE", "999999")] == [
        "50",
        "50",
        "0.5",
        "none",
        "999999",
    ]
    assert [faster(*pair) for pair in (("20", "50"), ("20", "none"), ("", "1"), ("", "none"))] == [True] * 4
    assert [faster(*pair) for pair in (("50", "20"), ("none", "50"), ("none", "none"))] == [False] * 3


# The commands.


@pytest.fixture
def call(desk: Desk, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(Session, "console", lambda self, look=True: nullcontext(desk.sit()))

    def call(*args: str) -> Result:
        result = CliRunner().invoke(main, list(args))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_the_rate_command_says_what_is_in_force(call, host: SteeredHost) -> None:  # type: ignore[no-untyped-def]
    told = json.loads(call("rate", SLUG, "5", "--json").stdout)
    assert (told["asked"], told["in_force"], told["state"]) == ("5", "5", "running")
    assert told["going"]["rate_limit"] == "5"
    host.slow = True
    result = call("rate", SLUG, "none", "--reason", "late")
    assert (result.exit_code, host.steered[-1]) == (0, (Wish.RATE, "none"))
    assert "Asked for no limit. Its runner says so far: 5 a second." in result.stdout


def test_the_commands_refuse_with_their_own_codes(call, host: SteeredHost) -> None:  # type: ignore[no-untyped-def]
    assert call("rate", SLUG, "fast").exit_code == 2
    assert call("rate", SLUG, "50").exit_code == 3
    assert call("account", SLUG, "other", "--reason", "x").exit_code == 2
    assert call("account", SLUG, "fallback").exit_code == 2
    unconfirmed = call("account", SLUG, "fallback", "--reason", "x")
    assert (unconfirmed.exit_code, "--confirm" in unconfirmed.stderr) == (2, True)
    assert call("account", SLUG, "fallback", "--reason", "x", "--confirm", "paul").exit_code == 3
    assert host.steered == []


def test_the_account_command_switches_when_it_is_meant(call, host: SteeredHost) -> None:  # type: ignore[no-untyped-def]
    result = call("account", SLUG, "fallback", "--reason", "blocked", "--confirm", PHRASE, "--json")
    assert json.loads(result.stdout)["in_force"] == "fallback"
    assert host.steered == [(Wish.ACCOUNT, "fallback")]


def test_show_tells_scripts_how_a_run_goes(call, host: SteeredHost) -> None:  # type: ignore[no-untyped-def]
    why = "waiting for the window, opens at 09:00 Europe/London (08:00 UTC)"
    host.goes(rate_1s=18.2, rate_30s=17.9, classes=(("no-such-user", 3),), error_class="no-such-user", why=why)
    going = json.loads(call("show", SLUG, "--json").stdout)["run"]["going"]
    assert (going["rate_1s"], going["rate_30s"], going["classes"]) == (18.2, 17.9, {"no-such-user": 3})
    assert (going["why"], going["error_class"], going["account"]) == (why, "no-such-user", "main")
