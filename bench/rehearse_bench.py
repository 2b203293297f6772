"""P5: rows a second of a dry run, everything checked and rendered, against plain csv.reader; and how both grow.

    python -m bench.rehearse_bench [rows] [rounds]

The file has five columns, the template about 10 KB of HTML with five variables and a text part. csv.reader and the
naive way (one str.replace a variable) run over the same file in the same round. A tenth and ten times as many rows
show the growth, the largest also the peak memory.
"""

import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.send_bench import Stage

ROWS, ROUNDS = 100_000, 5


def dry_run(stage: Stage) -> tuple[float, float]:
    """Seconds for the rows as the runner counts them, and the peak memory of its process in MB."""
    env = {
        **os.environ,
        "MAIL_BLAST_CAMPAIGNS_DIR": str(stage.folder.parent),
        "MAIL_BLAST_STATE_DIR": str(stage.root / "state" / "runs"),
        "MAIL_BLAST_CREDENTIALS": str(stage.root / "credentials.conf"),
    }
    code = (
        "import resource, sys; from runner.cli import main; rc = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(rc)"
    )
    command = [sys.executable, "-c", code, "--campaign", "garden", "--mode", "dry-run"]
    done = subprocess.run(command, env=env, check=True, capture_output=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["audience"] == stage.messages
    return float(summary["duration_s"]), int(done.stderr.split()[-1]) / 1024


def plain_reader(stage: Stage) -> float:
    began = time.perf_counter()
    with (stage.folder / "blast_data.csv").open(newline="") as file:
        for _ in csv.reader(file):
            pass
    return time.perf_counter() - began


def naive(stage: Stage, rows: int) -> float:
    """Seconds to fill in a template by str.replace."""
    html = (stage.folder / "blast_template.html").read_text()
    began = time.perf_counter()
    with (stage.folder / "blast_data.csv").open(newline="") as file:
        for row, _ in zip(csv.DictReader(file), range(rows), strict=False):
            text = html
            for name, value in row.items():
                text = text.replace("{{ " + name + " }}", value)
    return time.perf_counter() - began


def run(rows: int = ROWS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = []
    each: dict[int, float] = {}
    for count in (rows // 10, rows, rows * 10):
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(Path(folder), count)
            times, ratios, replaced, memory = [], [], [], 0.0
            for _ in range(rounds if count <= rows else 1):
                plain = plain_reader(stage)
                took, memory = dry_run(stage)
                times.append(took)
                ratios.append(plain / took)
                replaced.append(naive(stage, min(count, rows)) / min(count, rows) / (took / count))
            each[count] = statistics.median(times) / count
            figures.append(
                {
                    "name": f"P5 dry run of {count:,} rows against csv.reader",
                    "ours": f"{count / statistics.median(times):,.0f}",
                    "reference": f"{count / statistics.median(times) / statistics.median(ratios):,.0f}",
                    "ratio": f"{statistics.median(ratios):.3f}",
                    "unit": "rows/s",
                    "goal": "≥ 0.033" if count == rows else "",
                }
            )
            if count == rows:
                figures.append(
                    {
                        "name": "P5 against str.replace alone, a row",
                        "ratio": f"{statistics.median(replaced):.2f}",
                        "unit": "× as fast",
                    }
                )
    figures.append(
        {"name": f"P5 memory, {rows * 10:,} rows", "ours": f"{memory:.0f}", "unit": "MB", "goal": "≤ 150"}
    )
    small, large = each[rows], each[rows * 10]
    figures.append(
        {
            "name": f"P10 a row of {rows * 10:,} against one of {rows:,}",
            "ours": f"{large * 1e6:.1f}",
            "reference": f"{small * 1e6:.1f}",
            "ratio": f"{large / small:.2f}",
            "unit": "µs",
            "goal": "≤ 1.1",
        }
    )
    return figures


if __name__ == "__main__":
    from bench.__main__ import table

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(table(run(*map(int, sys.argv[1:]))))
