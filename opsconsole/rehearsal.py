"""Pre-flight, dry run and plan on behalf of the console: gather, judge, record."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from opsconsole.audit.records import Event, Record
from opsconsole.audit.store import AuditStore
from opsconsole.digests import content_digest
from opsconsole.observation import Says
from opsconsole.plan import DryRun, Plan
from opsconsole.ports import Facts, Refused, Trouble
from opsconsole.preflight.check import Earlier, Outcome, Result, Situation
from opsconsole.preflight.run import run_checks
from opsconsole.safety import make_plan, why_no_plan
from opsconsole.schedule import say_span
from opsconsole.verdict import Verdict

if TYPE_CHECKING:
    from opsconsole.console import Console


def preflight(console: "Console", verdict: Verdict) -> Iterator[Result]:
    """Every check's result as it comes; a record of all of them once the last one has been taken."""
    carrier = console.carrier_of(verdict.slug)
    facts: Facts | None = None
    blind = ""
    try:
        facts = carrier.preflight_facts(verdict.slug)
    except Trouble as error:
        blind = str(error)
    situation = Situation(
        slug=verdict.slug,
        now=console.clock(),
        environment=console.environment,
        carrier=carrier.name,
        facts=facts,
        blind=blind,
        details=verdict.details,
        approval=verdict.approval,
        policy=console.policy,
        settings=console.host_settings(carrier.name),
        observations=verdict.observations,
        runs=_earlier(console, verdict.slug),
        holds=tuple(h for o in verdict.observations for h in o.holds),
    )
    results = []
    for result in run_checks(situation, carrier.checks()):
        results.append(result)
        yield result
    if not console.read_only and not console.store_trouble:
        console.store().note(_record_of(console, verdict.slug, results, _judged_digest(facts)))


def _judged_digest(facts: Facts | None) -> str:
    """The content the checks looked at, which may be newer than what the board knows."""
    if facts is None:
        return ""
    return content_digest(facts.digests)


def _record_of(console: "Console", slug: str, results: list[Result], digest: str) -> Event:
    return console.identity.event(
        "preflight",
        slug,
        digest=digest,
        outcomes=dict(Counter(str(r.outcome) for r in results)),
        blocking=[f"{r.check_id}: {r.says}" for r in results if r.blocks],
        failed=[f"{r.check_id}: {r.says}" for r in results if r.outcome is Outcome.FAIL],
    )


def preflight_obstacles(console: "Console", verdict: Verdict) -> str:
    """Why the last pre-flight in this environment doesn't allow a send; "" when it does."""
    here, policy, now = console.identity.environment, console.policy, console.clock()
    records = console.store().search(campaign=verdict.slug, action="preflight", environment=here, limit=1)
    if not records:
        return "No pre-flight of it is recorded: run the pre-flight first."
    last = records[0]
    if now - last.utc > policy.dry_run_valid_for:
        return (
            f"The last pre-flight is {say_span(now - last.utc)} old and counts for "
            f"{say_span(policy.dry_run_valid_for)}: run it again."
        )
    if last.detail.get("digest") != _content_digest(verdict):
        return "The content changed since the last pre-flight: run it again."
    blocking = last.detail.get("blocking")
    if isinstance(blocking, list) and blocking:
        return "The last pre-flight forbids it: " + "; ".join(str(line) for line in blocking)
    return ""


def dry_run(
    console: "Console", verdict: Verdict, on_output: Callable[[bytes], None], stop: threading.Event
) -> DryRun:
    """Rehearse on the carrier and record what came of it. Raises Trouble when it could not be run."""
    result = console.carrier_of(verdict.slug).dry_run(verdict.slug, on_output, stop)
    event = console.identity.event(
        "dry-run",
        verdict.slug,
        at=result.at.isoformat(),
        carrier=result.carrier,
        ok=result.ok,
        digests=dict(result.digests),
        audience=result.audience,
        refused=result.refused,
        duplicates=result.duplicates,
        suppressed=result.suppressed,
        rendered=result.rendered,
        duration_s=result.duration_s,
        summary=result.summary,
        troubles=list(result.troubles),
    )
    record = console.store().note(event)
    console.watch.refresh((result.carrier, "console"))
    # As recorded, with the sample beside it: a person's letter is shown, and not kept.
    recorded = _dry_run_of(record) or result
    return replace(
        recorded,
        sample=result.sample,
        largest=result.largest,
        probe=result.probe,
        duration_s=result.duration_s,
    )


def last_dry_run(store: AuditStore, slug: str, environment: str) -> DryRun | None:
    records = store.search(campaign=slug, action="dry-run", environment=environment, limit=1)
    return _dry_run_of(records[0]) if records else None


def why_no_send(console: "Console", verdict: Verdict) -> tuple[str, ...]:
    """Every reason why no plan can be made now; empty when one can."""
    obstacles = preflight_obstacles(console, verdict)
    reasons = why_no_plan(verdict, console.last_dry_run(verdict.slug), console.policy, console.clock())
    return tuple(reason for reason in (obstacles, *reasons) if reason)


def plan(console: "Console", verdict: Verdict) -> Plan:
    """Freeze what the last dry run rehearsed, and record it. Raises Refused with every reason against it."""
    if obstacles := preflight_obstacles(console, verdict):
        raise Refused(obstacles, "No plan was made; nothing was sent.")
    identity = console.identity
    made = make_plan(
        verdict,
        console.last_dry_run(verdict.slug),
        policy=console.policy,
        environment=console.environment,
        host=console.machine(console.carrier_of(verdict.slug).name),
        operator=identity.operator,
        now=console.clock(),
    )
    event = identity.event("plan", made.slug, made.run_id, plan=made.document(), digest=made.digest)
    console.store().note(event)
    return made


def plan_of(console: "Console", slug: str, digest: str) -> Plan:
    """The plan recorded in this environment whose digest begins with `digest` (at least 12 digits)."""
    here = console.identity.environment
    for record in console.store().search(campaign=slug, action="plan", environment=here, limit=50):
        if len(digest) >= 12 and str(record.detail.get("digest", "")).startswith(digest):
            document = record.detail.get("plan")
            if isinstance(document, Mapping):
                return Plan.from_document(document)
    raise Refused(
        f"No plan {digest[:12]!r} of {slug} is recorded.",
        "Nothing was sent.",
        "Run the dry run; it names the plan.",
    )


def _dry_run_of(record: Record) -> DryRun | None:
    detail = record.detail
    digests, troubles, audience = detail.get("digests"), detail.get("troubles"), detail.get("audience")
    rendered = detail.get("rendered")
    if not isinstance(digests, Mapping):
        return None
    return DryRun(
        slug=record.campaign,
        carrier=str(detail.get("carrier", "")),
        at=datetime.fromisoformat(str(detail["at"])),
        ok=detail.get("ok") is True,
        digests={str(name): str(digest) for name, digest in digests.items()},
        audience=audience if isinstance(audience, int) else None,
        refused=_number(detail.get("refused")),
        duplicates=_number(detail.get("duplicates")),
        suppressed=_number(detail.get("suppressed")),
        rendered=rendered if isinstance(rendered, int) else None,
        summary=str(detail.get("summary", "")),
        troubles=tuple(str(t) for t in troubles) if isinstance(troubles, list) else (),
        seq=record.seq,
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _content_digest(verdict: Verdict) -> str:
    return next((o.content.digest for o in verdict.observations if o.keeps_traces and o.content), "")


def _earlier(console: "Console", slug: str) -> tuple[Earlier, ...]:
    """The runs of this campaign in the console's own records. A broken store gives none: it blocks by itself."""
    if console.store_trouble:
        return ()
    here = console.identity.environment
    sends = console.store().search(campaign=slug, action="send", environment=here, limit=40)
    settled = {record.ref for record in sends if record.ref}
    return tuple(
        Earlier(
            where=f"audit record {record.seq}",
            says=Says.ENDED if record.detail.get("result") == "ended" else Says.STARTED,
            at=record.utc,
            run_id=record.run,
        )
        for record in sends
        if record.detail.get("result") != "not-started" and record.seq not in settled
    )
