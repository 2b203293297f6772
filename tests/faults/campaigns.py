"""Campaigns made at random, what befalls each, and the oracle that holds them against what really was delivered."""

import fcntl
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from opsconsole.campaign import Approval
from opsconsole.digests import content_digest
from opsconsole.observation import Hold, Says
from opsconsole.plan import Plan
from opsconsole.ports import Doubt, Fate, RunState, Trouble
from tests.faults.desk import CARRIER, Desk, utc_now
from tests.faults.shellhost import ConsoleDied, ShellHost
from tests.support.blasthost import BlastTree
from tests.support.sshd import descendants

BARRED = ("unapproved", "self-approved", "approval expired", "held", "too late")
FAULTS = (
    "nothing",
    "runner killed",
    "supervisor killed",
    "both killed",
    "runner stopped",
    "paused",
    "cancelled",
    "reply",
    "upload",
    "dial",
    "console",
    "console before",
)
LINKS = ("reply", "upload", "dial", "console", "console before")
REFUSED, LATE, DOUBTED = "-550@", "-450x1@", "-cutdot@"
AGREED = "everybody has it, once"


@dataclass
class Case:
    """One campaign. `barred` is why nothing may be sent, "" when it may; `fault` befalls its send once `after` of
    its mails are out; `cron` starts it as well; `heals` says that somebody looks after what is left."""

    slug: str
    people: list[str]
    barred: str
    fault: str
    after: int
    consoles: int
    own_plans: bool
    cron: bool
    heals: bool
    fired: bool = False
    wrong: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ended_as: str = ""

    @classmethod
    def drawn(cls, slug: str, draw: random.Random) -> "Case":
        kinds = ["@"] * 16 + [REFUSED, LATE, DOUBTED, "-cutrcptx1@"]
        people = [f"{slug}.{n}{draw.choice(kinds)}example.com" for n in range(draw.randrange(1, 50))]
        barred = draw.choice(BARRED) if draw.random() < 0.2 else ""
        return cls(
            slug=slug,
            people=people,
            barred=barred,
            fault="nothing" if barred else draw.choice(FAULTS),
            after=draw.randrange(0, len(people)),
            consoles=draw.choice([1, 1, 2]),
            own_plans=draw.random() < 0.5,
            cron=draw.random() < 0.25 and barred in ("", "held"),
            heals=draw.random() < 0.8,
        )

    @property
    def reachable(self) -> set[str]:
        return {address for address in self.people if REFUSED not in address}

    def __str__(self) -> str:
        return (
            f"{self.slug}: {len(self.people)} rows, {self.barred or 'approved'}, {self.fault} after {self.after}, "
            f"{self.consoles} consoles, cron={self.cron}, heals={self.heals}: ended as {self.ended_as}"
        )


@dataclass
class Ground:
    """What all campaigns share. `delivered` gives how often each of these people was mailed."""

    tree: BlastTree
    settings: Any
    store: Any
    delivered: Callable[[list[str]], Counter[str]]
    cron: Callable[[str], object]

    def desk(self, operator: str, *, later: bool = False) -> Desk:
        """A console; `later` opens one when nobody can be starting anything any more."""
        clock = (lambda: utc_now() + timedelta(minutes=3)) if later else utc_now
        session = ShellHost(env={"MAIL_BLAST_RETRY_BASE": "0.2"})
        return Desk(self.tree.root, operator, session, self.settings, store=self.store, clock=clock, haste=20.0)

    def state(self, slug: str) -> RunState | None:
        return self.desk("looker").carrier.run_state(slug)


def play(case: Case, ground: Ground) -> None:
    """Send it as it was drawn, let it befall, look after what is left, and hold it against the oracle."""
    folder = ground.tree.campaign(case.slug, recipients=0)
    (folder / "blast_data.csv").write_text("email,name\n" + "".join(f"{who},N\n" for who in case.people))
    ana = ground.desk("ana")
    plans = [_plan(case, ground, f"op{n if case.own_plans else 0}") for n in range(case.consoles)]
    approvals = [_approval(case, ana, plan) for plan in plans]
    if case.barred == "held":
        ana.carrier.put_hold(case.slug, Hold(scope=case.slug, by="ana", at=utc_now(), reason="wait"))
    starters = [
        threading.Thread(target=_start, args=(case, ground.desk(f"op{n}"), plan, approval))
        for n, (plan, approval) in enumerate(zip(plans, approvals, strict=True))
    ]
    if case.cron:
        starters.append(threading.Thread(target=ground.cron, args=(case.slug,)))
    gremlin = threading.Thread(target=_befall, args=(case, ground))
    for thread in [*starters, gremlin]:
        thread.start()
    for thread in [*starters, gremlin]:
        thread.join(90)
        if thread.is_alive():
            case.wrong.append("somebody still waits")
    _rest(case, ground)
    looker = ground.desk("ben", later=True)
    looker.runs.reconcile()
    if case.heals and not case.barred:
        _heal(case, ground, looker)
    _judge(case, ground, looker)


def _plan(case: Case, ground: Ground, operator: str, attempt: int = 1) -> Plan:
    late = utc_now() - timedelta(minutes=1)
    return ground.tree.plan(
        case.slug,
        audience=len(case.people),
        carrier=CARRIER,
        planned_by=operator,
        attempt=attempt,
        **({"latest_start": late} if case.barred == "too late" else {}),
    )


def _approval(case: Case, ana: Desk, plan: Plan) -> Approval | None:
    if case.barred == "unapproved":
        return None
    by = plan.planned_by if case.barred == "self-approved" else "ana"
    expires = utc_now() + timedelta(hours=-1 if case.barred == "approval expired" else 1)
    return Approval(by=by, at=utc_now(), digest=content_digest(plan.digests), expires=expires)


def _start(case: Case, desk: Desk, plan: Plan, approval: Approval | None) -> None:
    if case.fault in LINKS:
        desk.session.when = b"claim_text()"
        desk.session.lose = [case.fault]
    try:
        desk.runs.start(plan, approval=approval)
    except Trouble as error:
        case.said.append(str(error))
    except ConsoleDied:
        case.said.append("the console died")
    case.fired |= desk.session.fired > 0


def _befall(case: Case, ground: Ground) -> None:
    """What happens on the host, as soon as so many mails are out."""
    if case.barred or case.fault in LINKS or case.fault == "nothing":
        case.fired |= bool(case.barred)
        return
    end = time.monotonic() + 8
    while ground.delivered(case.people).total() < case.after or not (owner := _owner(case, ground)):
        if time.monotonic() > end or _over(case, ground):
            return
        time.sleep(0.01)
    below = descendants(owner)
    victims = {
        "runner killed": below,
        "supervisor killed": [owner],
        "both killed": [owner, *below],
        "runner stopped": below,
    }.get(case.fault, [])
    kind = signal.SIGSTOP if case.fault == "runner stopped" else signal.SIGKILL
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, kind)
            case.fired = True
    if case.fault == "runner stopped":
        time.sleep(0.5)
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    if case.fault in ("paused", "cancelled"):
        word = "pause" if case.fault == "paused" else "cancel"
        (ground.tree.run_folder(case.slug) / "control").write_text(f"{word}\n")
        case.fired = True
        if word == "pause":
            time.sleep(0.4)
            (ground.tree.run_folder(case.slug) / "control").write_text("run\n")


def _over(case: Case, ground: Ground) -> bool:
    return (ground.tree.run_folder(case.slug) / "finished").exists()


def _owner(case: Case, ground: Ground) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int((ground.tree.run_folder(case.slug) / "owner").read_text().split()[0])
    return 0


def _rest(case: Case, ground: Ground) -> RunState | None:
    """Waits until nothing of it runs any more: until its lock is free. The state it came to."""
    end = time.monotonic() + 60
    while _runs(ground.tree.runs / case.slug / "lock"):
        if time.monotonic() > end:
            case.wrong.append("it never came to rest")
            break
        time.sleep(0.1)
    return ground.state(case.slug)


def _runs(lock: Path) -> bool:
    """Whether anybody holds the lock; the runner holds it too, and so goes on without its supervisor."""
    with suppress(FileNotFoundError), lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _heal(case: Case, ground: Ground, ben: Desk) -> None:
    """A person looks: at the journal, at the sink, and decides as the sink says."""
    for _ in range(4):
        state = _rest(case, ground)
        if state is None or state.says is Says.NOTHING:
            return
        try:
            if state.says is Says.CLAIMED:
                ben.mending.release_claim(state, CARRIER, "nobody got it")
                plan = _plan(case, ground, "op0", state.attempt + 1)
                ben.runs.start(plan, approval=_approval(case, ben, plan) if case.barred else _of_ana(plan))
                continue
            doubt = ben.mending.doubt(case.slug, CARRIER)
            if doubt.unknown_total:
                fates = {u.row: _fate(case, ground, u.row) for u in doubt.unknown}
                doubt = ben.mending.settle(doubt, CARRIER, fates, "as the mail server says")
            if not doubt.unsent and state.says is Says.ENDED:
                return
            if not doubt.unsent:
                return
            ben.mending.send_rest(doubt, CARRIER, "the rest")
        except Trouble as error:
            case.wrong.append(f"healing: {error}")
            return


def _of_ana(plan: Plan) -> Approval:
    expires = utc_now() + timedelta(hours=1)
    return Approval(by="ana", at=utc_now(), digest=content_digest(plan.digests), expires=expires)


def _fate(case: Case, ground: Ground, row: int) -> Fate:
    return Fate.SENT if ground.delivered([case.people[row - 1]]).total() else Fate.RESEND


def _judge(case: Case, ground: Ground, looker: Desk) -> None:
    """Jepsen's total-queue and unique-ids: nobody twice, nobody missing without a name, nobody extra."""
    state = _rest(case, ground)
    looker.runs.reconcile()
    mailed = ground.delivered(case.people)
    twice = [who for who, times in mailed.items() if times > 1]
    if twice:
        case.wrong.append(f"{len(twice)} were mailed twice")
    if case.barred:
        case.ended_as = "nothing"
        if mailed.total() or ground.tree.attempts(case.slug):
            case.wrong.append(f"{mailed.total()} were mailed, claims {ground.tree.attempts(case.slug)}")
        return
    if state is None or state.says is Says.NOTHING:
        case.ended_as = "not started"
        if mailed.total() or case.fault not in LINKS:
            case.wrong.append(f"no run, {mailed.total()} mails; it was said: {case.said}")
    else:
        _judge_run(case, looker, state, mailed)
    open_intents = [r for r in ground.store.unresolved() if r.campaign == case.slug]
    if open_intents and (state is None or state.says not in (Says.STARTED, Says.CLAIMED)):
        case.wrong.append(f"intents left open: {[r.action for r in open_intents]}")


def _judge_run(case: Case, looker: Desk, state: RunState, mailed: Counter[str]) -> None:
    if state.says is Says.CLAIMED:
        case.ended_as = "CLAIMED"
        if mailed:
            case.wrong.append("claimed only, and yet somebody was mailed")
        return
    try:
        doubt: Doubt = looker.mending.doubt(case.slug, CARRIER)
    except Trouble as error:
        case.wrong.append(f"nothing can be told of it: {error}")
        return
    counts, total = doubt.counts, len(case.people)
    sums = counts.accepted + counts.failed + doubt.unknown_total + doubt.unsent
    if not counts.accepted <= len(mailed) <= counts.accepted + doubt.unknown_total:
        case.wrong.append(f"{len(mailed)} mailed, told {counts} and {doubt.unknown_total} unknown")
    if sums != total:
        case.wrong.append(f"{sums} of {total} people told of: {counts}, {doubt.unsent} unsent")
    if state.says is Says.STARTED:
        case.ended_as = "IN DOUBT"
    elif doubt.unsent or doubt.unknown_total:
        case.ended_as = "PARTIAL"
    else:
        case.ended_as = AGREED
    if (case.ended_as == AGREED or case.heals) and set(mailed) != case.reachable:
        case.wrong.append(f"{len(case.reachable - set(mailed))} never got it")
