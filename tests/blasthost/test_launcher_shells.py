"""The launch scripts under each POSIX shell, on this machine, where a host's oddities can be put before them."""

import fcntl
import json
import subprocess
from pathlib import Path

import pytest

from backends.blasthost import frames
from backends.blasthost.launcher import Launcher
from backends.blasthost.scripts import script
from backends.blasthost.session import Completed
from opsconsole.observation import Says
from opsconsole.policy import Policy
from opsconsole.ports import Refused, Trouble, Verb
from tests.blasthost.shells import LocalShell, stub, what_the_shell_reads
from tests.support.blasthost import SLUG, BlastTree, ended, until


def launcher(tree: BlastTree, shell: LocalShell) -> Launcher:
    return Launcher(shell, tree.settings, Policy(), "blast-test")


@pytest.mark.slow
def test_every_shell_starts_tells_pauses_and_cancels(tree: BlastTree, shell: list[str]) -> None:
    tree.campaign(recipients=2000)
    launch = launcher(tree, LocalShell(shell))
    plan = tree.plan()

    assert launch.start(plan, by="mara").fresh
    assert not launch.start(plan, by="mara").fresh
    with pytest.raises(Refused, match="claimed by mara"):
        launch.start(tree.plan(planned_by="ana"), by="ana")
    until(tree.mailed)
    assert launch.signal(SLUG, 1, Verb.PAUSE).says is Says.PAUSED
    assert launch.signal(SLUG, 1, Verb.RESUME).says is Says.RUNNING
    launch.signal(SLUG, 1, Verb.CANCEL)
    assert ended(launch).word.rc == 143


def test_every_shell_names_what_is_stale(tree: BlastTree, shell: list[str]) -> None:
    folder = tree.campaign()
    plan = tree.plan()
    (folder / "blast_data.csv").write_text("email\nsomebody@example.com\n")

    with pytest.raises(Refused, match=r"data .blast_data.csv. was .{12} in the plan, is .{12} now"):
        launcher(tree, LocalShell(shell)).start(plan, by="mara")
    assert tree.attempts() == []


def test_a_script_cut_anywhere_does_nothing(tree: BlastTree, shell: list[str]) -> None:
    """A line that drops while the script is on its way must not run the part that arrived."""
    tree.campaign()
    kept: list[bytes] = []

    class Tap(LocalShell):
        def run(
            self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 0
        ) -> Completed:
            kept.append(what_the_shell_reads(frames.new_nonce(), script, args))
            return Completed(b"REFUSED tapped", b"", 0, 0.0)

    with pytest.raises(Refused):
        launcher(tree, Tap(shell)).start(tree.plan(), by="mara")
    (text,) = kept
    whole = text.index(b") </dev/null\nopsconsole_rc")
    for cut in [*range(0, whole, 997), *range(whole - 12, whole)]:
        subprocess.run([*shell, "-s"], input=text[:cut], capture_output=True, timeout=20)
    assert tree.attempts() == []
    assert not (tree.runs / SLUG).exists()


def systemd_host(folder: Path, *, linger: bool, scope: bool = True) -> None:
    """A host that kills user processes at logout, seen by the ordinary user mara."""
    stub(folder, "id", 'case $1 in -un) echo mara ;; -u) echo 1000 ;; *) exec /usr/bin/id "$@" ;; esac')
    stub(folder, "busctl", "echo b true")
    stub(folder, "loginctl", f"echo Linger={'yes' if linger else 'no'}")
    stub(
        folder,
        "systemd-run",
        f'echo "$*" >>{folder}/scopes\nwhile [ "${{1#--}}" != "$1" ] || [ "$1" = -q ]; do shift; done\n'
        + ('exec "$@"' if scope else "exit 1"),
    )


def test_a_host_that_kills_at_logout_is_refused_with_the_command_that_mends_it(
    tree: BlastTree, tmp_path: Path
) -> None:
    tree.campaign()
    systemd_host(tmp_path / "bin", linger=False)
    with pytest.raises(Refused, match=r"KillUserProcesses=yes.*loginctl enable-linger mara"):
        launcher(tree, LocalShell(["sh"], tmp_path / "bin")).start(tree.plan(), by="mara")

    systemd_host(tmp_path / "bin", linger=True, scope=False)
    with pytest.raises(Refused, match="starts no scope"):
        launcher(tree, LocalShell(["sh"], tmp_path / "bin")).start(tree.plan(), by="mara")
    assert tree.attempts() == []


def test_where_linger_is_on_the_run_goes_into_a_scope_of_its_own(tree: BlastTree, tmp_path: Path) -> None:
    tree.campaign(recipients=5)
    systemd_host(tmp_path / "bin", linger=True)
    plan = tree.plan()
    launch = launcher(tree, LocalShell(["sh"], tmp_path / "bin"))

    assert launch.start(plan, by="mara").fresh

    assert f"--user --scope -q --unit=mail-blast-{plan.run_id} setsid -f" in (tmp_path / "bin/scopes").read_text()
    assert ended(launch).word.rc == 0


@pytest.mark.slow
def test_a_supervisor_that_never_comes_up_can_never_start_late(tree: BlastTree, tmp_path: Path) -> None:
    tree.campaign()
    stub(tmp_path / "bin", "setsid", '[ "$2" = true ] || echo "no more processes" >&2')
    launch = launcher(tree, LocalShell(["sh"], tmp_path / "bin"))

    with pytest.raises(Trouble, match=r"did not start.*no more processes.*Nothing was sent") as failed:
        launch.start(tree.plan(), by="mara")
    folder = tree.run_folder()
    late = subprocess.run(
        ["sh", folder / "supervise.sh", folder, tree.runs / SLUG / "lock", tree.runner, "--campaign", SLUG],
        timeout=20,
    )

    assert not isinstance(failed.value, Refused)
    assert late.returncode == 75
    assert tree.mailed() == []
    state = launch.run_state(SLUG)
    assert state is not None
    assert state.says is Says.CLAIMED
    assert not (folder / "started").exists()


def test_a_missing_tool_is_named(tree: BlastTree, tmp_path: Path) -> None:
    tree.campaign()
    stub(tmp_path / "bin", "setsid", "exit 1")
    with pytest.raises(Refused, match="no usable `setsid -f`"):
        launcher(tree, LocalShell(["sh"], tmp_path / "bin")).start(tree.plan(), by="mara")


def test_a_start_given_up_stays_given_up_when_its_script_arrives_late(tree: BlastTree) -> None:
    tree.campaign()
    plan = tree.plan()
    local = LocalShell(["sh"])
    home = str(tree.runs / SLUG)
    sent: list[tuple[str | bytes, tuple[str, ...]]] = []

    class Tap(LocalShell):
        def run(
            self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 0
        ) -> Completed:
            sent.append((script, args))
            return Completed(b"REFUSED tapped", b"", 0, 0.0)

    with pytest.raises(Refused):
        launcher(tree, Tap(["sh"])).start(plan, by="mara")
    text, args = sent[0]

    assert local.run(script("settle"), home, plan.run_id, args[0]).stdout.split() == [b"ABSENT"]
    assert local.run(text, *args).stdout.split() == [b"REFUSED", b"void"]
    assert tree.attempts() == []
    assert launcher(tree, local).start(plan, by="mara").fresh
    answer = local.run(script("settle"), home, plan.run_id, "another").stdout
    assert answer.split()[-1] == b"EXISTS"
    assert json.loads((tree.run_folder() / "claim.json").read_text())["run_id"] == plan.run_id


def test_a_run_given_up_later_can_not_start_any_more_whoever_brings_it(tree: BlastTree) -> None:
    tree.campaign()
    plan = tree.plan()
    launch = launcher(tree, LocalShell(["sh"]))

    assert launch.give_up(SLUG, plan.run_id) is None
    with pytest.raises(Refused, match="given up") as refused:
        launch.start(plan, by="mara")
    assert "new plan" in str(refused.value)
    assert tree.attempts() == []

    other = tree.plan(planned_by="ana")
    assert launch.start(other, by="ana").fresh
    found = launch.give_up(SLUG, other.run_id)
    assert found is not None
    assert found.run_id == other.run_id
    ended(launch)
    assert len(tree.mailed()) == 40


@pytest.mark.slow
def test_a_run_is_not_given_up_while_somebody_starts_it(tree: BlastTree, tmp_path: Path) -> None:
    tree.campaign()
    stub(tmp_path / "bin", "sleep", "exit 0")
    plan = tree.plan()
    home = tree.runs / SLUG
    home.mkdir(parents=True)
    with (home / ".launch").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Trouble, match="may be starting"):
            launcher(tree, LocalShell(["sh"], tmp_path / "bin")).give_up(SLUG, plan.run_id)
    assert not list(home.glob(".void-*"))
