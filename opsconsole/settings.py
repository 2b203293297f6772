"""The shape of the configuration: every key with its meaning and default. Read by config.py.

Durations are texts such as `30 min`, `45 s` or `2 h` in the file, and timedeltas here after `policy()`.
"""

from typing import Any, Literal

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
    """A blast host, reached by `ssh` as ~/.ssh/config describes it."""

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


Word = Literal["draft", "approved", "scheduled", "sent", "failed", "cancelled"]  # how a campaign stands there
Ending = Literal["sent", "partial", "failed", "cancelled", "draft"]  # what is written back


class DashboardCampaigns(Strict, frozen=True, kw_only=True):
    """How a dashboard's campaigns are found in its answers: JMESPath expressions, "" for what it doesn't have."""

    path: str = "/api/campaigns?page={page}&per_page={page_size}"  # no {page} and no `next`: all in one answer
    page_size: int = 200
    rows: str = "data"  # from the answer to the list
    next: str = ""  # from the answer to the address of the next page, on the same server
    total: str = "total"  # from the answer to the number of all rows
    slug: str = "slug"  # this and the rest: from one row
    name: str = "name"
    status: str = "status"
    due: str = "due_at"
    zone: str = "timezone"
    approved_by: str = "approved_by"
    approved_at: str = "approved_at"
    task: str = "task_token"
    recipients: str = "recipient_count"
    completed_at: str = "completion_timestamp"
    failures: str = "failure_count"
    duration: str = "execution_duration_seconds"  # in seconds
    session: str = "session_id"
    statuses: dict[str, Word] = msgspec.field(
        default_factory=lambda: {
            "draft": "draft",
            "approved": "approved",
            "scheduled": "scheduled",
            "sent": "sent",
            "failed": "failed",
            "cancelled": "cancelled",
        }
    )  # theirs = ours


class DashboardTasks(Strict, frozen=True, kw_only=True):
    """How a dashboard's tasks are found, as its campaigns are. An empty path: it has none."""

    path: str = "/api/tasks?page={page}&per_page={page_size}"
    page_size: int = 200
    rows: str = "data"
    next: str = ""
    total: str = "total"
    token: str = "token"  # noqa: S105 - the name of a task
    status: str = "status"
    campaign: str = "campaign"
    title: str = "title"
    priority: str = "priority"
    notes: str = "notes"
    done: list[str] = msgspec.field(default_factory=lambda: ["done"])  # the statuses that approve its campaign


class DashboardWrite(Strict, frozen=True, kw_only=True):
    """How a dashboard is told the end of a campaign: keys there = JMESPath over our words (docs/dashboard.md)."""

    method: Literal["PATCH", "PUT", "POST"] = "PATCH"
    path: str = "/api/campaigns/{slug}"
    body: dict[str, str] = msgspec.field(
        default_factory=lambda: {
            "status": "status",
            "completion_timestamp": "completed_at",
            "recipient_count": "recipients",
            "failure_count": "failures",
            "execution_duration_seconds": "duration_s",
            "session_id": "session",
            "due_at": "due",
            "timezone": "zone",
        }
    )  # a dotted key stands for objects in objects; what we don't know is left out
    answer: str = "@"  # from the answer to the row, which must show what was written; "": any success will do
    statuses: dict[Ending, str] = msgspec.field(
        default_factory=lambda: {
            "sent": "sent",
            "partial": "sent",
            "failed": "failed",
            "cancelled": "cancelled",
            "draft": "draft",
        }
    )  # ours = theirs
    log: str = "/api/operations"  # POSTed an entry for each run or decision, first; "": it has no such log
    entry: dict[str, str] = {}  # as `body`; empty: all our words as they are
    log_answer: str = "run_id"  # from the answer to the run id that was written; "": any success will do


class DashboardAccount(Strict, frozen=True, kw_only=True):
    """Where a dashboard tells what our token may do, and how it is found there. An empty path: it doesn't tell."""

    path: str = "/api/whoami"
    name: str = "name"
    roles: str = "roles"
    scopes: str = "scopes"
    expires: str = "expires"


class Dashboard(Strict, frozen=True, kw_only=True):
    """A REST dashboard that knows approvals and wants results. Its tables say how its JSON is read and written."""

    url: str
    token: SecretFrom | None = None
    fresh_for: str = "90 s"
    refresh_every: str = "20 s"
    timeout: str = "10 s"  # of a call as a whole; a look at everything takes three times that at most
    campaigns: DashboardCampaigns = DashboardCampaigns()
    tasks: DashboardTasks = DashboardTasks()
    write: DashboardWrite = DashboardWrite()
    account: DashboardAccount = DashboardAccount()


class Listmonk(Strict, frozen=True, kw_only=True):
    """A listmonk platform, reached by the token of an API user (docs/listmonk.md)."""

    url: str  # its root, such as https://lists.example.com
    user: str
    token: SecretFrom | None = None
    fresh_for: str = "2 min"
    refresh_every: str = "5 s"  # of what runs, its log and its health
    list_every: str = "45 s"  # of the list of campaigns, which costs it more
    timeout: str = "10 s"
    series_tag: str = "series:"  # a tag that begins so names the series; "slug:" names the slug
    slug_tag: str = "slug:"
    timezone: str = ""  # of the campaigns; "" is UTC
    trust_schedule: bool = True  # a send date that somebody set there counts as an approval of the content
    start_grace: str = "60 s"  # a scheduled one that is later than this is an alarm: its scheduler isn't at work
    testers: list[str] = []  # addresses of subscribers who get the test mail of a dry run
    min_audience: int = 1
    max_audience: int = 0  # 0: no bound
    provider_rate: float = 0.0  # messages a second that the mail provider takes; 0: not known
    lost_by_crash: int = 1000  # so many recipients may be skipped in silence when it is killed
    fallback_smtp: str = ""  # the name of the SMTP block to switch to; "" offers no switch
    archived_after: str = "90 d"  # finished ones older than this are left out


class Serverless(Strict, frozen=True, kw_only=True):
    """A pipeline of DynamoDB tables, an SQS queue and SES, as docs/serverless.md describes it."""

    region: str
    profile: str = ""  # of ~/.aws; "" takes the credentials that boto3 finds
    endpoint: str = ""  # another place than AWS, for all services; for tests
    campaigns_table: str = "EmailCampaigns"
    contacts_table: str = "EmailContacts"
    deliveries_table: str = "EmailDeliveries"  # one item a recipient: what makes the worker send once
    queue: str = "bulk-email-queue"  # its name or URL
    dead_letter_queue: str = ""  # its name or URL; "" takes it from the queue's redrive policy
    fresh_for: str = "90 s"
    refresh_every: str = "15 s"
    timeout: str = "10 s"
    timezone: str = ""  # of due times without one; "" is UTC
    pages: int = 20  # of a table, at 1 MB each, that one look may read
    quota_warn: float = 0.8  # of SES's 24 h quota
    backlog_after: str = "5 min"  # a queue that doesn't get shorter for so long is a finding
    channel: Literal["ses", "smtp"] = "ses"  # what the workers send by, for what the console says of quotas


class Backend(Strict, frozen=True, kw_only=True):
    """A backend of somebody else's package, found by the entry point `kind` of the group opsconsole.backends."""

    kind: str
    options: dict[str, Any] = {}  # its own; docs/backends.md
    refresh_every: str = "15 s"


Told = Literal["attention", "send", "decision", "safety"]
"""What others are told of: a campaign that needs somebody; a send that starts or ends; what a person decided of a
run that broke; broken glass, and a store that isn't whole."""


class Notify(Strict, frozen=True, kw_only=True):
    """Who is told. `webhook` and `slack` need `url`, `email` the mail server's keys, `pagerduty` its `routing_key`,
    `alertmanager` the `endpoint` it answers at."""

    kind: Literal["webhook", "slack", "email", "pagerduty", "alertmanager"]
    on: list[Told] = []  # empty: attention and safety for pagerduty and alertmanager, everything for the others
    at_least: Literal["info", "warning", "critical"] = "info"
    url: SecretFrom | None = None  # the address of a webhook is a secret: whoever has it can post
    routing_key: SecretFrom | None = None  # of a PagerDuty service: an Events API v2 integration
    endpoint: str = ""  # "" is PagerDuty's own; Alertmanager's is such as http://127.0.0.1:9093
    link: str = ""  # where people look: goes with each message to pagerduty and alertmanager
    host: str = ""  # of the mail server
    port: int = 0  # 0 is the usual one: 587 with starttls, 465 with tls, 25 with none
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""  # "" trusts what the system trusts
    user: str = ""
    password: SecretFrom | None = None
    sender: str = ""
    to: list[str] = []
    timeout: str = "10 s"


class DeadMan(Strict, frozen=True, kw_only=True):
    """A sign of life that `opsconsole watch` gives for as long as it really looks; somebody else must miss it.

    Exactly one of `url`, which is fetched, and `alertmanager`, the notification that gets the alert Watchdog.
    """

    url: SecretFrom | None = None
    alertmanager: str = ""
    every: str = "1 min"
    blind_after: str = "5 min"  # without an answer of any source for so long it stops


class Screens(Strict, frozen=True, kw_only=True):
    """How loud the screens are when a campaign comes to need attention. Empty: they are silent."""

    loud: list[Literal["bell", "desktop", "toast", "title"]] = msgspec.field(
        default_factory=lambda: ["bell", "desktop", "toast", "title"]
    )


class Limits(Strict, frozen=True, kw_only=True):
    """The team's policy; see opsconsole/policy.py for what each one does."""

    start_grace: str = "10 min"
    latest_start_after: str = "2 h"
    early_tolerance: str = "60 s"
    stall_after: str = "5 min"
    max_run: str = "4 h"
    unreconciled_after: str = "24 h"
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
    key_max_age: str = "1095 d"


Role = Literal["viewer", "operator", "approver", "admin"]


class Environment(Strict, frozen=True, kw_only=True):
    """One environment: its hosts, its dashboard and its policy. `colour` marks it on every screen."""

    label: str = ""
    danger: bool = True  # production: confirmations name it loudly
    blasthost: dict[str, BlastHost] = {}
    dashboard: Dashboard | None = None
    listmonk: dict[str, Listmonk] = {}
    serverless: dict[str, Serverless] = {}
    backend: dict[str, Backend] = {}
    notify: dict[str, Notify] = {}
    dead_man: DeadMan | None = None
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
    screens: Screens = Screens()
    views: dict[str, str] = {}  # name = "query", as for `opsconsole board --filter`
    environments: dict[str, Environment] = {}
