"""Why recipients of a campaign weren't reached, grouped, out of the table of deliveries."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.serverless.aws import Meter
from backends.serverless.pipe import Pipe
from backends.serverless.troubles import shown
from backends.serverless.values import plain, text, typed
from runner.worker.schema import State

KINDS: Final = 200  # different reasons that are kept apart; the rest is "other reasons"
OTHER: Final = "other reasons"
_ADDRESS = re.compile(r"<?[^\s<>@]*@[^\s<>@]+>?")
_LONG = re.compile(r"\b(?=\w*\d)[\w-]{9,}\b|\b\d{4,}\b")  # ids and the like, which differ with each message


@dataclass(frozen=True, slots=True)
class Reasons:
    """Counts of those that failed by reason and by the workers' class of refusal, the most first; of all by state.
    `whole`: every delivery was read."""

    failed: tuple[tuple[str, int], ...] = ()
    classes: tuple[tuple[str, int], ...] = ()
    states: tuple[tuple[str, int], ...] = ()
    whole: bool = True

    def count(self, state: State) -> int:
        return dict(self.states).get(state, 0)


def look(pipe: Pipe, campaign_id: str, pages: int, meter: Meter) -> Reasons:
    """The deliveries of a campaign that didn't end as sent; `pages` of 1 MB at most. Raises Trouble."""
    request = {
        "TableName": pipe.settings.deliveries_table,
        "KeyConditionExpression": "campaign_id = :c",
        "FilterExpression": "NOT #state IN (:sent, :sending)",
        "ProjectionExpression": "#state, #error, error_class",
        "ExpressionAttributeNames": {"#state": "state", "#error": "error"},
        "ExpressionAttributeValues": typed({":c": campaign_id, ":sent": State.SENT, ":sending": State.SENDING}),
    }
    found: list[Mapping[str, Any]] = []
    whole = True
    for page in pipe.pages("query", request, most=pages, meter=meter):
        found.extend(plain(item) for item in page.get("Items", ()))
        whole = not page.get("LastEvaluatedKey")
    return grouped(found, whole=whole)


def grouped(deliveries: Iterable[Mapping[str, Any]], *, whole: bool = True) -> Reasons:
    """Deliveries counted by state; of the failed, by what was said without what differs from one to another."""
    failed: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for delivery in deliveries:
        state = text(delivery, "state")
        states[state] += 1
        if state == State.FAILED:
            reason = alike(text(delivery, "error"))
            failed[reason if reason in failed or len(failed) < KINDS else OTHER] += 1
            if kind := alike(text(delivery, "error_class")) if text(delivery, "error_class") else "":
                classes[kind if kind in classes or len(classes) < KINDS else OTHER] += 1
    return Reasons(
        failed=tuple(failed.most_common()),
        classes=tuple(classes.most_common()),
        states=tuple(sorted(states.items())),
        whole=whole,
    )


def alike(error: str) -> str:
    """`MessageRejected: ben@example.com …` without address and ids; "no reason given" for nothing."""
    plainer = _LONG.sub("…", _ADDRESS.sub("…", error[:400]))
    return shown(" ".join(plainer.split()))[:90] or "no reason given"
