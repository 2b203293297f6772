"""What a report is made of: gathered once, then told. The same facts give the same report, byte by byte. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opsconsole.board import Board, SourceState
from opsconsole.timeline import Past
from opsconsole.verdict import Verdict

if TYPE_CHECKING:  # the store's own modules are heavy
    from opsconsole.audit.records import OutboxItem, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The audit store's head as of the report, and whether all seals up to it hold (None: nobody could look)."""

    seq: int = 0
    mac: str = ""
    whole: bool | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Whose report it is. `at` is the instant it speaks of: the newest look, not the moment of writing."""

    at: datetime
    environment: str
    danger: bool
    operator: str
    local_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFacts:
    """All that is told of one campaign. `open_intents` are the store's records without an outcome."""

    setting: Setting
    verdict: Verdict
    sources: tuple[SourceState, ...]
    past: Past
    open_intents: "tuple[Record, ...]" = ()
    chain: Chain = Chain()
    store_trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftFacts:
    """All that the next shift is told. `records` are those of the last `back`, oldest first."""

    setting: Setting
    board: Board
    back: timedelta
    ahead: timedelta
    records: "tuple[Record, ...]" = ()
    open_intents: "tuple[Record, ...]" = ()
    waiting: "tuple[OutboxItem, ...]" = ()
    chain: Chain = Chain()
    store_trouble: str = ""
