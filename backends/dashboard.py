"""The REST dashboard: reads campaigns and tasks, and writes back how a send ended.

What is called how there is said in the configuration. The dashboard approves and is told; it carries nothing out,
so that its silence never means that nothing was sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import quote

from backends.dashboard_pages import Listed, Pages
from backends.dashboard_rows import Rows, Task, Tasks, taken
from backends.dashboard_trial import trial
from backends.dashboard_words import DOING, MEANS, Told
from backends.rest import Conflict, NotThere, Purpose, Rest
from backends.secret import Secret
from opsconsole.campaign import check_slug, is_slug
from opsconsole.mapping import reader
from opsconsole.observation import Observation, Report
from opsconsole.ports import Access, Tried, Trouble
from opsconsole.settings import Dashboard

LOOK = 3  # times the limit of a call: so long may a look at everything take

LOOKING = Purpose("Reading the dashboard", "Approvals and due times are as old as its last answer.")
RECORDING = Purpose(DOING, MEANS)
REOPENED = ("failed", "cancelled")


class DashboardBackend:
    """A Source, a Recorder and Mapped. `clock` gives the instant, aware, UTC.

    `fresh_for` and `timeout` are those of `settings`, read. Every call is bounded by `timeout`, a look by LOOK
    times it.
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
        self._settings = settings
        token = Secret(settings.token, "dashboard token") if settings.token else None
        self._rest = Rest("the dashboard", settings.url, token, timeout)
        self._rows = Rows(name, settings, fresh_for)
        self._campaigns = Pages(self._rest, settings.campaigns, "campaigns", LOOKING)
        self._tasks = Pages(self._rest, settings.tasks, "tasks", LOOKING) if settings.tasks.path else None
        self._answer, self._log_answer = reader(settings.write.answer), reader(settings.write.log_answer)
        self._read_before: tuple[list[Any], Report] | None = None
        self._lost_at: datetime | None = None

    def close(self) -> None:
        self._rest.close()

    def observe(self) -> Report:
        """One look at every campaign. When the dashboard is out of reach the report says so and holds none."""
        began = monotonic()
        try:
            campaigns, tasks = self._look(began + LOOK * self._rest.seconds)
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
        answers, now = [*campaigns.answers, *tasks.answers], self._clock()
        if self._read_before is None or not _same(self._read_before[0], answers):
            self._read_before = answers, self._report(campaigns, tasks, now)
        report = self._read_before[1]
        latency_ms = (monotonic() - began) * 1000
        seen = tuple(replace(o, observed_at=now) for o in report.observations)
        return replace(report, looked_at=now, latency_ms=latency_ms, observations=seen)

    def record(self, payload: Mapping[str, Any]) -> None:
        """Write back a Completion, or a decision (`due` and `zone` for a new due time). The same `run_id` again
        changes nothing. Without a `status`, as of a hold, only its log of operations hears of it.

        Raises Trouble (OutOfReach, Refused) unless the dashboard acknowledged every part.
        """
        slug = check_slug(str(payload["slug"]))
        run_id, write = str(payload["run_id"]), self._settings.write
        told = Told(write, payload)
        address = self._rest.address(write.path.replace("{slug}", quote(slug, safe="")))
        if told.changes and told.awaits and write.answer:
            told.status = self._still_awaits(address)
        body = told.body() if told.changes else None
        if write.log:
            self._log(told, run_id)
        if body is None:
            return
        changed = self._rest.write(write.method, address, body, RECORDING, run_id)
        if write.answer:
            row = taken(self._answer, changed)
            status = not told.status or self._rows.status(row) == told.status
            self._acknowledged(status and self._rows.slug(row) == slug)

    def try_mapping(self) -> tuple[Tried, ...]:
        """Every expression against the first page of each list. Raises Trouble when none can be had."""
        return trial(self._rows, self._campaigns, self._tasks, self._clock())

    def access(self) -> tuple[Access, ...]:
        """What our token may do there, and where it is kept. Raises Trouble."""
        from backends.dashboard_access import look

        rest = self._rest
        return look(lambda path, why: rest.get(rest.address(path), why), self._settings, self._clock())

    def _log(self, told: Told, run_id: str) -> None:
        """Add the entry. A log that has it already, and says so by a conflict, has it."""
        write = self._settings.write
        try:
            address = self._rest.address(write.log)
            logged = self._rest.write("POST", address, told.entry(), RECORDING, f"{run_id}:log")
        except Conflict:
            return
        if write.log_answer:
            self._acknowledged(taken(self._log_answer, logged) == run_id)

    def _still_awaits(self, address: str) -> str:
        """The status of one that is to be sent later: as it is there. A new due time approves nothing, and takes
        back no word that it went out: somebody may have said so there since the decision."""
        status = self._rows.status(taken(self._answer, self._rest.get(address, RECORDING)))
        return self._settings.write.statuses["draft"] if self._rows.meaning(status) in REOPENED else status

    def _acknowledged(self, done: bool) -> None:
        if not done:
            raise Trouble(
                f"{RECORDING.doing} failed: the dashboard answered, but not with what was written.",
                RECORDING.means,
                "Look at the campaign there.",
            )

    def _look(self, deadline: float) -> tuple[Listed, Listed]:
        """Campaigns and tasks."""
        campaigns = self._campaigns.all(deadline)
        if self._tasks is None:
            return campaigns, Listed()
        try:
            return campaigns, self._tasks.all(deadline)
        except NotThere:
            missing = "The dashboard has no list of tasks: approvals are those of its campaigns alone."
            return campaigns, Listed(findings=[missing])

    def _report(self, campaigns: Listed, tasks: Listed, now: datetime) -> Report:
        findings = [*campaigns.findings, *tasks.findings]
        known: dict[str, Observation] = {}
        foreign: list[str] = []
        by_campaign = Tasks(self._read_tasks(tasks.rows, findings))
        for number, raw in enumerate(campaigns.rows, 1):
            slug = self._rows.slug(raw)
            if not isinstance(slug, str):
                findings.append(f"Row {number} of the dashboard's campaigns has no slug: it is left out.")
            elif not is_slug(slug):
                foreign.append(slug)
            elif slug in known:
                findings.append(f"The dashboard has {slug} twice: only its first row is used.")
            else:
                known[slug] = self._rows.read(slug, raw, by_campaign, now)
        return Report(
            source=self.name,
            looked_at=now,
            fresh_for=self._fresh_for,
            observations=tuple(known.values()),
            foreign=tuple(foreign),
            findings=tuple(findings),
        )

    def _read_tasks(self, rows: list[Any], findings: list[str]) -> list[Task]:
        tasks = []
        for number, raw in enumerate(rows, 1):
            task = self._rows.read_task(raw)
            if task is None:
                findings.append(f"Row {number} of the dashboard's tasks has no token or status: it is left out.")
            else:
                tasks.append(task)
        return tasks


def _same(before: list[Any], now: list[Any]) -> bool:
    """Whether these are the very answers of the last look: the service said that nothing changed."""
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
