"""The supervisor on the host: signs of life, a lock without a gap, and what nobody ever takes away."""

import fcntl
import os
import re
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.blasthost import attempts
from backends.blasthost.hashcache import HashCache
from backends.blasthost.launcher import Launcher
from backends.blasthost.probe import Probe
from opsconsole.hostfacts import RunFact
from opsconsole.observation import Says
from opsconsole.policy import Policy
from opsconsole.ports import Refused, RunState, Trouble
from opsconsole.settings import Patterns
from tests.blasthost.local import LocalSession
from tests.blasthost.shells import LocalShell, stub
from tests.support.blasthost import SLUG, BlastTree, ended, until

ROOT = Path(__file__).parents[2]


def launcher(tree: BlastTree, shell: LocalShell | None = None) -> Launcher:
    return Launcher(shell or LocalShell(["sh"]), tree.settings, Policy(), "blast-test")


def probed(tree: BlastTree, python: str) -> RunFact:
    settings = tree.settings_with(python=python)
    return Probe(LocalSession(), settings, HashCache(None)).look().campaigns[SLUG].runs[-1]


@pytest.mark.slow
# -- signs of life -------------------------------------------------------------------------------------------
def test_a_supervisor_gives_signs_of_life_as_long_as_it_lives_and_no_longer(
    tree: BlastTree, tmp_path: Path, shell: list[str]
) -> None:
    tree.campaign(recipients=4000)
    stub(tmp_path / "bin", "sleep", 'case $1 in 5) exec /bin/sleep 0.2 ;; *) exec /bin/sleep "$1" ;; esac')
    launch = launcher(tree, LocalShell(shell, tmp_path / "bin"))
    launch.start(tree.plan(audience=4000), by="mara")
    beat = tree.run_folder() / "beat"
    first = until(lambda: beat.exists() and beat.stat().st_mtime_ns)
    until(lambda: beat.stat().st_mtime_ns > first)

    state = launch.run_state(SLUG)
    assert state is not None
    assert state.word.beat_at is not None
    assert "no sign of life" not in state.word.note
    for python in ("auto", "never"):
        assert abs(probed(tree, python).beat_ns - beat.stat().st_mtime_ns) < 10**9
    os.kill(int((tree.run_folder() / "owner").read_text().split()[0]), signal.SIGKILL)  # and not its children
    time.sleep(0.5)
    last = beat.stat().st_mtime_ns
    time.sleep(0.5)
    assert beat.stat().st_mtime_ns == last


def test_a_silent_supervisor_is_told_and_never_taken_for_dead(tree: BlastTree) -> None:
    now = datetime(2026, 5, 12, 18, tzinfo=UTC)

    def said(silent: float, **others: object) -> RunState:
        values: dict[str, object] = {
            "attempt": 1, "claim": {"run_id": "00ff"}, "started": "2026-05-12T17:52:01Z", "owner_alive": True,
            "beat_ns": int((now.timestamp() - silent) * 1e9), "read_ns": int(now.timestamp() * 1e9),
        }  # fmt: skip
        return attempts.run_state("c", RunFact(**{**values, **others}), Patterns())  # type: ignore[arg-type]

    assert said(59).word.note == ""
    assert said(130).word.note == "its supervisor gave no sign of life for 2 min"
    assert said(130).says is Says.RUNNING
    assert said(130).word.beat_at == now - timedelta(seconds=130)
    assert said(130, owner_stopped=True).word.note == ""  # paused: its clock of life is, too
    assert said(10**9, beat_ns=0).word.note == ""  # one that gives no signs


# -- the lock ------------------------------------------------------------------------------------------------
def free(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@pytest.mark.slow
def test_from_before_the_claim_until_the_end_the_lock_is_never_free(
    tree: BlastTree, tmp_path: Path, shell: list[str]
) -> None:
    """A runner that cron starts meanwhile takes the lock and then claims: it must never have the one without us."""
    tree.campaign(recipients=30)
    stub(tmp_path / "bin", "mkdir", '/bin/sleep 0.2; exec /bin/mkdir "$@"')
    stub(tmp_path / "bin", "setsid", '/bin/sleep 0.2; exec /usr/bin/setsid "$@"')
    lock = tree.runs / SLUG / "lock"
    found_free: list[bool] = []
    stop = threading.Event()

    def cron() -> None:
        while not stop.is_set():
            if tree.run_folder().exists() and not (tree.run_folder() / "finished").exists():
                found_free.append(free(lock) and not (tree.run_folder() / "finished").exists())
            time.sleep(0.002)

    watch = threading.Thread(target=cron)
    watch.start()
    try:
        launch = launcher(tree, LocalShell(shell, tmp_path / "bin"))
        assert launch.start(tree.plan(), by="mara").fresh
        ended(launch)
    finally:
        stop.set()
        watch.join()
    assert len(found_free) > 20
    assert not any(found_free)


@pytest.mark.slow
def test_a_runner_that_has_the_lock_is_named_and_nothing_is_claimed(
    tree: BlastTree, tmp_path: Path, shell: list[str]
) -> None:
    tree.campaign()
    (tree.runs / SLUG).mkdir(parents=True)
    stub(tmp_path, tree.runner.name, f'exec 9>>"{tree.runs / SLUG / "lock"}"; flock -n 9 && echo got; read -r go')
    cron = subprocess.Popen(
        [str(tmp_path / tree.runner.name), "--campaign", SLUG, "--mode", "send"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert cron.stdout is not None
        assert cron.stdout.readline() == b"got\n"
        with pytest.raises(Refused, match=rf"Process {cron.pid} on blast-test"):
            launcher(tree, LocalShell(shell)).start(tree.plan(), by="mara")
    finally:
        cron.kill()
        cron.communicate()
    assert tree.attempts() == []


def test_a_lock_that_is_lost_on_the_way_is_waited_for_a_moment(tree: BlastTree, tmp_path: Path) -> None:
    """Where something between launcher and supervisor closes what it inherits, the lock is taken anew."""
    tree.campaign(recipients=5)
    stub(tmp_path / "bin", "setsid", 'exec 9>&-; exec /usr/bin/setsid "$@"')
    launch = launcher(tree, LocalShell(["sh"], tmp_path / "bin"))
    assert launch.start(tree.plan(audience=5), by="mara").fresh
    assert ended(launch).word.rc == 0


def test_the_very_run_claimed_and_never_started_is_a_trouble_and_no_start(
    tree: BlastTree, tmp_path: Path, shell: list[str]
) -> None:
    tree.campaign()
    plan = tree.plan()
    folder = tree.run_folder()
    folder.mkdir(parents=True)
    # Its launcher was killed behind the claim.
    (folder / "claim.json").write_text(f'{{"run_id": "{plan.run_id}", "by": "mara"}}')
    stub(tmp_path / "bin", "sleep", "exit 0")
    launch = launcher(tree, LocalShell(shell, tmp_path / "bin"))

    for _ in range(2):
        with pytest.raises(Trouble, match=r"was claimed .* did not start.*Nothing was sent.*release-claim") as told:
            launch.start(plan, by="mara")
        assert not isinstance(told.value, Refused)
    state = launch.run_state(SLUG)
    assert state is not None
    assert state.says is Says.CLAIMED
    assert tree.mailed() == []


# -- what is never done --------------------------------------------------------------------------------------
def removals(source: Path, words: str) -> list[str]:
    """The lines that take files away."""
    lines = (line.partition(" # ")[0].strip() for line in source.read_text().splitlines())
    return [line for line in lines if not line.startswith("#") and re.search(words, line)]


def test_locks_and_claims_are_never_removed_and_only_one_kind_of_lock_is_used() -> None:
    scripts = sorted((ROOT / "backends/blasthost/remote").glob("*.sh"))
    programs = sorted((ROOT / "runner").rglob("*.py"))
    assert len(scripts) > 15
    assert len(programs) > 15
    for source in (*scripts, *programs):
        assert not removals(source, r"\bflock\b[^|;&]*\s-[a-zA-Z]*F|\blockf\b|F_SETLK|F_OFD_SETLK"), source
    shell = [line for source in scripts for line in removals(source, r"\b(rm|rmdir|unlink)\b|-delete\b")]
    # Old marks of starts that were given up, holds that a console made, and what is not in use yet: a new table,
    # a new runner, the copy of the former one.
    unused = re.compile(r'rm -f "\$(new|copy)"|\.opsconsole-new-')
    assert len([line for line in shell if not unused.search(line)]) == 2
    assert [line for line in shell if "'.void-*' -mtime +1" in line]
    assert [line for line in shell if '"$holds/$scope"' in line]
    python = [line for source in programs for line in removals(source, r"(unlink|rmtree|rmdir|os\.remove)\(")]
    assert not [line for line in python if re.search(r"lock|claim|started|finished|owner|path", line)]
