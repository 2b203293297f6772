"""Puts the console's runner on a host, or takes it back: on record first, then done, then looked at as proof."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opsconsole.audit.records import Record
from opsconsole.audit.store import AuditStore
from opsconsole.hostfacts import KeptRunner, RunnerFact
from opsconsole.ports import OutOfReach, Refused, RunnerKeeper, Trouble
from opsconsole.runs import Identity, Runs
from opsconsole.safety import Confirmation

INSTALL = "install-runner"
NOTHING = "Nothing was changed."
INSTALLING_FOR = timedelta(minutes=10)
"""So long one may be under way, also over a slow line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A runner was put in place: what was there, and what is there now."""

    host: str
    before: RunnerFact
    after: RunnerFact
    copy: str = ""  # where what was there is kept; "" when nothing was, or when it was taken back


def last_kept(seen: RunnerFact) -> KeptRunner:
    """The former runner that an undo puts back. Raises Refused."""
    if not seen.kept:
        raise Refused(f"No former runner is kept beside {seen.path}: there is nothing to go back to.", NOTHING)
    return seen.kept[-1]


def confirm_install(
    host: str,
    where: str,
    seen: RunnerFact,
    *,
    undo: bool,
    force: bool,
    configured: str,
    environment: str,
    danger: bool,
) -> Confirmation:
    """What must be read and typed before the runner on `host` is replaced. Raises Refused."""
    wanted, kept = seen.our_sha256, last_kept(seen) if undo else None
    foreign = kept is None and seen.there == "file" and not (seen.ours or seen.says)
    if kept is None and seen.same:
        raise Refused(f"{seen.path} on {host} is this console's runner already, {seen.sha256[:12]}.", NOTHING)
    if foreign and not force:
        raise Refused(
            f"{seen.path} on {host} is no runner of ours: {seen.size:,} bytes, owner {seen.owner}.",
            NOTHING,
            "Give --force to put ours in its place (a copy is kept), or --to another path.",
        )
    warnings = []
    if foreign:
        warnings.append(f"What is at {seen.path} now isn't a runner of ours.")
    if kept is None and seen.cron_python != seen.python:
        warnings.append(f"Cron finds another python3 than a login does: {seen.cron_python or 'none'}.")
    if seen.path != configured:
        warnings.append(f"The configuration names another runner: {configured}.")
    then = (
        f"put back {kept.path}" if kept else "put this console's runner there; what is there now is kept beside it"
    )
    return Confirmation(
        action=INSTALL,
        title=f"{'Take back' if undo else 'Install'} the runner on {host}",
        lines=(
            ("host", f"{host} ({where})"),
            ("file", seen.path),
            ("it is", f"{seen.say()}{f', {seen.sha256[:12]}' if seen.sha256 else ''}"),
            ("it will be", f"{kept.sha256[:12]}" if kept else f"version {seen.our_version}, {wanted[:12]}"),
            ("python3", seen.python or "none"),
            ("environment", environment),
            ("this will", then),
        ),
        phrase=f"{host} {'undo' if undo else seen.our_version}",
        environment=environment,
        danger=danger,
        warnings=tuple(warnings),
    )


class Installing:
    """Replaces runners. Authorizing and confirming are the console's work."""

    def __init__(
        self,
        store: Callable[[], AuditStore],
        keepers: Mapping[str, RunnerKeeper],
        identity: Identity,
        clock: Callable[[], datetime],
        runs: Runs,
    ) -> None:
        self._store, self._keepers, self._identity = store, keepers, identity
        self._clock, self._runs = clock, runs

    def replace(self, host: str, seen: RunnerFact, *, undo: bool, reason: str) -> Replaced:
        """Raises Refused or OutOfReach with nothing changed. After any other Trouble the intent stays open, until a
        look tells what came of it."""
        keeper, kept = self._keepers[host], last_kept(seen) if undo else None
        wanted = kept.sha256 if kept else seen.our_sha256
        about = {"host": host, "path": seen.path, "undo": undo, "before": seen.sha256, "after": wanted}
        identity = self._identity
        intent = self._store().intent(identity.event(INSTALL, "", "", reason, **about, version=seen.our_version))
        copy = ""
        try:
            if kept is None:
                copy = keeper.put_runner(seen)
            else:
                keeper.put_back_runner(seen, kept)
        except (Refused, OutOfReach) as error:
            self._runs.record_outcome(intent, identity.event(INSTALL, "", "", str(error), result="failed", **about))
            raise
        after = keeper.runner(seen.path, again=True)
        if after.sha256 != wanted:
            raise Trouble(
                f"{seen.path} on {host} was replaced, and is another file by now: {after.sha256[:12]}.",
                "Somebody else changes it too.",
                "Look at it: opsconsole host show",
            )
        done = identity.event(INSTALL, "", "", "", result="done", **about, copy=copy, said=after.say())
        self._runs.record_outcome(intent, done)
        return Replaced(host=host, before=seen, after=after, copy=copy)

    def reconcile(self) -> tuple[str, ...]:
        """Close every open intent to replace a runner by what is there now; says what was found.

        A script that was on its way may come late, so a look counts only from INSTALLING_FOR after the intent on.
        """
        found = []
        for intent in self._store().unresolved(self._identity.environment):
            if intent.action == INSTALL:
                found.append(f"{intent.detail.get('host')}: {self._look_after(intent)}")
        return tuple(found)

    def _look_after(self, intent: Record) -> str:
        about: dict[str, Any] = {name: intent.detail.get(name, "") for name in ("host", "path", "before", "after")}
        if self._clock() < intent.utc + INSTALLING_FOR:
            return f"{intent.operator} is replacing {about['path']} just now"
        keeper = self._keepers.get(str(about["host"]))
        if keeper is None:
            return f"it is not in this configuration; record {intent.seq} stays open"
        try:
            now = keeper.runner(str(about["path"]), again=True).sha256
        except Trouble as error:
            return f"can't be asked now ({error.what})"
        came = {str(about["before"]): "failed", str(about["after"]): "done"}
        result = came.get(now, "unclear")
        said = {"failed": "is as it was", "done": "was replaced", "unclear": "is another file by now"}[result]
        note = f"{about['path']} was looked at later: it {said}"
        self._store().outcome(intent, self._identity.event(INSTALL, "", "", note, result=result, **about))
        return note
