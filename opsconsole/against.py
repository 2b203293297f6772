"""The reason against an action, for one verdict: a sentence, or "" when there is none. Pure."""

from collections.abc import Callable

from opsconsole.verdict import Group, Status, Verdict


def sendable(verdict: Verdict) -> str:
    return "; ".join(verdict.obstacles)


def status(*allowed: Status) -> Callable[[Verdict], str]:
    *first, last = allowed
    words = f"{', '.join(first)} or {last}" if first else f"{last}"
    return lambda v: "" if v.status in allowed else f"It is {v.status}; this works only when it is {words}."


def steerable(wish: str) -> Callable[[Verdict], str]:
    """Against asking a run for another rate or account: it must go, and its runner be one that obeys that."""
    going = status(Status.SENDING, Status.STALLED, Status.PAUSED)

    def rule(verdict: Verdict) -> str:
        if refusal := going(verdict):
            return refusal
        controls = verdict.run.going.controls if verdict.run else ()
        if wish in controls:
            return ""
        knows = ", ".join(controls) or "nothing"
        return f"Its runner can't be told another {wish} while it goes (it obeys {knows}); a newer runner can."

    return rule


def rehearsable(verdict: Verdict) -> str:
    if verdict.group is Group.IN_FLIGHT or verdict.status is Status.STALLED:  # a stalled run is still alive
        return f"It is {verdict.status}: wait until the run has ended."
    return ""


def has_run(verdict: Verdict) -> str:
    return "" if verdict.run else "No run of it is known."


def broken_off(verdict: Verdict) -> str:
    """Against settling what is left of a run: only one that ended, or broke off, with somebody left has that."""
    if verdict.closed:
        return "It was closed: whoever is left gets nothing."
    if verdict.status not in (Status.IN_DOUBT, Status.PARTIAL, Status.CONFLICT):
        return f"It is {verdict.status}; this works only when a run broke off or ended with somebody left."
    return has_run(verdict)


def releasable(verdict: Verdict) -> str:
    """Against giving a claim back: only a run that provably reached nobody may be followed by another."""
    if verdict.status is Status.CLAIMED:
        return ""
    counts = verdict.run.counts if verdict.run else None
    if verdict.status is not Status.FAILED:
        return (
            f"It is {verdict.status}; only a claim without a start, or an end that reached nobody, can be released."
        )
    if counts is None or counts.accepted or counts.unknown:
        return "That the run reached nobody can't be proven, so its claim stays."
    return ""


def not_yet_sent(verdict: Verdict) -> str:
    return movable(verdict) or not_done(verdict)


def movable(verdict: Verdict) -> str:
    """Against another due time, or none: what a run may have done isn't undone by that. Says what to do instead."""
    if verdict.status is Status.IN_DOUBT:
        return (
            "It is IN DOUBT: it may have been sent to some. See who got it (doubt), then settle the unknown, "
            "send the rest, or close it."
        )
    if verdict.status is Status.CLAIMED:
        return (
            "It is CLAIMED: a run is about to start, or was left behind. Give the claim back first (release-claim)."
        )
    return not_started(verdict)


def not_started(verdict: Verdict) -> str:
    if verdict.status in (Status.SENT, Status.SENDING, Status.PAUSED, Status.STALLED, Status.PARTIAL):
        return f"It is {verdict.status}: it has already started."
    return ""


def not_done(verdict: Verdict) -> str:
    done = verdict.status in (Status.SENT, Status.CANCELLED)
    return f"It is {verdict.status} already." if done else ""


def held(verdict: Verdict) -> str:
    return "" if any(o.holds for o in verdict.observations) else "Nothing holds it."


def not_running(verdict: Verdict) -> str:
    if verdict.status in (Status.SENDING, Status.PAUSED, Status.STALLED):
        return "A run is going: pause or stop it first."
    return ""


def no_trigger(*, off: bool) -> Callable[[Verdict], str]:
    """Against switching a trigger: there must be one that is (`off`) or isn't switched off, and can be switched."""
    word = "is switched off" if off else "could start it and can be switched off from here"

    def rule(verdict: Verdict) -> str:
        found = any(t.key and t.off is off for o in verdict.observations for t in o.triggers)
        return "" if found else f"No trigger of it {word}."

    return rule


def not_foreign(verdict: Verdict) -> str:
    found = any(f.code == "foreign-run" for f in verdict.findings)
    return "" if found else "No run of it is foreign to this console."
