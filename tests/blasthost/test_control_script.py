"""What the host's script makes of the control file, under each POSIX shell."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.blasthost.scripts import script
from tests.blasthost.shells import LocalShell

CONTROLS = ["pause", "resume", "cancel", "rate", "account"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """The folder of an attempt whose owner lives."""
    folder = tmp_path / "may" / "1"
    folder.mkdir(parents=True)
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (folder / "owner").write_text(f"{process.pid} {ticks} {boot}\n")
    (folder / "started").write_text("2026-05-12T10:00:00Z\n")
    runner(folder, controls=CONTROLS)
    yield folder
    process.kill()
    process.wait()


def runner(folder: Path, **says: object) -> None:
    (folder / "runner.json").write_text(json.dumps({"runner": "ours", "control": "file"} | says) + "\n")


def tell(shell: list[str], run: Path, *words: str) -> str:
    """The script's own answer; the file is then in `run`."""
    done = LocalShell(shell).run(script("control"), str(run.parent), run.name, *words, timeout=30)
    return done.stdout.decode().splitlines()[0]


@pytest.mark.slow
def test_what_is_not_asked_for_stays_as_it_was(run: Path, shell: list[str]) -> None:
    story = [
        (("rate", "50"), "run\nrate 50\n"),
        (("pause",), "pause\nrate 50\n"),
        (("account", "fallback"), "pause\nrate 50\naccount fallback\n"),
        (("rate", "none"), "pause\naccount fallback\nrate none\n"),
        (("resume",), "run\naccount fallback\nrate none\n"),
        (("account", "main"), "run\nrate none\naccount main\n"),
        (("cancel",), "cancel\nrate none\naccount main\n"),
    ]
    for words, file in story:
        assert tell(shell, run, *words) == "DONE file"
        assert (run / "control").read_text() == file


def test_the_same_wish_once_more_writes_nothing_but_resume_does(run: Path, shell: list[str]) -> None:
    """A send that refusals paused takes a new writing of `run` for the word of a person."""
    tell(shell, run, "rate", "50")
    before = (run / "control").stat()
    assert tell(shell, run, "rate", "50") == "DONE file"
    assert (run / "control").stat().st_ino == before.st_ino
    assert tell(shell, run, "resume") == "DONE file"
    assert (run / "control").read_text() == "run\nrate 50\n"
    assert (run / "control").stat().st_ino != before.st_ino


@pytest.mark.slow
@pytest.mark.parametrize("controls", [None, ["pause", "resume", "cancel"]])
def test_a_runner_that_does_not_say_it_obeys_is_not_told(
    run: Path, shell: list[str], controls: list[str] | None
) -> None:
    runner(run, **({"controls": controls} if controls else {}))
    for words in (("rate", "50"), ("account", "fallback")):
        assert tell(shell, run, *words) == "UNABLE"
    assert not (run / "control").exists()
    assert tell(shell, run, "pause") == "DONE file"
    assert (run / "control").read_text() == "pause\n"


@pytest.mark.slow
def test_what_somebody_wrote_by_hand_is_put_in_order(run: Path, shell: list[str]) -> None:
    (run / "control").write_text("pause\nrate 5\nfaster!\nrate 9\nrun")
    assert tell(shell, run, "rate", "20") == "DONE file"
    assert (run / "control").read_text() == "run\nrate 20\n"


@pytest.mark.slow
def test_a_dead_owner_is_told_nothing(run: Path, shell: list[str]) -> None:
    pid, _, boot = (run / "owner").read_text().split()
    (run / "owner").write_text(f"{pid} 1 {boot}\n")
    assert tell(shell, run, "rate", "50") == "GONE"
    assert not (run / "control").exists()
