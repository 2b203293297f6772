"""The front door: `opsconsole` alone opens the screens, every action is also a command.

Exit codes: 0 fine, 1 something needs attention or a check failed, 2 usage or configuration, 3 refused by a safety
rule, 4 out of reach.
"""

import importlib
from pathlib import Path

import click

from opsconsole import __version__

COMMANDS = {
    "board": "board",
    "views": "board",
    "show": "looking",
    "preflight": "looking",
    "report": "reports",
    "runs": "looking",
    "host": "hosts",
    "trigger": "triggers",
    "access": "access",
    "dry-run": "acting",
    "send": "acting",
    "attach": "acting",
    "pause": "acting",
    "resume": "acting",
    "cancel": "acting",
    "rate": "steering",
    "account": "steering",
    "op": "operating",
    "doubt": "mending",
    "settle": "mending",
    "send-rest": "mending",
    "release-claim": "mending",
    "break-glass": "mending",
    "adopt": "deciding",
    "close": "deciding",
    "mark": "deciding",
    "reschedule": "deciding",
    "call-off": "deciding",
    "hold": "deciding",
    "release": "deciding",
    "approve": "deciding",
    "audit": "records",
    "watch": "watch",
    "doctor": "setup",
    "config": "setup",
    "demo": "setup",
    "completion": "setup",
}


class LazyGroup(click.Group):
    """Imports a command's module only when it is called, so that `--version` and scripts stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"opsconsole.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="opsconsole")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--env", "environment", default="", help="The environment to open.")
@click.option("--read-only", is_flag=True, help="Look only: every action is refused.")
@click.pass_context
def main(ctx: click.Context, config_path: Path | None, environment: str, read_only: bool) -> None:
    """See what every system says of your e-mail campaigns, and act on it safely.

    Without a command, opens the screens.
    """
    from opsconsole.commands.common import Session

    ctx.obj = Session(config_path, environment, read_only)
    if ctx.invoked_subcommand is None:
        from opsconsole.commands.opening import open_screens

        open_screens(ctx.obj)


if __name__ == "__main__":
    main()
