"""A listmonk platform as the console sees it: every call goes to the small module that does it."""

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from backends.listmonk import following, state, triggers
from backends.listmonk.access import access
from backends.listmonk.checks import CHECKS
from backends.listmonk.client import COUNTS, Client
from backends.listmonk.control import Control
from backends.listmonk.facts import ListmonkFacts, gather
from backends.listmonk.heartbeats import Heartbeats
from backends.listmonk.inspecting import inspect
from backends.listmonk.letter import PLAIN
from backends.listmonk.looks import Looks
from backends.listmonk.operations import Operator
from backends.listmonk.rehearsal import Rehearsal
from backends.listmonk.signals import Signaller
from backends.listmonk.source import Observer
from backends.listmonk.starting import Starter
from backends.listmonk.words import Place
from opsconsole.config import duration
from opsconsole.observation import Report
from opsconsole.plan import DryRun, Plan
from opsconsole.ports import (
    Access,
    Followed,
    Operated,
    Operation,
    RunState,
    Started,
    Surroundings,
    Switched,
    Told,
    Verb,
)
from opsconsole.preflight.check import Check
from opsconsole.preview import Preview
from opsconsole.settings import Listmonk


class ListmonkBackend:
    """A Source, a Carrier and a TriggerKeeper; Operates, Previews, Identified, Inspected, AccessView.

    Safe for several threads.
    """

    def __init__(self, name: str, settings: Listmonk, around: Surroundings) -> None:
        self.name, self.settings = name, settings
        self.client = Client(name, settings, around.clock)
        self.control = Control(
            name,
            settings,
            around,
            self.client,
            find=lambda slug: self.looks.find(slug),
            digests=lambda campaign: self.looks.digests(campaign),
            audience=lambda campaign: self.looks.audience(campaign),
            changed=lambda: self.looks.changed(),
            counts_exactly=lambda: self.looks.may(*COUNTS),
            listed=lambda: self.looks.listed(),
            identity=lambda: self.observer.identity(),
        )
        beats = Heartbeats(self.control.kept.folder / "heartbeats.json")
        self.looks = Looks(settings, self.client, self.control, beats, around.clock)
        self.place = Place(
            source=name,
            settings=settings,
            policy=around.policy,
            fresh_for=duration(settings.fresh_for),
            start_grace=duration(settings.start_grace),
            archived_after=duration(settings.archived_after),
            zone=settings.timezone or "UTC",
            link=self.client.page,
            trigger_key=triggers.key,
        )
        self.observer = Observer(self.looks, self.control, self.place, around.clock)

    def close(self) -> None:
        self.client.close()

    # Looking.

    def observe(self) -> Report:
        return self.observer.observe()

    def identity(self) -> str:
        return self.observer.identity()

    def inspect(self) -> tuple[Told, ...]:
        return inspect(self.client, self.settings)

    def access(self) -> tuple[Access, ...]:
        return access(self.client, self.settings)

    # Before a run.

    def preflight_facts(self, slug: str) -> ListmonkFacts:
        return gather(self.client, self.looks, self.control, self.settings, slug)

    def checks(self) -> Sequence[Check[Any]]:
        return CHECKS

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: Event) -> DryRun:
        return Rehearsal(self.client, self.looks, self.control, on_output, stop).run(slug)

    def preview(self, slug: str, number: int) -> Preview:
        """The mail as listmonk renders it for its demonstration subscriber: the only one it can be seen for."""
        campaign = self.looks.find(slug)
        rendered = self.client.preview(campaign.id)
        plain = campaign.content_type == PLAIN
        return Preview(
            number=1,
            headers={"subject": campaign.subject, "from": campaign.sender},
            text=rendered if plain else "",
            html="" if plain else rendered,
        )

    # A run.

    def start(self, plan: Plan, by: str) -> Started:
        return Starter(self.control).start(plan, by)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        return state.run_state(self.control, slug, attempt)

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        return state.give_up(self.control, slug, run_id)

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Event
    ) -> Followed:
        return following.follow(self.control, slug, attempt, offset, on_output, stop)

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        return Signaller(self.control).signal(slug, attempt, verb)

    def switch_trigger(self, key: str, on: bool, by: str) -> Switched:
        return triggers.Switcher(self.control).switch(key, on, by)

    # Beyond a run.

    def operations(self, slug: str = "") -> tuple[Operation, ...]:
        return Operator(self.control).operations(slug)

    def operate(
        self, operation: Operation, value: str, by: str, on_output: Callable[[bytes], None], stop: Event
    ) -> Operated:
        return Operator(self.control).operate(operation, value, by, on_output, stop)
