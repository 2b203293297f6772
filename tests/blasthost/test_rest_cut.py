"""The start of the rest, killed at each step: it is ended, in doubt or running, never only claimed, never twice."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backends.blasthost.errors import HostLost
from backends.blasthost.launcher import Launcher
from backends.blasthost.mending import Mender
from backends.blasthost.session import Completed
from opsconsole.observation import Says
from opsconsole.policy import Policy
from opsconsole.ports import Trouble
from tests.blasthost.shells import LocalShell, stub
from tests.support.blasthost import SLUG, BlastTree, until

# supervise.sh, owner, finished.1, resumed, and finished again: every file that changes hands, before and behind it.
STEPS = [
    pytest.param(step, when, marks=[] if (step, when) == (3, "after") else pytest.mark.slow)
    for step in range(1, 6)
    for when in ("before", "after")
]
RUNNER = """\
case $1 in --capabilities) echo '{"runner": "opsconsole", "modes": ["resume"]}'; exit ;; esac
mkdir '{root}/going' || echo twice >>'{root}/spool'
echo "$*" >>'{root}/spool'
rmdir '{root}/going'
"""
KILL_AT = """\
echo x >>'{root}/steps'
[ "$(wc -l <'{root}/steps')" = {step} ] || exec /bin/mv "$@"
case {when} in before) ;; *) /bin/mv "$@" ;; esac
touch '{root}/fired'
kill -9 $PPID
"""


class Shell(LocalShell):
    """A script that is killed loses its answer, as a line that breaks does."""

    def run(self, script: str | bytes, *args: str, **limits: Any) -> Completed:
        try:
            return super().run(script, *args, **limits)
        except AssertionError as error:
            raise HostLost("The shell was killed.", "", "", may_have_run=True) from error


@pytest.mark.slow
@pytest.mark.parametrize(("step", "when"), STEPS)
@pytest.mark.parametrize("before", ["ended", "in doubt"])
def test_killed_at_any_step_it_is_in_a_named_state_and_can_be_repeated(
    tree: BlastTree, tmp_path: Path, step: int, when: str, before: str
) -> None:
    tree.runner.write_text("#!/bin/sh\n" + RUNNER.replace("{root}", str(tree.root)))
    folder = tree.run_folder()
    folder.mkdir(parents=True)
    (folder / "claim.json").write_text(json.dumps({"run_id": "00ff", "by": "mara"}))
    (folder / "started").write_text("2026-05-12T17:52:00Z\n")
    (folder / "owner").write_text("999999999 1 0-0\n")
    (folder / "out").touch()
    if before == "ended":
        (folder / "finished").write_text('{"rc":1,"at":"2026-05-12T17:53:00Z","counts":null}\n')
    text = KILL_AT.replace("{root}", str(tree.root)).replace("{step}", str(step)).replace("{when}", when)
    stub(tmp_path / "bin", "mv", text)
    stub(tmp_path / "bin", "sleep", 'case $1 in 0.05) exec /bin/sleep 0.01 ;; *) exec /bin/sleep "$1" ;; esac')
    settings = tree.settings_with(runner_kind="mail-blast-runner")
    look = Launcher(Shell(["sh"]), settings, Policy(), "blast-test")

    def send_rest(shell: LocalShell) -> None:
        Mender(shell, settings, Policy(), "blast-test", sleep=lambda _: None).send_rest(SLUG, 1, "00ff", "ana")

    with suppress(Trouble):  # or it went well: the supervisor was killed behind what it is asked for
        send_rest(Shell(["sh"], tmp_path / "bin"))
    state = until(lambda: (found := look.run_state(SLUG)) and found.says is not Says.RUNNING and found)
    moves = 5 if before == "ended" else 4
    assert (tree.root / "fired").exists() == (step <= moves)
    assert state.says in (Says.ENDED, Says.STARTED)

    def again() -> bool:
        try:
            send_rest(Shell(["sh"]))
        except Trouble:  # what was killed may still be going down
            return False
        return True

    until(again)
    until(lambda: (found := look.run_state(SLUG)) and found.says is Says.ENDED)
    spool = (tree.root / "spool").read_text().splitlines()
    assert spool
    assert "twice" not in spool
    assert set(spool) == {f"--campaign {SLUG} --mode resume --log-delivery --notify-completion"}
    # Every runner that came up is on record, and was on record before it was there.
    assert len((folder / "resumed").read_text().splitlines()) >= len(spool)
