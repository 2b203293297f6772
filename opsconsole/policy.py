"""The limits a team sets: how late is late, how old is stale, how long a rehearsal counts."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Spans of time are timedeltas, clock limits are seconds."""

    start_grace: timedelta = timedelta(minutes=10)
    latest_start_after: timedelta = timedelta(hours=2)
    early_tolerance: timedelta = timedelta(seconds=60)
    stall_after: timedelta = timedelta(minutes=5)
    max_run: timedelta = timedelta(hours=4)  # for a run of which the rate or the audience isn't known
    min_max_run: timedelta = timedelta(minutes=10)  # no run is called too long before this
    unreconciled_after: timedelta = timedelta(hours=24)  # an end without counts that is older needs somebody
    claim_left_after: timedelta = timedelta(minutes=1)  # a claim without a start that is older needs somebody
    dry_run_valid_for: timedelta = timedelta(minutes=30)
    plan_valid_for: timedelta = timedelta(minutes=30)
    clock_show: float = 2.0
    clock_warn: float = 10.0
    clock_refuse: float = 30.0
    min_free_disk_mb: int = 200
    min_free_memory_mb: int = 100
    four_eyes: bool = False  # a send needs an approval by somebody else than its planner, of this very content
    approval_valid_for: timedelta = timedelta(hours=24)
    break_glass_valid_for: timedelta = timedelta(minutes=15)
    unanchored_for: timedelta = timedelta(minutes=10)  # so long may a copy of the audit head be waiting
    key_max_age: timedelta = timedelta(days=1095)  # an older key is to be renewed
