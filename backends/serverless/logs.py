"""The log of a run, which the pipeline itself hasn't got: a file of this user's, written while somebody follows.

One follower at a time writes, under a lock of the file; all others read. It only grows, so that an offset is for
ever; on another machine it is another file.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backends.serverless.pipe import Pipe
from opsconsole.redact import mask_addresses, redact, visible

CHUNK = 256 * 1024
LINE = 2000  # characters


@dataclass(frozen=True, slots=True)
class Log:
    file: Path

    @property
    def size(self) -> int:
        """In bytes; 0 when there is none."""
        try:
            return self.file.stat().st_size
        except OSError:
            return 0

    def last_line(self) -> bytes:
        with suppress(OSError), self.file.open("rb") as log:
            log.seek(max(self.size - 64 * 1024, 0))
            lines = log.read().splitlines()
            return lines[-1] if lines else b""
        return b""

    def hand_over(self, offset: int, on_output: Callable[[bytes], None]) -> int:
        """What is there from byte `offset` on, whole lines; the offset behind it."""
        with suppress(FileNotFoundError), self.file.open("rb") as log:
            log.seek(offset)
            while chunk := log.read(CHUNK):
                whole = chunk[: chunk.rfind(b"\n") + 1] or chunk
                on_output(whole)
                offset += len(whole)
                log.seek(offset)
                if len(chunk) < CHUNK:
                    break
        return offset

    @contextmanager
    def writing(self) -> Iterator["Callable[[str], None] | None"]:
        """What adds a line, for the one that may write; None for everybody else."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield None
                return

            def add(line: str) -> None:
                clean = line if line.startswith("{") else visible(mask_addresses(redact(line)), LINE)
                os.write(descriptor, (clean + "\n").encode("utf-8", "replace"))

            yield add
        finally:
            os.close(descriptor)


def path(pipe: Pipe, slug: str, run_id: str) -> Log:
    """The log of this run; of one without an id, the campaign's."""
    name = f"{slug}-{run_id}" if run_id.isalnum() else slug
    return Log(pipe.around.data_dir / "serverless" / pipe.name / f"{name}.log")
