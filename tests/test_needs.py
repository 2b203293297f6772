"""A test that can't run says what to install, and is no success where everything must be there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import missing

TEST = """
import pytest

@pytest.mark.needs("no-such-program")
def test_it():
    assert False, "must not run"
"""


def test_a_missing_program_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.programs.find", lambda program: None)
    assert missing("smtp-sink") == "smtp-sink is missing; install it: apt-get install postfix"


def test_servers_are_found_where_an_ordinary_path_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert missing("ldconfig") is None


@pytest.mark.slow
@pytest.mark.parametrize(("required", "status"), [("0", 0), ("1", 1)])
def test_a_missing_program_skips_here_and_fails_where_all_is_required(
    tmp_path: Path, required: str, status: int
) -> None:
    (tmp_path / "test_one.py").write_text(TEST)
    root = Path(__file__).parent.parent
    options = ["-rs", "-p", "no:cacheprovider", "-p", "tests.conftest", "-c", str(root / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={root}", str(tmp_path / "test_one.py")],
        cwd=root,
        env={**os.environ, "OPSCONSOLE_REQUIRE_ALL": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert "apt-get install no-such-program" in done.stdout
    assert "must not run" not in done.stdout
