"""The checks of the mail itself, one for each of what letter.py finds. Pure."""

from collections.abc import Callable
from typing import Any, Final

from backends.listmonk.facts import ListmonkFacts
from backends.listmonk.letter import Flaw, body, headers
from opsconsole.preflight.check import CannotJudge, Check, Finding, Situation, failed, passed, shown, warned

REMEDIES: Final = {
    "subject-and-sender": "Correct it in the campaign there.",
    "body-there": "Write it there.",
    "unsubscribe": "Put {{ UnsubscribeURL }} into the campaign or its template.",
    "template-tokens": "Correct the text there, then look at the preview.",
    "links": "Correct the links there.",
    "size": "Make it smaller.",
}


def gathered(situation: Situation) -> ListmonkFacts:
    return situation.gathered(ListmonkFacts)


def judge_headers(facts: ListmonkFacts, situation: Situation) -> Finding:
    return _judged("subject-and-sender", tuple(headers(facts.campaign)), "Subject and sender are there.")


def judge_renders(facts: ListmonkFacts, situation: Situation) -> Finding:
    if facts.rendered is None:
        why = facts.unread.get("preview", "it wasn't asked for")
        return failed("listmonk can't render it.", "Correct its template or its body there.", [why])
    return passed("listmonk renders it.", f"{len(facts.rendered.encode('utf-8', 'replace')) / 1024:,.0f} KiB")


def _check(code: str, title: str, good: str) -> Check[Any]:
    return Check(code, title, "content", _rendered(code), lambda flaws, _: _judged(code, flaws, good))


def _rendered(code: str) -> Callable[[Situation], tuple[Flaw, ...]]:
    def gather(situation: Situation) -> tuple[Flaw, ...]:
        facts = gathered(situation)
        if facts.rendered is None:
            raise CannotJudge("It doesn't render.", "Mend that first.")
        return tuple(flaw for flaw in situation.once(_flaws) if flaw.code == code)

    return gather


def _flaws(situation: Situation) -> tuple[Flaw, ...]:
    facts = gathered(situation)
    return tuple(body(facts.campaign, facts.rendered or ""))


def _judged(code: str, flaws: tuple[Flaw, ...], good: str) -> Finding:
    if not flaws:
        return passed(good)
    says = f"{flaws[0].text[0].upper()}{flaws[0].text[1:]}."
    lines = shown(flaw.text for flaw in flaws) if len(flaws) > 1 else ()
    if any(flaw.breaks for flaw in flaws):
        return failed(says, REMEDIES[code], lines)
    return warned(says, REMEDIES[code], lines)


CHECKS: tuple[Check[Any], ...] = (
    Check("subject-and-sender", "Subject and sender are sound", "content", gathered, judge_headers),
    Check("renders", "listmonk renders it", "content", gathered, judge_renders),
    _check("body-there", "Its body shows something", "It shows something."),
    _check("unsubscribe", "One can unsubscribe", "It has a way to unsubscribe."),
    _check("template-tokens", "Every token was filled in", "No token is left in it."),
    _check("links", "Its links lead somewhere", "All its links have an address; none was followed."),
    _check("size", "It isn't cut off", "It is small enough."),
)
