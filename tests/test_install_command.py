"""Installing the runner as an action: admins only, asked twice, on record before and after, closed by looking."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backends.embedded.world import World
from opsconsole.audit.records import Phase, Record
from opsconsole.audit.store import AuditStore
from opsconsole.cli import main
from opsconsole.console import Console
from opsconsole.hostfacts import KeptRunner, RunnerFact
from opsconsole.installing import INSTALLING_FOR
from opsconsole.ports import OutOfReach, Refused, Trouble
from tests.support.console import HOST, Clock, Desk, FakeDashboard, FakeHost

PATH = "/usr/local/bin/mail-blast-runner"
NEW, OLD = "a" * 64, "b" * 64
THERE = RunnerFact(
    path=PATH,
    there="file",
    sha256=OLD,
    version="0.0.9",
    ours=True,
    python="3.11.2",
    cron_python="3.11.2",
    our_sha256=NEW,
    our_version="0.1.0",
)
PHRASE = f"{HOST} 0.1.0"


@dataclass
class RunnerHost(FakeHost):
    """A host with a runner. `does`: what is asked reaches it, whatever becomes of the answer."""

    seen: RunnerFact = THERE
    does: bool = True
    put: list[str] = field(default_factory=list)

    def runner(self, path: str = "", *, again: bool = False) -> RunnerFact:
        return self.seen

    def put_runner(self, seen: RunnerFact) -> str:
        self._becomes(NEW, (KeptRunner(path=f"{PATH}.before-1-{OLD[:12]}", sha256=OLD),))
        return f"{PATH}.before-1-{OLD[:12]}"

    def put_back_runner(self, seen: RunnerFact, kept: KeptRunner) -> None:
        self._becomes(kept.sha256, ())

    def _becomes(self, sha256: str, kept: tuple[KeptRunner, ...]) -> None:
        self.put.append(sha256)
        if self.does and not isinstance(self.trouble, Refused | OutOfReach):
            self.seen = replace(self.seen, sha256=sha256, kept=kept)
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, RunnerHost(clock), FakeDashboard(clock), clock)


def the_host(desk: Desk) -> RunnerHost:
    assert isinstance(desk.host, RunnerHost)
    return desk.host


def records(desk: Desk) -> list[Record]:
    return [r for r in reversed(desk.store.search()) if r.action == "install-runner"]


def installed(console: Console, typed: str = PHRASE, **more: Any) -> Any:
    return console.install_runner(HOST, "", typed, **more)


def test_an_admin_installs_it_and_takes_it_back_with_both_digests_on_record(desk: Desk) -> None:
    console = desk.sit("ana", "admin")
    asked = console.confirm_runner(HOST)
    assert asked.phrase == PHRASE
    assert dict(asked.lines)["it is"] == "version 0.0.9; this console comes with 0.1.0, bbbbbbbbbbbb"

    done = installed(console, reason="0.1.0 is out")

    assert (done.before.sha256, done.after.sha256, done.after.same) == (OLD, NEW, True)
    intent, outcome = records(desk)
    assert (intent.phase, outcome.phase, outcome.ref) == (Phase.INTENT, Phase.OUTCOME, intent.seq)
    assert (intent.detail["before"], intent.detail["after"], intent.reason) == (OLD, NEW, "0.1.0 is out")
    assert (outcome.detail["result"], outcome.detail["copy"]) == ("done", done.copy)
    with pytest.raises(Refused, match="is this console's runner already"):
        console.confirm_runner(HOST)

    assert console.confirm_runner(HOST, undo=True).phrase == f"{HOST} undo"
    assert installed(console, f"{HOST} undo", undo=True).after.sha256 == OLD
    with pytest.raises(Refused, match="No former runner is kept"):
        installed(console, f"{HOST} undo", undo=True)
    assert the_host(desk).put == [NEW, OLD]
    assert desk.store.unresolved() == []


def test_nobody_else_may_and_nothing_else_typed_will_do(desk: Desk) -> None:
    for console in (desk.sit("mara", "operator"), desk.sit("ana", "admin", read_only=True)):
        with pytest.raises(Refused, match=r"needs the role admin|read-only"):
            installed(console)
    with pytest.raises(Refused, match="asked for"):
        installed(desk.sit("ana", "admin"), "yes")
    assert the_host(desk).put == []
    assert records(desk) == []


def test_a_program_of_somebody_elses_is_replaced_only_when_that_is_said(desk: Desk) -> None:
    the_host(desk).seen = replace(THERE, ours=False, version="")
    console = desk.sit("ana", "admin")
    with pytest.raises(Refused, match=r"no runner of ours.*--force"):
        console.confirm_runner(HOST)
    warnings = console.confirm_runner(HOST, force=True).warnings
    assert any("isn't a runner of ours" in warning for warning in warnings)
    assert installed(console, force=True).after.same


def test_where_cron_finds_another_python_that_is_said_before(desk: Desk) -> None:
    the_host(desk).seen = replace(THERE, cron_python="3.9.2")
    assert (
        "Cron finds another python3 than a login does: 3.9.2."
        in desk.sit("ana", "admin").confirm_runner(HOST).warnings
    )


def test_what_was_refused_is_closed_and_what_is_unclear_is_closed_by_looking(desk: Desk) -> None:
    host, console = the_host(desk), desk.sit("ana", "admin")
    host.trouble = Refused("The disk is full.")
    with pytest.raises(Refused, match="disk is full"):
        installed(console)
    assert records(desk)[-1].detail["result"] == "failed"

    for does, result in ((False, "failed"), (True, "done")):
        host.trouble, host.does = Trouble("The answer was lost."), does
        with pytest.raises(Trouble, match="lost"):
            installed(console)
        host.trouble = None
        console.refresh()
        assert len(desk.store.unresolved()) == 1, "it may still come"
        desk.clock.pass_(INSTALLING_FOR)
        console.refresh()
        assert desk.store.unresolved() == []
        assert records(desk)[-1].detail["result"] == result


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["host", "build-runner", str(tmp_path / "none" / "runner")])
    assert (told.exit_code, "No such file or directory" in told.stderr) == (2, True)


@pytest.mark.slow
def test_on_the_command_line_from_the_first_look_to_the_undo(tmp_path: Path) -> None:
    with World(runner_name="blast-runner-inst") as world:
        config = world.config_path
        config.write_text(f'{config.read_text()}\n[operator]\nname = "ana"\nrole = "admin"\n')

        def call(*args: str) -> Any:
            return CliRunner().invoke(main, ["--config", str(config), "host", *args])

        name = "blast-mail-demo"
        file = world.scene.paths.runner
        wrapper = file.read_bytes()
        built = tmp_path / "built"
        assert call("build-runner", str(built)).exit_code == 0
        version = json.loads(call("show", "--json").stdout)["program"]["our_version"]

        refused = call("install-runner", name)
        assert refused.exit_code == 2
        assert f'--confirm "{name} {version}"' in refused.stderr

        done = call("install-runner", name, "--confirm", f"{name} {version}", "--reason", "one file", "--json")
        assert done.exit_code == 0, done.output
        assert file.read_bytes() == built.read_bytes()
        assert "the file this console installs" in call("show").stdout

        undone = call("install-runner", name, "--undo", "--confirm", f"{name} undo")
        assert undone.exit_code == 0, undone.output
        assert file.read_bytes() == wrapper
        again = call("install-runner", name, "--undo", "--confirm", f"{name} undo")
        assert again.exit_code == 3
        assert "nothing to go back to" in again.stderr
