"""The embedded world's campaigns, dashboard and mail sink, on a blast host that a real OpenSSH server leads to.

The embedded SSH host is put away as soon as it is up; `configure` changes the console's configuration, and
`console` opens one the way the program does.
"""

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from backends.embedded.world import HOST, World
from opsconsole import wiring
from opsconsole.cli import main
from opsconsole.config import load
from opsconsole.console import Console
from opsconsole.looking import utc_now
from opsconsole.preflight.check import Result
from tests.support.sshd import Sshd


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class RealWorld(World):
    """A World reached over `server`; `port` is where the console connects, a proxy's when one stands between."""

    def __init__(self, server: Sshd, root: Path, *, port: int = 0, pace: float = 0.0, live: bool = False) -> None:
        root.mkdir(parents=True, exist_ok=True)
        # A host tells runs by the runner's name, and this machine is the host of many tests at once.
        super().__init__(root, pace=pace, live=live, runner_name=f"mail-blast-runner-{secrets.token_hex(4)}")
        self.server, self._port = server, port or server.port

    def start(self) -> None:
        super().start()
        self.ssh.stop()
        self.reach(self._port)

    def reach(self, port: int) -> None:
        """Let the console find the host at `port` from now on, under the key that the server shows today."""
        folder, server = self.config_path.parent, self.server
        key = Path(f"{server.host_key}.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(f"[{server.host}]:{port} {' '.join(key)}\n")
        (folder / "id_ed25519").unlink()
        (folder / "id_ed25519").write_bytes(server.key.read_bytes())
        (folder / "id_ed25519").chmod(0o600)
        self.ssh_config.write_text(
            f"Host {HOST}\n  HostName {server.host}\n  Port {port}\n  User {server.user}\n"
            f"  IdentityFile {folder / 'id_ed25519'}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {folder / 'known_hosts'}\n"
        )

    def configure(self, old: str, new: str) -> None:
        """Replace a text of the configuration that is there."""
        text = self.config_path.read_text()
        assert old in text, f"{old!r} is not in the configuration"
        self.config_path.write_text(text.replace(old, new, 1))

    def policy(self, **limits: object) -> None:
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in limits.items())
        self.config_path.write_text(self.config_path.read_text() + f"\n[environments.demo.policy]\n{lines}")

    @contextmanager
    def console(self, *, clock: Callable[[], datetime] = utc_now, look: bool = True) -> Iterator[Console]:
        """A console just opened on this world, every source asked once."""
        console = wiring.build(load(self.config_path), clock=clock)
        try:
            if look:
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

    def program(self, *args: str, output: Path) -> "subprocess.Popen[bytes]":
        """The program as a process of its own, what it prints in `output`."""
        with output.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "opsconsole.cli", "--config", str(self.config_path), *args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def log_of(self, slug: str, attempt: int = 1) -> bytes:
        """The run's log, as it lies on the host."""
        return (self.paths.runs / slug / str(attempt) / "out").read_bytes()

    def campaign(self, slug: str) -> Path:
        """Its folder on the host."""
        return self.paths.campaigns / slug

    def spoken(self, slug: str) -> dict[str, Any]:
        """The campaign as `show --json` tells it."""
        said: dict[str, Any] = self.command("show", slug, "--json").json
        return said


def rehearse(console: Console, slug: str) -> tuple[list[Result], bytes]:
    """Pre-flight and dry run; gives the results and the dry run's output."""
    results = list(console.preflight(slug))
    output: list[bytes] = []
    console.dry_run(slug, output.append, threading.Event())
    return results, b"".join(output)


def forbidding(results: list[Result]) -> dict[str, Result]:
    """The checks that forbid a send, by id."""
    return {result.check_id: result for result in results if result.blocks}
