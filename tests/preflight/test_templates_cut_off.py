"""A template is somebody else's program: whatever it does, the console says so in time and goes on."""

import os
import tracemalloc
from pathlib import Path

import pytest

from opsconsole.preflight import CHECKS, Outcome, Result, rendering, run_checks
from runner.message.template import Source, unknown_variables
from tests.preflight.situations import situation

_BY_ID = {check.id: check for check in CHECKS}
RENDERED = [_BY_ID[name] for name in ("template-compiles", "template-variables", "rows-render", "size")]


def judged(page: str) -> dict[str, Result]:
    given = {"files": {"blast_template.html": page}}
    return {result.check_id: result for result in run_checks(situation(given), RENDERED)}


@pytest.mark.parametrize(
    "page",
    [
        '{{ "a"|center(3000000000) }}',
        '{{ "%999999999d"|format(1) }}',
        "{{ 9**9**9**9 }}",
        pytest.param(
            "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}",
            marks=pytest.mark.slow,
        ),
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% for i in range(99999999999) %}{% endfor %}",
        pytest.param(
            "{% set ns = namespace(x=7) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
            marks=pytest.mark.slow,
        ),
        "{{ 'a' * 900000000 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
    ids=[
        "center",
        "format",
        "power",
        "nested-loops",
        "doubling",
        "huge-range",
        "squaring",
        "repetition",
        "recursion",
    ],
)
def test_given_a_template_that_runs_away_then_the_rows_fail_and_the_send_is_blocked(page: str) -> None:
    result = judged(page)["rows-render"]

    assert result.outcome is Outcome.FAIL, result
    assert result.blocks
    assert "blast_template.html" in " ".join(result.evidence)


@pytest.mark.slow
def test_given_a_renderer_that_goes_silent_then_it_is_ended_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A stand-in for a library call that never comes back: it greets, notes its id, and sleeps.
    folder = tmp_path / "opsconsole" / "preflight"
    folder.mkdir(parents=True)
    (tmp_path / "opsconsole" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    note = tmp_path / "pid"
    (folder / "renderer.py").write_text(
        "import os, time, pathlib\n"
        f"pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\n"
        'print(\'{"say": "hello"}\', flush=True)\n'
        "time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(rendering, "SILENT_SECONDS", 2.0)

    results = judged("<p>{{ city }}</p>")

    assert results["template-compiles"].outcome is Outcome.FAIL
    assert "gave no sign of life for 2 s" in results["template-compiles"].says
    assert results["rows-render"].blocks
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_given_secrets_in_the_environment_then_the_renderer_does_not_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "opsconsole" / "preflight"
    folder.mkdir(parents=True)
    (tmp_path / "opsconsole" / "__init__.py").touch()
    (folder / "__init__.py").touch()
    note = tmp_path / "environment"
    (folder / "renderer.py").write_text(
        f"import os, pathlib\npathlib.Path({str(note)!r}).write_text(' '.join(sorted(os.environ)))\n"
        'print(\'{"say": "done", "rows": 0}\', flush=True)\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SMTP_PASSWORD", "not-a-real-one")

    judged("<p>{{ city }}</p>")

    assert "PYTHONPATH" in note.read_text().split()
    assert "SMTP_PASSWORD" not in note.read_text().split()


def test_looking_for_variables_computes_nothing_of_the_template() -> None:
    page = "{{ 'a' * 50000000 }}{% set b = 'b' * 50000000 %}{{ 'c'|center(50000000) }}{{ city }}"

    tracemalloc.start()
    found = unknown_variables(Source(page, "blast_template.html", html=True), ["email"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [finding.variable for finding in found] == ["city"]
    assert peak < 10_000_000, f"{peak:,} bytes at the peak"
