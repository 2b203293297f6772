"""Every file under data/<check-id>/ is one story: given this situation, the check says that."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from opsconsole.preflight import CHECKS, Outcome, run_checks
from opsconsole.preflight.run import _BY_ID
from tests.preflight.situations import situation

RENDERS = ("rows-render", "headers-safe", "size")  # each story of these starts a process
CASES = sorted((Path(__file__).parent / "data").glob("*/*.json"))


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _asked(path: Path) -> Any:
    slow = path.parent.name in RENDERS and path.stem != "all"
    name = f"{path.parent.name}/{path.stem}"
    return pytest.param(path, id=name, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize("path", [_asked(path) for path in CASES])
def test_case(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    assert set(case) <= {"given", "outcome", "blocks", "says contains", "remedy contains", "evidence contains"}
    check = next(check for check in CHECKS if check.id == path.parent.name)

    (result,) = run_checks(situation(case["given"]), [check])

    told = f"{result.outcome}: {result.says}\n{result.remedy}\n" + "\n".join(result.evidence)
    assert result.outcome == case["outcome"], told
    assert result.blocks is case.get("blocks", result.outcome in (Outcome.FAIL, Outcome.SKIPPED)), told
    for text in _texts(case.get("says contains", [])):
        assert text in result.says, told
    for text in _texts(case.get("remedy contains", [])):
        assert text in result.remedy, told
    for text in _texts(case.get("evidence contains", [])):
        assert any(text in line for line in result.evidence), told
    assert result.says.endswith("."), told
    assert bool(result.remedy) is (result.outcome is not Outcome.PASS), told
    assert not re.search(r"\b(ann|bob|carla|dora)@example", told), "an address is shown unmasked"
    assert "check itself failed" not in result.says, told


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_has_a_good_a_bad_and_an_odd_case(check: Any) -> None:
    outcomes = [json.loads(path.read_text())["outcome"] for path in CASES if path.parent.name == check.id]

    assert len(outcomes) >= 3
    assert "pass" in outcomes
    assert len(set(outcomes)) >= 2


def test_no_case_is_left_over_and_no_check_is_left_out() -> None:
    assert {path.parent.name for path in CASES} == {check.id for check in CHECKS}
    assert _BY_ID == {}
