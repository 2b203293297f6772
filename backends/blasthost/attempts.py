"""One attempt's record on the host: from the lines of remote/common.sh `tell` to a RunFact, and to a RunState."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opsconsole.hostfacts import RunFact
from opsconsole.observation import Counts, Going, RunWord, Says
from opsconsole.ports import RunState, Verb
from opsconsole.runlog import Progress, Reader
from opsconsole.schedule import is_plausible, say_span
from opsconsole.settings import Patterns

SILENT_AFTER = timedelta(seconds=60)  # twelve signs of life missed

# Up to here a number of seconds is still an instant, whatever a host says.
_NUMBER = re.compile(r"[0-9]{1,11}", re.ASCII)


def parse(lines: Iterable[str]) -> RunFact | None:
    """The attempt that `lines` tell of; None when they tell of none. Lines of other kinds are left alone."""
    attempt: int | None = None
    owner_state = "none"
    texts: dict[str, bytes] = {}
    unread: list[str] = []
    flags: set[str] = set()
    size = mtime = beat = read = 0
    tail = b""
    for line in lines:
        kind, *words = line.split(" ")
        match kind, words:
            case "RUN", [number, state, *_] if _NUMBER.fullmatch(number):
                attempt, owner_state = int(number), state
            case "FILE", [name, content]:
                texts[name] = _decode(content)
            case "UNREAD", [name]:
                unread.append(name)
            case "OUT", [length, seconds, content] if _NUMBER.fullmatch(length) and _NUMBER.fullmatch(seconds):
                size, mtime, tail = int(length), int(seconds), _decode(content)
            case "BEAT", [seconds, now] if _NUMBER.fullmatch(seconds) and _NUMBER.fullmatch(now):
                beat, read = int(seconds), int(now)
            case (("RELEASED" | "BUSY" | "ABANDONED" | "ORPHAN" | "CLOSED"), []):
                flags.add(kind)
    if attempt is None:
        return None
    troubles = [f"{name} can't be read" for name in unread]
    if "CLOSED" in flags:
        troubles.append("its folder can't be read")
    if "BUSY" in flags:
        troubles.append("another run held the lock, so this one didn't start")
    if "ABANDONED" in flags:
        troubles.append("its supervisor didn't come up in time, so the start was given up")
    if "ORPHAN" in flags:
        troubles.append("its supervisor is gone, and its runner goes on")
    if texts.get("err"):
        troubles.append(texts["err"].decode("utf-8", "replace").strip()[-300:])
    return RunFact(
        attempt=attempt,
        claim=_object(texts.get("claim.json")) or {},
        plan=_object(texts.get("plan.json")) or {},
        owner=_line(texts.get("owner")),
        owner_alive=owner_state in ("live", "stopped") or "ORPHAN" in flags,
        owner_stopped=owner_state == "stopped",
        # A started file that can't be read still says that it started, and so does an end that can't.
        started=_line(texts.get("started"))
        or ("?" if "CLOSED" in flags or {"started", "finished"} & {*texts, *unread} else ""),
        finished=_object(texts.get("finished")) or None,
        released="RELEASED" in flags,
        control=_line(texts.get("control")),
        capabilities=_object(texts.get("runner.json")) or {},
        out_size=size,
        out_mtime_ns=mtime * 10**9,
        out_tail=tail.decode("utf-8", "replace"),
        beat_ns=beat * 10**9,
        read_ns=read * 10**9,
        trouble="; ".join(troubles),
    )


def run_state(slug: str, fact: RunFact, patterns: Patterns) -> RunState:
    """What the record says: an end beats all, a live owner goes on, a start without either is in doubt.

    A released attempt says nothing any more, unless somebody is at work in it all the same.
    """
    progress = _progress(fact, patterns)
    says = _says(fact, progress)
    planned = fact.plan.get("audience")
    word = RunWord(
        run_id=_word(fact.claim, "run_id"),
        attempt=fact.attempt,
        by=_word(fact.claim, "by"),
        claimed_at=instant(_word(fact.claim, "at")),
        started_at=instant(fact.started),
        ended_at=instant(_word(fact.finished or {}, "at")),
        progress_at=_moved_at(fact, progress),
        rc=_rc(fact.finished),
        counts=counts_of((fact.finished or {}).get("counts")) or progress.counts,
        note=_note(fact, progress),
        waiting=_waiting(progress),
        rate=progress.rate,
        eta_s=progress.eta_s,
        beat_at=datetime.fromtimestamp(fact.beat_ns / 1e9, UTC) if fact.beat_ns else None,
        going=Going(
            rate_1s=progress.rate_1s,
            rate_30s=progress.rate_30s,
            why=progress.why,
            classes=progress.classes,
            error_class=progress.error_class,
            rate_limit=progress.rate_limit,
            account=progress.account,
            controls=_controls(fact.capabilities),
        ),
        planned=planned if isinstance(planned, int) and not isinstance(planned, bool) else None,
    )
    if fact.read_ns:
        word = with_beat(word, says, datetime.fromtimestamp(fact.read_ns / 1e9, UTC))
    return RunState(
        slug=slug,
        run_id=word.run_id,
        attempt=fact.attempt,
        says=says,
        word=word,
        out_size=fact.out_size,
        can=_CAN.get(says, frozenset()),
        released=fact.released and says is Says.NOTHING,
    )


def with_beat(word: RunWord, says: Says, host_now: datetime) -> RunWord:
    """Says so when the supervisor of a running send is silent. It may be slow, or its disk full: it isn't dead."""
    if says is not Says.RUNNING or word.beat_at is None or host_now - word.beat_at <= SILENT_AFTER:
        return word
    said = f"its supervisor gave no sign of life for {say_span(host_now - word.beat_at)}"
    return replace(word, note=f"{word.note}; {said}" if word.note else said)


def _moved_at(fact: RunFact, progress: Progress) -> datetime | None:
    """When a recipient was last counted: the runner's word, else the last write to its log."""
    if not fact.started or not fact.out_size:
        return None
    return progress.moved_at or datetime.fromtimestamp(fact.out_mtime_ns / 1e9, UTC)


def _waiting(progress: Progress) -> bool:
    """Still on purpose: outside its window, for another wait that it tells, or with nobody left but those to be
    tried again later."""
    said = progress.state == "window" or (progress.why and progress.state not in _AT_WORK)
    return bool(said or (progress.deferred and progress.inflight == 0))


_AT_WORK = frozenset({"", "starting", "sending", "running", "cancelling"})


def _controls(capabilities: Mapping[str, Any]) -> tuple[str, ...]:
    """The wishes a runner obeys while it goes, by its own word; one that says nothing knows the first three."""
    controls = capabilities.get("controls")
    if isinstance(controls, list):
        return tuple(str(wish)[:40] for wish in controls[:40])
    return tuple(Verb)


_CAN = {
    Says.RUNNING: frozenset({Verb.PAUSE, Verb.CANCEL}),
    Says.PAUSED: frozenset({Verb.RESUME, Verb.CANCEL}),
}


def instant(text: str) -> datetime | None:
    """An aware UTC instant, or None for anything else."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value.astimezone(UTC) if value.tzinfo and is_plausible(value) else None


def _says(fact: RunFact, progress: Progress) -> Says:
    if fact.released and not (fact.owner_alive and fact.finished is None):
        return Says.NOTHING
    if fact.finished is not None:
        return Says.ENDED
    if not fact.started:
        return Says.CLAIMED
    if not fact.owner_alive:
        return Says.STARTED
    return Says.PAUSED if fact.owner_stopped or progress.state == "paused" else Says.RUNNING


def _progress(fact: RunFact, patterns: Patterns) -> Progress:
    """From the tail of the output; what may be half a line at its beginning is left out."""
    data = fact.out_tail.encode()
    if fact.out_size > len(data):
        data = data.partition(b"\n")[2]
    reader = Reader(patterns)
    reader.feed(data)
    reader.close()
    return reader.progress


def _note(fact: RunFact, progress: Progress) -> str:
    words = ["released"] if fact.released else []
    if not fact.claim and not fact.trouble:
        words.append("by whom it was claimed can't be told")
    if fact.finished is None and progress.state:
        words.append(progress.why or progress.state)
    if fact.trouble:
        words.append(fact.trouble)
    return "; ".join(words)


def _rc(finished: Mapping[str, Any] | None) -> int | None:
    rc = (finished or {}).get("rc")
    return rc if isinstance(rc, int) and not isinstance(rc, bool) else None


def counts_of(counts: object) -> Counts | None:
    """The runner's own counts, as it records and tells them; None for anything else."""
    if not isinstance(counts, dict):
        return None
    known = {
        name: value
        for name in ("total", "accepted", "failed", "unknown", "deferred", "suppressed")
        if isinstance(value := counts.get(name), int) and not isinstance(value, bool) and value >= 0
    }
    return Counts(**known) if "accepted" in known else None


def _word(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # of binascii, or of a text that isn't ASCII
        return b""


def _line(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace").strip() if raw else ""


def _object(raw: bytes | None) -> dict[str, Any] | None:
    """A JSON object, or None for anything else: a record that can't be read proves nothing."""
    try:
        document = json.loads(raw or b"")
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
