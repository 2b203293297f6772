"""What an operator may write into the control file, and what the runner makes of it."""

import os
from pathlib import Path

import pytest

from runner.run.control import UNSET, Control, Wishes, read


def write(path: Path, text: str) -> None:
    """As the console does: whole or not at all."""
    new = path.with_name("new")
    new.write_text(text)
    os.replace(new, path)


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("pause", Wishes("pause")),
        ("run\nrate 50\naccount fallback\n", Wishes("run", 50.0, "fallback")),
        ("run\r\nrate none\r\n", Wishes("run", None)),
        ("cancel\nrate 0.5\nrate 7\naccount fallback\naccount main", Wishes("cancel", 7.0, "main")),
        ("rate 20", Wishes(rate=20.0)),
        ("", Wishes()),
        ("rate 0\nrate -1\nrate nan", Wishes(strange=("rate 0", "rate -1", "rate nan"))),
        ("rate 1e7\nrate", Wishes(strange=("rate 1e7", "rate"))),
        ("run\naccount other\nRUN\nrun now", Wishes("run", strange=("account other", "RUN", "run now"))),
    ],
)  # fmt: skip
def test_lines_of_a_control_file(text: str, wishes: Wishes) -> None:
    assert read(text) == wishes


def test_given_new_wishes_while_running_then_the_last_of_each_kind_stands(tmp_path: Path) -> None:
    control, path = Control(), tmp_path / "control"
    control.follow(path)
    control.poll()
    assert (control.word, control.rate, control.account) == ("run", UNSET, "main")
    write(path, "run\nrate 50\n")
    control.poll()
    assert control.rate == 50.0
    write(path, "pause\n")  # a console that knows nothing of rates
    control.poll()
    assert (control.word, control.rate) == ("pause", 50.0)
    write(path, "run\nrate none\naccount fallback\n")
    control.poll()
    assert (control.word, control.rate, control.account) == ("run", None, "fallback")
    path.unlink()
    control.poll()
    assert (control.word, control.rate, control.account) == ("run", None, "fallback")
    write(path, "cancel\n")
    control.poll()
    assert control.cancelled


def test_given_only_the_rate_changes_then_run_is_not_said_anew(tmp_path: Path) -> None:
    """Else a changed rate would let a send go on that paused by itself, until a person says run."""
    control, path = Control(), tmp_path / "control"
    control.follow(path)
    said = control.written
    write(path, "run\nrate 10\n")
    control.poll()
    assert control.written == said
    write(path, "run\nrate 10\naccount fallback\n")
    control.poll()
    assert control.written == said
    write(path, "run\nrate 10\naccount fallback\n")  # nothing else changed: this is the person saying it
    control.poll()
    assert control.written != said


def test_given_lines_nobody_understands_then_each_is_told_once_and_masked(tmp_path: Path) -> None:
    told: list[str] = []
    control, path = Control(told.append), tmp_path / "control"
    control.follow(path)
    for text in (
        "run\nfaster ann@example.com\n",
        "pause\nfaster ann@example.com\n",
        "faster ann@example.com\x1b[2J",
    ):
        write(path, text)
        control.poll()
        control.poll()
    assert control.word == "pause"
    assert len(told) == 2
    assert "a•••@example.com" in told[0]
    assert not any("\x1b" in text or "ann@" in text for text in told)
    write(path, "\n".join(f"line {i}" for i in range(300)))
    control.poll()
    assert len(told) == 20


def test_given_a_resume_then_the_old_word_is_not_for_it_but_rate_and_account_are(tmp_path: Path) -> None:
    path = tmp_path / "control"
    write(path, "cancel\nrate 5\naccount fallback\n")
    later = os.stat(path).st_mtime + 10
    control = Control()
    control.follow(path, since=later)
    control.poll()
    assert (control.word, control.rate, control.account) == ("run", 5.0, "fallback")
    write(path, "pause\nrate 5\naccount fallback\n")
    control.poll()
    assert control.word == "pause"


@pytest.mark.parametrize("kind", ["folder", "pipe", "bytes", "nothing"])
def test_given_something_else_in_its_place_then_the_last_wishes_stand(tmp_path: Path, kind: str) -> None:
    control, path = Control(), tmp_path / "control"
    control.follow(path)
    write(path, "pause\n")
    control.poll()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe")
    control.poll()
    assert control.word == "pause"
