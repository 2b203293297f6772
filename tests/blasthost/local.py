"""A blast host without a network: its scripts run here, framed as over SSH, on a tree of files in a folder."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from backends.blasthost import frames
from backends.blasthost.answers import Completed
from backends.blasthost.errors import HostLost, RemoteFailed
from opsconsole.settings import BlastHost


@dataclass
class LocalSession:
    """The part of HostSession a probe needs. `shell` runs scripts; `prefix` is a command to run it all under."""

    shell: str = "/bin/sh"
    python: str = "python3"
    prefix: tuple[str, ...] = ()
    cut: int | None = None  # bytes after which the line breaks
    env: dict[str, str] = field(default_factory=dict)
    execs: list[bytes] = field(default_factory=list)

    def run(self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 0) -> Completed:
        nonce = frames.new_nonce()
        return self._exchange(nonce, frames.shell_input(nonce, script, args, self.shell))

    def run_python(
        self, source: str | bytes, stdin_json: object = None, *, timeout: float | None = None, max_bytes: int = 0
    ) -> Completed:
        nonce = frames.new_nonce()
        return self._exchange(nonce, frames.python_input(nonce, source, stdin_json, self.python))

    def _exchange(self, nonce: str, text: bytes) -> Completed:
        started = time.monotonic()
        self.execs.append(text)
        done = subprocess.run(
            [*self.prefix, "/bin/sh", "-c", frames.COMMAND.removeprefix("exec /bin/sh -c ").strip("'")],
            input=text,
            capture_output=True,
            timeout=60,
            env={**os.environ, **self.env},
        )
        if done.returncode == 127:
            raise RemoteFailed("no such program", "", "", rc=127)
        out, err = frames.FrameReader(nonce), frames.FrameReader(nonce)
        body = out.feed(done.stdout if self.cut is None else done.stdout[: self.cut])
        if out.rc is None:
            raise HostLost("The connection was lost.", "", "")
        return Completed(body, err.feed(done.stderr), out.rc, time.monotonic() - started)


class Tree:
    """The folders of a blast host below `root`, and settings that name them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.campaigns, self.log = root / "mail campaigns", root / "log"
        self.state, self.holds = root / "lib" / "runs", root / "lib" / "holds"
        self.cron, self.runner, self.credentials = (
            root / "cron-table",
            root / f"mail-blast-runner-{token_hex(4)}",
            root / "creds.conf",
        )
        for folder in (self.campaigns, self.log, self.state, self.holds):
            folder.mkdir(parents=True)
        self.cron.write_text("")
        self.cron.chmod(0o644)
        self.runner.write_text("#!/bin/sh\n")
        self.runner.chmod(0o755)
        self.credentials.write_text("password = hunter2\n")
        self.credentials.chmod(0o600)

    def settings(self, **others: object) -> BlastHost:
        return BlastHost(
            ssh="blast-test",
            campaigns_dir=str(self.campaigns),
            cron_files=[str(self.cron)],
            log_dir=str(self.log),
            credentials=str(self.credentials),
            runner=str(self.runner),
            state_dir=str(self.state),
            **{"anchors_append_only": False, **others},  # type: ignore[arg-type] # or nobody could clean up
        )

    def campaign(self, slug: str, *, data: bytes = b"email\na@example.com\n", **metadata: object) -> Path:
        folder = self.campaigns / slug
        folder.mkdir()
        (folder / "blast_template.html").write_text(f"<p>{slug}</p>")
        (folder / "blast_data.csv").write_bytes(data)
        (folder / "blast_metadata.json").write_text(json.dumps({"name": slug, **metadata}))
        return folder

    def run(self, slug: str, attempt: int = 1, **files: object) -> Path:
        """An attempt with these files; `claim_json=…` for claim.json, values other than text as JSON."""
        folder = self.state / slug / str(attempt)
        folder.mkdir(parents=True)
        for name, value in files.items():
            text = value if isinstance(value, str) else json.dumps(value)
            (folder / name.replace("_json", ".json")).write_text(text)
        return folder

    def age(self, seconds: float = 60) -> None:
        """Make everything look as if it had been written a while ago (ctime can't be, so tests mind that)."""
        then = time.time() - seconds
        for path in self.root.rglob("*"):
            os.utime(path, (then, then), follow_symlinks=False)


def owner_of(pid: int) -> str:
    """The owner record of a live process."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid} {ticks} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}\n"
