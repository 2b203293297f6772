"""What the store itself enforces, whoever writes to it, and where copies of its head must go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from opsconsole.audit.tidings import Ear


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRules:
    """`four_eyes`: environments in which the approver of a send isn't its planner.

    `keepers`: by environment, the names of the places that keep copies of the head. A record that matters for a
    send puts an outbox item for `anchor:NAME` in the same transaction. `told`: by environment, who hears of what
    others must know (tidings.py).

    `outbox_kept_for`: how long an acknowledged outbox item is kept; records are kept for ever.
    """

    four_eyes: frozenset[str] = frozenset()
    keepers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    told: Mapping[str, tuple[Ear, ...]] = field(default_factory=dict)
    outbox_kept_for: timedelta = timedelta(days=90)


ANCHORED = frozenset(
    {
        "send",
        "send-started",
        "send-unclear",
        "send-rest",
        "settle",
        "approve",
        "break-glass",
        "hold",
        "release",
        "release-claim",
        "run-cancel",
        "run-account",
        "mark",
        "close",
        "cancel",
        "reschedule",
        "trigger-off",
        "trigger-on",
        "resolve",
        "host-accepted",
        "install-runner",
    }
)
"""Actions whose records matter for a send: after each the head is copied to the keepers."""
