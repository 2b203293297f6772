"""What "it went out" can rest on: the lines of evidence every source gives, the most telling first. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from opsconsole.case import STARTS, say_counts
from opsconsole.observation import Evidence, Mark, Observation, Says, Trigger
from opsconsole.ports import NotThere, Refused
from opsconsole.schedule import say_instant
from opsconsole.verdict import Verdict

OWN_WORD = "own word"


class Weight(IntEnum):
    """What a line tells: nothing of a start, that a run started, or that mail was accepted."""

    BESIDE = 0
    STARTED = 1
    WENT_OUT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One line of evidence: `source` said `text` under `label`, of the instant `at` (None: of no instant)."""

    source: str
    label: str
    text: str
    at: datetime | None = None
    weight: Weight = Weight.BESIDE

    @property
    def words(self) -> str:
        return f"{self.source} {self.label}: {self.text}"

    def say(self, zone: str, now: datetime) -> str:
        """`blast-mail-prod host log: 1,204 processed (yesterday 10:09 PDT)`; no instant is told twice."""
        at = say_instant(self.at, zone, now) if self.at else ""
        return f"{self.words} ({at})" if at and at not in self.text else self.words

    def record(self) -> dict[str, Any]:
        """As it is kept in a record and told to others."""
        at = self.at.isoformat() if self.at else None
        return {"source": self.source, "label": self.label, "text": self.text, "at": at}


def grounds(verdict: Verdict, now: datetime) -> tuple[Ground, ...]:
    """Every line that may be named as evidence, the most telling first, then by source."""
    found = [ground for o in verdict.observations for ground in _of(o, now)]
    return tuple(sorted(found, key=lambda ground: (-ground.weight, ground.source)))


def strongest(verdict: Verdict, now: datetime) -> tuple[Ground, ...]:
    """Those of the greatest weight; none where no source tells of any start."""
    found = grounds(verdict, now)
    most = max((ground.weight for ground in found), default=Weight.BESIDE)
    return tuple(ground for ground in found if ground.weight is most) if most else ()


def named(
    verdict: Verdict, now: datetime, texts: Sequence[str], sources: Sequence[str], operator: str
) -> tuple[Ground, ...] | None:
    """The lines that hold one of `texts`, and those by which one of `sources` tells of a start; None when nothing
    was named. A text that no line holds is the operator's own word.

    Raises NotThere for a source nobody knows, Refused for one that tells of no start.
    """
    if not texts and not sources:
        return None
    known, found = grounds(verdict, now), list[Ground]()
    for source in sources:
        found += _telling(verdict, known, source)
    for text in texts:
        holding = [ground for ground in known if text.casefold() in ground.words.casefold()]
        found += holding or [Ground(source=operator, label=OWN_WORD, text=text)]
    return tuple(dict.fromkeys(found))


def check_unchanged(chosen: Iterable[Ground], verdict: Verdict, now: datetime) -> None:
    """Raises Refused when a line that was chosen isn't what its source says any more."""
    known = grounds(verdict, now)
    for ground in chosen:
        if ground.label == OWN_WORD or ground in known:
            continue
        there = [other for other in known if (other.source, other.label) == (ground.source, ground.label)]
        says = f"now says {there[0].text!r}" if there else "doesn't say that any more"
        raise Refused(
            f"The evidence changed: {ground.words!r} was chosen, and {ground.source} {says}",
            "Nothing was recorded",
            "Look again, then choose anew",
        )


def doubtful(chosen: Sequence[Ground], verdict: Verdict, now: datetime) -> str:
    """What must be said before this is taken for proof, in so many words; "" when a source says it went out."""
    if any(ground.weight is Weight.WENT_OUT for ground in chosen):
        return ""
    if any(ground.weight is Weight.STARTED for ground in chosen):
        return "It is only known that it started: no source says that anybody's mail was accepted."
    if strongest(verdict, now):
        return "None of the evidence that it went out was chosen: this rests on your word alone."
    return (
        "No source has any evidence that it went out: this rests on your word alone. If it didn't, nobody on the "
        "list gets it, and nothing here will tell."
    )


def say_recorded(evidence: Any) -> str:
    """Recorded evidence in a few words: `on the word of blast-mail-prod (host log: …)`; "" for none."""
    lines = [line for line in evidence if isinstance(line, Mapping)] if isinstance(evidence, list | tuple) else []
    words = [f"{line.get('source')} ({line.get('label')}: {line.get('text')})" for line in lines]
    return f"on the word of {', '.join(words)}" if words else ""


def _telling(verdict: Verdict, known: Iterable[Ground], source: str) -> list[Ground]:
    names = sorted(o.source for o in verdict.observations)
    if source not in names:
        raise NotThere(f"No source {source!r} is known.", "Nothing was recorded.", f"There are {', '.join(names)}.")
    telling = [ground for ground in known if ground.source == source and ground.weight]
    if not telling:
        raise Refused(
            f"{source} doesn't say that {verdict.slug} was ever started.",
            "Nothing was recorded.",
            "Name what you know in your own words, with --evidence.",
        )
    return telling


def _of(o: Observation, now: datetime) -> Iterator[Ground]:
    weight, told = _weight(o), False
    for line in o.evidence:
        if line.mark in (Mark.NO, Mark.UNSEEN) or (line.at and line.at > now):
            continue  # that something isn't there, isn't known, or is to come, is evidence of nothing that was
        its_own = weight if _of_runs(line, o) else Weight.BESIDE
        told = told or its_own is not Weight.BESIDE
        yield Ground(source=o.source, label=line.label, text=line.text, at=line.at, weight=its_own)
    if weight and not told:
        counts = f", {say_counts(o.run.counts)}" if o.run and o.run.counts else ""
        yield Ground(source=o.source, label="run", text=f"{o.says}{counts}", at=o.since, weight=weight)
    for trigger in o.triggers:
        if trigger.previous_fire and trigger.sends and not trigger.ignored_because:
            yield Ground(source=o.source, label="fired", text=_fired(trigger), at=trigger.previous_fire)


def _fired(trigger: Trigger) -> str:
    return f"{trigger.where}: {trigger.text}"


def _weight(o: Observation) -> Weight:
    if o.decided and o.says in (Says.SENT, Says.CANCELLED):
        return Weight.BESIDE  # somebody's earlier decision proves nothing
    if o.went_out:
        return Weight.WENT_OUT
    return Weight.STARTED if o.says in STARTS else Weight.BESIDE


def _of_runs(line: Evidence, o: Observation) -> bool:
    """Whether it tells of what was sent: files and cron lines don't, and the store's lines tell of decisions."""
    return line.letter not in ("F", "C") and o.own_runs is None
