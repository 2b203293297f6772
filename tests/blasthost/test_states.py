"""Every combination of files that an attempt's folder may hold is one state, and all who look say the same."""

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.blasthost import attempts
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from backends.blasthost.scripts import script
from opsconsole.observation import Says
from opsconsole.settings import Patterns
from tests.blasthost.local import LocalSession, Tree, owner_of

OWNERS = ("none", "gone", "alive", "stopped")
FILES = {
    "claim.json": '{"run_id": "00ff", "by": "mara", "at": "2026-05-12T17:52:00Z"}',
    "plan.json": '{"slug": "c"}',
    "started": "2026-05-12T17:52:01Z\n",
    "finished": '{"rc": 0, "at": "2026-05-12T17:53:00Z", "counts": null}\n',
    "released": '{"by": "ana"}\n',
    "abandoned": "",
    "busy": "",
}
COMBINATIONS = [
    (owner, frozenset(name for name, there in zip(FILES, flags, strict=True) if there))
    for owner in OWNERS
    for flags in itertools.product((False, True), repeat=len(FILES))
]


def table(owner: str, files: frozenset[str]) -> Says:
    """The table of docs/architecture.md, row by row."""
    at_work = owner in ("alive", "stopped")
    if "released" in files and not (at_work and "finished" not in files):
        return Says.NOTHING  # RELEASED
    if "finished" in files:
        return Says.ENDED
    if "started" not in files:
        return Says.CLAIMED
    if not at_work:
        return Says.STARTED  # IN DOUBT
    return Says.PAUSED if owner == "stopped" else Says.RUNNING


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A host on which each campaign has one of the combinations as its only attempt, in their order."""
    tree = Tree(tmp_path_factory.mktemp("states"))
    alive, stopped = (subprocess.Popen(["sleep", "300"]) for _ in range(2))
    os.kill(stopped.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
    owners = {"gone": "999999999 1 0-0\n", "alive": owner_of(alive.pid), "stopped": owner_of(stopped.pid)}
    for number, (owner, files) in enumerate(COMBINATIONS):
        folder = tree.run(f"c{number:03}")
        for name in files:
            (folder / name).write_text(FILES[name])
        if owner in owners:
            (folder / "owner").write_text(owners[owner])
    yield tree
    for process in (alive, stopped):
        process.kill()
        process.wait()


def test_every_combination_is_one_state_and_the_board_is_told_it(host: Tree, tmp_path: Path) -> None:
    expected = [table(owner, files) for owner, files in COMBINATIONS]
    assert len(expected) == 4 * 2 ** len(FILES) == 512
    assert set(expected) == {Says.NOTHING, Says.CLAIMED, Says.STARTED, Says.RUNNING, Says.PAUSED, Says.ENDED}

    for python in ("auto", "never"):
        settings = host.settings(python=python)
        facts = Probe(LocalSession(), settings, HashCache(tmp_path / f"{python}.db")).look()
        runs = [facts.campaigns[f"c{number:03}"].runs[0] for number in range(len(COMBINATIONS))]
        said = [attempts.run_state("c", run, Patterns()).says for run in runs]
        assert said == expected, python


SLOW = (pytest.param(name, marks=pytest.mark.slow) for name in ("bash", "busybox"))


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["dash", *SLOW])
def test_and_so_is_who_asks_for_one_run(host: Tree, shell: str) -> None:
    ask = script("state").replace('main "$@"\n', 'for d in "$1"/*/; do main "${d%/}" 1; done\n')
    words = {"busybox": ["busybox", "sh"]}.get(shell, [shell])
    done = subprocess.run([*words, "-c", ask, "-", str(host.state)], capture_output=True, timeout=60)
    told = done.stdout.decode().split("RUN ")[1:]
    facts = [attempts.parse(f"RUN {text}".splitlines()) for text in told]

    said = [attempts.run_state("c", fact, Patterns()).says for fact in facts if fact]

    assert said == [table(owner, files) for owner, files in COMBINATIONS]


@pytest.mark.parametrize("finished", ["", "[]", '{"rc": 0', "null", "{}"])
@pytest.mark.parametrize("python", ["auto", "never"])
def test_an_end_that_can_not_be_read_is_in_doubt_even_where_no_start_is(
    tmp_path: Path, finished: str, python: str
) -> None:
    tree = Tree(tmp_path)
    folder = tree.run("c", finished=finished, claim_json={"run_id": "00ff"})
    run = Probe(LocalSession(), tree.settings(python=python), HashCache(None)).look().campaigns["c"].runs[0]
    done = LocalSession().run(script("state"), str(folder.parent), "1")
    asked = attempts.parse(done.stdout.decode().splitlines())
    assert asked is not None
    assert [attempts.run_state("c", fact, Patterns()).says for fact in (run, asked)] == [Says.STARTED] * 2
