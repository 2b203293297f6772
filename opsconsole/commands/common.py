"""What all commands share: the session, exit codes, and how values are printed."""

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from opsconsole.config import ConfigError, Loaded, load
from opsconsole.redact import mask_addresses, redact, visible

if TYPE_CHECKING:
    from opsconsole.console import Console
    from opsconsole.safety import Confirmation

FINE, ATTENTION, USAGE, REFUSED, UNREACHED = range(5)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Session:
    """One call of the program: its configuration, and the console once a command asks for it."""

    config_path: Path | None
    environment: str
    read_only: bool
    _loaded: Loaded | None = field(default=None, repr=False)

    def loaded(self) -> Loaded:
        if self._loaded is None:
            self._loaded = load(self.config_path, self.environment)
        return self._loaded

    @contextmanager
    def console(self, *, look: bool = True) -> "Iterator[Console]":
        """The console, with every source asked once when `look`."""
        from opsconsole.wiring import build

        console = build(self.loaded(), read_only=self.read_only)
        try:
            if look:
                console.refresh()
            yield console
        finally:
            console.close()


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turns every trouble into a plain message and its exit code. No traceback reaches an operator."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from opsconsole.campaign import BadSlug
        from opsconsole.errors import AuditUnavailable, MaybeStarted, NotThere, OutOfReach, Refused, Trouble

        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            stop(str(error), USAGE)
        except BadSlug as error:
            stop(str(error), USAGE)
        except MaybeStarted as error:
            stop(f"MAY HAVE STARTED. {error}", REFUSED)
        except NotThere as error:
            stop(str(error), USAGE)
        except Refused as error:
            stop(str(error), REFUSED)
        except AuditUnavailable as error:
            stop(str(error), REFUSED)
        except OutOfReach as error:
            stop(str(error), UNREACHED)
        except Trouble as error:
            stop(str(error), ATTENTION)
        except KeyboardInterrupt:
            stop("Stopped watching. A run that is going goes on; `opsconsole attach` finds it.", ATTENTION)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:  # a traceback may quote what must not be shown
            _crashed(error, next((arg for arg in args if isinstance(arg, Session)), None))
        raise AssertionError("stop() does not return")

    return run


def _crashed(error: Exception, session: Session | None) -> NoReturn:
    from screens.crash import say_crash, write_report

    loaded = session._loaded if session else None
    stop(say_crash(error, write_report(error, loaded.data_dir) if loaded else None), ATTENTION)


def stop(text: str, code: int) -> NoReturn:
    """Say why on stderr and leave with `code`."""
    for line in redact(text).splitlines() or [""]:
        click.echo(visible(line), err=True)
    sys.exit(code)


def say(text: str = "") -> None:
    """Print a line that may hold text from outside."""
    click.echo(visible(text))


def say_json(value: Any, indent: int | None = 2) -> None:
    """As JSON in which no character acts on a terminal: JSON itself escapes those below a space alone."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    click.echo("\n".join(_json_escaped(line) for line in text.split("\n")))


def _json_escaped(line: str) -> str:
    shown = visible(line)
    return line if shown == line else "".join(c if visible(c) == c else json.dumps(c)[1:-1] for c in line)


def masked(line: str) -> str:
    return mask_addresses(redact(line))


def ask_twice(console: "Console", slug: str, confirmation: "Confirmation") -> str:
    """What was typed at the second of two steps on a terminal; without one, nothing is assumed.

    A pasted phrase is refused, and that is recorded.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        stop(f'Not on a terminal: give --confirm "{confirmation.phrase}" to mean it. Nothing was done.', USAGE)
    from opsconsole.commands.keys import Pasted, typed_phrase

    say(confirmation.title)
    for label, text in confirmation.lines:
        say(f"  {label:<12} {text}")
    for warning in confirmation.warnings:
        say(f"  warning      {warning}")
    if not click.confirm("Go on?", default=False):
        stop("Nothing was done.", REFUSED)
    try:
        return typed_phrase(f"Type {confirmation.phrase!r} to go ahead: ")
    except Pasted:
        console.note_refused_paste(slug, confirmation.action, "terminal")
        stop("That was pasted, or came as fast as if it were. Nothing was done. Type it yourself.", REFUSED)


def tell_waiting(console: "Console") -> None:
    """What others haven't heard yet of what was done, in words."""
    for line in console.untold_holds():
        say(line)
    for item in console.waiting():
        if not item.destination.startswith("hold:"):
            say(f"{item.destination}: {item.says(console.clock())}")


def check_attention(console: "Console", found: int) -> None:
    """Leave with 4 when a source is out of reach, 1 when something needs attention, else 0."""
    if any(not source.fresh for source in console.board().sources):
        sys.exit(UNREACHED)
    sys.exit(ATTENTION if found else FINE)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
confirm_option = click.option(
    "--confirm", "typed", default="", help='Without a terminal: "<slug> <count>", exactly as it asks.'
)
reason_option = click.option("--reason", required=True, help="Why, in a few words; recorded.")
slug_argument = click.argument("slug")
