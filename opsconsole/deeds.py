"""Records and deliveries in words: what somebody did, and whether others were told. Pure; not masked here."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opsconsole.digests import short
from opsconsole.grounds import say_recorded
from opsconsole.observation import Mark
from opsconsole.wishes import Wish, say_wish

if TYPE_CHECKING:  # the store's own modules are heavy
    from opsconsole.audit.records import OutboxItem, Record

Said = tuple[Mark, str]
_HEX = re.compile(r"[0-9a-f]{12,128}")
DECIDED = frozenset(
    {"approve", "break-glass", "hold", "release", "mark", "cancel", "reschedule", "close", "settle", "send"}
    | {
        "send-rest",
        "release-claim",
        "run-pause",
        "run-resume",
        "run-cancel",
        "run-rate",
        "run-account",
        "resolve",
        "adopt",
    }
    | {"trigger-off", "trigger-on", "host-accepted", "clock-explained"}
    | {"install-runner", "operate"}
)
"""Actions by which somebody changed something; the rest looked, rehearsed, or happened by itself."""


def say_record(record: "Record") -> Said:
    """One record as a line of a story, without who, when and why, which it has of its own."""
    phase, detail = str(record.phase), record.detail
    if phase == "outcome":
        return _outcome(record.action, detail)
    say = _NOTES.get(record.action)
    if say is not None:
        return say(detail)
    word = record.action.replace("-", " ")
    return (Mark.MOVING, f"asked for: {word}") if phase == "intent" else (Mark.YES, word)


def is_deed(record: "Record") -> bool:
    """Whether somebody decided something by it. The outcome belongs to the deed, and so does a start that hangs."""
    return record.action in DECIDED and str(record.phase) != "outcome"


def say_item(item: "OutboxItem", now: datetime) -> Said:
    """What one system is told, and whether it has acknowledged: `dashboard: told "sent": acknowledged`."""
    kind, _, name = item.destination.partition(":")
    what = {
        "anchor": f"a copy of the audit head (record {item.payload.get('seq')}) for {name}",
        "hold": f"{name} is told of the {'release' if item.payload.get('released') else 'hold'}",
        "notify": f"{name} is notified: {item.payload.get('title') or item.payload.get('text', '')}",
    }.get(kind, f"{item.destination} is told: {_told(item.payload)}")
    error = f"; last: {item.last_error}" if item.last_error and item.done_utc is None else ""
    mark = Mark.YES if item.done_utc is not None else Mark.BAD if item.tries else Mark.WAITING
    return mark, f"{what}: {item.says(now)}{error}"


def say_digest(value: object) -> str:
    """A digest out of a record in short; what is none isn't cut, as a part of it may tell what the whole hides."""
    return short(value) if isinstance(value, str) and _HEX.fullmatch(value) else "missing"


def say_told(detail: Mapping[str, Any]) -> str:
    """`2,601 accepted of 2,601, 3 failed`, from counts as they lie in a record; "" when there are none."""
    counts = detail.get("counts")
    if not isinstance(counts, Mapping):
        return ""
    total = counts.get("total")
    words = [f"{_number(counts.get('accepted'))} accepted" + (f" of {total:,}" if isinstance(total, int) else "")]
    words += [f"{_number(counts[k])} {k}" for k in ("failed", "unknown", "deferred", "suppressed") if counts.get(k)]
    return ", ".join(words)


def _told(payload: Mapping[str, Any]) -> str:
    counts = say_told(payload)
    word = payload.get("status") or payload.get("decided") or "news"
    return f"{word} ({counts})" if counts else str(word)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "0"


def _outcome(action: str, detail: Mapping[str, Any]) -> Said:
    word, result = action.removeprefix("run-").replace("-", " "), detail.get("result")
    match result:
        case "ended":
            counts, status = say_told(detail), detail.get("status")
            rc = f", exit code {detail['rc']}" if detail.get("rc") else ""
            mark = Mark.YES if status == "sent" else Mark.BAD
            return mark, f"the end of the run is recorded: {status}{f', {counts}' if counts else ''}{rc}"
        case "not-started":
            return Mark.NO, f"{word}: nothing was started"
        case "failed":
            return Mark.BAD, f"{word}: refused, nothing was done"
        case "stopped":
            return Mark.NO, f"{_operated(detail) or word}: stopped by somebody; {detail.get('says', '')}"
        case "unclear":
            return Mark.BAD, f"{word}: what came of it is unclear"
        case "done" if "says" in detail:
            return Mark.YES, f"{_operated(detail) or word}: {detail['says']}"
        case "done" if "unsent" in detail:
            left = f"{_number(detail.get('unsent'))} unsent and {_number(detail.get('unknown'))} unknown are left"
            return Mark.YES, f"{word}: done; {left}"
        case "done":
            return Mark.YES, f"{word}: done" + (f", it is {detail['state']}" if detail.get("state") else "")
        case _:
            return Mark.YES, f"{word}: {result or 'done'}"


def _preflight(detail: Mapping[str, Any]) -> Said:
    blocking, outcomes = detail.get("blocking"), detail.get("outcomes")
    of = f"{sum(outcomes.values())} checks" if isinstance(outcomes, Mapping) and outcomes else "checked"
    if isinstance(blocking, list) and blocking:
        return Mark.BAD, f"pre-flight: {of}, {len(blocking)} forbid a send: {'; '.join(map(str, blocking))}"
    return Mark.YES, f"pre-flight: {of}, none forbids a send"


def _dry_run(detail: Mapping[str, Any]) -> Said:
    audience, summary = detail.get("audience"), str(detail.get("summary", ""))
    counted = f"{audience:,} recipients" if isinstance(audience, int) else "nobody counted"
    if detail.get("ok") is True:
        return Mark.YES, f"dry run: passed, {counted}"
    troubles = detail.get("troubles")
    why = "; ".join(map(str, troubles)) if isinstance(troubles, list) and troubles else summary
    return Mark.BAD, f"dry run: failed, {counted}{f': {why}' if why else ''}"


def _plan(detail: Mapping[str, Any]) -> Said:
    return Mark.YES, f"planned: {_planned(detail)}"


def _send(detail: Mapping[str, Any]) -> Said:
    approval = detail.get("approval")
    by = f", approved by {approval.get('by')}" if isinstance(approval, Mapping) else ""
    return Mark.MOVING, f"send confirmed: {_planned(detail)}{by}"


def _planned(detail: Mapping[str, Any]) -> str:
    plan = detail.get("plan")
    document = plan if isinstance(plan, Mapping) else {}
    on = f" by {document['carrier']}" if document.get("carrier") else ""
    return f"{_number(document.get('audience'))} recipients{on}, plan {say_digest(detail.get('digest'))}"


def _send_rest(detail: Mapping[str, Any]) -> Said:
    return Mark.MOVING, f"sending the rest confirmed: {_number(detail.get('rest'))} recipients"


def _settle(detail: Mapping[str, Any]) -> Said:
    fates, every = detail.get("fates"), detail.get("all")
    rows = {k: len(v) for k, v in fates.items() if isinstance(v, list) and v} if isinstance(fates, Mapping) else {}
    if isinstance(every, int) and len(rows) == 1:
        rows = dict.fromkeys(rows, every)
    said = {"sent": "count as sent", "resend": "are to get it again"}
    words = ", ".join(f"{count:,} {said.get(fate, fate)}" for fate, count in rows.items())
    return Mark.MOVING, f"the unknown are decided: {words or 'nobody'}"


def _started(detail: Mapping[str, Any]) -> Said:
    joined = (
        "the run was there already, and was joined" if detail.get("joined") else "its carrier has started the run"
    )
    return Mark.MOVING, f"{joined} (attempt {detail.get('attempt', '?')})"


def _hold(detail: Mapping[str, Any]) -> Said:
    return Mark.NO, f"held: {_scope(detail)}nobody may send"


def _release(detail: Mapping[str, Any]) -> Said:
    return Mark.YES, f"hold released: {_scope(detail)}sending is allowed again"


def _scope(detail: Mapping[str, Any]) -> str:
    scope = str(detail.get("scope", ""))
    return f"{scope}, " if scope == "everything" or scope.startswith("host:") else ""


def _approve(detail: Mapping[str, Any]) -> Said:
    people = f" for {detail['recipients']:,} recipients" if isinstance(detail.get("recipients"), int) else ""
    return Mark.YES, f"approved: content {say_digest(detail.get('digest'))}{people}"


def _reschedule(detail: Mapping[str, Any]) -> Said:
    return Mark.WAITING, f"rescheduled to {detail.get('local')} {detail.get('zone')} ({detail.get('due')})"


def _close(detail: Mapping[str, Any]) -> Said:
    left = detail.get("left")
    who = f"{left:,} not reached get nothing" if isinstance(left, int) else "whoever was not reached gets nothing"
    return Mark.YES, f"closed as it is: {who}"


def _mark(detail: Mapping[str, Any]) -> Said:
    evidence = say_recorded(detail.get("evidence")) or "on the operator's word alone"
    return Mark.YES, f"marked as executed{_was(detail)}, {evidence}; nothing was sent by that"


def _cancel(detail: Mapping[str, Any]) -> Said:
    proof = detail.get("proof")
    looks = proof.get("looks") if isinstance(proof, Mapping) else None
    names = (
        [str(look.get("source")) for look in looks if isinstance(look, Mapping)] if isinstance(looks, list) else []
    )
    proven = f"; nothing was left to start it, by a look at {', '.join(names)}" if names else ""
    return Mark.NO, f"called off{_was(detail)}{proven}"


def _adopt(detail: Mapping[str, Any]) -> Said:
    by = f" by {detail['run_by']}" if detail.get("run_by") else ""
    run = f"the run {detail.get('run_id') or 'without an id'} on {detail.get('source')}{by}"
    if detail.get("adopted_by"):
        return (
            Mark.YES,
            f"{run}, adopted by {detail['adopted_by']}, has ended: {detail.get('status')}{_counts(detail)}",
        )
    return Mark.YES, f"adopted: {run}{_counts(detail)}"


def _install(detail: Mapping[str, Any]) -> Said:
    what = "the former runner is put back on" if detail.get("undo") else "the runner is installed on"
    digests = f"{say_digest(detail.get('before'))} becomes {say_digest(detail.get('after'))}"
    return Mark.MOVING, f"{what} {detail.get('host')}: {detail.get('path')}, {digests}"


def _operate(detail: Mapping[str, Any]) -> Said:
    return Mark.MOVING, f"confirmed: {_operated(detail)}"


def _operated(detail: Mapping[str, Any]) -> str:
    to = f" to {detail['value']}" if detail.get("value") else ""
    count = detail.get("count")
    number = f", {count:,} of them" if isinstance(count, int) else ""
    return f"{detail.get('label') or 'an operation'}{to} on {detail.get('source')}{number}"


def _counts(detail: Mapping[str, Any]) -> str:
    return f", {counts}" if (counts := say_told(detail)) else ""


def _was(detail: Mapping[str, Any]) -> str:
    return f" (it was {detail['was']})" if detail.get("was") else ""


def _wish(wish: Wish, detail: Mapping[str, Any]) -> Said:
    now, was = (say_wish(wish, str(detail.get(key) or "")) for key in ("to", "was"))
    return Mark.MOVING, f"asked for {now} (it was {was})"


def _plain(mark: Mark, text: str) -> Callable[[Mapping[str, Any]], Said]:
    return lambda detail: (mark, text)


_NOTES: dict[str, Callable[[Mapping[str, Any]], Said]] = {
    "preflight": _preflight,
    "dry-run": _dry_run,
    "plan": _plan,
    "send": _send,
    "send-rest": _send_rest,
    "send-started": _started,
    "send-unclear": _plain(Mark.BAD, "the answer to the start was lost: it may have started"),
    "settle": _settle,
    "hold": _hold,
    "release": _release,
    "approve": _approve,
    "break-glass": _plain(Mark.BAD, "glass broken: no second person for this content, for a short time"),
    "mark": _mark,
    "cancel": _cancel,
    "adopt": _adopt,
    "reschedule": _reschedule,
    "close": _close,
    "release-claim": _plain(Mark.MOVING, "giving the claim back"),
    "run-pause": _plain(Mark.MOVING, "asked to pause"),
    "run-resume": _plain(Mark.MOVING, "asked to resume"),
    "run-cancel": _plain(Mark.MOVING, "asked to stop the run for good"),
    "run-rate": lambda detail: _wish(Wish.RATE, detail),
    "run-account": lambda detail: _wish(Wish.ACCOUNT, detail),
    "resolve": _plain(Mark.YES, "what was left open is resolved by looking"),
    "reveal": _plain(Mark.NO, "personal data was shown"),
    "report": _plain(Mark.NO, "a report was written"),
    "refused-paste": _plain(Mark.NO, "a pasted confirmation was refused"),
    "host-accepted": _plain(Mark.YES, "the host was accepted as it is"),
    "install-runner": _install,
    "operate": _operate,
    "operate-unclear": _plain(Mark.BAD, "the answer was lost: it may have been done"),
    "clock-explained": _plain(Mark.YES, "the clock's step was explained"),
}
