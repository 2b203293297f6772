"""Operations of the systems beyond a run: on record first, then done by the system, then what it read again.

Nothing is ever repeated here: what came of an operation whose answer was lost is for a person to look at.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Any

from opsconsole.audit.records import Record
from opsconsole.audit.store import AuditStore
from opsconsole.audit.wanted import OPERATE
from opsconsole.ports import NotThere, Operated, Operates, Operation, OutOfReach, Refused, Trouble
from opsconsole.runs import Identity, Runs
from opsconsole.safety import Confirmation
from opsconsole.schedule import say_span

NOTHING = "Nothing was changed."
OPERATING_FOR = timedelta(minutes=30)
"""So long another console may be at one: a large queue takes its time."""
VALUE_KEPT = 200
"""Characters of a value that a record keeps; of a longer one it keeps the digest as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What can be done now. `unread` has, by source, why it couldn't be asked."""

    operations: tuple[Operation, ...]
    unread: tuple[tuple[str, str], ...] = ()


def about(operation: Operation) -> str:
    """What it is done to: the campaign, or the system where it is about no single one."""
    return operation.slug or operation.source


def phrase(operation: Operation) -> str:
    """What has to be typed: what it is done to, and of how many it is."""
    return about(operation) if operation.count is None else f"{about(operation)} {operation.count}"


def check_value(operation: Operation, value: str) -> str:
    """The value as the system gets it. Raises Refused where one is missing, or none is asked for."""
    if operation.asks and not value.strip():
        raise Refused(f"{operation.label} needs a value: {operation.asks}.", NOTHING, "Give it with --value.")
    if value and not operation.asks:
        raise Refused(f"{operation.label} takes no value.", NOTHING, "Leave it out.")
    return value.strip()


def confirm_operation(
    operation: Operation, value: str, *, named: str, environment: str, danger: bool, where: str
) -> Confirmation:
    """What must be read and typed first. `named` is the campaign's own name. Raises Refused for a value that
    can't be."""
    wanted = check_value(operation, value)
    campaign = (("campaign", f"{operation.slug}  {named}".strip()),) if operation.slug else ()
    asked = (("new value", wanted),) if operation.asks else ()
    number = (("it concerns", f"{operation.count:,}"),) if operation.count is not None else ()
    return Confirmation(
        action=OPERATE,
        title=f"{operation.label}: {about(operation)}",
        lines=(
            *campaign,
            ("system", where if operation.source in where else f"{operation.source} ({where})"),
            ("environment", environment),
            *number,
            *operation.lines,
            *asked,
        ),
        phrase=phrase(operation),
        environment=f"{environment} ({where})",
        danger=danger,
        needs_reason=operation.needs_reason,
        warnings=operation.warnings,
    )


class Operations:
    """Looks for operations and carries them out. Authorizing and confirming are the console's work."""

    def __init__(
        self,
        store: Callable[[], AuditStore],
        systems: Mapping[str, Operates],
        identity: Identity,
        clock: Callable[[], datetime],
        runs: Runs,
    ) -> None:
        self._store, self._systems, self._identity = store, systems, identity
        self._clock, self._runs = clock, runs

    def offered(self, slug: str = "", only: str = "") -> Offered:
        """What every system (or `only` this one) can do now about the campaign, or about no single one. Asks them
        one after the other; one that can't be asked hides nothing of the others."""
        found: list[Operation] = []
        unread = []
        for name, system in self._systems.items():
            if only in ("", name):
                try:
                    found += (replace(one, source=name) for one in system.operations(slug))
                except Trouble as error:
                    unread.append((name, str(error)))
        return Offered(operations=tuple(found), unread=tuple(unread))

    def again(self, seen: Operation) -> Operation:
        """The same operation by a look now. Raises Refused where it isn't what was seen, OutOfReach unasked."""
        if seen.source not in self._systems:
            raise NotThere(f"{seen.source!r} offers no operations here.", NOTHING)
        there = self._systems[seen.source].operations(seen.slug)
        now = next((one for one in there if (one.id, one.slug) == (seen.id, seen.slug)), None)
        if now is None:
            raise Refused(f"{seen.source} doesn't offer it any more: {seen.label}.", NOTHING, "Look again.")
        if now.against:
            raise Refused(now.against, NOTHING)
        if (now.state, now.count) != (seen.state, seen.count):
            was, here = (_say_count(one) for one in (seen, now))
            changed = f"it was about {was}, and is about {here}" if was != here else "it isn't as it was shown"
            raise Refused(f"{seen.source} has changed meanwhile: {changed}.", NOTHING, "Look again, then decide.")
        return replace(now, source=seen.source)

    def operate(
        self, operation: Operation, value: str, reason: str, on_output: Callable[[bytes], None], stop: Flag
    ) -> Operated:
        """Raises Refused or OutOfReach with nothing done. After any other Trouble the intent stays open, until a
        look tells what is there then."""
        identity, system = self._identity, self._systems[operation.source]
        detail = _detail(operation, value)
        event = identity.event(OPERATE, operation.slug, "", reason, **detail)
        with self._runs.busy(OPERATE, _key(detail, operation.slug)):
            intent = self._store().intent(event)
            try:
                if operation.mails:
                    self._runs.before_send(operation.source)
                    self._store().still_wanted(event)
                done = system.operate(operation, value, identity.operator, on_output, stop)
            except (Refused, OutOfReach) as error:
                failed = identity.event(OPERATE, operation.slug, "", str(error), **detail, result="failed")
                self._runs.record_outcome(intent, failed)
                raise
            except Trouble as error:
                self._runs.note(identity.event("operate-unclear", operation.slug, "", error.what, **detail))
                raise
            detail |= {"before": done.before, "after": done.after, "says": done.says, "concerned": done.count}
            result = "stopped" if done.stopped else "done"
            ended = identity.event(OPERATE, operation.slug, "", "", **detail, result=result)
            self._runs.record_outcome(intent, ended)
        return done

    def reconcile(self) -> tuple[str, ...]:
        """Close every open intent of an operation as unclear, with what the system shows now; says what was found.

        Whether it was done isn't told by what is there: others may have changed it too. A system that can't be
        asked leaves it open, and so does another console that may be at it.
        """
        found = []
        for intent in self._store().unresolved(self._identity.environment):
            if intent.action == OPERATE and not self._runs.is_busy(OPERATE, _key(intent.detail, intent.campaign)):
                name = intent.campaign or str(intent.detail.get("source", ""))
                found.append(f"{name}: {self._look_after(intent)}")
        return tuple(found)

    def _look_after(self, intent: Record) -> str:
        label, age = str(intent.detail.get("label", "")), self._clock() - intent.utc
        if intent.session != self._identity.session and timedelta(0) <= age < OPERATING_FOR:
            return f"{intent.operator} began it {say_span(age)} ago and may be at it now: {label}"
        system = self._systems.get(str(intent.detail.get("source", "")))
        if system is None:
            return f"its system is not in this configuration; record {intent.seq} stays open"
        try:
            there = system.operations(intent.campaign)
        except Trouble as error:
            return f"can't be asked now ({error.what})"
        shows = next((one for one in there if one.id == intent.detail.get("id")), None)
        note = f"{label}: what came of it is unclear; {_shows(shows)}"
        about = {name: intent.detail.get(name) for name in ("source", "id", "label", "value", "count")}
        event = self._identity.event(OPERATE, intent.campaign, "", note, **about, result="unclear")
        self._store().outcome(intent, event)
        return note


def _key(detail: Mapping[str, Any], slug: str) -> str:
    return f"{detail.get('source')}/{detail.get('id')}/{slug}"


def _detail(operation: Operation, value: str) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "source": operation.source,
        "id": operation.id,
        "label": operation.label,
        "count": operation.count,
        "mails": operation.mails,
        "value": value[:VALUE_KEPT],
    }
    if len(value) > VALUE_KEPT:
        detail["value_sha256"] = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return detail


def _shows(now: Operation | None) -> str:
    if now is None:
        return "it isn't offered now"
    words = [f"{label} {text}" for label, text in now.lines[:4]]
    words += [f"about {_say_count(now)}"] if now.count is not None else []
    return f"now: {', '.join(words)}" if words else "it is offered now as before"


def _say_count(operation: Operation) -> str:
    return "none" if operation.count is None else f"{operation.count:,}"
