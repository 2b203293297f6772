"""The checks before a send. `run_checks` yields one result after the other over one gathered situation."""

from opsconsole.preflight.check import Check, Earlier, Outcome, Result, Situation
from opsconsole.preflight.run import CHECKS, SHARED, run_checks

__all__ = ["CHECKS", "SHARED", "Check", "Earlier", "Outcome", "Result", "Situation", "run_checks"]
