"""How a worker is set: by the environment, and by the command line over it."""

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import CONFIG, Refused
from runner.worker.steps import Tables
from runner.worker.verdicts import STALE_SECONDS

PREFIX = "MAIL_BLAST_"
THREADS = 8


@dataclass(frozen=True)
class WorkerSettings:
    """`channel` is "ses", "smtp" or "" for what each campaign says; `rate` in messages a second, None for what SES
    allows; `stale_seconds` after which a delivery that was begun has no worker any more. The rest is boto3's."""

    queue_url: str = ""
    region: str | None = None
    endpoint: str | None = None
    channel: str = ""
    threads: int = THREADS
    rate: float | None = None
    tables: Tables = field(default_factory=Tables)
    stale_seconds: float = STALE_SECONDS
    retry_seconds: float = 60.0
    configuration_set: str | None = None
    credentials: Path | None = None
    name: str = ""


def from_environment(env: Mapping[str, str]) -> WorkerSettings:
    """Raises Refused (78) for a value that can't be used."""

    def said(name: str) -> str:
        return env.get(PREFIX + name, "").strip()

    def number(name: str, default: float, least: float) -> float:
        try:
            value = float(said(name) or default)
        except ValueError:
            value = -1.0
        if not least <= value < 1e6:
            raise Refused(CONFIG, f"{PREFIX}{name} must be a number of at least {least:g}")
        return value

    channel = said("CHANNEL")
    if channel not in ("", "ses", "smtp"):
        raise Refused(CONFIG, f"{PREFIX}CHANNEL must be ses or smtp")
    plain = Tables()
    return WorkerSettings(
        queue_url=said("QUEUE_URL"),
        region=said("REGION") or None,
        endpoint=said("ENDPOINT") or None,
        channel=channel,
        threads=int(number("THREADS", THREADS, 1)),
        rate=number("RATE", 0, 0.001) if said("RATE") else None,
        tables=Tables(
            said("CAMPAIGNS_TABLE") or plain.campaigns,
            said("CONTACTS_TABLE") or plain.contacts,
            said("DELIVERIES_TABLE") or plain.deliveries,
        ),
        stale_seconds=number("STALE_AFTER", STALE_SECONDS, 1),
        retry_seconds=number("RETRY_BASE", 60, 0),
        configuration_set=said("CONFIGURATION_SET") or None,
        credentials=Path(said("CREDENTIALS")) if said("CREDENTIALS") else None,
        name=f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:6]}",
    )
