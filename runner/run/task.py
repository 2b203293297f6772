"""What a send is given to do, and with what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runner.campaign import survey
from runner.campaign.files import Campaign
from runner.channel.port import Wire
from runner.record.journal import Journal
from runner.run.control import Control
from runner.run.output import DeliveryLog, Output
from runner.run.progress import Counts
from runner.settings import Account, Settings


@dataclass(frozen=True)
class Task:
    """One process's share of a run. `states` is the journal's state of each row, `tries` what rows that were
    deferred before have behind them: attempts made and when the next is due (Unix seconds). `switch(name)` makes
    the wires use that account, "main" or "fallback", from the next message on; None when there is none."""

    settings: Settings
    campaign: Campaign
    surveyed: survey.Survey
    wires: list[Wire[Any]]
    journal: Journal
    states: bytearray
    tries: dict[int, tuple[int, float]]
    counts: Counts
    control: Control
    output: Output
    delivery: DeliveryLog | None
    account: Account
    switch: Callable[[str], Account | None]
