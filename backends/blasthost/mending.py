"""What a person may do about a run that didn't come to a good end: give its claim up, or send the rest of it.

The host decides, under the locks that a start takes (remote/release.sh, remote/rest.sh); here its answer is put in
words. Nothing is sent twice: the rest goes out under the run's own id, and the runner's journal says who is left.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backends.blasthost import attempts, refusals
from backends.blasthost.answers import Session
from backends.blasthost.errors import AuthRefused, HostError, HostKeyRefused
from backends.blasthost.launcher import ASK_LIMIT, ASK_PAUSES, LAUNCH_LIMIT
from backends.blasthost.scripts import script, supervisor, with_texts
from opsconsole.campaign import check_slug
from opsconsole.hostfacts import RunFact
from opsconsole.policy import Policy
from opsconsole.ports import MaybeStarted, OutOfReach, Refused, RunState, Started, Trouble
from opsconsole.settings import BlastHost


@dataclass(frozen=True)
class Mender:
    """`host` is the name people know the machine by. Blocking; safe to call from several threads."""

    session: Session
    settings: BlastHost
    policy: Policy
    host: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep

    @property
    def _state_dir(self) -> str:
        return self.settings.state_dir.rstrip("/")

    def release(self, slug: str, attempt: int, run_id: str, by: str, reason: str) -> RunState:
        """Give up a claim under which provably nothing was sent; `run_id` is "" for a claim that tells none.

        Raises Refused when that isn't proven. Repeating is harmless.
        """
        home = f"{self._state_dir}/{check_slug(slug)}"
        paper = json.dumps({"by": by, "reason": reason, "run_id": run_id})[1:]
        text = with_texts("release", {"released_text": paper})
        try:
            done = self.session.run(text, home, str(attempt), run_id, timeout=ASK_LIMIT)
        except HostError as error:
            if not error.may_have_run:
                raise OutOfReach(error.what, "Nothing was released.", error.next_step) from error
            raise _unanswered("release", slug, error.what) from error
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        answer, code, *_ = [*(lines[-1] if lines else "").split(" "), "", ""]
        fact = attempts.parse(lines)
        state = attempts.run_state(slug, fact, self.settings.patterns) if fact else None
        if answer == "RELEASED" and state:
            return state
        if answer == "REFUSED":
            raise refusals.not_released(self.host, slug, attempt, code, state, fact)
        raise _unanswered("release", slug, f"The script on {self.host} ended with {done.rc} and no answer.")

    def send_rest(self, slug: str, attempt: int, run_id: str, by: str) -> Started:
        """Start the supervisor again in the same attempt, its runner told to resume.

        Raises Refused, OutOfReach or Trouble (this start sends nothing), or MaybeStarted (nobody could be asked).
        """
        check_slug(slug)
        if self.settings.runner_kind != "mail-blast-runner":
            raise refusals.no_journal(self.host)
        launch = secrets.token_hex(8)
        text = with_texts("rest", {"supervisor_text": supervisor()})
        try:
            done = self.session.run(text, *self._arguments(slug, attempt, run_id, by, launch), timeout=LAUNCH_LIMIT)
        except HostError as error:
            if not error.may_have_run:
                raise OutOfReach(error.what, refusals.NOTHING, error.next_step) from error
            return self._settle(slug, attempt, launch, error)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        answer, *values = lines[-1].split(" ") if lines else [""]
        fact = attempts.parse(lines)
        if answer == "REFUSED":
            other = attempts.run_state(slug, fact, self.settings.patterns) if fact else None
            raise refusals.refused(self.host, slug, run_id, lines, values, other, fact)
        if answer == "FAILED" and fact:
            raise refusals.rest_not_started(self.host, slug, fact)
        if answer in ("STARTED", "EXISTS") and fact:
            return self._started(slug, fact, fresh=answer == "STARTED")
        why = Trouble(f"The script on {self.host} ended with {done.rc} and no answer.")
        return self._settle(slug, attempt, launch, why)

    def _started(self, slug: str, fact: RunFact, *, fresh: bool) -> Started:
        return Started(state=attempts.run_state(slug, fact, self.settings.patterns), fresh=fresh)

    def _settle(self, slug: str, attempt: int, launch: str, why: Trouble) -> Started:
        """The answer was lost: found is started; surely not coming is refused; else nobody knows."""
        folder = f"{self._state_dir}/{slug}/{attempt}"
        for pause in ASK_PAUSES:
            self.sleep(pause)
            try:
                done = self.session.run(script("settle_rest"), folder, launch, timeout=ASK_LIMIT)
            except (HostKeyRefused, AuthRefused):
                break
            except HostError:
                continue
            lines = done.stdout.decode("utf-8", "replace").splitlines()
            fact = attempts.parse(lines)
            if fact and lines[-1] == "EXISTS":
                return self._started(slug, fact, fresh=True)
            if lines and lines[-1] == "ABSENT" and not done.rc:
                raise Refused(
                    f"{why.what} {self.host} has no such start of the rest of {slug}, and it can't come late.",
                    refusals.NOTHING,
                    "Send the rest again when the connection is well.",
                )
        raise MaybeStarted(
            f"The answer to the rest of {slug} was lost, and {self.host} can't be asked: {why.what}",
            f"Attempt {attempt} may be going on.",
            "Look at the run once the host is in reach; don't start it by other means.",
        )

    def _arguments(self, slug: str, attempt: int, run_id: str, by: str, launch: str) -> list[str]:
        settings = self.settings
        return [
            launch,
            slug,
            str(attempt),
            run_id,
            str(int(self.now().timestamp())),
            str(int(self.policy.clock_refuse)),
            str(self.policy.min_free_disk_mb * 1024),
            settings.campaigns_dir.rstrip("/"),
            self._state_dir,
            settings.log_dir.rstrip("/"),
            settings.credentials,
            json.dumps(by),
            settings.runner,
            *(argument.replace("{slug}", slug) for argument in settings.rest_args),
        ]


def _unanswered(verb: str, slug: str, why: str) -> Trouble:
    return Trouble(
        f"The answer to the {verb} of {slug} was lost: {why}",
        "It may have been done; nothing was sent.",
        "Do it again: repeating is harmless.",
    )
