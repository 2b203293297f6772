"""What the embedded dashboard knows: campaigns, tasks and the log of operations, kept in one JSON file."""

import json
import os
from copy import deepcopy
from pathlib import Path
from threading import RLock
from typing import Any

STATUSES = ("draft", "approved", "scheduled", "sent", "cancelled", "failed")
CAMPAIGN_KEYS = (
    "slug",
    "name",
    "status",
    "due_at",
    "timezone",
    "approved_by",
    "approved_at",
    "task_token",
    "recipient_count",
    "completion_timestamp",
    "failure_count",
    "execution_duration_seconds",
    "session_id",
)
WRITABLE = frozenset(CAMPAIGN_KEYS) - {"slug"}


class Invalid(ValueError):
    """A write this dashboard doesn't take; the text says why."""


class Unknown(LookupError):
    """There is no such campaign."""


class DashboardState:
    """Reads hand out copies; every write is in the file before it returns."""

    def __init__(self, path: Path, campaigns: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> None:
        self._path, self._lock = path, RLock()
        self._campaigns = {row["slug"]: dict.fromkeys(CAMPAIGN_KEYS) | row for row in campaigns}
        self._tasks = deepcopy(tasks)
        self._operations: dict[str, dict[str, Any]] = {}
        self._save()

    def campaigns(self) -> list[dict[str, Any]]:
        with self._lock:
            return deepcopy([*self._campaigns.values()])

    def tasks(self) -> list[dict[str, Any]]:
        with self._lock:
            return deepcopy(self._tasks)

    def page(self, tasks: bool, start: int, stop: int) -> tuple[list[dict[str, Any]], int]:
        """Some of the campaigns, or of the tasks, and how many there are."""
        with self._lock:
            rows = self._tasks if tasks else [*self._campaigns.values()]
            return deepcopy(rows[start:stop]), len(rows)

    def operations(self) -> list[dict[str, Any]]:
        with self._lock:
            return deepcopy([*self._operations.values()])

    def campaign(self, slug: str) -> dict[str, Any]:
        with self._lock:
            if slug not in self._campaigns:
                raise Unknown(slug)
            return deepcopy(self._campaigns[slug])

    def change(self, slug: str, changes: Any) -> dict[str, Any]:
        """The campaign after the change. Raises Unknown or Invalid."""
        if not isinstance(changes, dict) or not changes:
            raise Invalid("the body must be an object with at least one key")
        if strange := sorted(set(changes) - WRITABLE):
            raise Invalid(f"can't be written: {', '.join(strange)}")
        if "status" in changes and changes["status"] not in STATUSES:
            raise Invalid(f"status must be one of {', '.join(STATUSES)}")
        with self._lock:
            row = self._campaigns.get(slug)
            if row is None:
                raise Unknown(slug)
            row.update(changes)
            self._save()
            return deepcopy(row)

    def remove(self, slug: str) -> None:
        """It was never there. Raises KeyError."""
        with self._lock:
            del self._campaigns[slug]
            self._save()

    def log(self, entry: Any) -> tuple[dict[str, Any], bool]:
        """The logged operation, and whether it is new: the same run_id is kept once. Raises Invalid."""
        if not isinstance(entry, dict) or not isinstance(entry.get("run_id"), str) or not entry["run_id"]:
            raise Invalid("an operation needs a run_id")
        with self._lock:
            known = self._operations.get(entry["run_id"])
            if known is None:
                known = self._operations[entry["run_id"]] = dict(entry)
                self._save()
                return deepcopy(known), True
            return deepcopy(known), False

    def document(self) -> dict[str, Any]:
        with self._lock:
            return {"campaigns": self.campaigns(), "tasks": self.tasks(), "operations": self.operations()}

    def _save(self) -> None:
        beside = self._path.with_suffix(".tmp")
        beside.write_text(json.dumps(self.document(), indent=1), encoding="utf-8")
        os.replace(beside, self._path)
