"""What the probe found on a blast host, as plain values. Nothing here talks to one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What is at a path. DENIED and ERROR are never MISSING: a cut or a refusal is not an absence."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    OTHER = "other"
    MISSING = "missing"
    DENIED = "denied"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """One path. Times are nanoseconds since the epoch by the host's clock, `mode` its permission bits.

    `sha256` is None when not hashed (missing, too large, not asked); `rows` counts CSV records behind the
    header, exactly when `rows_exact` (else lines, quoted line breaks included).
    """

    path: str
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    device: int = 0
    inode: int = 0
    mode: int = 0
    owner: str = ""
    group: str = ""
    sha256: str | None = None
    rows: int | None = None
    rows_exact: bool = True
    executable: bool = False
    trouble: str = ""

    @property
    def there(self) -> bool:
        return self.kind is Kind.FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFact:
    """One attempt folder under the run state. Texts are the files' contents, "" when there is none.

    `owner_alive` holds when pid, start time and boot id of `owner` all match a live process.
    """

    attempt: int
    claim: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    owner_alive: bool = False
    owner_stopped: bool = False  # the process is there, in state T
    started: str = ""
    finished: Mapping[str, Any] | None = None
    released: bool = False
    control: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    out_size: int = 0
    out_mtime_ns: int = 0
    out_tail: str = ""
    released_ns: int = 0  # when the attempt was released; 0 when that isn't known
    beat_ns: int = 0  # the supervisor's last sign of life; 0 when it gives none
    read_ns: int = 0  # the host's clock when this was read; 0 when that isn't known
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFact:
    """A process whose command line names the runner."""

    pid: int
    ppid: int
    elapsed_s: int
    user: str
    args: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRunner:
    """A former runner beside the one in place."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerFact:
    """The program that sends, as it lies on a host and as it answered; and the one this console would put there.

    `there` is "file", "none", "link" (to `link`), "odd" or "unreadable". `says` is what it told of itself; empty
    when it wasn't asked, or didn't answer as ours. `python` and `cron_python` are the versions of python3 that a
    login and cron find, "" for none. `ours`: it is our runner, by its content.
    """

    path: str
    there: str
    sha256: str = ""
    size: int = 0
    mode: int = 0
    owner: str = ""
    link: str = ""
    version: str = ""
    ours: bool = False
    asked: bool = False
    says: Mapping[str, Any] = field(default_factory=dict)
    python: str = ""
    cron_python: str = ""
    kept: tuple[KeptRunner, ...] = ()  # the newest last
    our_sha256: str = ""
    our_version: str = ""

    @property
    def same(self) -> bool:
        """It is the very file that this console installs."""
        return bool(self.sha256) and self.sha256 == self.our_sha256

    def say(self) -> str:
        """`version 0.1.0, the file this console installs`."""
        match self.there:
            case "none":
                return "there is none"
            case "odd" | "unreadable":
                return "not a file that can be read"
        version = f"version {self.version}" if self.version else "its version can't be told"
        if self.same:
            return f"{version}, the file this console installs"
        if self.asked and not self.says:
            return "it doesn't answer as our runner"
        if not self.ours and not self.says:
            return "not a runner of ours"
        which = (
            f"with {self.our_version}" if self.version != self.our_version else "with another file of that version"
        )
        return f"{version}; this console comes {which}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """All of one campaign on the host. `metadata` is the raw file (None: not readable)."""

    slug: str
    folder: Kind
    files: Mapping[str, FileFact] = field(default_factory=dict)
    metadata: bytes | None = None
    log: FileFact | None = None
    log_tail: str = ""
    runs: tuple[RunFact, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CronFact:
    """One cron table: its file and its raw text (None: not readable)."""

    file: FileFact
    text: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFact:
    """A small script that a cron line calls: its raw text, or the reason why it wasn't read (None)."""

    path: str
    text: bytes | None = field(default=None, repr=False)
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFact:
    """A file system, in bytes and inodes."""

    path: str
    free: int
    total: int
    free_inodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFact:
    """A hold file: `scope` is ALL or a slug. A file that can't be read counts as held."""

    scope: str
    text: str = ""
    unreadable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One complete probe of a host.

    `clock_offset` is host minus console in seconds, `clock_error` its half width. Memory is bytes.
    """

    host: str
    hostname: str = ""  # the machine's own name
    machine_id: str = ""
    boot_id: str = ""
    user: str = ""
    epoch: float = 0.0
    zone: str = ""
    clock_offset: float = 0.0
    clock_error: float = 0.0
    round_trip_ms: float = 0.0
    python: str = ""
    memory_total: int = 0
    memory_available: int = 0
    swap_used: int = 0
    load: float = 0.0
    mail_queue: int | None = None
    disks: tuple[DiskFact, ...] = ()
    processes: tuple[ProcessFact, ...] = ()
    cron: tuple[CronFact, ...] = ()
    scripts: tuple[ScriptFact, ...] = ()  # those that cron lines call, as far as they are scripts
    runner: FileFact | None = None
    program: RunnerFact | None = None  # what the runner said of itself; None when it wasn't asked
    credentials: FileFact | None = None
    state_dir: FileFact | None = None
    log_dir: FileFact | None = None
    holds: tuple[HoldFact, ...] = ()
    survives_logout: str = ""  # "" when runs outlive the connection; else the reason and the mending command
    campaigns: Mapping[str, FolderFacts] = field(default_factory=dict)
    campaigns_dir: Kind = Kind.FOLDER
    foreign: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def memory_used(self) -> float | None:
        """The share in use, what is swapped out counted with it; None when it wasn't told."""
        if not self.memory_total:
            return None
        return (self.memory_total - self.memory_available + self.swap_used) / self.memory_total
