"""Where things are, how fast to go, and the mail server's credentials."""

import argparse
import configparser
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.campaign.metadata import sender_fault
from runner.errors import CONFIG, Refused
from runner.policy import limits
from runner.policy.limits import Limits

PATHS = {
    "campaigns_dir": ("MAIL_BLAST_CAMPAIGNS_DIR", "/var/mail/campaigns"),
    "log_dir": ("MAIL_BLAST_LOG_DIR", "/var/log/mail-blasts"),
    "state_dir": ("MAIL_BLAST_STATE_DIR", "/var/lib/mail-blasts/runs"),
    "credentials": ("MAIL_BLAST_CREDENTIALS", "/etc/mail/blast-credentials.conf"),
}
_SMTP_KEYS = ("host", "port", "username", "password", "token_file", "tls")
_GATEWAY = r"https://[\x21-\x7e]+|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?/[\x21-\x7e]*"


@dataclass(frozen=True)
class Settings:
    """`rate` in messages a second (None: no limit), `batch_pause` and `retry_base` in seconds.

    `run_dir` and `run_id` are set when a supervisor started us: the claim, the lock and the state files of the
    process are then its work.
    """

    slug: str
    mode: str
    campaigns_dir: Path
    log_dir: Path
    state_dir: Path
    credentials: Path
    connections: int = 20
    pipelining: bool = True
    rate: float | None = None
    batch_size: int = 0
    batch_pause: float = 0.0
    retry_base: float = 60.0
    verbose: bool = False
    log_delivery: bool = False
    notify: bool = False
    run_dir: Path | None = None
    run_id: str | None = None
    maillogs: tuple[Path, ...] = ()
    show: int = 1
    save_to: Path | None = None
    probe: bool = False
    suppressed: Path | None = None

    @property
    def holds_dir(self) -> Path:
        return self.state_dir.parent / "holds"


@dataclass(frozen=True)
class Smtp:
    """How to reach the mail server. The password is never part of its repr."""

    host: str
    port: int
    tls: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    notify_to: str | None = None
    token_file: Path | None = None  # an OAuth access token for XOAUTH2, kept fresh by somebody else
    limits: Limits = field(default_factory=Limits)
    fallback: "Smtp | None" = None  # used only when an operator asks for it

    @property
    def ident(self) -> str:
        """The same for every campaign that sends by this account; says nothing of it."""
        return _ident(self.host.lower(), str(self.port), self.username or "")


@dataclass(frozen=True)
class Sms:
    """How to reach who carries text messages: `kind` "twilio" by `url`, or "smpp" by host, port, `tls` ("tls" or
    "none") and so many `binds` at a time. The secret is never part of its repr."""

    kind: str
    account: str
    secret: str = field(repr=False)
    sender: str = ""
    url: str = ""
    host: str = ""
    port: int = 0
    tls: str = "none"
    system_type: str = ""
    binds: int = 1
    limits: Limits = field(default_factory=Limits)

    @property
    def ident(self) -> str:
        """As Smtp's."""
        return _ident(self.kind, self.url, self.host.lower(), str(self.port), self.account)


Account = Smtp | Sms


def _ident(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def from_args(args: argparse.Namespace, env: Mapping[str, str]) -> Settings:
    """Settings from the parsed command line over the environment over the defaults."""
    paths = {
        name: Path(getattr(args, name) or env.get(variable) or default)
        for name, (variable, default) in PATHS.items()
    }
    run_dir = Path(env["MAIL_BLAST_RUN_DIR"]) if env.get("MAIL_BLAST_RUN_DIR") else None
    if run_dir is not None:
        paths["state_dir"] = run_dir.parent.parent
    try:
        retry_base = float(env.get("MAIL_BLAST_RETRY_BASE", "60"))
    except ValueError:
        raise Refused(CONFIG, "MAIL_BLAST_RETRY_BASE must be a number of seconds") from None
    return Settings(
        slug=args.campaign,
        mode=args.mode,
        connections=args.connections,
        pipelining=args.pipelining,
        rate=args.rate,
        batch_size=args.batch_size,
        batch_pause=args.batch_pause,
        retry_base=retry_base,
        verbose=args.verbose,
        log_delivery=args.log_delivery,
        notify=args.notify_completion,
        run_dir=run_dir,
        run_id=env.get("MAIL_BLAST_RUN_ID") or None,
        maillogs=tuple(map(Path, args.maillog)),
        show=args.show,
        save_to=args.save_to,
        probe=args.probe,
        suppressed=Path(env["MAIL_BLAST_SUPPRESSED"]) if env.get("MAIL_BLAST_SUPPRESSED") else None,
        **paths,
    )


def read_credentials(path: Path) -> Smtp:
    """The [smtp] section: host, port, username, password, tls; optionally [notify] to, [limits], and
    [smtp-fallback] with its [limits-fallback].

    Raises Refused (78) when the file is missing, open to others or wrong. Its content is never repeated.
    """
    parser = _secret_file(path, "smtp")
    notify_to = parser.get("notify", "to", fallback=None)
    fallback = None
    if "smtp-fallback" in parser:
        where, section = f"{path} [smtp-fallback]", parser["smtp-fallback"]
        for number, key in enumerate(section, 1):
            if key not in _SMTP_KEYS:
                raise Refused(CONFIG, f"{where}: key {number} isn't known; known are {', '.join(_SMTP_KEYS)}")
        fallback = replace(_smtp(where, section, notify_to), limits=_limits(path, parser, "limits-fallback"))
    main = _smtp(str(path), parser["smtp"], notify_to)
    return replace(main, limits=_limits(path, parser, "limits"), fallback=fallback)


def suppression_list(settings: Settings) -> Path | None:
    """The host's list of those who must not be mailed: MAIL_BLAST_SUPPRESSED, else [suppression] file of the
    credentials file; None when neither names one. Raises Refused (78) as read_credentials()."""
    if settings.suppressed is not None:
        return settings.suppressed
    try:
        os.lstat(settings.credentials)
    except FileNotFoundError:
        return None
    except OSError:
        pass  # reading it will say why it can't be told
    parser = _secret_file(settings.credentials, None)
    if "suppression" not in parser:
        return None
    section = parser["suppression"]
    named = section.get("file", "").strip()
    if not named.startswith("/") or len(section) != 1:
        raise Refused(
            CONFIG, f"{settings.credentials}: [suppression] must hold file, a full path, and nothing else"
        )
    return Path(named)


def read_sms(path: Path) -> Sms:
    """The [sms] section, as read_credentials() reads [smtp]. Raises Refused (78)."""
    parser = _secret_file(path, "sms")
    section, allowed = parser["sms"], _limits(path, parser, "limits-sms")

    def wanted(key: str, why: str = "is missing", pattern: str = r"[\x21-\x7e]+", default: str = "") -> str:
        value = section.get(key, default).strip()
        if not re.fullmatch(pattern, value):
            raise Refused(CONFIG, f"{path}: {key} in [sms] {why}")
        return value

    sender = section.get("from", "").strip()
    if fault := sender_fault(sender):
        raise Refused(CONFIG, f"{path}: from in [sms] {fault}")
    kind = section.get("kind", "")
    if kind == "twilio":
        url = wanted("url", "must be an https:// address", _GATEWAY)
        tls = "tls" if url.startswith("https:") else "none"
        return Sms(kind, wanted("account"), wanted("secret"), sender, url=url, tls=tls, limits=allowed)
    if kind != "smpp":
        raise Refused(CONFIG, f"{path}: kind in [sms] must be twilio or smpp")
    return Sms(
        kind,
        wanted("system_id", "must have 1 to 15 characters", r"[\x21-\x7e]{1,15}"),
        wanted("password", "must have 1 to 8 characters, as SMPP 3.4 has it", r"[\x21-\x7e]{1,8}"),
        sender,
        host=wanted("host"),
        port=int(wanted("port", "must be a number from 1 to 65535", "[1-9][0-9]{0,4}", "2775")),
        tls=wanted("tls", "must be tls or none", "tls|none", "none"),
        system_type=wanted("system_type", "must have at most 12 characters", r"[\x21-\x7e]{0,12}", ""),
        binds=int(wanted("binds", "must be a number from 1 to 99", "[1-9][0-9]?", "1")),
        limits=allowed,
    )


def _limits(path: Path, parser: configparser.ConfigParser, section: str) -> Limits:
    try:
        return limits.parse(parser[section]) if section in parser else Limits()
    except ValueError as error:
        raise Refused(CONFIG, f"{path}: in [{section}] {error}") from None


def _secret_file(path: Path, section: str | None) -> configparser.ConfigParser:
    """The credentials file, which must have the section if one is given. Raises Refused (78)."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise Refused(
                    CONFIG, f"{path} has mode {mode:04o}: others can read it. Mend it with: chmod 600 {path}"
                )
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Refused(CONFIG, f"{path} can't be read: {why}") from None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        if section is not None:
            parser[section]
    except (configparser.Error, KeyError):  # their text quotes the file
        what = f" with a section [{section}]" if section is not None else ""
        raise Refused(CONFIG, f"{path} is not an ini file{what}") from None
    return parser


def _smtp(path: str, section: Mapping[str, Any], notify_to: str | None) -> Smtp:
    tls = section.get("tls", "starttls")
    if tls not in ("starttls", "tls", "none"):
        raise Refused(CONFIG, f"{path}: tls must be starttls, tls or none")
    host = section.get("host", "").strip()
    if not host:
        raise Refused(CONFIG, f"{path}: host is missing")
    try:
        port = int(section.get("port", {"tls": "465", "starttls": "587"}.get(tls, "25")))
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise Refused(CONFIG, f"{path}: port must be a number from 1 to 65535")
    username, password, token = (section.get(key) or None for key in ("username", "password", "token_file"))
    if token is not None and (not token.startswith("/") or password is not None or username is None):
        raise Refused(
            CONFIG, f"{path}: token_file is a full path, and takes the password's place beside a username"
        )
    return Smtp(host, port, tls, username, password, notify_to, Path(token) if token else None)
