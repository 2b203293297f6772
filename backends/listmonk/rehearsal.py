"""The dry run: listmonk renders the mail, it is judged, the testers get it, and the audience is counted.

The test mails are the only ones sent. listmonk answers for them once they are queued, so its log is watched for a
while: whether they arrived is for the testers to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Final

from backends.listmonk import letter
from backends.listmonk.audience import Audience
from backends.listmonk.campaigns import Campaign
from backends.listmonk.client import MANAGES, Client
from backends.listmonk.control import Control
from backends.listmonk.editing import unchanged
from backends.listmonk.facts import count
from backends.listmonk.loglines import Kind, told
from backends.listmonk.looks import Looks
from opsconsole.plan import DryRun
from opsconsole.ports import OutOfReach, Refused, Trouble
from opsconsole.preflight.check import many
from opsconsole.redact import mask_addresses, redact

WATCHED: Final = timedelta(seconds=8)  # a mail server that can't be reached is given up after 5
EVERY: Final = 0.5  # s between looks into the log
QUEUE_FULL: Final = "message push timed out"
FULL_FIELDS: Final = (
    "name", "subject", "from_email", "content_type", "body", "body_source", "altbody", "headers", "template_id",
    "messenger", "type", "tags", "attribs",
)  # fmt: skip


@dataclass
class Rehearsal:
    """One dry run. `watched`: so long the log is looked at for a test mail's failure."""

    client: Client
    looks: Looks
    control: Control
    on_output: Callable[[bytes], None]
    stop: Event
    watched: timedelta = WATCHED

    def run(self, slug: str) -> DryRun:
        """Raises Trouble where the campaign can't be read; all else is a trouble of the result."""
        control = self.control
        began = control.now
        campaign = self.looks.find(slug)
        before = self.looks.digests(campaign)
        self._say(f"campaign {campaign.id}, {campaign.status}, changed last {campaign.updated}")
        troubles: list[str] = []
        rendered = self._render(campaign, troubles)
        notes = self._judge(campaign, rendered, troubles)
        audience = self._count(campaign, troubles)
        tested = self._test(campaign, troubles) if not troubles else ""
        self._compare(slug, before, troubles)
        if self.stop.is_set():
            troubles.append("it was stopped before its end")
        people = f"{audience} people" if audience.people is not None else str(audience)
        summary = "; ".join(filter(None, (people, tested, *notes)))
        self._say(f"{'FAILED: ' + '; '.join(troubles) if troubles else 'good'}; {summary}")
        return DryRun(
            slug=slug,
            carrier=control.name,
            at=began,
            ok=not troubles,
            digests=before,
            audience=audience.people,
            largest=len(rendered.encode("utf-8", "replace")) if rendered is not None else None,
            duration_s=max((control.now - began).total_seconds(), 0.0),
            summary=summary,
            troubles=tuple(troubles),
            sample=_sample(campaign, rendered),
        )

    def _render(self, campaign: Campaign, troubles: list[str]) -> str | None:
        try:
            rendered = self.client.preview(campaign.id)
        except OutOfReach:
            raise
        except Trouble as trouble:
            troubles.append(f"listmonk can't render it: {trouble.what}")
            self._say(str(trouble))
            return None
        self._say(f"rendered, {len(rendered):,} characters")
        return rendered

    def _judge(self, campaign: Campaign, rendered: str | None, troubles: list[str]) -> list[str]:
        """What is wrong with the mail: what breaks it is a trouble, the rest is only said."""
        notes: list[str] = []
        for flaw in letter.flaws(campaign, rendered):
            (troubles if flaw.breaks else notes).append(flaw.text)
            self._say(f"{'wrong' if flaw.breaks else 'look'}: {flaw.text}")
        return notes

    def _count(self, campaign: Campaign, troubles: list[str]) -> Audience:
        lists = None
        try:
            lists = self.client.lists()
        except Refused as refusal:
            self._say(str(refusal))
        audience = count(self.looks, campaign, self.client.profile(), lists)
        limits = self.control.settings
        self._say(f"audience: {audience}")
        if audience.people is None:
            troubles.append("nobody can tell how many it would reach: the token's user lacks lists:get_all")
        elif audience.people < limits.min_audience:
            troubles.append(f"it would reach {audience}, at least {limits.min_audience:,} were meant")
        elif limits.max_audience and audience.exact and audience.people > limits.max_audience:
            troubles.append(f"it would reach {audience}, at most {limits.max_audience:,} were meant")
        return audience

    def _test(self, campaign: Campaign, troubles: list[str]) -> str:
        """Mail to the testers; what is to be known of it, in words."""
        testers = self.control.settings.testers
        if not testers:
            return self._said("no test mail: the config names no testers")
        if not self.looks.may(*MANAGES):
            return self._said("no test mail: the token's user lacks campaigns:manage")
        if not campaign.list_ids:
            return self._said("no test mail: it has no list")
        self.control.log()
        asked = self.control.now
        raw = self.client.raw_campaign(campaign.id)
        doing = f"Sending campaign {campaign.id} to the testers"
        try:
            body = for_testers(raw, testers)
            self.client.write("POST", f"/campaigns/{campaign.id}/test", body, doing, needs=MANAGES)
        except Trouble as trouble:
            troubles.append(f"the test mail wasn't taken: {trouble.what}")
            return self._said(mask_addresses(str(trouble)))
        to = many(len(testers), "tester")
        self._say(f"test mail queued for {to}; watching the log for its failure")
        failure = self._failure(campaign, asked)
        if failure:
            troubles.append(f"the test mail failed: {failure}")
            return self._said(f"test mail failed: {failure}")
        unseen = " (its log can't be read, so a failure wasn't seen)" if self.control.log_trouble else ""
        return self._said(f"test mail handed over for {to}{unseen}: let them say that it arrived")

    def _failure(self, campaign: Campaign, asked: datetime) -> str:
        """What the log says of a test mail that wasn't sent; "" when nothing came in time."""
        since, ends = asked - timedelta(seconds=2), asked + self.watched
        looks = max(int(self.watched.total_seconds() / EVERY), 1)
        for _ in range(looks):
            for entry in self.control.kept.entries(since):
                word = told(entry.text, campaign.name)
                if word is not None and word.kind in (Kind.SEND_ERROR, Kind.RENDER_ERROR):
                    return word.why[:200]
                if entry.text.startswith(QUEUE_FULL):
                    return "its queue is full"
            if self.control.log_trouble or self.control.now >= ends or self.stop.wait(min(EVERY, _s(self.watched))):
                break
            self.control.log()
        return ""

    def _compare(self, slug: str, before: dict[str, str], troubles: list[str]) -> None:
        after = self.looks.digests(self.looks.find(slug))
        changed = sorted(name for name in before if before[name] != after.get(name))
        if changed:
            troubles.append(f"it was edited meanwhile ({', '.join(changed)}): run the dry run again")

    def _said(self, text: str) -> str:
        self._say(text)
        return text

    def _say(self, text: str) -> None:
        self.on_output(f"{mask_addresses(redact(text))}\n".encode("utf-8", "replace"))


def for_testers(raw: dict[str, Any], testers: list[str]) -> dict[str, Any]:
    """The campaign as it is, for these subscribers. Without its date: one that has passed would be refused."""
    fields = {key: raw[key] for key in FULL_FIELDS if raw.get(key) is not None}
    return {**fields, **unchanged(raw), "subscribers": list(testers)}


def _sample(campaign: Campaign, rendered: str | None) -> dict[str, str] | None:
    if rendered is None:
        return None
    kind = "text" if campaign.content_type == letter.PLAIN else "html"
    return {"subject": campaign.subject, "from": campaign.sender, kind: rendered}


def _s(span: timedelta) -> float:
    return span.total_seconds()
