"""What a command says while nothing is heard of the run it follows."""

import time

import pytest

from opsconsole.commands.silence import Silence


def until(said: list[str], text: str, capsys: pytest.CaptureFixture[str], times: int = 1) -> None:
    end = time.monotonic() + 20
    while "".join(said).count(text) < times:
        assert time.monotonic() < end, f"never said: {text}"
        said.append(capsys.readouterr().err)
        time.sleep(0.01)


def test_a_silence_is_told_once_and_so_is_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with Silence("may", after=0.05) as silence:
        until(said, "Nothing was heard of the run", capsys)
        silence.heard()
        until(said, "heard of again", capsys)
        until(said, "Nothing was heard of the run", capsys, times=2)
    text = "".join(said)
    assert "opsconsole show may" in text
    assert text.count("heard of again") == 1


def test_a_run_that_speaks_is_not_called_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Silence("may", after=30) as silence:
        silence.heard()
    assert capsys.readouterr().err == ""
