"""The host's scripts under each POSIX shell, on this machine, where a host's oddities can be put before them."""

import os
import subprocess
from pathlib import Path

from backends.blasthost import frames
from backends.blasthost.session import Completed

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}


def what_the_shell_reads(nonce: str, text: str | bytes, args: tuple[str, ...]) -> bytes:
    """The input of the shell itself, without the line that starts it."""
    return frames.shell_input(nonce, text, args).partition(b" -s\n")[2]


class LocalShell:
    """Runs scripts as a session does, without a network; `path` goes before the PATH."""

    def __init__(self, shell: list[str], path: Path | None = None) -> None:
        self.shell = shell
        self.path = f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]

    def run(self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 0) -> Completed:
        nonce = frames.new_nonce()
        done = subprocess.run(
            [*self.shell, "-s"],
            input=what_the_shell_reads(nonce, script, args),
            capture_output=True,
            timeout=timeout,
            env={**os.environ, "PATH": self.path},
        )
        reader = frames.FrameReader(nonce)
        body = reader.feed(done.stdout)
        assert reader.rc is not None, done.stderr
        return Completed(body, done.stderr, reader.rc, 0.0)


def stub(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
