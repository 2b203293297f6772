"""All checks in their order, run one by one over one situation."""

import traceback
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from opsconsole.campaign import is_slug
from opsconsole.preflight import audience, content, files, history, host, mail, schedule
from opsconsole.preflight.check import CannotJudge, Check, Finding, Outcome, Result, Situation, failed

# What renders every row comes last, so that all the others are told within a moment.
_ORDER = [
    "folder-there",
    "files-there",
    "metadata-valid",
    "subject-and-sender",
    "unsubscribe",
    "csv-well-formed",
    "addresses-valid",
    "addresses-unique",
    "count-expected",
    "count-approved",
    "approval-valid",
    "due-and-window",
    "cron-lines",
    "cron-file",
    "runner-there",
    "credentials",
    "disk",
    "memory",
    "clock-offset",
    "survives-logout",
    "not-already-sent",
    "no-hold",
    "no-other-run",
    "template-compiles",
    "template-variables",
    "rows-render",
    "headers-safe",
    "size",
]
_BY_ID: dict[str, Check[Any]] = {
    check.id: check for topic in (files, content, audience, schedule, host, mail, history) for check in topic.CHECKS
}
CHECKS: tuple[Check[Any], ...] = tuple(_BY_ID.pop(check_id) for check_id in _ORDER)
assert not _BY_ID, f"checks without a place in the order: {', '.join(_BY_ID)}"
"""Those of a blast host."""

_ANYWHERE = ("approval-valid", "due-and-window", "not-already-sent", "no-hold")
SHARED: tuple[Check[Any], ...] = tuple(check for check in CHECKS if check.id in _ANYWHERE)
"""Those that any carrier needs: they look at what all sources say and at `Facts.digests` alone."""


def run_checks(situation: Situation, checks: Sequence[Check[Any]] = CHECKS) -> Iterator[Result]:
    """The result of each check as soon as there is one. A check that breaks fails alone, and blocks."""
    for check in checks:
        finding = _run(check, situation)
        yield Result(
            check_id=check.id,
            title=check.title,
            topic=check.topic,
            outcome=finding.outcome,
            says=finding.says,
            evidence=finding.evidence,
            remedy=finding.remedy,
            blocks=finding.blocks,
        )


def _run(check: Check[Any], situation: Situation) -> Finding:
    if not is_slug(situation.slug):
        # A name outside the grammar is used for nothing, not even to look.
        return failed(
            f"{situation.slug[:80]!r} can't be a campaign.",
            "A slug has 1 to 64 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit.",
        )
    try:
        return check.run(situation)
    except CannotJudge as reason:
        return Finding(Outcome.SKIPPED, reason.why, (), reason.remedy, blocks=True)
    except Exception as error:
        # Its text may hold a recipient's data: the kind and the place are enough to mend it.
        last = traceback.extract_tb(error.__traceback__)[-1]
        return failed(
            f"The check itself failed with {type(error).__name__}.",
            "Look at what it was to judge by hand, and report this to the makers of opsconsole.",
            [f"{PurePath(last.filename).name}, line {last.lineno}"],
        )
