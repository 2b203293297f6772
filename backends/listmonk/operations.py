"""What can be done to a listmonk beside its campaigns: its rate, its workers, the mail server it sends by.

It restarts itself to put settings in force, and loses what was fetched and not sent; so nothing of this is done
while anything may be in flight. What came of it is read again: stored, in force, and no password lost.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final

from backends.listmonk import mailservers, pipes
from backends.listmonk.client import LOOKS_IN, SETS
from backends.listmonk.control import Control
from backends.listmonk.restarting import Restarts
from backends.listmonk.system import Config, Tuning
from opsconsole.ports import Operated, Operation, Refused, Trouble

UNCHANGED: Final = "Nothing was changed."
RELOAD, FALLBACK, BACK = "reload", "fallback-smtp", "other-smtp"
RESTART_SAYS: Final = (
    "listmonk restarts itself at once to put it in force: some seconds without it, its log is lost"
)
TX_SAYS: Final = "Transactional mail that is queued at that moment is lost: listmonk drains nothing."


@dataclass(frozen=True, slots=True)
class Setting:
    """A number of its settings: `most` is the largest that is taken here; `says` tells what it is."""

    id: str
    key: str
    label: str
    least: int
    most: int
    says: str

    def now(self, tuning: Tuning) -> int:
        return int(getattr(tuning, self.id.replace("-", "_")))


SETTINGS: Final = (
    Setting("message-rate", "app.message_rate", "Change the rate", 1, 10_000, "messages a second for each worker"),
    Setting("concurrency", "app.concurrency", "Change the workers", 1, 1_000, "workers that send at a time"),
    Setting("batch-size", "app.batch_size", "Change the batch", 1, 100_000, "people fetched at a time"),
    Setting("max-send-errors", "app.max_send_errors", "Change the limit of errors", 0, 1_000_000,
            "errors after which it pauses a campaign, 0 for never"),
)  # fmt: skip


@dataclass(frozen=True)
class Operator:
    control: Control
    sleep: Callable[[float], None] = time.sleep

    def operations(self, slug: str = "") -> tuple[Operation, ...]:
        """Those about no single campaign; looks only. Raises Trouble."""
        if slug:
            return ()
        control = self.control
        profile, config = control.client.profile(), control.client.config()
        if not profile.may(*LOOKS_IN):
            raise Refused(
                f"The user {control.client.user} of listmonk {control.name} lacks settings:get.",
                "What it sends by isn't known, so nothing of that is offered.",
                "Give its role that permission.",
            )
        tuning = control.client.tuning()
        lacks = "" if profile.may(*SETS) else f"The user {control.client.user} lacks settings:manage."
        against = lacks or " ".join(pipes.alive(control)[:3])
        found = [self._setting(one, tuning, against) for one in SETTINGS]
        found += self._smtp(tuning, against)
        if config.needs_restart:
            found.append(self._reload(tuning, config, against))
        return tuple(found)

    def operate(
        self, operation: Operation, value: str, by: str, on_output: Callable[[bytes], None], stop: Event
    ) -> Operated:
        """Do it, and read again what came of it; a restart is waited for.

        Raises Refused or OutOfReach with nothing done; any other Trouble where what came of it isn't known.
        """
        now = next((one for one in self.operations() if one.id == operation.id), None)
        if now is None:
            raise Refused(f"{operation.label} isn't offered any more.", UNCHANGED, "Look again.")
        if now.against:
            raise Refused(now.against, UNCHANGED)
        if now.state != operation.state:
            raise Refused("The settings were changed meanwhile.", UNCHANGED, "Look at them again, then decide.")
        if stop.is_set():
            return Operated(says="stopped before anything was done", stopped=True)
        say = _sayer(on_output)
        try:
            if operation.id == RELOAD:
                return self._do_reload(say)
            if operation.id in (FALLBACK, BACK):
                return self._switch(value or self.control.settings.fallback_smtp, say)
            return self._set(next(one for one in SETTINGS if one.id == operation.id), value, say)
        finally:
            self.control.changed()

    # What is offered.

    def _setting(self, setting: Setting, tuning: Tuning, against: str) -> Operation:
        limit = self.control.settings.provider_rate
        lines = [("it is", f"{setting.now(tuning):,} {setting.says}"), ("speed", _speed(tuning))]
        if limit:
            lines.append(("provider", f"takes {limit:g} messages a second"))
        return self._operation(
            setting.id, setting.label, lines, tuning, against, asks=f"{setting.says}; now {setting.now(tuning):,}"
        )

    def _smtp(self, tuning: Tuning, against: str) -> list[Operation]:
        fallback = self.control.settings.fallback_smtp
        if not fallback:
            return []
        using = ", ".join(mailservers.say(block) for block in tuning.smtp if block.enabled) or "none"
        block = mailservers.named(tuning.smtp, fallback)
        names = ", ".join(mailservers.label(one) for one in tuning.smtp)
        if block is None:
            why = f"listmonk has no mail server {fallback!r}: there are {names or 'none'}."
            return [self._operation(FALLBACK, "Send by the fallback mail server", [], tuning, why)]
        lines = [("it sends by", using)]
        others = [one for one in tuning.smtp if one.enabled and one != block]
        if block.enabled and not others:
            return [
                self._operation(
                    BACK,
                    "Send by another mail server again",
                    [*lines, ("there are", names)],
                    tuning,
                    against,
                    asks=f"its name: {names}; now {mailservers.label(block)}",
                )
            ]
        lines.append(("then by", f"{mailservers.say(block)} alone"))
        warnings = mailservers.named_by(self.control.client.campaigns, others)
        return [
            self._operation(FALLBACK, "Send by the fallback mail server", lines, tuning, against, warnings=warnings)
        ]

    def _reload(self, tuning: Tuning, config: Config, against: str) -> Operation:
        lines = [("waiting", "settings that were saved and aren't in force")]
        return self._operation(RELOAD, "Restart listmonk", lines, tuning, against, waits=config.needs_restart)

    def _operation(
        self,
        name: str,
        label: str,
        lines: list[tuple[str, str]],
        tuning: Tuning,
        against: str,
        *,
        asks: str = "",
        warnings: tuple[str, ...] = (),
        waits: bool = False,
    ) -> Operation:
        return Operation(
            id=name,
            source=self.control.name,
            label=label,
            lines=(*lines, ("restart", RESTART_SAYS)),
            warnings=(*warnings, TX_SAYS),
            asks=asks,
            against=against,
            state=mailservers.digest(tuning, waits),
        )

    # What is done.

    def _set(self, setting: Setting, value: str, say: Callable[[str], None]) -> Operated:
        control, client = self.control, self.control.client
        wanted = _number(setting, value)
        tuning = client.tuning()
        before = setting.now(tuning)
        if wanted == before:
            raise Refused(f"It is {wanted:,} already.", UNCHANGED)
        self._check_provider(setting, wanted, tuning)
        restarts = Restarts(control, self.sleep)
        say(f"{setting.key}: {before:,}, then {wanted:,}")
        answer = restarts.write(
            lambda: client.write(
                "PUT", f"/settings/{setting.key}", wanted, f"Setting {setting.key} to {wanted}", needs=SETS
            )
        )
        came = restarts.wait(answer, say)
        after = setting.now(restarts.read(client.tuning))
        if after != wanted:
            raise Trouble(
                f"{setting.key} was to be {wanted:,}, and is {after:,}.",
                "Somebody else may have changed it, or listmonk refused it in silence.",
                "Look at its settings.",
            )
        return Operated(says=f"{setting.key} is {after:,}; {came}", before=f"{before:,}", after=f"{after:,}")

    def _check_provider(self, setting: Setting, wanted: int, tuning: Tuning) -> None:
        limit = self.control.settings.provider_rate
        workers = wanted if setting.id == "concurrency" else tuning.concurrency
        each = wanted if setting.id == "message-rate" else tuning.message_rate
        if limit and workers * each > limit and workers * each > tuning.rate:
            raise Refused(
                f"{workers:,} workers × {each:,} messages a second are {workers * each:,} a second, and the "
                f"provider takes {limit:g}.",
                UNCHANGED,
                "Choose less, or correct provider_rate in the configuration.",
            )

    def _switch(self, name: str, say: Callable[[str], None]) -> Operated:
        control, client = self.control, self.control.client
        raw = mailservers.read(client)
        wanted = mailservers.switched(raw, name)
        before, after = mailservers.using(raw), mailservers.using(wanted)
        if before == after:
            raise Refused(f"It sends by {after} already.", UNCHANGED)
        restarts = Restarts(control, self.sleep)
        say(f"it sends by {before}, then by {after}")
        answer = restarts.write(lambda: client.write("PUT", "/settings", wanted, "Saving its settings", needs=SETS))
        came = restarts.wait(answer, say)
        there = restarts.read(lambda: mailservers.read(client))
        if lost := mailservers.lost_secrets(raw, there):
            raise Trouble(
                f"listmonk sends by {mailservers.using(there)} now, and a password of it is not what it was: "
                f"{', '.join(lost)}.",
                "Mail by that server will be refused.",
                "Enter that password anew in listmonk's settings.",
            )
        if mailservers.using(there) != after:
            raise Trouble(
                f"It was to send by {after}, and sends by {mailservers.using(there)}.",
                "Somebody else may have changed it.",
                "Look at its settings.",
            )
        return Operated(says=f"listmonk sends by {after}; {came}", before=before, after=after)

    def _do_reload(self, say: Callable[[str], None]) -> Operated:
        client = self.control.client
        restarts = Restarts(self.control, self.sleep)
        answer = restarts.write(
            lambda: client.write("POST", "/admin/reload", None, "Restarting listmonk", needs=SETS)
        )
        came = restarts.wait(answer, say)
        return Operated(says=came, before="saved and not in force", after="in force")


def _number(setting: Setting, value: str) -> int:
    """Raises Refused for what is no such number."""
    written = value.strip()
    if not (written.isascii() and written.isdigit() and len(written) <= 9):
        raise Refused(f"{value[:40]!r} is no whole number.", UNCHANGED)
    number = int(written)
    if not setting.least <= number <= setting.most:
        raise Refused(f"{number:,} isn't between {setting.least:,} and {setting.most:,}.", UNCHANGED)
    return number


def _speed(tuning: Tuning) -> str:
    rate = f"{tuning.concurrency:,} × {tuning.message_rate:,}: at most {tuning.rate:g} messages a second in all"
    if tuning.window is not None and tuning.window_rate:
        return f"{rate}, and {tuning.window_rate:,} in {tuning.window}"
    return rate


def _sayer(on_output: Callable[[bytes], None]) -> Callable[[str], None]:
    return lambda line: on_output(f"{line}\n".encode())
