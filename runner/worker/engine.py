"""From a message of the queue to its verdict: looked up, rendered, begun, sent, ended.

`prepare` reads and renders a batch; templates are guarded in the main thread alone, so that is where it belongs.
`work` does the rest of one message in any thread, and always comes to a verdict.

What may have been accepted is never sent again by itself. Before a mail is handed over, its delivery is begun on
record; whatever happens afterwards is told by that record.
"""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from runner.campaign.address import mask_text
from runner.channel.port import Kind, ServerRefusesUs
from runner.message.guard import GUARD
from runner.message.headers import RowRefused
from runner.message.mail import Mail
from runner.policy import retries
from runner.policy.bounces import bounce_class
from runner.policy.pacer import SLOW_DOWN
from runner.policy.refusals import concerns_all
from runner.worker import verdicts
from runner.worker.answers import Answer
from runner.worker.known import Campaigns, Reads
from runner.worker.mail import ContentError
from runner.worker.pacing import Hold, Rows, Turns
from runner.worker.progress import Tally
from runner.worker.schema import Reference, State, parse_reference
from runner.worker.senders import Sender
from runner.worker.settings import WorkerSettings
from runner.worker.steps import Begin, End, Item, Record, Step
from runner.worker.teller import Answer as Told
from runner.worker.teller import Busy, Exists, Held, NotNow, Written
from runner.worker.verdicts import DROPPED, DUPLICATE, SETTLED, TRIES, Do, Taken, Verdict, wait

_AGAIN_SECONDS = 5.0
_TROUBLE_SECONDS = 60.0
_REASON_MOST = 300  # characters


class Tables(Reads, Protocol):
    def contacts(self, emails: Sequence[str]) -> dict[str, Item]: ...

    def delivery(self, campaign_id: str, contact_email: str) -> Item | None: ...

    def give_back(self, step: Begin) -> bool: ...

    def pause(self, campaign_id: str, by: str, reason: str) -> bool: ...


class Writes(Protocol):
    def ask(self, step: Step) -> "Future[Told]": ...


class Sends(Protocol):
    def of(self, campaign: Item) -> Sender: ...


@dataclass(slots=True)
class Job:
    """A message on its way: either its verdict, or what is to be written of its recipient, or the mail to send."""

    message: Taken
    reference: Reference | None = None
    campaign: Item | None = None
    verdict: Verdict | None = None
    record: Record | None = None
    mail: Mail | None = None


class Engine:
    """One for a process; `prepare` belongs to one thread, all else may be called by many."""

    def __init__(
        self, settings: WorkerSettings, tables: Tables, writes: Writes, senders: Sends, turns: Turns, tally: Tally
    ) -> None:
        self._settings, self._tables, self._writes, self._senders = settings, tables, writes, senders
        self._turns, self._tally = turns, tally
        self._campaigns = Campaigns(tables)
        self._rows = Rows()
        self.hold = Hold()

    # -- looking

    def prepare(self, messages: Sequence[Taken]) -> list[Job]:
        """Jobs in the order of the messages; what goes wrong with one of them is its verdict."""
        jobs = [self._looked_up(message) for message in messages]
        wanted = [job.reference.contact_email for job in jobs if job.verdict is None and job.reference]
        try:
            contacts = self._tables.contacts(wanted) if wanted else {}
        except Exception as error:
            for job in jobs:
                job.verdict = job.verdict or self._trouble(error)
            return jobs
        try:
            for job in jobs:
                if job.verdict is None:
                    self._render(job, contacts)
        finally:
            GUARD.disarm()
        return jobs

    def _looked_up(self, message: Taken) -> Job:
        try:
            reference = parse_reference(message.body)
        except ValueError as error:
            return Job(message, verdict=verdicts.dead(str(error), message))
        try:
            campaign = self._campaigns.item(reference.campaign_id)
            verdict = verdicts.of_campaign(campaign, message)
            if verdict and verdict.do is Do.DEAD and campaign:
                old = self._tables.delivery(*_both(reference))
                if old and old.get("state") != State.RESEND:  # who is to get it again isn't done with
                    verdict = DUPLICATE  # of a campaign that is completed
        except Exception as error:
            return Job(message, reference, verdict=self._trouble(error))
        return Job(message, reference, campaign, verdict)

    def _render(self, job: Job, contacts: dict[str, Item]) -> None:
        campaign, reference = job.campaign, job.reference
        assert campaign is not None
        assert reference is not None
        contact = contacts.get(reference.contact_email)
        if contact is None:
            job.record = self._record(job, State.MISSING)
            return
        try:
            job.mail = self._campaigns.content(campaign).mail(contact, time.time())
        except ContentError as error:
            job.verdict = self._pause(reference.campaign_id, f"the content can't be used: {error}")
        except RowRefused as error:
            if error.kind == "template" and self._rows.more(reference.campaign_id, 0, str(error)):
                job.verdict = self._pause(reference.campaign_id, f"one contact after the other fails: {error}")
            else:
                job.record = self._record(job, State.FAILED, error.kind, str(error))

    def _record(self, job: Job, state: State, kind: str = "", why: str = "") -> Record:
        assert job.reference is not None
        assert job.campaign is not None
        version = verdicts.content_version(job.campaign)
        worker = self._settings.name
        return Record(*_both(job.reference), version, state, worker, _now(), kind, mask_text(why)[:_REASON_MOST])

    # -- doing

    def work(self, job: Job, may_begin: Callable[[], bool]) -> Verdict:
        """The job's verdict; `may_begin` is asked right before anything is begun."""
        try:
            verdict = job.verdict or (self._recorded(job) if job.record else self._mailed(job, may_begin))
            if verdict is DROPPED:
                verdict = self._dropped(job)
        except (Busy, NotNow) as error:
            self._tally.error(0, str(error), kind="tables")
            verdict = wait(_AGAIN_SECONDS, "busy", str(error))
        except Exception as error:
            verdict = self._trouble(error)
        if verdict.kind:
            self._tally.add(verdict.kind)
        if verdict.do is Do.DEAD:
            self._tally.error(0, verdict.why, kind="message")
        return verdict

    def _dropped(self, job: Job) -> Verdict:
        """A cancelled campaign's message, which may be all that is left of a worker that died at this very mail."""
        assert job.reference
        old = self._tables.delivery(*_both(job.reference))
        return self._in_the_way(job, Exists(old)) if old and old.get("state") == State.SENDING else DROPPED

    def _recorded(self, job: Job) -> Verdict:
        assert job.record
        told = self._writes.ask(job.record).result()
        if isinstance(told, Held | Exists):
            return self._in_the_way(job, told)
        state = job.record.state
        self._tally.add(state.value)
        if state is State.FAILED:
            self._tally.error(0, job.record.error, kind=job.record.error_class, failed=True)
        return SETTLED

    def _mailed(self, job: Job, may_begin: Callable[[], bool]) -> Verdict:
        assert job.mail is not None
        assert job.reference is not None
        assert job.campaign is not None
        try:
            sender = self._senders.of(job.campaign)
        except ServerRefusesUs as error:
            return self._pause(job.reference.campaign_id, str(error))
        if left := max(self.hold.left, sender.hold.left):
            return wait(left, "held")
        if not self._turns.wait(may_begin):
            return Verdict(Do.BACK, 0.0, "given_back")
        version = verdicts.content_version(job.campaign)
        begin = Begin(*_both(job.reference), version, uuid.uuid4().hex, self._settings.name, _now())
        try:
            told = self._writes.ask(begin).result()
        except Busy:
            with suppress(Exception):  # it may have been written, or may not: nothing was sent
                self._tables.give_back(begin)
            raise
        if isinstance(told, Held | Exists):
            return self._in_the_way(job, told)
        try:
            answer = sender.deliver(job.mail)
        except ServerRefusesUs as error:
            self._tables.give_back(begin)
            if not sender.everybody:
                return self._pause(begin.campaign_id, str(error))
            self._tally.error(0, str(error), kind="auth")
            return wait(self.hold.put(str(error)), "held", str(error))
        if answer.outcome.kind in (Kind.LOST, Kind.UNREACHABLE):
            self._tables.give_back(begin)
            self._tally.error(answer.outcome.code, answer.outcome.text, kind="connection")
            hold = self.hold if sender.everybody else sender.hold
            return wait(hold.put(answer.outcome.text), "held", answer.outcome.text)
        if answer.outcome.kind is Kind.ACCEPTED:
            self.hold.lift()
            sender.hold.lift()
        return self._answered(job, begin, answer)

    def _in_the_way(self, job: Job, told: Held | Exists) -> Verdict:
        """Why a recipient couldn't be begun or recorded."""
        assert job.reference
        if isinstance(told, Held):
            self._campaigns.learn(job.reference.campaign_id, told.campaign)
            found = verdicts.of_campaign(told.campaign, job.message)
            return found or wait(0.0, "held")  # its content changed, or it goes on already: rendered anew
        now = datetime.now(UTC)
        if found := verdicts.of_delivery(told.delivery, job.message, now, self._settings.stale_seconds):
            return found
        left_by = str(told.delivery.get("begin_id", ""))
        error = "the worker ended before the answer"
        self._end(End(*_both(job.reference), left_by, State.UNKNOWN, _now(), error_class="unknown", error=error))
        return SETTLED

    def _answered(self, job: Job, begin: Begin, answer: Answer) -> Verdict:
        outcome, campaign_id = answer.outcome, begin.campaign_id
        if outcome.kind is Kind.ACCEPTED:
            self._rows.end(campaign_id)
            return self._ended(begin, State.SENT, message_id=answer.message_id)
        if outcome.kind is Kind.UNKNOWN:
            verdict = self._ended(begin, State.UNKNOWN, "unknown", outcome.text)
            if self._rows.more(campaign_id, 0, f"unknown: {outcome.text}"):
                self._pause(campaign_id, f"of one mail after the other the answer was lost: {outcome.text}")
            return verdict
        if answer.suppressed:
            return self._ended(begin, State.SUPPRESSED, "suppressed", outcome.text)
        if outcome.kind is Kind.DEFERRED and outcome.code in SLOW_DOWN:
            self._tables.give_back(begin)
            self._turns.slow_down(0.0)
            self._tally.error(outcome.code, outcome.text)
            return wait(random.uniform(1, _AGAIN_SECONDS), "held", outcome.text)  # noqa: S311
        return self._refused(job, begin, answer)

    def _refused(self, job: Job, begin: Begin, answer: Answer) -> Verdict:
        """For good, or for now: then it is tried again, as is one whose refusal may be about everybody."""
        outcome, last = answer.outcome, job.message.receives >= TRIES
        general = concerns_all(outcome, last)
        if last or not (general or outcome.kind is Kind.DEFERRED):
            if general and self._rows.more(begin.campaign_id, outcome.code, outcome.text):
                self._tables.give_back(begin)
                return self._pause(begin.campaign_id, f"refused one after the other: {outcome.text}")
            about = bounce_class(outcome.code, outcome.text)
            return self._ended(begin, State.FAILED, about, outcome.text, code=outcome.code)
        self._tables.give_back(begin)
        self._tally.error(outcome.code, outcome.text)
        if general and self._rows.more(begin.campaign_id, outcome.code, outcome.text):
            return self._pause(begin.campaign_id, f"refused one after the other: {outcome.text}")
        due = retries.due(job.message.receives, self._settings.retry_seconds, random.random())  # noqa: S311
        return Verdict(Do.BACK, due or 0.0, "deferred", mask_text(outcome.text))

    def _ended(
        self, begin: Begin, state: State, kind: str = "", why: str = "", *, message_id: str = "", code: int = 0
    ) -> Verdict:
        self._end(
            End(
                begin.campaign_id,
                begin.contact_email,
                begin.begin_id,
                state,
                _now(),
                message_id,
                kind,
                mask_text(why)[:_REASON_MOST],
            )
        )
        if why:
            self._tally.error(code, why, kind=kind, failed=state is State.FAILED)
        return SETTLED

    def _end(self, step: End) -> None:
        """Raises Busy: its state stays what it is, and becomes unknown when it is old enough."""
        if isinstance(self._writes.ask(step).result(), Written):  # else somebody decided it, or it is gone
            self._tally.add("accepted" if step.state is State.SENT else step.state.value)

    def _pause(self, campaign_id: str, why: str) -> Verdict:
        """The campaign can't go on without a person."""
        why = mask_text(why)[:_REASON_MOST]
        self._tally.error(0, why, kind="paused")
        self._tables.pause(campaign_id, f"worker {self._settings.name}", why)
        return wait(_TROUBLE_SECONDS, "paused", why)

    def _trouble(self, error: Exception) -> Verdict:
        """What nobody can do anything about here; its text is foreign, so its kind has to do."""
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        why = str(error) if isinstance(error, NotNow) else f"{type(error).__name__} {code}".strip()
        self._tally.error(0, why, kind="trouble")
        return wait(self.hold.put(why), "held", why)


def _both(reference: Reference) -> tuple[str, str]:
    return reference.campaign_id, reference.contact_email


def _now() -> str:
    return datetime.now(UTC).isoformat()
