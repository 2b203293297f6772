"""The pipeline's tables in memory and a mail system that says what it is told to, for the engine alone."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from runner.channel.port import Kind, Outcome
from runner.worker.answers import Answer
from runner.worker.engine import Engine
from runner.worker.pacing import Hold, Turns
from runner.worker.progress import Tally
from runner.worker.schema import COUNTS, State, reference
from runner.worker.settings import WorkerSettings
from runner.worker.steps import Begin, End, Record, Step
from runner.worker.teller import WRITTEN, Held, resolved
from runner.worker.teller import Answer as Told
from runner.worker.verdicts import Taken, Verdict, content_version

TAKEN = Answer(Outcome(Kind.ACCEPTED, 250, "ok"), "ses-1")
CAMPAIGN = {
    "campaign_id": "spring",
    "subject": "Hello {{ first_name }}",
    "body": "<p>Dear {{ first_name }}</p>",
    "from_email": "shop@example.com",
    "status": "queued",
}


class World:
    """`says` answers each mail in turn, the last for ever: an Answer, or an exception to raise. `meanwhile` is
    called between looking a message up and working on it, `while_sending` while a mail is on its way."""

    def __init__(self, *people: str, **fields: Any) -> None:
        self.campaigns: dict[str, dict[str, Any]] = {"spring": {**CAMPAIGN, **fields}}
        self.people = {who: {"email": who, "first_name": "Ana"} for who in people}
        self.deliveries: dict[tuple[str, str], dict[str, Any]] = {}
        self.says: list[Answer | Exception] = [TAKEN]
        self.mailed: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.while_sending: Callable[[], object] = lambda: None
        self.everybody, self.hold = True, Hold()
        self.tally = Tally("w")
        settings = WorkerSettings(name="w", retry_seconds=60)
        self.engine = Engine(settings, self, self, self, Turns(None), self.tally)

    def run(self, *who: str | Taken, going: bool = True) -> list[Verdict]:
        """The verdicts on references to these people, or on messages."""
        messages = [
            one if isinstance(one, Taken) else Taken(f"m-{one}", "r", reference("spring", one)) for one in who
        ]
        jobs = self.engine.prepare(messages)
        self.meanwhile()
        return [self.engine.work(job, lambda: going) for job in jobs]

    @property
    def counts(self) -> dict[str, int]:
        return {name: n for name in COUNTS.values() if (n := self.campaigns["spring"].get(name, 0))}

    # -- the tables

    def campaign(self, campaign_id: str) -> Mapping[str, Any] | None:
        found = self.campaigns.get(campaign_id)
        return dict(found) if found is not None else None

    def set_processing(self, campaign_id: str) -> bool:
        self.campaigns[campaign_id]["status"] = "processing"
        return True

    def pause(self, campaign_id: str, by: str, reason: str) -> bool:
        self.campaigns[campaign_id] |= {"paused": True, "paused_by": by, "pause_reason": reason}
        return True

    def contacts(self, emails: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        return {email: self.people[email] for email in emails if email in self.people}

    def delivery(self, campaign_id: str, contact_email: str) -> Mapping[str, Any] | None:
        return self.deliveries.get((campaign_id, contact_email))

    def give_back(self, step: Begin) -> bool:
        del self.deliveries[step.campaign_id, step.contact_email]
        return True

    def ask(self, step: Step) -> "Future[Told]":
        future: Future[Told] = Future()
        future.set_result(self._told(step))
        return future

    def _told(self, step: Step) -> Told:
        key = (step.campaign_id, step.contact_email)
        old, campaign = self.deliveries.get(key), self.campaigns.get(step.campaign_id)
        ours = isinstance(step, End) and old is not None
        if ours and (old or {}).get("begin_id") == step.begin_id and old["state"] == step.former:  # type: ignore[union-attr, index]
            self._put(key, step)
        elif old is not None:
            answer = resolved(step, old)
            return self._told(answer) if isinstance(answer, Begin | End) else answer
        elif not isinstance(step, End) and not self._open(campaign, step):
            return Held(campaign)
        else:
            self._put(key, step)
        return WRITTEN

    def _open(self, campaign: Mapping[str, Any] | None, step: Begin | Record) -> bool:
        going = campaign is not None and campaign["status"] == "processing" and not campaign.get("paused")
        return going and campaign is not None and content_version(campaign) == step.content_version

    def _put(self, key: tuple[str, str], step: Step) -> None:
        if isinstance(step, Begin):
            self.deliveries[key] = {"state": "sending", "begin_id": step.begin_id, "begun_at": step.now}
            return
        self.deliveries.setdefault(key, {}).update(state=step.state, error=step.error, error_class=step.error_class)
        campaign = self.campaigns[step.campaign_id]
        campaign[COUNTS[step.state]] = campaign.get(COUNTS[step.state], 0) + 1
        if isinstance(step, End) and step.former is State.UNKNOWN:
            campaign["unknown_count"] -= 1

    # -- the mail system

    def of(self, campaign: Mapping[str, Any]) -> "World":
        return self

    def deliver(self, mail: Any) -> Answer:
        self.while_sending()
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        if said.outcome.kind in (Kind.ACCEPTED, Kind.UNKNOWN):
            self.mailed.append(mail.recipient)
        return said

    def close(self) -> None: ...


def says(kind: Kind, code: int = 0, text: str = "") -> Answer:
    return Answer(Outcome(kind, code, text))


def again(message: Taken) -> Taken:
    """The message as it comes when it was failed once more."""
    return replace(message, receives=message.receives + 1)
