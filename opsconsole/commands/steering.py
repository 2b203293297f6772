"""Commands that tell a run how to go on: rate, account."""

import click

from opsconsole.commands.acting import say_state, state_json
from opsconsole.commands.common import (
    Session,
    ask_twice,
    confirm_option,
    guarded,
    json_option,
    say,
    say_json,
    slug_argument,
)
from opsconsole.ports import RunState
from opsconsole.wishes import ACCOUNTS, Wish, checked, say_wish


@click.command()
@slug_argument
@click.argument("value", metavar="RATE")
@click.option("--reason", default="", help="Why; needed where it goes faster.")
@json_option
@click.pass_obj
@guarded
def rate(session: Session, slug: str, value: str, reason: str, as_json: bool) -> None:
    """Let a run go on at RATE messages a second (50, 0.5), or none for no limit. Its campaign's own limit stays."""
    with session.console() as console:
        state = console.steer(slug, "rate", value, reason=reason)
    _say(state, Wish.RATE, checked(Wish.RATE, value), as_json)


@click.command()
@slug_argument
@click.argument("value", metavar="ACCOUNT", type=click.Choice(ACCOUNTS))
@click.option("--reason", required=True, help="Why, in a few words; recorded.")
@confirm_option
@json_option
@click.pass_obj
@guarded
def account(session: Session, slug: str, value: str, reason: str, typed: str, as_json: bool) -> None:
    """Let the rest of a run go out by the fallback account, or by the main one again. Asks twice."""
    with session.console() as console:
        phrase = typed or ask_twice(console, slug, console.confirmation("account", slug, key=value))
        state = console.steer(slug, "account", value, phrase, reason)
    _say(state, Wish.ACCOUNT, value, as_json)


def _say(state: RunState, wish: Wish, asked: str, as_json: bool) -> None:
    going = state.word.going
    now = going.rate_limit if wish is Wish.RATE else going.account
    if as_json:
        say_json({**state_json(state), "asked": asked, "in_force": now or None})
        return
    say_state(state)
    if now == asked:
        say(f"It goes with {say_wish(wish, now)} now.")
    else:
        say(f"Asked for {say_wish(wish, asked)}. Its runner says so far: {say_wish(wish, now)}.")
