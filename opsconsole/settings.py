"""The shape of the configuration: every key with its meaning and default. Read by config.py.

Durations are texts such as `30 min`, `45 s` or `2 h` in the file, and timedeltas here after `policy()`.
"""

from typing import Literal

import msgspec


class Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A table whose unknown keys are errors."""


class Patterns(Strict, frozen=True, kw_only=True):
    """How a runner's output is read: regular expressions; the first group is the number or the text.

    The defaults read our own runner's human lines and those of the runners it replaces.
    """

    total: str = r"^\s*(?:total|recipients to send)\D{0,20}([\d,]+)"
    processed: str = r"([\d,]+) recipients? (?:processed|counted)"
    failed: str = r"([\d,]+) (?:SMTP )?(?:failures?|rows refused)"
    duration: str = r"([\d.,]+) (?:minutes|min)\b"  # in minutes; used when the log has no times of its own
    progress: str = r"([\d,]+) ?/ ?([\d,]+)"
    started: str = r"(?i)\b(?:starting|started|sending)\b"


class SecretFrom(Strict, frozen=True, kw_only=True):
    """Where a secret is kept: exactly one of an environment variable, a file, or a command that prints it."""

    env: str = ""
    file: str = ""
    cmd: list[str] = []


class BlastHost(Strict, frozen=True, kw_only=True):
    """A blast host, reached by `ssh` as ~/.ssh/config describes it (DESIGN §4)."""

    ssh: str  # a host or alias, with user@ and :port when needed
    ssh_config: str = "~/.ssh/config"
    known_hosts: list[str] = msgspec.field(default_factory=lambda: ["~/.ssh/known_hosts"])
    key_files: list[str] = []
    compression: bool = True
    campaigns_dir: str = "/var/mail/campaigns"
    cron_files: list[str] = msgspec.field(default_factory=lambda: ["/etc/cron.d/mail-blasts"])
    cron_owner: str = "root"
    log_dir: str = "/var/log/mail-blasts"
    credentials: str = "/etc/mail/blast-credentials.conf"
    credentials_owner: str = ""  # "" accepts any owner
    runner: str = "/usr/local/bin/mail-blast-runner"
    runner_kind: Literal["mail-blast-runner", "other"] = "other"  # ours claims a run also when cron starts it
    state_dir: str = "/var/lib/mail-blasts/runs"
    anchors_append_only: bool = True  # as root, let the kernel keep the anchors beside state_dir from changing
    dry_run_args: list[str] = msgspec.field(
        default_factory=lambda: ["--campaign", "{slug}", "--mode", "dry-run", "--verbose"]
    )
    send_args: list[str] = msgspec.field(
        default_factory=lambda: ["--campaign", "{slug}", "--mode", "send", "--log-delivery", "--notify-completion"]
    )
    rest_args: list[str] = msgspec.field(
        default_factory=lambda: [
            "--campaign", "{slug}", "--mode", "resume", "--log-delivery", "--notify-completion"
        ]
    )  # fmt: skip
    mail_log: list[str] = msgspec.field(default_factory=lambda: ["/var/log/mail.log"])  # what became of a message
    patterns: Patterns = Patterns()
    fresh_for: str = "90 s"
    refresh_every: str = "15 s"
    python: Literal["auto", "never"] = "auto"


class Dashboard(Strict, frozen=True, kw_only=True):
    """A REST dashboard that knows approvals and wants results."""

    url: str
    token: SecretFrom | None = None
    fresh_for: str = "90 s"
    refresh_every: str = "20 s"
    timeout: str = "10 s"


class Notify(Strict, frozen=True, kw_only=True):
    """Who is told of sends and of what needs eyes: by a `webhook` (its `url`), or by `email` (the rest)."""

    kind: Literal["webhook", "email"]
    url: SecretFrom | None = None  # the address of a webhook is a secret: whoever has it can post
    host: str = ""  # of the mail server
    port: int = 0  # 0 is the usual one: 587 with starttls, 465 with tls, 25 with none
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""  # "" trusts what the system trusts
    user: str = ""
    password: SecretFrom | None = None
    sender: str = ""
    to: list[str] = []
    timeout: str = "10 s"


class Limits(Strict, frozen=True, kw_only=True):
    """The team's policy; see opsconsole/policy.py for what each one does."""

    start_grace: str = "10 min"
    latest_start_after: str = "2 h"
    early_tolerance: str = "60 s"
    stall_after: str = "5 min"
    dry_run_valid_for: str = "30 min"
    plan_valid_for: str = "30 min"
    clock_warn: float = 10.0
    clock_refuse: float = 30.0
    min_free_disk_mb: int = 200
    min_free_memory_mb: int = 100
    four_eyes: bool = False
    approval_valid_for: str = "24 h"
    break_glass_valid_for: str = "15 min"
    unanchored_for: str = "10 min"


Role = Literal["viewer", "operator", "approver", "admin"]


class Environment(Strict, frozen=True, kw_only=True):
    """One environment: its hosts, its dashboard and its policy. `colour` marks it on every screen."""

    label: str = ""
    danger: bool = True  # production: confirmations name it loudly
    blasthost: dict[str, BlastHost] = {}
    dashboard: Dashboard | None = None
    notify: dict[str, Notify] = {}
    policy: Limits = Limits()


class Operator(Strict, frozen=True, kw_only=True):
    """Who is at the keyboard. An empty name is the login name."""

    name: str = ""
    role: Role = "operator"
    timezone: str = ""


class Audit(Strict, frozen=True, kw_only=True):
    """Where the audit store and its key are kept."""

    url: str = ""  # postgresql://user@host/database when a team shares one; "" is a SQLite file in data_dir
    password: SecretFrom | None = None  # of the URL's user; libpq's own means (PGPASSFILE, a service) work too
    key: Literal["file", "keyring"] = "file"
    outbox_kept_for: str = "90 d"  # what others have acknowledged; records are kept for ever


class Settings(Strict, frozen=True, kw_only=True):
    """The whole file."""

    environment: str = ""  # the one to open when --env isn't given; "" when there is only one
    operator: Operator = Operator()
    data_dir: str = ""
    audit: Audit = Audit()
    environments: dict[str, Environment] = {}
