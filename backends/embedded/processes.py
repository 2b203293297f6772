"""The processes of an embedded host: those it starts for the story's sake, and the end of all that still run."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from backends.embedded import hoststate
from backends.embedded.scene import Paths

GRACE_SECONDS = 2.0

# A runner that waits for ever, as one does whose mail server never answers. Its standard input is a pipe that this
# process holds: it ends by itself when we are gone, however we went. Told to end, it records that it did.
STUCK_RUNNER = """\
trap 'printf "{\\"rc\\":143,\\"at\\":\\"%s\\",\\"counts\\":null}\\n" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \\
    >"$MAIL_BLAST_RUN_DIR/.finished.tmp" && mv "$MAIL_BLAST_RUN_DIR/.finished.tmp" "$MAIL_BLAST_RUN_DIR/finished"
    exit 143' TERM
read -r never
"""


def start_stuck(paths: Paths, slug: str) -> subprocess.Popen[bytes]:
    """A live owner for the attempt that the scene laid out; nothing it does moves on."""
    program = paths.program.parent / "stuck" / paths.runner.name
    program.parent.mkdir(exist_ok=True)
    program.write_text(STUCK_RUNNER)
    folder = paths.runs / slug / "1"
    process = subprocess.Popen(
        ["/bin/sh", str(program), "--campaign", slug, "--mode", "send"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MAIL_BLAST_RUN_DIR": str(folder)},
        start_new_session=True,
    )
    (folder / "owner").write_text(hoststate.owner_line(process.pid))
    return process


def start_send(paths: Paths, slug: str) -> subprocess.Popen[bytes]:
    """A real send, as cron would start it."""
    with open(paths.logs / "cron.log", "ab") as log:
        return subprocess.Popen(
            [str(paths.runner), "--campaign", slug, "--mode", "send", "--log-delivery"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def pause_when_started(paths: Paths, slug: str, stop: Event) -> None:
    """Leave the run of `slug` paused as soon as it is one; returns at once."""
    folder = paths.runs / slug / "1"

    def wait() -> None:
        while not (folder / "started").exists():
            if stop.wait(0.1):
                return
        if not stop.wait(4):
            with suppress(OSError):
                (folder / ".control.tmp").write_text("pause\n")
                os.replace(folder / ".control.tmp", folder / "control")

    Thread(target=wait, name="embedded-pause", daemon=True).start()


def end_all(paths: Paths, children: list[subprocess.Popen[bytes]]) -> None:
    """Ends every run of this host, detached ones too, and waits until they are gone."""
    deadline, quiet = time.monotonic() + GRACE_SECONDS, 0
    # One look more when all is quiet: a supervisor may just be on its way to recording itself.
    while quiet < 2 and time.monotonic() < deadline + GRACE_SECONDS:
        pids = _running(paths)
        quiet = 0 if pids else quiet + 1
        patient = time.monotonic() < deadline
        for pid in pids:
            _signal(pid, signal.SIGTERM if patient else signal.SIGKILL)
            _signal(pid, signal.SIGCONT)
        for child in children:
            child.poll()
        time.sleep(0.03)
    for child in children:
        if child.poll() is None:
            child.kill()
        child.wait()
        if child.stdin:
            child.stdin.close()


def _running(paths: Paths) -> set[int]:
    """Owners on record that live, and processes that run this host's own runner or a supervisor of its runs."""
    return {*hoststate.live_owners(paths.runs), *_by_command(paths)}


def _by_command(paths: Paths) -> list[int]:
    ours = {os.fsencode(str(path)) for path in (paths.runner, paths.program)}
    runs = os.fsencode(str(paths.runs)) + b"/"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")[:3]
                if any(
                    word in ours or (word.startswith(runs) and word.endswith(b"/supervise.sh")) for word in words
                ):
                    found.append(int(entry.name))
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    """To its whole group when it leads one, which a detached run does."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
