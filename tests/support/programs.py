"""Real programs that tests run, and the Debian package each comes from."""

import os
import shutil
from glob import glob
from pathlib import Path

PACKAGES = {
    "chattr": "e2fsprogs",
    "cron": "cron",
    "faketime": "faketime",
    "node": "nodejs",
    "npm": "npm",
    "postconf": "postfix",
    "postfix": "postfix",
    "postgres": "postgresql",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "psql": "postgresql-client",
    "smtp-sink": "postfix",
    "smtp-source": "postfix",
    "ssh": "openssh-client",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "tmux": "tmux",
}


def find(program: str) -> str | None:
    """The program's path; servers live where an ordinary user's PATH doesn't look."""
    # Debian keeps each PostgreSQL release's programs in a folder of its own.
    aside = ["/usr/sbin", "/sbin", "/usr/local/sbin", *sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(aside))


def missing(program: str) -> str | None:
    """Why a test that needs `program` can't run, or None."""
    if find(program):
        return None
    return f"{program} is missing; install it: apt-get install {PACKAGES.get(program, program)}"


def false_clock(time: str) -> tuple[str, str]:
    """What a program's environment needs to see another clock, in libfaketime's words, like `+30s`. Without its
    wrapper, which fails where a killed one of the same pid left its semaphore."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return f"LD_PRELOAD={library}", f"FAKETIME={time}"
