"""The runner as it is, but for what a bench leaves out of it: uvloop, or the journal's writes."""

import os
import sys

from runner.cli import main

if os.environ.get("BENCH_NO_UVLOOP"):
    sys.modules["uvloop"] = None  # type: ignore[assignment]
if os.environ.get("BENCH_NO_JOURNAL"):
    from runner.record.journal import Journal

    Journal._put = Journal._settle = lambda self, line: None  # type: ignore[method-assign, assignment]
    Journal.sync = lambda self: None  # type: ignore[method-assign]

sys.exit(main())
