"""Commands in scripts (P9): `--version` and `board --last-known --json` beside a bare interpreter and click."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsconsole import snapshot
from opsconsole.observation import Observation, Report, Says

ROUNDS = 7
CONFIG = """\
data_dir = "{data}"
[environments.prod.blasthost.blast-mail-prod]
ssh = "blast-mail-prod"
"""


def run() -> list[dict[str, Any]]:
    """Medians in ms; `ratio` is ours over the bare interpreter. Goals: 120/14 and 250/14 of it."""
    with tempfile.TemporaryDirectory() as folder:
        config = _last_known(Path(folder))
        console = [sys.executable, "-m", "opsconsole.cli"]
        calls = {
            "python": [sys.executable, "-c", "pass"],
            "click": [sys.executable, "-c", "import click; click.command()(lambda: None)([])"],
            "version": [*console, "--version"],
            "board": [*console, "--config", str(config), "board", "--last-known", "--json"],
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():  # in turns, so that noise falls on all of them
                times[name].append(_time(call))
    ms = {name: statistics.median(found) * 1000 for name, found in times.items()}
    return [
        _figure("P9 --version", ms["version"], ms["python"], 120 / 14),
        _figure("P9 board --json, 30 campaigns, last known", ms["board"], ms["python"], 250 / 14),
        _figure("P9 click alone", ms["click"], ms["python"], None),
    ]


def _figure(name: str, ours: float, reference: float, goal: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 1),
        "reference": round(reference, 1),
        "ratio": round(ours / reference, 2),
        "unit": "ms, python -c pass",
        "goal": f"≤ {goal:.1f}" if goal else "",
    }


def _time(call: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(call, stdout=subprocess.DEVNULL, check=False, env={**os.environ, "NO_COLOR": "1"})
    return time.perf_counter() - start


def _last_known(folder: Path) -> Path:
    now = datetime.now(UTC)
    words = tuple(
        Observation(
            source="blast-mail-prod",
            slug=f"campaign-{n}",
            observed_at=now,
            fresh_for=timedelta(minutes=5),
            says=Says.NOTHING,
            keeps_traces=True,
        )
        for n in range(30)
    )
    report = Report(source="blast-mail-prod", looked_at=now, fresh_for=timedelta(minutes=5), observations=words)
    snapshot.save(folder / "last-known-prod.json", [report])
    (folder / "config.toml").write_text(CONFIG.format(data=folder))
    return folder / "config.toml"
