"""Never twice: has it gone out, is it going out, has somebody said stop?"""

import re
from collections.abc import Iterator
from typing import Any

from opsconsole.hostfacts import FolderFacts, HoldFact, HostFacts, Kind, ProcessFact, RunFact
from opsconsole.observation import Hold, Says
from opsconsole.preflight.check import (
    CannotJudge,
    Check,
    Finding,
    Situation,
    everything,
    failed,
    many,
    outside,
    passed,
    shown,
    warned,
)
from opsconsole.runlog import last_send
from opsconsole.schedule import say_instant, say_span

_TRIED = frozenset({Says.RUNNING, Says.PAUSED, Says.STARTED, Says.ENDED, Says.SENT, Says.FAILED})
_HIDDEN = (Kind.DENIED, Kind.ERROR)
_DRY_RUN = re.compile(r"--mode[ =]dry-run\b")


def judge_sent(situation: Situation, _: Situation) -> Finding:
    folder = situation.on_host.folder if situation.on_host else None
    traces = [*_records(situation), *_words(situation), *(_traces(folder, situation) if folder else ())]
    if traces:
        return failed(
            "It was sent already, or may have been: nothing is sent twice.",
            "Compare what arrived with what was meant. If it went out, mark it as executed; if it provably didn't, "
            "make a new campaign of those who are left.",
            shown(traces),
        )
    cancelled = [o for o in situation.observations if o.says is Says.CANCELLED]
    if cancelled:
        return failed(
            f"It was cancelled, by the word of {cancelled[0].source}.",
            "Ask who cancelled it; to send it after all, reschedule it.",
            [f"{o.source}: {outside(o.note) or 'cancelled'}" for o in cancelled],
        )
    _require_sight(situation)
    return passed("No run, no log and no other source says that it went out.")


def _require_sight(situation: Situation) -> None:
    """Blind is not safe: every source that was configured must have answered lately."""
    situation.gathered(object)
    if situation.on_host:
        _require_sight_of_host(situation)
    for o in situation.observations:
        if o.source != situation.carrier and not o.is_fresh(situation.now):
            age = f"last heard {say_span(situation.now - o.observed_at)} ago" if o.observed_at else "never heard"
            raise CannotJudge(
                f"{o.source} is out of sight ({age}): it may know of a send.",
                f"Reach {o.source} again, then repeat the pre-flight.",
            )


def _require_sight_of_host(situation: Situation) -> None:
    host, log = situation.host, situation.seen.folder.log
    if log is not None and log.kind not in (Kind.FILE, Kind.MISSING):
        raise CannotJudge(
            f"The log {log.path} can't be read ({log.trouble or log.kind.value}): a send may be told there.",
            f"Let {host.user or 'the login user'} read {log.path}, then repeat the pre-flight.",
        )
    unseen = [
        *(
            f"{d.path}: {d.trouble or d.kind.value}"
            for d in (host.state_dir, host.log_dir)
            if d and d.kind in _HIDDEN
        ),
        *(trouble for trouble in host.troubles if trouble.startswith(situation.settings.state_dir)),
        *([situation.seen.folder.trouble] if situation.seen.folder.trouble else []),
    ]
    if unseen:
        raise CannotJudge(
            f"Records of runs may be out of sight on {host.host} ({unseen[0].rstrip('.')}).",
            f"Let {host.user or 'the login user'} read them, then repeat the pre-flight.",
        )


def _records(situation: Situation) -> Iterator[str]:
    for run in situation.runs:
        if run.says in _TRIED:
            at = f" {say_instant(run.at, situation.details.zone, situation.now)}" if run.at else ""
            yield f"{run.where}: {run.says}{at}{f', {run.note}' if run.note else ''}"


def _words(situation: Situation) -> Iterator[str]:
    """What the sources say. Positive evidence lasts: a stale word counts too."""
    for o in situation.observations:
        if o.says in _TRIED:
            at = f" {say_instant(o.since, situation.details.zone, situation.now)}" if o.since else ""
            yield f"{o.source}: {o.says}{at}{f', {outside(o.note)}' if o.note else ''}"


def _traces(folder: FolderFacts, situation: Situation) -> Iterator[str]:
    for run in folder.runs:
        if run.released:
            continue
        if run.finished is not None:
            yield f"run state, attempt {run.attempt}: ended, exit code {run.finished.get('rc', 'unknown')}"
        elif run.started:
            yield f"run state, attempt {run.attempt}: started, no end recorded"
        elif run.trouble:
            yield f"run state, attempt {run.attempt}: {run.trouble}"
    if folder.log and folder.log.size:
        whole = len(folder.log_tail.encode()) >= folder.log.size
        stretch = last_send(folder.log_tail.encode(), situation.settings.patterns, whole=whole)
        if stretch is not None:
            counts = stretch.counts
            told = f"{counts.accepted:,} accepted, {counts.failed:,} failed" if counts else "a start"
            yield f"log {folder.log.path}: {told}"


def judge_hold(situation: Situation, _: Situation) -> Finding:
    lines = [_say_hold(hold, situation) for hold in situation.holds if _binds(hold, situation)]
    for o in situation.observations:
        if situation.facts is None or o.source != situation.carrier:  # what was just gathered is newer
            lines += [_say_hold(hold, situation) for hold in o.holds]
    if situation.on_host:
        host = situation.on_host.host
        lines += [_say_file(hold, host) for hold in host.holds if hold.scope in ("ALL", situation.slug)]
    if lines:
        return failed(
            "It is on hold.", "Ask who holds it; release the hold when its reason is gone.", dict.fromkeys(lines)
        )
    situation.gathered(object)  # a hold may lie on a host that was not reached
    return passed("Nobody holds it.")


def _binds(hold: Hold, situation: Situation) -> bool:
    return hold.scope in ("everything", situation.slug, f"host:{situation.carrier}")


def _say_hold(hold: Hold, situation: Situation) -> str:
    since = f" since {say_instant(hold.at, situation.details.zone, situation.now)}" if hold.at else ""
    return f"{hold.scope}, held by {hold.by or 'nobody known'}{since}: {outside(hold.reason) or 'no reason given'}"


def _say_file(hold: HoldFact, host: HostFacts) -> str:
    scope = "everything" if hold.scope == "ALL" else hold.scope
    text = (
        "the hold file can't be read, which counts as held"
        if hold.unreadable
        else outside(hold.text.strip()) or "no reason given"
    )
    return f"{scope}, held on {host.host}: {text}"


def gather_runs(situation: Situation) -> tuple[HostFacts, tuple[RunFact, ...]]:
    return situation.host, situation.seen.folder.runs


def judge_running(gathered: tuple[HostFacts, tuple[RunFact, ...]], situation: Situation) -> Finding:
    host, runs = gathered
    word = re.compile(rf"(?<![\w.-]){re.escape(situation.slug)}(?![\w.-])")
    own = [p for p in host.processes if word.search(p.args) and not _DRY_RUN.search(p.args)]
    lines = [_say_process(p) for p in own]
    for run in runs:
        if run.owner_alive:
            lines.append(
                f"run state, attempt {run.attempt}: its owner is alive{', stopped' if run.owner_stopped else ''}"
            )
        elif run.finished is None and not run.released:
            lines.append(
                f"run state, attempt {run.attempt}: claimed by {run.claim.get('by', 'someone')}, not released"
            )
    if lines:
        return failed(
            f"A run of this campaign is going or claimed on {host.host}.",
            f"Attach to it: opsconsole attach {situation.slug}",
            shown(lines),
        )
    others = [p for p in host.processes if p not in own]
    if others:
        return warned(
            f"{many(len(others), 'other run')} {'is' if len(others) == 1 else 'are'} going on {host.host}.",
            "Wait for its end if the mail server's limits are tight.",
            shown(map(_say_process, others)),
        )
    return passed(f"No run is going on {host.host}.")


def _say_process(process: ProcessFact) -> str:
    return f"process {process.pid} of {process.user}, for {process.elapsed_s} s: {outside(process.args)}"


CHECKS: tuple[Check[Any], ...] = (
    Check("not-already-sent", "It has not been sent", "history", everything, judge_sent),
    Check("no-hold", "Nobody holds it", "history", everything, judge_hold),
    Check("no-other-run", "No other run is going", "history", gather_runs, judge_running),
)
