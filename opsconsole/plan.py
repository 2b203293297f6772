"""What will be sent, frozen: a plan names every part by digest or value, and rests on a dry run.

The launcher on the host compares the same parts again, just before the start.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsconsole.digests import PARTS, content_digest, parts, short


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The result of a rehearsal: what was counted and rendered, and the digests it holds for."""

    slug: str
    carrier: str
    at: datetime
    ok: bool
    digests: Mapping[str, str]
    audience: int | None
    refused: int = 0
    duplicates: int = 0
    suppressed: int = 0
    rendered: int | None = None  # rows; None: the runner doesn't say
    largest: int | None = None  # bytes of the largest message
    probe: Mapping[str, Any] | None = None  # what the mail server told, when it was asked
    duration_s: float = 0.0
    summary: str = ""
    troubles: tuple[str, ...] = ()
    sample: Mapping[str, Any] | None = None
    seq: int | None = None  # its record in the audit store

    @property
    def digest(self) -> str:
        return content_digest(self.digests)

    @property
    def server(self) -> str:
        """What the mail server told when it was asked; "" when it wasn't."""
        told = self.probe
        if told is None:
            return ""
        if told.get("trouble"):
            return f"{told.get('server')}: {told['trouble']}"
        login = f"logged in as {told['account']}" if told.get("account") else "without a login"
        size = told.get("size")
        limit = f", messages up to {size / 1024:,.0f} KiB" if isinstance(size, int) and size > 0 else ""
        return f"{told.get('server')} answers, {login}{limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A send, frozen. `digests` by part (`parts`); `host` identifies the machine, or the system, that sends."""

    slug: str
    environment: str
    carrier: str
    host: str
    digests: Mapping[str, str]
    audience: int
    subject: str
    due: datetime | None
    latest_start: datetime | None
    window: str
    dry_run_seq: int | None
    dry_run_at: datetime
    planned_by: str
    created_at: datetime
    expires_at: datetime
    attempt: int = 1
    rendered: int | None = None  # rows the dry run rendered, so that the send needn't once more; None: not told

    def document(self) -> dict[str, Any]:
        """The plan as JSON values: what `plan.json` on the host holds and the digest is made over."""
        rendered = {} if self.rendered is None else {"rendered": self.rendered}
        return {
            "slug": self.slug,
            "environment": self.environment,
            "carrier": self.carrier,
            "host": self.host,
            "digests": {part: self.digests.get(name) for name, part in parts(self.digests).items()},
            "audience": self.audience,
            "subject": self.subject,
            "due": _iso(self.due),
            "latest_start": _iso(self.latest_start),
            "window": self.window,
            "dry_run": {"seq": self.dry_run_seq, "at": _iso(self.dry_run_at), **rendered},
            "planned_by": self.planned_by,
            "created_at": _iso(self.created_at),
            "expires_at": _iso(self.expires_at),
            "attempt": self.attempt,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Plan":
        """The plan a document stands for. Raises KeyError, TypeError or ValueError when it isn't one."""
        digests, rehearsal = document["digests"], document["dry_run"]
        # A campaign of files names all four; another carrier's own part may be called `text` or `template` too.
        names = {part: name for name, part in PARTS.items()} if {*PARTS.values()} <= {*digests} else {}
        at = _instant(rehearsal["at"])
        created, expires = _instant(document["created_at"]), _instant(document["expires_at"])
        if at is None or created is None or expires is None:
            raise ValueError("a plan has a dry run, a beginning and an end")
        return cls(
            slug=str(document["slug"]),
            environment=str(document["environment"]),
            carrier=str(document["carrier"]),
            host=str(document["host"]),
            digests={names.get(part, part): str(digest) for part, digest in digests.items() if digest},
            audience=int(document["audience"]),
            subject=str(document["subject"]),
            due=_instant(document["due"]),
            latest_start=_instant(document["latest_start"]),
            window=str(document["window"]),
            dry_run_seq=rehearsal["seq"],
            dry_run_at=at,
            planned_by=str(document["planned_by"]),
            created_at=created,
            expires_at=expires,
            attempt=int(document["attempt"]),
            rendered=rehearsal.get("rendered"),
        )

    @property
    def digest(self) -> str:
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def run_id(self) -> str:
        """Known before anything starts, the same for the same plan: a start can be asked about, never doubled."""
        return hashlib.sha256(f"{self.slug}|{self.digest}|{self.attempt}".encode()).hexdigest()[:16]

    @property
    def phrase(self) -> str:
        """What the operator types at the second confirmation."""
        return f"{self.slug} {self.audience}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One part of a plan that no longer holds, with both values."""

    part: str
    planned: str
    actual: str

    def __str__(self) -> str:
        return f"{self.part} was {self.planned} in the plan, is {self.actual} now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What a carrier has now, to hold a plan against. None: this carrier can't tell."""

    digests: Mapping[str, str] | None = None
    audience: int | None = None
    host: str | None = None


def compare(plan: Plan, actual: Actual, now: datetime) -> tuple[Difference, ...]:
    """Every way in which `plan` is stale. An empty result means it still holds."""
    found: list[Difference] = []
    if actual.host is not None and actual.host != plan.host:
        found.append(Difference("host", plan.host or "unknown", actual.host or "unknown"))
    if actual.digests is not None:
        for name, part in parts(plan.digests, actual.digests).items():
            planned, now_there = plan.digests.get(name, ""), actual.digests.get(name, "")
            if planned != now_there:
                named = part if part == name else f"{part} ({name})"
                found.append(Difference(named, short(planned), short(now_there)))
    if actual.audience is not None and actual.audience != plan.audience:
        found.append(Difference("audience", f"{plan.audience:,}", f"{actual.audience:,}"))
    if now >= plan.expires_at:
        found.append(Difference("expiry", _say(plan.expires_at), _say(now)))
    if plan.latest_start is not None and now > plan.latest_start:
        found.append(Difference("latest start", _say(plan.latest_start), _say(now)))
    return tuple(found)


def say_stale(differences: Iterable[Difference]) -> str:
    return "The plan is stale: " + "; ".join(map(str, differences)) + ". Run the dry run again and make a new plan."


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _say(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
