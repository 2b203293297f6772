"""The list of checks as a whole: in order, one by one, and no check hides another."""

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from opsconsole.preflight import CHECKS, Check, Outcome, run_checks
from opsconsole.preflight.check import Finding, Situation, everything, passed
from tests.preflight.situations import situation


def test_given_a_healthy_campaign_then_every_check_passes() -> None:
    results = list(run_checks(situation({})))

    assert [result.check_id for result in results] == [check.id for check in CHECKS]
    assert {result.check_id: result.says for result in results if result.outcome is not Outcome.PASS} == {}
    assert not any(result.blocks for result in results)


def test_given_a_host_out_of_reach_then_what_needs_it_is_skipped_and_blocks() -> None:
    results = list(run_checks(situation({"blind": "the host closed the connection"})))

    blind = [result for result in results if result.outcome is Outcome.SKIPPED]
    assert len(blind) >= 20
    assert all(result.blocks and "Blind: blast-mail-prod was not reached" in result.says for result in blind)
    assert all(
        "closed the connection" in result.says and "Reach blast-mail-prod" in result.remedy for result in blind
    )


def test_given_a_check_that_breaks_then_it_fails_alone_without_telling_data() -> None:
    def broken(_: Any, situation: Situation) -> Finding:
        raise KeyError("ann@example.com")

    def fine(_: Any, situation: Situation) -> Finding:
        return passed("Fine.")

    checks = [Check("a", "A", "t", everything, broken), Check("b", "B", "t", everything, fine)]
    first, second = run_checks(situation({}), checks)

    assert first.outcome is Outcome.FAIL
    assert first.blocks
    assert "KeyError" in first.says
    assert "ann" not in repr(first)
    assert second.outcome is Outcome.PASS


def test_results_arrive_one_by_one() -> None:
    seen = []

    def note(_: Any, situation: Situation) -> Finding:
        seen.append(len(seen))
        return passed("Fine.")

    results = run_checks(situation({}), [Check(name, name, "t", everything, note) for name in "abc"])
    next(results)

    assert seen == [0]


def test_the_same_situation_gives_the_same_results() -> None:
    given = situation({"metadata": {"expected_recipients": 7}})

    assert list(run_checks(given)) == list(run_checks(replace(given)))


def test_importing_the_checks_loads_no_template_engine_and_no_terminal() -> None:
    heavy = "{'jinja2', 'textual', 'paramiko', 'sqlmodel', 'httpx', 'aiosmtplib'}"
    code = f"import sys, opsconsole.preflight; print(sorted({heavy} & set(sys.modules)))"

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert out.stdout.strip() == "[]"


@pytest.mark.slow
def test_given_fifty_thousand_rows_then_memory_stays_small() -> None:
    rows = "".join(f"p{n}@example.com,Name {n},Town {n % 97}\n" for n in range(50_000))
    given = situation(
        {
            "files": {"blast_data.csv": "email,first_name,city\n" + rows},
            "metadata": {"expected_recipients": 50_000},
        }
    )
    given = replace(given, approval=replace(given.approval, recipients=50_000)) if given.approval else given

    tracemalloc.start()
    results = {result.check_id: result for result in run_checks(given)}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert results["rows-render"].says == "All 50,000 rows render."
    assert results["addresses-unique"].outcome is Outcome.PASS
    assert not any(result.blocks for result in results.values())
    assert peak < 20_000_000, f"{peak:,} bytes at the peak"
