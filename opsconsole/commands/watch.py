"""`opsconsole watch`: tells who must know when a campaign comes to need somebody, without a screen."""

import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from opsconsole.commands.common import (
    FINE,
    USAGE,
    Session,
    check_attention,
    guarded,
    json_option,
    say,
    say_json,
    stop,
)
from opsconsole.redact import redact, visible
from opsconsole.verdict import Group

if TYPE_CHECKING:
    from opsconsole.attention import Transition
    from opsconsole.config import Loaded
    from opsconsole.console import Console


@click.command()
@click.option("--once", is_flag=True, help="Look once, tell what changed since the last time, and leave; for cron.")
@click.option("--test", "test", default="", metavar="NAME", help="Send one test message to this notification.")
@json_option
@click.pass_obj
@guarded
def watch(session: Session, once: bool, test: str, as_json: bool) -> None:
    """Watch until stopped: a line for each campaign that comes to need attention, and for each that no longer does.

    Those named in the configuration are notified, once for a whole team. A read-only console notifies nobody.

    Exit codes: 0 stopped by a signal; with --once 1 something needs attention, 4 a source is out of reach.
    """
    from opsconsole.lookout import Lookout
    from opsconsole.watching import Watcher
    from opsconsole.wiring import attention_path, signs

    loaded = session.loaded()
    if test:
        with session.console(look=False) as console:
            _test(console, test)
        return
    with session.console(look=once) as console:
        # What a read-only console has seen says nothing of who was told.
        path = None if console.read_only else attention_path(loaded)
        lookout = Lookout(loaded.name, path)
        watcher = Watcher(console, lookout)
        if console.read_only:
            _complain("This console is read-only: nobody is notified.")
        if once:
            for change in watcher.turn():
                _print(change, as_json)
            if watcher.trouble:
                _complain(watcher.trouble)
            if lookout.forgets:
                _complain(f"{lookout.forgets}. What must last before it is told is then never told.")
            console.tidy()
            for destination, why in watcher.untold().items() if not console.read_only else ():
                _complain(f"{destination} could not be told: {why}")
            check_attention(console, len(console.board().group(Group.ATTENTION)))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: watcher.stop())
        alive = signs(loaded, console, watcher, _complain)
        console.start()
        alive.start()
        try:
            watcher.run(lambda change: _print(change, as_json))
        finally:
            watcher.stop()
            alive.end()
    sys.exit(FINE)


def _print(change: "Transition", as_json: bool) -> None:
    alarm, begins = change.alarm, change.event == "trigger"
    if as_json:
        say_json(transition_json(change), indent=None)
    else:
        word = alarm.status if begins else "ended"
        why = alarm.why if begins else f"no longer {alarm.status}"
        late = begins and (alarm.noticed - change.at).total_seconds() > 60
        noticed = f" (noticed {alarm.noticed:%Y-%m-%d %H:%M})" if late else ""
        say(f"{change.at:%Y-%m-%d %H:%M} UTC  {word:<10} {alarm.campaign:<28} {why}{noticed}")
    sys.stdout.flush()


def transition_json(change: "Transition") -> dict[str, Any]:
    """For machines: instants are ISO texts in UTC."""
    alarm = change.alarm
    return {
        "event": str(change.event),
        "at": change.at.isoformat(),
        "key": alarm.key,
        "environment": alarm.environment,
        "campaign": alarm.campaign,
        "status": alarm.status,
        "severity": alarm.severity,
        "why": alarm.why,
        "since": alarm.since.isoformat(),
        "noticed": alarm.noticed.isoformat(),
    }


def _test(console: "Console", name: str) -> None:
    """Straight to the receiver, past the outbox: whoever tests wants to see the answer."""
    from opsconsole.audit import tidings
    from opsconsole.ports import Refused

    if console.read_only:
        raise Refused("This console is read-only.", "Nobody was told.")
    receiver = console.also_told.get(f"{tidings.PREFIX}{name}")
    if receiver is None:
        known = ", ".join(sorted(n.removeprefix(tidings.PREFIX) for n in console.notified)) or "none"
        stop(f"There is no notification {name!r}. Known are: {known}.", USAGE)
    now = console.clock().isoformat()
    said = tidings.message(
        tidings.INFO, f"a test by {console.identity.operator}: nothing is wrong", environment=console.environment
    )
    key = f"test/{name}/{console.identity.session}"
    receiver.record({**said, "alarm": {"key": key, "event": "trigger", "since": now}})
    receiver.record({**said, "alarm": {"key": key, "event": "resolve", "since": now, "until": now}})
    say(f"{name} took a test message, and its end.")


def notify_lines(console: "Console", loaded: "Loaded") -> list[dict[str, Any]]:
    """For `doctor`: whether each notification could be sent, and whether a watcher is there. Sends nothing."""
    from opsconsole.alive import missed
    from opsconsole.ports import Refused
    from opsconsole.wiring import dead_man, mark_path

    checked: dict[str, Any] = dict(console.also_told)
    if (heartbeat := dead_man(loaded)) is not None:
        checked["dead man"] = heartbeat
    lines = []
    for name, receiver in checked.items():
        if not hasattr(receiver, "check"):
            continue  # a host that keeps copies of the head is looked at as a source
        try:
            receiver.check()
        except Refused as error:
            lines.append({"what": name, "ok": False, "says": str(error)})
        else:
            lines.append({"what": name, "ok": True, "says": "is in order; nothing was sent"})
    if trouble := missed(mark_path(loaded), console.clock()):
        lines.append({"what": "watch", "ok": False, "says": trouble})
    return lines


def _complain(text: str) -> None:
    click.echo(visible(redact(text)), err=True)
