"""Starts a run on the host, once; asks about it, pauses, resumes and cancels it.

The host decides: one script claims, checks the plan and starts, under one lock (remote/launch.sh). Here its answer
is put in words, and an answer that was lost is asked for. Nothing here sends a start twice.
"""

import json
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backends.blasthost import attempts, refusals
from backends.blasthost.answers import Session
from backends.blasthost.errors import AuthRefused, HostError, HostKeyRefused
from backends.blasthost.scripts import script, supervisor, with_texts
from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT, check_slug
from opsconsole.hostfacts import RunFact
from opsconsole.observation import Says
from opsconsole.plan import Actual, Plan, compare, say_stale
from opsconsole.policy import Policy
from opsconsole.ports import MaybeStarted, OutOfReach, Refused, RunState, Started, Trouble, Verb
from opsconsole.settings import BlastHost
from opsconsole.wishes import UNCHANGED, Wish

LAUNCH_LIMIT = 60.0  # seconds: ten for the lock, five for the start, the rest for digests of large files
ASK_LIMIT = 20.0
ASK_PAUSES = (0.3, 1.0, 2.0, 4.0, 5.0, 5.0)


def _utcnow() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Launcher:
    """`host` is the name people know the machine by. Blocking; safe to call from several threads."""

    session: Session
    settings: BlastHost
    policy: Policy
    host: str
    now: Callable[[], datetime] = _utcnow
    sleep: Callable[[float], None] = time.sleep

    @property
    def state_dir(self) -> str:
        return self.settings.state_dir.rstrip("/")

    def start(self, plan: Plan, by: str) -> Started:
        """Claim, check the plan on the host, start detached.

        Raises Refused or OutOfReach (nothing was started), Trouble (claimed, and provably not sent), or
        MaybeStarted (nobody could be asked).
        """
        check_slug(plan.slug)
        stale = compare(plan, Actual(), self.now())
        if stale:
            raise Refused(say_stale(stale), "Nothing was started.")
        launch = secrets.token_hex(8)
        text = with_texts("launch", {**_papers(plan, by), "supervisor_text": supervisor()})
        try:
            done = self.session.run(text, *self._arguments(plan, launch), timeout=LAUNCH_LIMIT)
        except HostError as error:
            if not error.may_have_run:
                raise OutOfReach(error.what, "Nothing was started.", error.next_step) from error
            return self._settle(plan, launch, error)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        answer, *values = lines[-1].split(" ") if lines else [""]
        fact = attempts.parse(lines)
        if answer == "REFUSED":
            other = attempts.run_state(plan.slug, fact, self.settings.patterns) if fact else None
            raise refusals.refused(self.host, plan.slug, plan.run_id, lines, values, other, fact)
        if answer == "FAILED" and fact:
            raise refusals.not_started(self.host, plan.slug, fact)
        if answer in ("STARTED", "EXISTS") and fact:
            return self._started(plan, fact, fresh=answer == "STARTED")
        why = Trouble(f"The launcher on {self.host} ended with {done.rc} and no answer.")
        return self._settle(plan, launch, why)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        """The newest run (or that attempt) by the host's records; None when there is none."""
        fact = self._fact(slug, attempt)
        return attempts.run_state(slug, fact, self.settings.patterns) if fact else None

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        """The state of this run; None when there is none, and from now on the host refuses to start it."""
        answer, fact = self._ask(check_slug(slug), run_id, run_id)
        if not answer:
            raise Trouble(
                f"{self.host} did not tell whether run {run_id} of {slug} is there.",
                "It may be starting.",
                "Ask again in a moment.",
            )
        return attempts.run_state(slug, fact, self.settings.patterns) if fact else None

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        """Pause, resume or cancel; the state afterwards. Raises Refused when there is no live run to tell."""
        state, how = self._tell(slug, attempt, verb)
        return state if how == "signal" else self._obeyed(state, verb)

    def steer(self, slug: str, attempt: int, wish: Wish, value: str) -> RunState:
        """Another rate or account; the state once it had time to obey. Raises Refused when it can't be told."""
        state, _ = self._tell(slug, attempt, wish, value)
        for _ in range(10):
            now = state.word.going.rate_limit if wish is Wish.RATE else state.word.going.account
            if now == value or state.says not in (Says.RUNNING, Says.PAUSED):
                break
            self.sleep(0.2)
            state = self.run_state(state.slug, state.attempt) or state
        return state

    def _tell(self, slug: str, attempt: int, what: Verb | Wish, *value: str) -> tuple[RunState, str]:
        """Its state right after it was told, and how that was done: by its control file, or by a `signal`."""
        home = f"{self.state_dir}/{check_slug(slug)}"
        done = self.session.run(script("control"), home, str(attempt), what.value, *value, timeout=ASK_LIMIT)
        lines = done.check(f"{what} {slug}").stdout.decode("utf-8", "replace").splitlines()
        fact = attempts.parse(lines)
        state = attempts.run_state(slug, fact, self.settings.patterns) if fact else None
        if "GONE" in lines or state is None:
            raise refusals.nobody_there(self.host, slug, attempt, what, state)
        if "UNABLE" in lines:
            raise Refused(
                f"The runner of {slug} on {self.host} takes no other {what} while it goes.",
                UNCHANGED,
                "A newer runner does; pause or stop this run if it must not go on so.",
            )
        if "FAILED" in lines:
            raise Trouble(
                f"{self.host} did not let the console {what} {slug}.",
                "The run goes on as it was.",
                "Log in as the account that started it, or ask its owner.",
            )
        return state, "signal" if "DONE signal" in lines else "file"

    def _obeyed(self, state: RunState, verb: Verb) -> RunState:
        """A runner that reads its control file takes a moment to say that it did."""
        wanted = {Verb.PAUSE: (Says.PAUSED,), Verb.RESUME: (Says.RUNNING,), Verb.CANCEL: ()}[verb]
        for _ in range(10):
            if state.says in wanted or state.says in (Says.ENDED, Says.STARTED):
                break
            self.sleep(0.2)
            state = self.run_state(state.slug, state.attempt) or state
        return state

    def _fact(self, slug: str, attempt: int | None) -> RunFact | None:
        home = f"{self.state_dir}/{check_slug(slug)}"
        done = self.session.run(script("state"), home, "-" if attempt is None else str(attempt), timeout=ASK_LIMIT)
        lines = done.check(f"tell the state of {slug}").stdout.decode("utf-8", "replace").splitlines()
        if "DENIED" in lines:
            raise Trouble(
                f"{home} on {self.host} can't be read.",
                "Whether there is a run isn't known.",
                "Let the console's account read it, or use the account that started the run.",
            )
        return attempts.parse(lines)

    def _started(self, plan: Plan, fact: RunFact, *, fresh: bool) -> Started:
        state = attempts.run_state(plan.slug, fact, self.settings.patterns)
        if fact.released:
            raise Refused(
                f"This very run ({plan.run_id}) of {plan.slug} was claimed before and released.",
                "Nothing was started.",
                "Make a new plan for the next attempt.",
            )
        return Started(state=state, fresh=fresh)

    def _settle(self, plan: Plan, launch: str, why: Trouble) -> Started:
        """The answer to a start was lost: found is started; surely absent is refused; else nobody knows."""
        for pause in ASK_PAUSES:
            self.sleep(pause)
            try:
                answer, fact = self._ask(plan.slug, plan.run_id, launch)
            except (HostKeyRefused, AuthRefused):
                break
            except HostError:
                continue
            if answer == "FAILED" and fact:
                raise refusals.not_started(self.host, plan.slug, fact)
            if fact:
                return self._started(plan, fact, fresh=True)
            if answer == "ABSENT":
                raise Refused(
                    f"{why.what} {self.host} has no claim of run {plan.run_id}, and this start can't come late.",
                    "Nothing was started.",
                    "Start it again when the connection is well.",
                )
        raise MaybeStarted(
            f"The answer to the start of {plan.slug} was lost, and {self.host} can't be asked: {why.what}",
            f"Run {plan.run_id} may be going.",
            "Look at the run once the host is in reach; don't start it by other means.",
        )

    def _ask(self, slug: str, run_id: str, void: str) -> tuple[str, RunFact | None]:
        """EXISTS (FAILED: it never will start) and the run's record, ABSENT once `void` is void, or ""."""
        home = f"{self.state_dir}/{slug}"
        done = self.session.run(script("settle"), home, run_id, void, timeout=ASK_LIMIT)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        fact = attempts.parse(lines)
        if fact and lines[-1] in ("EXISTS", "FAILED start"):
            return lines[-1].split(" ")[0], fact
        return ("ABSENT", None) if "ABSENT" in lines and not done.rc else ("", None)

    def _arguments(self, plan: Plan, launch: str) -> list[str]:
        settings = self.settings
        digests = [plan.digests.get(name) or "missing" for name in (TEMPLATE, TEXT, DATA, METADATA)]
        return [
            launch,
            plan.slug,
            str(plan.attempt),
            plan.run_id,
            str(int(self.now().timestamp())),
            str(int(self.policy.clock_refuse)),
            str(self.policy.min_free_disk_mb * 1024),
            plan.host or "-",
            str(int(plan.expires_at.timestamp())),
            str(int(plan.latest_start.timestamp())) if plan.latest_start else "-",
            *digests,
            settings.campaigns_dir.rstrip("/"),
            self.state_dir,
            settings.log_dir.rstrip("/"),
            settings.credentials,
            settings.runner,
            *(argument.replace("{slug}", plan.slug) for argument in settings.send_args),
        ]


def _papers(plan: Plan, by: str) -> dict[str, str]:
    """claim.json (its `at` is stamped by the host, behind the opening brace) and plan.json, one line each."""
    claim = {
        "run_id": plan.run_id,
        "slug": plan.slug,
        "attempt": plan.attempt,
        "by": by,
        "host": socket.gethostname(),
        "plan": plan.digest,
    }
    return {"claim_text": json.dumps(claim)[1:], "plan_text": json.dumps(plan.document())}
