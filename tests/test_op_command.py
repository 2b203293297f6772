"""`opsconsole op`: what a script gets back, with which exit code, and what it must say to be heard."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opsconsole.audit.store import AuditStore
from opsconsole.cli import main
from opsconsole.commands.common import Session
from opsconsole.ports import OutOfReach, Refused
from opsconsole.settings import Role
from tests.support.console import Clock, Desk, FakeDashboard, FakeHost
from tests.support.pipeline import PIPELINE, Pipeline

OWN = "summer-list"
DO = ("redrive", "--confirm", f"{PIPELINE} 12", "--reason", "mended")


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(Clock(), OWN)


@pytest.fixture
def desk(pipeline: Pipeline, tmp_path: Path) -> Iterator[Desk]:
    clock = pipeline.clock
    assert isinstance(clock, Clock)
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock, beside=(pipeline,))


@pytest.fixture
def op(desk: Desk, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def call(*args: str, role: Role = "admin") -> Result:
        seated = lambda self, look=True: nullcontext(desk.sit("ana", role))  # noqa: E731
        monkeypatch.setattr(Session, "console", seated)
        result = CliRunner().invoke(main, ["op", *args])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_it_lists_what_can_be_done_with_the_command_that_does_it(op) -> None:  # type: ignore[no-untyped-def]
    listed = op()
    assert listed.exit_code == 0
    assert f"opsconsole op {PIPELINE} redrive" in listed.stdout
    assert "not now" not in listed.stdout
    assert "not now      Send the dead letters on needs the role admin" in op(role="operator").stdout
    own = json.loads(op("--campaign", OWN, "--json").stdout)["operations"]
    assert [(one["id"], one["campaign"], one["asks"]) for one in own] == [
        ("rate", OWN, "messages a second, now 20")
    ]


def test_it_does_one_and_says_what_was_read_again_with_addresses_masked(op, pipeline: Pipeline) -> None:  # type: ignore[no-untyped-def]
    result = op(PIPELINE, *DO)
    assert result.exit_code == 0
    assert "1 of 12 moved, for m•••@example.com" in result.stdout
    assert "It was 12, and is 0 now." in result.stdout
    assert pipeline.done == [("redrive", "", "ana")]


def test_json_is_json_alone(op) -> None:  # type: ignore[no-untyped-def]
    told = json.loads(op(PIPELINE, *DO, "--json").stdout)
    assert told == {
        "source": PIPELINE,
        "id": "redrive",
        "campaign": None,
        "says": "It was 12, and is 0 now.",
        "count": 12,
        "before": "12",
        "after": "0",
        "stopped": False,
    }


def test_a_value_comes_from_the_line_or_from_a_file(op, pipeline: Pipeline, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mine = (PIPELINE, "rate", "--campaign", OWN, "--confirm", f"{OWN} 2601", "--reason", "slower")
    assert op(*mine, "--value", "10").exit_code == 0
    (tmp_path / "rate").write_text("5\n")
    assert op(*mine, "--value-from", str(tmp_path / "rate")).exit_code == 0
    assert pipeline.rate == "5"
    assert op(*mine, "--value-from", str(tmp_path / "none")).exit_code == 2
    (tmp_path / "raw").write_bytes(b"\xff\xfe")
    assert op(*mine, "--value-from", str(tmp_path / "raw")).exit_code == 2


def test_exit_codes_tell_a_slip_a_rule_and_a_system_out_of_reach(op, pipeline: Pipeline) -> None:  # type: ignore[no-untyped-def]
    assert op(PIPELINE, "nothing-such").exit_code == 2
    assert op("nobody").exit_code == 2
    asked = op(PIPELINE, "redrive")
    assert (asked.exit_code, f'--confirm "{PIPELINE} 12"' in asked.stderr) == (2, True)
    assert op(PIPELINE, *DO, role="operator").exit_code == 3
    pipeline.trouble = Refused("It is too late.")
    assert op(PIPELINE, *DO).exit_code == 3
    pipeline.blind = OutOfReach("No answer within 5 s.")
    assert op(PIPELINE, *DO).exit_code == 4
    listed = op()
    assert (listed.exit_code, "bulk can't be asked now: No answer" in listed.stdout) == (4, True)
