"""Switches a trigger off or on: on record first, then done by its source, then looked at again as the proof."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from opsconsole.audit.records import Record
from opsconsole.audit.store import AuditStore
from opsconsole.ports import OutOfReach, Refused, Switched, TriggerKeeper
from opsconsole.runs import STARTING_FOR, Identity, Runs
from opsconsole.triggers import TRIGGER_OFF, TRIGGER_ON, live, seen_at
from opsconsole.verdict import Verdict


class Switching:
    """Acts on triggers by their keys. Authorizing and confirming are the console's work."""

    def __init__(
        self,
        store: Callable[[], AuditStore],
        keepers: Mapping[str, TriggerKeeper],
        identity: Identity,
        clock: Callable[[], datetime],
        runs: Runs,
    ) -> None:
        self._store, self._keepers, self._identity = store, keepers, identity
        self._clock, self._runs = clock, runs

    def switch(
        self, slug: str, source: str, key: str, where: str, on: bool, reason: str, look: Callable[[], Verdict]
    ) -> Switched:
        """`look` asks the source again, and gives the verdict then: what it shows is part of the outcome.

        Raises Refused or OutOfReach with nothing changed. After any other Trouble the intent stays open, until a
        look tells what came of it.
        """
        action, identity = TRIGGER_ON if on else TRIGGER_OFF, self._identity
        keeper = self._keepers.get(source)
        if keeper is None:
            raise Refused(f"{source} can't switch triggers.", "Nothing was changed.", "Do it there by hand.")
        about = {"source": source, "where": where, "key": key}
        intent = self._store().intent(identity.event(action, slug, "", reason, **about))
        try:
            done = keeper.switch_trigger(key, on, identity.operator)
        except (Refused, OutOfReach) as error:
            said = identity.event(action, slug, "", str(error), result="failed", **about)
            self._runs.record_outcome(intent, said)
            raise
        verdict = look()
        detail: dict[str, Any] = {
            "result": "done",
            "before": done.before,
            "after": done.after,
            "proof": done.proof,
            "undo": done.undo,
            "left": [trigger.where for trigger in live(verdict, self._clock())],
        }
        self._runs.record_outcome(intent, identity.event(action, slug, "", "", **about, **detail))
        return done

    def reconcile(self, verdict: Callable[[str], Verdict | None]) -> tuple[str, ...]:
        """Close every open intent to switch by what its source shows by now; says what was found.

        A script that was on its way may come late, so a look counts only from STARTING_FOR after the intent on.
        """
        found = []
        for intent in self._store().unresolved(self._identity.environment):
            if intent.action in (TRIGGER_ON, TRIGGER_OFF):
                found.append(f"{intent.campaign}: {self._look_after(intent, verdict(intent.campaign))}")
        return tuple(found)

    def _look_after(self, intent: Record, verdict: Verdict | None) -> str:
        source, where = str(intent.detail.get("source", "")), str(intent.detail.get("where", ""))
        settled = intent.utc + STARTING_FOR
        if self._clock() < settled:
            return f"{intent.operator} is switching {where} just now"
        word = next((o for o in verdict.observations if o.source == source), None) if verdict else None
        if word is None or not word.is_fresh(self._clock()) or (word.observed_at or intent.utc) < settled:
            return f"{source} hasn't been looked at since {where} was to be switched; it stays open"
        trigger = seen_at(word, where, str(intent.detail.get("key", "")))
        if trigger is None:
            result, note = "unclear", f"{where} isn't there any more as it was"
        else:
            came = trigger.off is (intent.action == TRIGGER_OFF)
            state = "off" if trigger.off else "on"
            result, note = "done" if came else "failed", f"{source} was looked at later: {where} is {state}"
        event = self._identity.event(
            intent.action, intent.campaign, "", note, result=result, source=source, where=where
        )
        self._store().outcome(intent, event)
        return note
