"""The dry run: who gets it is read, everybody's mail is made, and nothing is queued or sent."""

import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from backends.serverless.audience import Audience, read
from backends.serverless.content import digests, say_audience
from backends.serverless.pipe import Pipe
from backends.serverless.rendering import Renderer, Rendering
from opsconsole.plan import DryRun
from opsconsole.preflight.check import many
from opsconsole.redact import mask_addresses, redact, visible

SHOWN = 20  # contacts that can't be mailed, told one by one


def dry_run(pipe: Pipe, slug: str, on_output: Callable[[bytes], None], stop: Event) -> DryRun:
    """Rehearse `slug`. Raises Trouble where the pipeline can't be asked; setting `stop` ends it after a page."""
    began, at = time.monotonic(), pipe.now()
    item = pipe.campaign(slug)

    def say(text: str) -> None:
        on_output(f"{visible(mask_addresses(redact(text)), 2000)}\n".encode("utf-8", "replace"))

    say(f"{item['campaign_id']}: {say_audience(item)} of {pipe.settings.contacts_table}")
    with Renderer(item) as renderer:

        def page(audience: Audience, contacts: list[dict[str, Any]]) -> None:
            renderer.page(contacts)
            say(
                f"page {audience.pages}: {many(audience.contacts, 'contact')} so far, "
                f"{audience.meter.total:,.1f} read units consumed"
            )

        audience = read(pipe, item, on_page=page, stop=stop)
        rendering = renderer.end()
    after = pipe.campaign(slug)
    result = _result(pipe, slug, item, after, audience, rendering)
    say(result["summary"])
    for trouble in result["troubles"]:
        say(trouble)
    return DryRun(slug=slug, carrier=pipe.name, at=at, duration_s=time.monotonic() - began, **result)


def _result(
    pipe: Pipe,
    slug: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    audience: Audience,
    rendering: Rendering,
) -> dict[str, Any]:
    faults = _faults(digests(before), digests(after), audience, rendering)
    bad, unrendered = sum(audience.refused.values()), sum(rendering.refused.values())
    troubles = [*faults, *(f"{many(n, 'contact')} left out: {why}" for why, n in audience.refused.most_common(8))]
    troubles += [f"{fault.who}: {fault.why}" for fault in rendering.faults[:SHOWN]]
    if audience.unread:
        troubles.append(f"the suppression list wasn't looked at: {audience.unread}")
    summary = (
        f"{many(len(audience.emails), 'recipient')} of {many(audience.contacts, 'contact')}, "
        f"{rendering.rows:,} rendered, {unrendered:,} can't be rendered, {bad:,} bad addresses, "
        f"{audience.duplicates:,} twice, {audience.suppressed:,} suppressed; "
        f"{audience.meter.total:,.1f} read units consumed; nothing was queued or sent"
    )
    return {
        "ok": not faults and not unrendered,
        "digests": digests(after),
        "audience": len(audience.emails) if audience.whole else None,
        "refused": bad + unrendered,
        "duplicates": audience.duplicates,
        "suppressed": audience.suppressed,
        "rendered": rendering.rows if rendering.done else None,
        "largest": rendering.largest or None,
        "summary": summary,
        "troubles": tuple(troubles),
        "sample": rendering.sample,
    }


def _faults(
    before: Mapping[str, str], after: Mapping[str, str], audience: Audience, rendering: Rendering
) -> list[str]:
    """What makes the rehearsal worthless."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    faults = [f"{name} changed during the dry run" for name in names]
    if rendering.broken:
        faults.append(rendering.broken)
    if not audience.whole:
        faults.append("it was stopped before its end")
    elif not audience.emails:
        faults.append("nobody would get it: no contact fits, or all are left out")
    return faults
