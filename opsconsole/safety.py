"""Plans, confirmations and the rules in front of a send. Pure: asked by the console at every step again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.campaign import Approval, Details
from opsconsole.digests import short
from opsconsole.grounds import Ground, doubtful, strongest
from opsconsole.plan import Actual, Difference, DryRun, Plan, compare, say_stale
from opsconsole.policy import Policy
from opsconsole.ports import Refused
from opsconsole.proof import prove_no_trigger
from opsconsole.schedule import latest_start, say_clocks, say_distance, say_span
from opsconsole.verdict import Verdict

ON_A_MACHINE = {
    "trigger-off": "comment the line out in its table; a copy is kept, and it can be switched on again",
    "trigger-on": "put the line back as it was: from then on it starts by itself, without another question",
}
"""What differs where a trigger is a line of a cron table."""

CONSEQUENCES = {
    "mark": "record that it went out; the dashboard is told, and it can't be sent any more",
    "cancel": "record that it will not be sent, and that nothing will start it; the dashboard is told",
    "settle": "write your decision into the carrier's journal; it sends nothing by itself",
    "send-rest": "send to those who provably got nothing, and to those decided to get it again, under the same run",
    "close": "leave it as it is: whoever is left gets nothing, and nothing more can be sent",
    "release-claim": "give up the claim, if the carrier can prove that nobody was mailed; it can be planned again",
    "break-glass": "do without the second person for this very content, for a short time; others are notified",
    "trigger-off": "take it off its schedule there, so that it doesn't start by itself; it can be put back",
    "trigger-on": "put it back on its schedule: from then on it starts by itself, without another question",
    "stop": "end the run for good: whoever has not been mailed yet gets nothing",
}
"""What an action will do, where that is more than its tooltip says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The two steps before something destructive: `lines` (what will happen), then `phrase` to be typed."""

    action: str
    title: str
    lines: tuple[tuple[str, str], ...]
    phrase: str
    environment: str
    danger: bool
    needs_reason: bool = False
    warnings: tuple[str, ...] = ()

    def check(self, typed: str, reason: str) -> None:
        """Raises Refused unless `typed` is the phrase, and a reason is given where one is asked for."""
        if typed.strip() != self.phrase:
            raise Refused(
                f"Typed was {typed.strip()[:80]!r}, asked for {self.phrase!r}.",
                "Nothing was done.",
                "Type it as shown.",
            )
        if self.needs_reason and not reason.strip():
            raise Refused("No reason was given.", "Nothing was done.", "Say in a few words why.")


def why_no_plan(verdict: Verdict, dry_run: DryRun | None, policy: Policy, now: datetime) -> tuple[str, ...]:
    """Every reason why no plan can be made now; empty when one can."""
    reasons = list(verdict.obstacles)
    content = next((o.content for o in verdict.observations if o.keeps_traces and o.content), None)
    if dry_run is None:
        return (*reasons, "No dry run of it is recorded: run the dry run first.")
    if not dry_run.ok:
        why = dry_run.troubles[0] if dry_run.troubles else dry_run.summary
        reasons.append(f"The last dry run failed: {why}. Mend it and run the dry run again.")
    if now - dry_run.at > policy.dry_run_valid_for:
        reasons.append(
            f"The last dry run is {say_span(now - dry_run.at)} old and counts for "
            f"{say_span(policy.dry_run_valid_for)}: run it again."
        )
    if content is not None and content.digest and content.digest != dry_run.digest:
        changed = _changed(dict(content.digests), dry_run.digests)
        reasons.append(f"The plan is stale: {changed} since the dry run. Run the dry run again.")
    if dry_run.audience is None:
        reasons.append("The last dry run counted nobody: its output names no recipients.")
    return tuple(reasons)


def _changed(now_there: Mapping[str, str], rehearsed: Mapping[str, str]) -> str:
    names = sorted(n for n in {*now_there, *rehearsed} if now_there.get(n, "") != rehearsed.get(n, ""))
    parts = [f"{n} was {short(rehearsed.get(n, ''))}, is {short(now_there.get(n, ''))}" for n in names]
    return ", ".join(parts) + " changed" if parts else "the content changed"


def approval_for(verdict: Verdict, planner: str, policy: Policy) -> Approval | None:
    """The approval a send planned by `planner` rests on: the newest that counts, and with four eyes the newest by
    somebody else. Raises Refused when there is none by anybody else."""
    if not policy.four_eyes:
        return next(iter(verdict.approvals), None)
    found = next((a for a in verdict.approvals if a.alone or not same_person(a.by, planner)), None)
    if found is None and verdict.approvals:
        raise Refused(
            f"{planner} approved it and plans it, and four eyes are asked for here",
            "Nothing was sent",
            "Somebody else must approve it, or plan it",
        )
    return found


def same_person(one: str, other: str) -> bool:
    """Whether two names are one operator's: spelling by case and space doesn't make two of them."""
    return one.strip().casefold() == other.strip().casefold()


def check_switched_on(verdict: Verdict, operator: str, policy: Policy) -> None:
    """Raises Refused where four eyes are asked for and nobody else approved what a line would send by itself."""
    if policy.four_eyes and not verdict.approvals:
        raise Refused(
            "Switched on, it would be sent without an approval, and four eyes are asked for here",
            "Nothing was changed",
            "Somebody else must approve it first",
        )
    approval_for(verdict, operator, policy)


def check_releaser(operator: str, claimers: Collection[str], verdict: Verdict) -> None:
    """Raises Refused unless another than the `claimers` gives the claim back, or glass was broken for it."""
    if not any(same_person(operator, name) for name in claimers) or any(a.alone for a in verdict.approvals):
        return
    raise Refused(
        f"{operator} made this claim, and a second person must release it",
        "The claim stays",
        "Ask somebody else, or an admin to break glass",
    )


def check_undecided(before: Verdict, after: Verdict) -> None:
    """Raises Refused when somebody took a decision between the two looks."""
    known = [(o.source, o.says, o.since) for o in before.observations if o.decided]
    for o in after.observations:
        if o.decided and (o.source, o.says, o.since) not in known:
            raise Refused(
                f"Somebody decided on it meanwhile: it is {after.status}: {after.why}",
                "Nothing was recorded",
                "Look at it again, then decide anew",
            )


def make_plan(
    verdict: Verdict,
    dry_run: DryRun | None,
    *,
    policy: Policy,
    environment: str,
    host: str,
    operator: str,
    now: datetime,
) -> Plan:
    """Freeze what will be sent. Raises Refused with every reason when it can't be sent."""
    reasons = why_no_plan(verdict, dry_run, policy, now)
    if reasons or dry_run is None or dry_run.audience is None:
        raise Refused(" ".join(_sentence(reason) for reason in reasons), "No plan was made; nothing was sent.")
    approval_for(verdict, operator, policy)
    details = verdict.details
    return Plan(
        slug=verdict.slug,
        environment=environment,
        carrier=dry_run.carrier,
        host=host,
        digests=dict(dry_run.digests),
        audience=dry_run.audience,
        subject=details.subject,
        due=details.due.instant if details.due else None,
        latest_start=_latest(details, policy),
        window=f"{details.window} {details.zone}" if details.window else "",
        dry_run_seq=dry_run.seq,
        dry_run_at=dry_run.at,
        rendered=dry_run.rendered,
        planned_by=operator,
        created_at=now,
        expires_at=now + policy.plan_valid_for,
        attempt=next_attempt(verdict, dry_run.carrier),
    )


def check_plan(
    plan: Plan, verdict: Verdict, dry_run: DryRun | None, host: str, policy: Policy, now: datetime
) -> None:
    """The last look in the core, just before the intent is recorded. Raises Refused when anything moved."""
    content = next((o.content for o in verdict.observations if o.keeps_traces and o.content), None)
    # The host counts rows, the dry run people: it leaves out who is there twice and who is suppressed.
    repeated = dry_run.duplicates + dry_run.suppressed if dry_run else 0
    people = content.rows - repeated if content and content.rows_exact and content.rows is not None else None
    actual = Actual(digests=dict(content.digests) if content else None, audience=people, host=host)
    differences = list(compare(plan, actual, now))
    if (attempt := next_attempt(verdict, plan.carrier)) != plan.attempt:
        differences.append(Difference("attempt", str(plan.attempt), str(attempt)))
    due = verdict.details.due.instant if verdict.details.due else None
    if due != plan.due:
        differences.append(Difference("due time", _instant(plan.due), _instant(due)))
    if differences:
        reasons: tuple[str, ...] = (say_stale(differences), *verdict.obstacles)
    else:
        reasons = why_no_plan(verdict, dry_run, policy, now)
    if reasons:
        raise Refused(" ".join(_sentence(reason) for reason in reasons), "Nothing was sent.")
    approval_for(verdict, plan.planned_by, policy)


def _instant(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC" if instant else "not known"


def check_environment(plan: Plan, environment: str) -> None:
    """Raises Refused for a plan of another environment: it was confirmed for other systems than are asked here."""
    if plan.environment != environment:
        raise Refused(
            f"The plan is of {plan.environment}, and this console is in {environment}.",
            "Nothing was sent.",
            "Choose that environment, or rehearse and plan it in this one.",
        )


def next_attempt(verdict: Verdict, carrier: str) -> int:
    """The attempt a new run would claim on this carrier: one more than those that were released."""
    return next((o.next_attempt for o in verdict.observations if o.source == carrier), 1)


def confirm_send(
    plan: Plan,
    details: Details,
    *,
    where: str,
    danger: bool,
    now: datetime,
    local_zone: str,
    warnings: tuple[str, ...],
    approval: Approval | None = None,
) -> Confirmation:
    """What the operator reads and types before `plan` is sent. `where` is read from the live connection."""
    return Confirmation(
        action="send",
        title=f"Send {plan.slug} to {plan.audience:,} people",
        lines=(
            ("campaign", f"{plan.slug}  {details.name}".strip()),
            ("subject", plan.subject),
            ("recipients", f"{plan.audience:,}"),
            ("host", f"{where} ({plan.carrier})") if plan.carrier not in where else ("sent by", where),
            ("environment", plan.environment),
            ("now", say_clocks(now, details.zone, local_zone)),
            (
                "due",
                f"{say_clocks(plan.due, details.zone, local_zone)}, {say_distance(plan.due, now)}"
                if plan.due
                else "–",
            ),
            ("window", plan.window or "any time"),
            ("approved", say_approval(approval, now)),
            ("dry run", f"{say_span(now - plan.dry_run_at)} ago, record {plan.dry_run_seq}"),
            ("plan", f"{short(plan.digest)}, good for {say_span(plan.expires_at - now)}"),
        ),
        phrase=plan.phrase,
        environment=plan.environment,
        danger=danger,
        warnings=warnings,
    )


def say_approval(approval: Approval | None, now: datetime) -> str:
    """`by ana, good for 23 h`, `by nobody else: glass was broken by mara, good for 12 min`."""
    if approval is None:
        return "by nobody"
    until = f", good for {say_span(approval.expires - now)}" if approval.expires else ""
    by = f"by nobody else: glass was broken by {approval.by}" if approval.alone else f"by {approval.by}"
    return by + until


def confirm_decision(
    action: str,
    title: str,
    verdict: Verdict,
    *,
    consequence: str,
    environment: str,
    danger: bool,
    needs_reason: bool,
    rows: int | None = None,
    lines: tuple[tuple[str, str], ...] = (),
    warnings: tuple[str, ...] = (),
) -> Confirmation:
    """The confirmation of a destructive decision other than a send. `rows` are the recipients it is about, where
    that isn't all of them; `lines` and `warnings` are what it rests on."""
    about = verdict.audience if rows is None else rows
    number = f" {about}" if about is not None else ""
    concerned = (("it concerns", f"{rows:,} of them"),) if rows is not None else ()
    return Confirmation(
        action=action,
        title=title,
        lines=(
            ("campaign", f"{verdict.slug}  {verdict.details.name}".strip()),
            ("recipients", f"{verdict.audience:,}" if verdict.audience is not None else "not known"),
            *concerned,
            ("it is", f"{verdict.status}: {verdict.why}"),
            ("environment", environment),
            ("this will", consequence),
            *lines,
        ),
        phrase=f"{verdict.slug}{number}",
        environment=environment,
        danger=danger,
        needs_reason=needs_reason,
        warnings=warnings,
    )


def rests_on(
    action: str, verdict: Verdict, evidence: Sequence[Ground] | None, now: datetime
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """What a decision rests on, as lines of its confirmation, and the warnings of it. Raises Refused where that
    isn't enough: to call off a campaign that something can still start."""
    if action == "mark":
        chosen = strongest(verdict, now) if evidence is None else evidence
        zone, doubt = verdict.details.zone, doubtful(chosen, verdict, now)
        lines = tuple(("rests on", ground.say(zone, now)) for ground in chosen)
        return lines or (("rests on", "nothing but your word"),), (doubt,) if doubt else ()
    if action == "cancel":
        return tuple(("nothing left", line) for line in prove_no_trigger(verdict, now).say(now)), ()
    return (), ()


def _latest(details: Details, policy: Policy) -> datetime | None:
    if details.latest_start or details.due is None:
        return details.latest_start
    return latest_start(details.due, details.window, policy.latest_start_after)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
