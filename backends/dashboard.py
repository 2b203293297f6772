"""The REST dashboard: reads campaigns and tasks, and writes back how a send ended.

What a key is called there stands in CAMPAIGN and TASK, and nowhere else. The dashboard approves and is told; it
carries nothing out, so that its silence never means that nothing was sent.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import quote

from backends.dashboard_rows import CAMPAIGN, TASK, Row, Task, read_row, read_task
from backends.rest import NotThere, Purpose, Rest
from backends.secret import Secret
from opsconsole.campaign import check_slug, is_slug
from opsconsole.observation import Observation, Report
from opsconsole.ports import OutOfReach, Trouble
from opsconsole.settings import Dashboard

PAGE = 200
MOST_PAGES = 250

LOOKING = Purpose("Reading the dashboard", "Approvals and due times are as old as its last answer.")
RECORDING = Purpose("Recording the result", "The dashboard may not know it; it is kept and can be recorded again.")

# What the console calls an end, and what the dashboard has for it: partial went out, and whoever isn't known to be
# accepted is counted as a failure.
STATUS_THERE = {
    "sent": "sent",
    "ended": "sent",
    "partial": "sent",
    "failed": "failed",
    "cancelled": "cancelled",
    "scheduled": "scheduled",
    "approved": "approved",
}
AWAITS = ("draft", "scheduled", "approved")


class DashboardBackend:
    """A Source and a Recorder. `clock` gives the instant, aware, UTC.

    `fresh_for` and `timeout` are those of `settings`, read. Every call is bounded by `timeout`, reads by twice it.
    """

    def __init__(
        self,
        name: str,
        settings: Dashboard,
        *,
        fresh_for: timedelta,
        timeout: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name, self._fresh_for, self._clock = name, fresh_for, clock
        token = Secret(settings.token, "dashboard token") if settings.token else None
        self._rest = Rest("the dashboard", settings.url, token, timeout)
        self._lost_at: datetime | None = None

    def close(self) -> None:
        self._rest.close()

    def observe(self) -> Report:
        """One look at every campaign. When the dashboard is out of reach the report says so and holds none."""
        began = monotonic()
        try:
            campaigns, tasks, findings = self._read()
        except Trouble as trouble:
            now = self._clock()
            self._lost_at = self._lost_at or now
            return Report(
                source=self.name,
                looked_at=now,
                fresh_for=self._fresh_for,
                trouble=str(trouble),
                out_of_reach_since=self._lost_at,
            )
        self._lost_at = None
        return self._report(campaigns, tasks, findings, (monotonic() - began) * 1000)

    def record(self, payload: Mapping[str, Any]) -> None:
        """Write back a Completion, or a decision (`due` and `zone` for a new due time). The same `run_id` again
        changes nothing.

        Raises Trouble (OutOfReach, Refused) unless the dashboard acknowledged every part.
        """
        slug = check_slug(str(payload["slug"]))
        run_id = str(payload["run_id"])
        path = f"/api/campaigns/{quote(slug, safe='')}"
        changes, entry = _changes(payload), _operation(payload)
        if changes[CAMPAIGN["status"]] in AWAITS:
            changes[CAMPAIGN["status"]] = self._still_awaits(path)
        logged = self._rest.write("POST", "/api/operations", entry, RECORDING)
        self._acknowledged(logged, {"run_id": run_id})
        changed = self._rest.write("PATCH", path, changes, RECORDING)
        self._acknowledged(changed, {CAMPAIGN["slug"]: slug, CAMPAIGN["status"]: changes[CAMPAIGN["status"]]})

    def _still_awaits(self, path: str) -> str:
        """The status of one that is to be sent later: as it is there. A new due time approves nothing."""
        there = self._rest.get(path, RECORDING)
        status = there.get(CAMPAIGN["status"]) if isinstance(there, dict) else None
        return status if status in AWAITS else "draft"

    def _acknowledged(self, answer: Any, expected: Mapping[str, str]) -> None:
        if not isinstance(answer, dict) or any(answer.get(key) != value for key, value in expected.items()):
            raise Trouble(
                f"{RECORDING.doing} failed: the dashboard answered, but not with what was written.",
                RECORDING.means,
                "Look at the campaign there.",
            )

    def _read(self) -> tuple[list[Any], list[Any], list[str]]:
        campaigns = list(self._rows("/api/campaigns"))
        try:
            return campaigns, list(self._rows("/api/tasks")), []
        except NotThere:
            return (
                campaigns,
                [],
                ["The dashboard has no list of tasks: approvals are those of its campaigns alone."],
            )

    def _rows(self, path: str) -> Iterator[Any]:
        for page in range(1, MOST_PAGES + 1):
            document = self._rest.get(f"{path}?page={page}&per_page={PAGE}", LOOKING)
            rows = document.get("data") if isinstance(document, dict) else None
            if not isinstance(rows, list):
                raise Trouble(
                    f"{LOOKING.doing} failed: {path} holds no list of rows under data.",
                    LOOKING.means,
                    "Check the url in the config.",
                )
            yield from rows
            if len(rows) < PAGE:
                return
        raise OutOfReach(
            f"{LOOKING.doing} failed: {path} has no end, after {MOST_PAGES * PAGE:,} rows.",
            LOOKING.means,
            "Check it.",
        )

    def _report(self, rows: list[Any], tasks: list[Any], findings: list[str], latency_ms: float) -> Report:
        now = self._clock()
        known: dict[str, Observation] = {}
        foreign: list[str] = []
        by_campaign = self._tasks(tasks, findings)
        for number, raw in enumerate(rows, 1):
            slug = raw.get(CAMPAIGN["slug"]) if isinstance(raw, dict) else None
            if not isinstance(slug, str):
                findings.append(f"Row {number} of the dashboard's campaigns has no slug: it is left out.")
            elif not is_slug(slug):
                foreign.append(slug)
            elif slug in known:
                findings.append(f"The dashboard has {slug} twice: only its first row is used.")
            else:
                known[slug] = read_row(Row(self.name, slug, raw, now, self._fresh_for), by_campaign)
        return Report(
            source=self.name,
            looked_at=now,
            fresh_for=self._fresh_for,
            observations=tuple(known.values()),
            latency_ms=latency_ms,
            foreign=tuple(foreign),
            findings=tuple(findings),
        )

    def _tasks(self, rows: list[Any], findings: list[str]) -> list[Task]:
        tasks = []
        for number, raw in enumerate(rows, 1):
            task = read_task(raw)
            if task is None:
                token = TASK["token"]
                findings.append(f"Row {number} of the dashboard's tasks has no {token} or status: it is left out.")
            else:
                tasks.append(task)
        return tasks


def _changes(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the campaign there becomes; only what the payload tells."""
    status = STATUS_THERE.get(str(payload["status"]).lower())
    if status is None:
        raise Trouble(
            f"{RECORDING.doing} failed: the dashboard has no word for {payload['status']!r:.40}.",
            "Nothing was written.",
            "Set the campaign's status there by hand.",
        )
    counts = _plain(payload.get("counts")) or {}
    values = {
        "status": status,
        "completed_at": _iso(payload.get("completed_at")),
        "recipients": _total(counts),
        "failures": _not_accepted(counts),
        "duration": payload.get("duration_s"),
        "session": payload.get("session"),
        "due": _iso(payload.get("due")),
        "zone": payload.get("zone"),
    }
    return {CAMPAIGN[key]: value for key, value in values.items() if value is not None}


def _operation(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The entry in the log of operations: everything the payload holds, as JSON values."""
    return {key: _iso(_plain(value)) for key, value in payload.items()}


def _total(counts: Mapping[str, Any]) -> int | None:
    if counts.get("total") is not None:
        return int(counts["total"])
    parts = [counts.get(key) for key in ("accepted", "failed", "unknown")]
    return sum(int(part) for part in parts if part is not None) if any(p is not None for p in parts) else None


def _not_accepted(counts: Mapping[str, Any]) -> int | None:
    """The failed, the unknown and those never reached. There what is no failure reads as accepted."""
    total, accepted = _total(counts), counts.get("accepted")
    if total is None or accepted is None:
        return counts.get("failed")
    return max(total - int(accepted), 0)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
