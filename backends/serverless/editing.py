"""Another subject, body or text for a campaign that nobody got so far. One conditional write, of this very version.

A dry run and a plan of the old content don't count any more: their digests are others. Of a campaign that is queued
the workers make everybody's mail anew, by `content_version`.
"""

from collections.abc import Mapping
from typing import Any

from backends.serverless.content import digests
from backends.serverless.facts import begun
from backends.serverless.pipe import Pipe
from backends.serverless.rendering import sample_of
from backends.serverless.runwords import GOING, settled, status_of
from backends.serverless.troubles import ConditionFailed, Unclear, afterwards
from backends.serverless.values import count, text
from backends.serverless.writes import Change, Must, change
from opsconsole.digests import short
from opsconsole.ports import Operated, Operation, OutOfReach, Refused, Trouble
from runner.worker.schema import COUNTS, Status, content_seal

NAMES = ("subject", "body", "text")
MOST = 350 * 1024  # bytes: an item of DynamoDB has 400 KiB in all
NOTHING = "Nothing was changed"


def offered(pipe: Pipe, slug: str, item: Mapping[str, Any], anybody: bool) -> tuple[Operation, ...]:
    """What can be changed of this campaign. `anybody`: somebody has a delivery of it. Pure but for the names."""
    against = why_not(item, anybody, four_eyes=pipe.policy.four_eyes)
    return tuple(_operation(pipe, slug, item, name, against) for name in NAMES)


def why_not(item: Mapping[str, Any], anybody: bool, *, four_eyes: bool = False) -> str:
    status = status_of(item)
    if status not in (Status.DRAFT, *GOING):
        return f"it is {str(item.get('status'))[:40]}: nothing of it is to be sent any more"
    if settled(item) or anybody:
        return "somebody got it, or may have got it: all others get the same"
    if status in GOING and item.get("paused") is not True:
        return "it is being sent: pause it first, and look whether anybody got it"
    if status in GOING and four_eyes:
        return "somebody else approved it as it was started: cancel it, and plan another campaign"
    if text(item, "content_seal") not in ("", content_seal(item)):
        return "somebody changed it past the console since it was started: put that back first"
    return ""


def _operation(pipe: Pipe, slug: str, item: Mapping[str, Any], name: str, against: str) -> Operation:
    now = text(item, name)
    shown = f"{now[:60]!r}" if name == "subject" else f"{len(now.encode()):,} bytes"
    started = status_of(item) in GOING
    total = count(item, "total_contacts")
    return Operation(
        id=f"content-{name}",
        source=pipe.name,
        label=f"Change the {name} before it is sent",
        slug=slug,
        lines=(
            ("now", shown if now else "none"),
            ("digest now", short(digests(item).get(name, "")) if now else "none"),
            ("version", f"{count(item, 'version')}"),
            ("this will", "replace it for everybody; a dry run and a plan of the old one don't count any more"),
        ),
        warnings=("It is queued already: nobody rehearses it any more. Everybody gets the new one.",)
        if started
        else (),
        count=total if started else None,
        asks=f"the new {name}",
        against=against,
        state=f"{count(item, 'version')}/{digests(item).get(name, '')}/{item.get('status')}/{item.get('paused')}",
    )


def put(pipe: Pipe, slug: str, name: str, value: str, by: str) -> Operated:
    """Write it, if the campaign is still what was looked at and nobody has been mailed."""
    item = pipe.campaign(slug)
    campaign_id = text(item, "campaign_id")
    if why := why_not(item, begun(pipe, campaign_id), four_eyes=pipe.policy.four_eyes):
        raise Refused(f"The {name} of {slug} can't be changed: {why}", NOTHING)
    check(item, name, value)
    old = digests(item).get(name, "")
    try:
        after = change(pipe, campaign_id, changed(item, name, value, by))
    except ConditionFailed:
        raise Refused(
            f"Somebody changed {slug}, or somebody got it, at this moment", NOTHING, "Look again"
        ) from None
    except Unclear as error:
        with afterwards(f"The {name} of {slug} was to be changed, and the answer was lost"):
            after = pipe.item(campaign_id)
        if text(after, name) != value:
            raise OutOfReach(error.what, NOTHING, "Look at it, then try again") from None
    new = digests(after).get(name, "")
    if text(after, name) != value:
        raise Trouble(f"The {name} of {slug} isn't what was written: somebody changed it again", "", "Look at it")
    return Operated(
        says=f"The {name} of {slug} was {short(old)} and is {short(new)}, version {count(after, 'version')}",
        before=old,
        after=new,
    )


def check(item: Mapping[str, Any], name: str, value: str) -> None:
    """Raises Refused for what can't be mailed to anybody. The mails themselves are for the next dry run."""
    if name not in NAMES:
        raise Refused(f"The {name[:40]} of a campaign can't be changed from here", NOTHING)
    if text(item, name) == value:
        raise Refused(f"That is the {name} it has", NOTHING)
    if len(value.encode("utf-8", "surrogatepass")) > MOST:
        raise Refused(f"The new {name} has more than {MOST // 1024:,} KiB", NOTHING)
    if broken := sample_of({**item, name: value}, ()).broken:
        raise Refused(f"The new {name} doesn't work: {broken}", NOTHING, "Correct it")


def changed(item: Mapping[str, Any], name: str, value: str, by: str) -> Change:
    must = [
        Must("campaign_id", "is", item["campaign_id"]),
        *(Must(part, "is" if part in item else "absent", item.get(part)) for part in ("version", "status", name)),
        *(Must(counted, "is or absent", 0) for counted in COUNTS.values()),
    ]
    sets: dict[str, Any] = {name: value, "content_by": by}
    if status_of(item) in GOING:
        must.append(Must("paused", "is", True))
        sets["content_seal"] = content_seal({**item, name: value})
    return Change(must=must, sets=sets, adds={"version": 1, "content_version": 1})
