"""Consoles on systems that are no host: a configuration that names a listmonk, a pipeline, or both."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from backends.embedded.listmonk.people import User
from opsconsole import wiring
from opsconsole.cli import main
from opsconsole.config import load
from opsconsole.console import Console
from opsconsole.looking import utc_now
from opsconsole.settings import Serverless
from tests.support.world import Said

LISTS, PIPELINE = "lists-prod", "pipeline-prod"


class Platforms:
    """A console's configuration and data below `root`; add what it shall know of, then look."""

    def __init__(self, root: Path, role: str = "admin", **policy: object) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.config_path = root, root / "config.toml"
        lines = [f"data_dir = {_toml(root / 'data')}", '[operator]\nname = "mara"', f"role = {_toml(role)}"]
        lines += ['[environments.prod]\nlabel = "PROD"', "[environments.prod.policy]"]
        lines += [f"{name} = {_toml(value)}" for name, value in policy.items()]
        self._write(lines)

    def add_listmonk(self, url: str, user: User, **keys: object) -> None:
        token = self.root / "token"
        handle = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(user.token)
        told = {"url": url, "user": user.username, "refresh_every": "1 s", "list_every": "1 s", **keys}
        self._write(
            [
                f"[environments.prod.listmonk.{LISTS}]",
                *(f"{key} = {_toml(value)}" for key, value in told.items()),
                f"token = {{ file = {_toml(token)} }}",
            ]
        )

    def add_pipeline(self, settings: Serverless, **keys: object) -> None:
        told = {"region": settings.region, "endpoint": settings.endpoint, "queue": settings.queue, **keys}
        lines = (f"{key} = {_toml(value)}" for key, value in told.items())
        self._write([f"[environments.prod.serverless.{PIPELINE}]", *lines])

    @contextmanager
    def console(self, *, clock: Callable[[], datetime] = utc_now) -> Iterator[Console]:
        """A console just opened, every source asked once."""
        console = wiring.build(load(self.config_path), clock=clock)
        try:
            console.refresh()
            yield console
        finally:
            console.close()

    def command(self, *args: str) -> Said:
        """One call of the program, in this process."""
        result = CliRunner().invoke(main, ["--config", str(self.config_path), *args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def spoken(self, slug: str) -> dict[str, Any]:
        """The campaign as `show --json` tells it."""
        said: dict[str, Any] = self.command("show", slug, "--json").json
        return said

    def audited(self, action: str) -> list[dict[str, Any]]:
        """The records of an action, the newest first."""
        said: list[dict[str, Any]] = self.command("audit", "list", "--action", action, "--json").json
        return said

    def _write(self, lines: list[str]) -> None:
        with self.config_path.open("a") as file:
            file.write("\n".join(lines) + "\n")


def _toml(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value)
