"""A worker put together from its settings: what a Lambda and a machine have in common."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from runner.settings import read_credentials
from runner.worker.aws import Clients, Store
from runner.worker.engine import Engine, Job
from runner.worker.pacing import Turns
from runner.worker.progress import Tally
from runner.worker.queue import Queue
from runner.worker.senders import Senders, SesSender
from runner.worker.settings import WorkerSettings
from runner.worker.teller import LAST, Teller
from runner.worker.verdicts import Do, Taken, Verdict

_SPARE: Final = 4  # connections besides the threads': taking, settling, extending, looking


class Parts:
    """One for a process. Raises Refused (78) when it can't be."""

    def __init__(self, settings: WorkerSettings, complain: Callable[[str], object], *, last: float = LAST) -> None:
        self.settings, self._complain = settings, complain
        known = read_credentials(settings.credentials) if settings.credentials else None
        self.clients = Clients(settings.region, settings.endpoint, settings.threads + _SPARE)
        self.store = Store(self.clients.dynamodb, settings.tables)
        self.tally = Tally(settings.name)
        self.teller = Teller(settings.tables, self.store.write, last=last)
        self._turns = Turns(settings.rate)
        self._senders = Senders(self._ses, settings.channel, known, settings.threads)
        self.engine = Engine(settings, self.store, self.teller, self._senders, self._turns, self.tally)

    def queue(self, url: str) -> Queue:
        return Queue(self.clients.sqs, url, self._complain)

    def settle(
        self, queue: Queue, jobs: Sequence[Job], verdicts: Sequence[Verdict], *, delete: bool = True
    ) -> set[str]:
        """What the verdicts make of a batch; the idents of messages that stay in the queue. Completes campaigns of
        which everybody came to an end."""
        pairs: list[tuple[Taken, Verdict]] = [(j.message, v) for j, v in zip(jobs, verdicts, strict=True)]
        # before the messages are gone: should this worker die in between, another looks again
        self._complete(
            job.reference.campaign_id
            for job, verdict in zip(jobs, verdicts, strict=True)
            if job.reference and verdict.do is Do.DONE and verdict.kind != "dropped"
        )
        return queue.settle(pairs, delete=delete)

    def close(self) -> None:
        """Write what is to be written, then let go of all connections."""
        self.teller.close()
        self._senders.close()

    def _complete(self, campaign_ids: Iterable[str]) -> None:
        for campaign_id in dict.fromkeys(campaign_ids):
            try:
                self.store.complete(campaign_id, datetime.now(UTC).isoformat())
            except Exception as error:
                self._complain(f"whether {campaign_id} is complete can't be told: {type(error).__name__}")

    def _ses(self) -> SesSender:
        client = self.clients.ses
        if self.settings.rate is None:
            with suppress(Exception):  # without ses:GetAccount the throttling of SES has to do
                quota = client.get_account().get("SendQuota", {})
                if (rate := float(quota.get("MaxSendRate", 0))) > 0:
                    self._turns.limit(rate)
        return SesSender(client, self.settings.configuration_set)
