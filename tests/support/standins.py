"""A job queue and a mail provider over HTTP, and what the console would make of them: stand-ins of a real kind.

The lifecycle systems that send by scheduled jobs have a queue that can be asked and changed, and a provider that
counts what it accepted. Both are here as small as that: a server, and a Source that asks it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from opsconsole import wiring
from opsconsole.config import Loaded
from opsconsole.observation import Counts, Evidence, Mark, Observation, Report, RunWord, Says, Trigger
from opsconsole.ports import OutOfReach, Refused, Surroundings, Switched, Trouble
from opsconsole.watch import Watched

FRESH = timedelta(seconds=90)


@dataclass
class Systems:
    """What both know. `jobs` by id: campaign, run_at, queued_at, out (pulled out of the queue)."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)  # campaign, accepted, first_at, last_at
    url: str = ""
    asked: list[str] = field(default_factory=list)  # "METHOD path", in order

    def fires(self, now: datetime) -> list[str]:
        """The campaigns whose job would start by `now`: what the queue's worker does."""
        due = [j for j in self.jobs.values() if not j["out"] and datetime.fromisoformat(j["run_at"]) <= now]
        return [job["campaign"] for job in due]


@contextmanager
def serving(systems: Systems) -> Iterator[Systems]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                systems.asked.append(f"GET {self.path}")
                found = {"/jobs": [{"id": i, **j} for i, j in systems.jobs.items()], "/sent": systems.sent}
                self._answer(200 if self.path in found else 404, found.get(self.path))

        def do_PUT(self) -> None:
            """Takes a job out of the queue, or puts it back; only as it was when it was looked at."""
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                systems.asked.append(f"PUT {self.path}")
                job = systems.jobs.get(self.path.rpartition("/")[2])
                if job is None or job["run_at"] != asked["run_at"]:
                    self._answer(409, {"error": "it isn't what it was"})
                    return
                job["out"] = asked["out"]
                self._answer(200, job)

        def _answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    systems.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield systems
    finally:
        server.shutdown()
        server.server_close()


class _Asking:
    name = ""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=5, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def _rows(self, path: str) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = self._client.get(path).raise_for_status().json()
        except httpx.HTTPError as error:
            raise OutOfReach(f"{self.name} can't be asked: {type(error).__name__}.", "", "Try again.") from error
        return rows

    def observe(self) -> Report:
        now = datetime.now(UTC)
        try:
            found = tuple(self._observations(now))
        except Trouble as error:
            return Report(
                source=self.name, looked_at=now, fresh_for=FRESH, trouble=str(error), out_of_reach_since=now
            )
        return Report(source=self.name, looked_at=now, fresh_for=FRESH, observations=found)

    def _observations(self, now: datetime) -> Iterator[Observation]:
        raise NotImplementedError


class JobQueue(_Asking):
    """A Source and a TriggerKeeper: jobs that will start campaigns. What ran is forgotten, so it proves nothing."""

    name = "jobs"

    def _observations(self, now: datetime) -> Iterator[Observation]:
        rows = self._rows("/jobs")
        for slug in sorted({row["campaign"] for row in rows}):
            mine = [row for row in rows if row["campaign"] == slug]
            waiting = [row for row in mine if not row["out"]]
            says = Says.SCHEDULED if waiting else Says.NOTHING
            queued = min((datetime.fromisoformat(row["queued_at"]) for row in waiting), default=None)
            text = f"{len(waiting)} queued" if waiting else "none queued"
            yield Observation(
                source=self.name,
                slug=slug,
                observed_at=now,
                fresh_for=FRESH,
                says=says,
                since=queued,
                triggers=tuple(_trigger(row) for row in mine),
                evidence=(
                    Evidence(
                        letter="J", label="jobs", mark=Mark.WAITING if waiting else Mark.NO, text=text, at=queued
                    ),
                ),
            )

    def switch_trigger(self, key: str, on: bool, by: str) -> Switched:
        job, _, run_at = key.partition(":")
        answer = self._client.put(f"/jobs/{job}", json={"run_at": run_at, "out": not on})
        if answer.status_code == 409:
            raise Refused(f"Job {job} isn't what it was.", "Nothing was changed.", "Look again.")
        answer.raise_for_status()
        again = next(row for row in self._rows("/jobs") if row["id"] == job)
        if again["out"] is on:
            raise Trouble(f"Job {job} is as it was.", "It can still start the campaign.", "Look at the queue.")
        word = "in the queue again" if on else "no longer in the queue"
        return Switched(where=f"job {job}", before=run_at, after=word, proof=f"read again: job {job} is {word}")


def _trigger(row: dict[str, Any]) -> Trigger:
    return Trigger(
        where=f"job {row['id']}",
        text=f"{row['campaign']} at {row['run_at']}",
        next_fire=None if row["out"] else datetime.fromisoformat(row["run_at"]),
        key=f"{row['id']}:{row['run_at']}",
        off=row["out"],
    )


class Provider(_Asking):
    """A Source: what the mail provider accepted, by campaign. It keeps that for ever."""

    name = "provider"

    def _observations(self, now: datetime) -> Iterator[Observation]:
        for row in self._rows("/sent"):
            began, ended = (datetime.fromisoformat(row[name]) for name in ("first_at", "last_at"))
            counts = Counts(total=row["accepted"], accepted=row["accepted"])
            text = f"{row['accepted']:,} accepted"
            yield Observation(
                source=self.name,
                slug=row["campaign"],
                observed_at=now,
                fresh_for=FRESH,
                says=Says.SENT,
                since=began,
                run=RunWord(started_at=began, ended_at=ended, counts=counts),
                evidence=(Evidence(letter="P", label="provider", mark=Mark.YES, text=text, at=ended),),
            )


def beside(loaded: Loaded, around: Surroundings, url: str) -> list[Watched]:
    """The backends of the configuration, and these two."""
    often = timedelta(seconds=5)
    return [*_OWN(loaded, around), Watched(JobQueue(url), often), Watched(Provider(url), often)]


_OWN = wiring._backends
