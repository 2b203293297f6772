"""What a finding is: one thing wrong with a campaign, and how much it matters. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    INFO = "info"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong. BLOCK forbids a send; `alarm` calls for attention, whatever the status."""

    code: str
    severity: Severity
    text: str
    evidence: tuple[str, ...] = ()
    alarm: bool = False


def in_order(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each once: worst first, of those what calls for attention, then by code."""
    order = list(reversed(Severity))
    return tuple(sorted(dict.fromkeys(found), key=lambda f: (order.index(f.severity), not f.alarm, f.code, f.text)))
