"""The DynamoDB + SQS + SES pipeline as the console's source and carrier. Each topic has a module of its own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

from backends.serverless.aws import Aws
from backends.serverless.pipe import Pipe
from backends.serverless.queueing import Queueing
from backends.serverless.source import PipelineSource
from opsconsole.observation import Report
from opsconsole.plan import DryRun, Plan
from opsconsole.ports import (
    Access,
    Doubt,
    Facts,
    Fates,
    Followed,
    Operated,
    Operation,
    RunState,
    Started,
    Surroundings,
    Told,
    Trouble,
    Verb,
)
from opsconsole.settings import Serverless

if TYPE_CHECKING:
    from opsconsole.preflight.check import Check


class ServerlessBackend:
    """One pipeline of the configuration. Making it asks nothing and needs nothing; the first call does."""

    def __init__(self, name: str, settings: Serverless, around: Surroundings) -> None:
        self.name = name
        self._pipe = Pipe(name, Aws(settings), settings, around)
        self._source = PipelineSource(self._pipe)
        self._queueing = Queueing(self._pipe)
        self._identity = ""

    # -- looking ---------------------------------------------------------------------------------------------
    def observe(self) -> Report:
        report = self._source.observe()
        if not self._identity and not report.trouble:
            try:
                self._identity = self._pipe.identity()
            except Trouble as trouble:
                # A send is bound to it; what was seen is true all the same.
                finding = f"Which account it is isn't known. {trouble}"
                return replace(report, findings=(*report.findings, finding))
        return report

    def identity(self) -> str:
        """Account, region and table, by the newest look; "" before the first."""
        return self._identity

    def inspect(self) -> tuple[Told, ...]:
        from backends.serverless.inspecting import inspect

        return inspect(self._pipe)

    def access(self) -> tuple[Access, ...]:
        from backends.serverless.inspecting import access

        return access(self._pipe, self._pipe.now())

    # -- before a send ---------------------------------------------------------------------------------------
    def preflight_facts(self, slug: str) -> Facts:
        from backends.serverless.facts import gather

        return gather(self._pipe, slug)

    def checks(self) -> "Sequence[Check[Any]]":
        from backends.serverless.checks import CHECKS

        return CHECKS

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: Event) -> DryRun:
        from backends.serverless.rehearsal import dry_run

        return dry_run(self._pipe, slug, on_output, stop)

    # -- a run -----------------------------------------------------------------------------------------------
    def start(self, plan: Plan, by: str) -> Started:
        from backends.serverless.starting import start

        return start(self._pipe, self._queueing, plan, by)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        from backends.serverless.state import run_state

        return run_state(self._pipe, slug, attempt)

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        from backends.serverless.state import give_up

        return give_up(self._pipe, slug, run_id)

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Event
    ) -> Followed:
        from backends.serverless.following import follow

        return follow(self._pipe, self._queueing, slug, attempt, offset, on_output, stop)

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        from backends.serverless.signals import signal

        return signal(self._pipe, slug, attempt, verb)

    # -- after a run that broke ------------------------------------------------------------------------------
    def doubt(self, slug: str, attempt: int) -> Doubt:
        from backends.serverless.doubts import doubt

        return doubt(self._pipe, slug, attempt)

    def decide(self, slug: str, attempt: int, run_id: str, fates: Fates, by: str) -> Doubt:
        from backends.serverless.doubts import decide

        return decide(self._pipe, slug, attempt, run_id, fates, by)

    def send_rest(self, slug: str, attempt: int, run_id: str, by: str) -> Started:
        from backends.serverless.doubts import send_rest

        return send_rest(self._pipe, self._queueing, slug, attempt, run_id, by)

    # -- beyond a run ----------------------------------------------------------------------------------------
    def operations(self, slug: str = "") -> tuple[Operation, ...]:
        from backends.serverless.operations import operations

        return operations(self._pipe, slug)

    def operate(
        self, operation: Operation, value: str, by: str, on_output: Callable[[bytes], None], stop: Event
    ) -> Operated:
        from backends.serverless.operations import operate

        return operate(self._pipe, operation, value, by, on_output, stop)

    def close(self) -> None:
        """Wait for what is being queued, then let go of all connections."""
        self._queueing.close()
        self._pipe.aws.close()
