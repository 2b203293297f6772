"""The runner as it is, but for what a bench leaves out of it: uvloop, or the journal's writes."""

import os
import resource
import sys
from pathlib import Path

from runner.cli import main

if os.environ.get("BENCH_NO_UVLOOP"):
    sys.modules["uvloop"] = None  # type: ignore[assignment]
if os.environ.get("BENCH_NO_JOURNAL"):
    from runner.record.journal import Journal

    Journal._put = Journal._settle = lambda self, line: None  # type: ignore[method-assign, assignment]
    Journal.sync = lambda self: None  # type: ignore[method-assign]

rc = main()
if note := os.environ.get("BENCH_MEMORY"):  # a file for the most memory it had, in KB
    Path(note).write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
sys.exit(rc)
