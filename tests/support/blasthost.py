"""A blast host's folders in a temporary place, with a runner nobody here wrote, and a session to reach it."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backends.blasthost.launcher import Launcher
from backends.blasthost.session import HostSession
from backends.blasthost.sshconfig import Target
from opsconsole.campaign import DATA, METADATA, TEMPLATE
from opsconsole.observation import Says
from opsconsole.plan import Plan
from opsconsole.policy import Policy
from opsconsole.ports import RunState
from opsconsole.settings import BlastHost
from tests.support.sshd import Sshd

OLD_RUNNER = Path(__file__).parent / "old_runner.sh"
SLUG = f"paul-simon-may12-{os.getpid()}"  # a host has one of a name, and this machine runs many tests


class BlastTree:
    """`root` holds campaigns, logs, state and the runner, as a host has them elsewhere."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.campaigns = root / "campaigns"
        self.logs = root / "log"
        self.runs = root / "lib" / "runs"
        self.holds = root / "lib" / "holds"
        self.runner = root / "bin" / "mail-blast-runner"
        for folder in (self.campaigns, self.logs, self.runs, self.runner.parent):
            folder.mkdir(parents=True)
        self.runner.write_bytes(OLD_RUNNER.read_bytes())
        self.runner.chmod(0o755)
        self.pace(every=10, nap=0.05)

    def pace(self, *, every: int, nap: float) -> None:
        """How fast the old runner goes: a nap (seconds) after so many recipients."""
        (self.runner.parent / "old-runner.conf").write_text(
            f"campaigns='{self.campaigns}' spool='{self.root}' every={every} nap={nap}\n"
        )

    def campaign(self, slug: str = SLUG, recipients: int = 40) -> Path:
        folder = self.campaigns / slug
        folder.mkdir()
        rows = "".join(f"r{number}@example.com,Name {number}\n" for number in range(recipients))
        (folder / DATA).write_text(f"email,name\n{rows}")
        (folder / TEMPLATE).write_text("<p>Dear {{ name }}</p>\n")
        (folder / METADATA).write_text(
            json.dumps({"name": slug, "subject": "An evening", "from": "tickets@example.com"})
        )
        return folder

    @property
    def settings(self) -> BlastHost:
        return self.settings_with()

    def settings_with(self, **changes: Any) -> BlastHost:
        values: dict[str, Any] = {
            "ssh": "blast",
            "campaigns_dir": str(self.campaigns),
            "cron_files": [str(self.root / "cron")],
            "log_dir": str(self.logs),
            "credentials": str(self.root / "credentials"),
            "runner": str(self.runner),
            "state_dir": str(self.runs),
            "anchors_append_only": False,  # or nobody could clean up
        }
        return BlastHost(**{**values, **changes})

    def plan(self, slug: str = SLUG, **changes: Any) -> Plan:
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "slug": slug,
            "environment": "test",
            "carrier": "blast",
            "host": Path("/etc/machine-id").read_text().strip() if Path("/etc/machine-id").exists() else "",
            "digests": digests(self.campaigns / slug),
            "audience": 40,
            "subject": 'An evening — it\'s "yours"',
            "due": now,
            "latest_start": now + timedelta(hours=2),
            "window": "",
            "dry_run_seq": 1,
            "dry_run_at": now,
            "planned_by": "mara",
            "created_at": now,
            "expires_at": now + timedelta(minutes=30),
        }
        return Plan(**{**values, **changes})

    def mailed(self, slug: str = SLUG) -> list[str]:
        """Every address the old runner "mailed", in order."""
        spool = self.root / "mail"
        lines = spool.read_text().splitlines() if spool.exists() else []
        return [line.split(" ")[1] for line in lines if line.startswith(f"{slug} ")]

    def run_folder(self, slug: str = SLUG, attempt: int = 1) -> Path:
        return self.runs / slug / str(attempt)

    def attempts(self, slug: str = SLUG) -> list[str]:
        folder = self.runs / slug
        return sorted(path.name for path in folder.iterdir() if path.name.isdigit()) if folder.exists() else []

    def end_runs(self) -> None:
        """Kill what a test left going, by the owners on record that are still what they were."""
        for owner in self.runs.glob("*/*/owner"):
            pid, ticks, _ = owner.read_text().split()
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            if stat.rpartition(")")[2].split()[19] == ticks:
                try:
                    os.killpg(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("blast_*"))}


def target(server: Sshd, *, host: str = "", port: int = 0) -> Target:
    """How to reach `server`, directly or through something in front of it at `host` and `port`."""
    return Target(
        alias="blast",
        hostname=host or server.host,
        port=port or server.port,
        user=server.user,
        identity_files=(server.key,),
        identities_only=True,
        host_key_alias=f"[{server.host}]:{server.port}" if port else None,
        known_hosts_files=(server.known_hosts,),
    )


def session_to(server: Sshd, **place: Any) -> HostSession:
    return HostSession(target(server, **place), connect_timeout=5)


def launcher(session: HostSession, tree: BlastTree, **changes: Any) -> Launcher:
    return Launcher(session, tree.settings, Policy(**changes), "blast-test")


def until(said: Callable[[], Any], limit: float = 20.0) -> Any:
    """The first true answer; fails when none comes in `limit` seconds."""
    end = time.monotonic() + limit
    while not (answer := said()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
    return answer


def ended(launch: Launcher, slug: str = SLUG, attempt: int | None = None) -> RunState:
    def look() -> RunState | None:
        state = launch.run_state(slug, attempt)
        return state if state and state.says is Says.ENDED else None

    state: RunState = until(look)
    return state
