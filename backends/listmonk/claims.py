"""Which run of ours a campaign was started by: written before listmonk is asked, as it can't keep a run id.

It stands beside the audit store, which has the intent, so that two consoles of one user don't start one campaign at
the same time and a repeated start is known for what it is.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from backends.listmonk.campaigns import Campaign
from backends.listmonk.kept import append, hold
from opsconsole.plan import Plan
from opsconsole.ports import Refused

STARTING_FOR: Final = 45.0  # s that another console may take to start it: its looks, its writes, the pick-up


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    run_id: str
    attempt: int
    by: str
    at: datetime
    planned: int


def key_of(campaign: Campaign) -> str:
    """What its files here are named by: another listmonk has campaigns of the same numbers."""
    return "".join(c for c in campaign.uuid if c in "0123456789abcdefABCDEF-")[:64] or str(campaign.id)


class Claims:
    """The claims of one platform, a file each in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, campaign: Campaign) -> Claim | None:
        """None for none, and for one that can't be read."""
        try:
            document = json.loads(self._path(campaign).read_text(encoding="utf-8"))
            at = datetime.fromisoformat(document["at"])
            if at.tzinfo is None:
                return None
            return Claim(
                run_id=str(document["run_id"]),
                attempt=int(document["attempt"]),
                by=str(document["by"]),
                at=at,
                planned=int(document["planned"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @contextmanager
    def alone(self, campaign: Campaign) -> Iterator[None]:
        """Alone in starting this campaign, among threads and consoles; waits for the other. Raises Refused."""
        with self._written():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            name = self._folder / f"start-{key_of(campaign)}.lock"
            lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with self._written():
                hold(lock, STARTING_FOR)
            yield
        finally:
            os.close(lock)

    def put(self, campaign: Campaign, plan: Plan, by: str, at: datetime) -> None:
        """Raises Refused where it can't be written."""
        document = {
            "run_id": plan.run_id,
            "attempt": plan.attempt,
            "by": by,
            "at": at.isoformat(),
            "planned": plan.audience,
        }
        path = self._path(campaign)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with self._written():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part.write_text(json.dumps(document), encoding="utf-8")
            part.chmod(0o600)
            part.replace(path)

    def drop(self, campaign: Campaign, run_id: str) -> None:
        """Nothing was started under this claim."""
        claim = self.of(campaign)
        if claim is not None and claim.run_id == run_id:
            with suppress(OSError):  # left behind, it says only who meant to start it
                self._path(campaign).unlink()

    def void(self, campaign: Campaign, run_id: str) -> None:
        """From now on this run is never started from here; to be called under `alone`."""
        if self.is_void(campaign, run_id):
            return
        with self._written():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            append(self._voided(campaign), f"{run_id}\n".encode())

    def is_void(self, campaign: Campaign, run_id: str) -> bool:
        """Whether this run was given up. Raises Refused where that can't be read."""
        with self._written():
            try:
                return run_id in self._voided(campaign).read_text(encoding="utf-8").split()
            except FileNotFoundError:
                return False

    @contextmanager
    def _written(self) -> Iterator[None]:
        """What can't be written or read here is no start: the claim comes first."""
        try:
            yield
        except OSError as error:
            raise Refused(
                f"The claims in {self._folder} can't be used: {error.strerror}.",
                "Nothing was started.",
                "Make room there, or let this account write there.",
            ) from error

    def _voided(self, campaign: Campaign) -> Path:
        return self._folder / f"start-{key_of(campaign)}.void"

    def _path(self, campaign: Campaign) -> Path:
        return self._folder / f"start-{key_of(campaign)}.json"
