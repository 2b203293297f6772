"""What can be done to the pipeline beside a run: dead letters back or away, the queue emptied, content changed.

Each is compared with what was shown before it acts, and read again afterwards.
"""

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from backends.serverless import editing, moving
from backends.serverless.facts import begun
from backends.serverless.pipe import Pipe, Queue
from backends.serverless.runwords import GOING, status_of
from backends.serverless.troubles import Unclear, afterwards
from backends.serverless.values import plain, text, typed
from opsconsole.ports import Operated, Operation, Refused, Trouble

REDRIVE, BY_HAND = "redrive", "redrive-by-hand"
PURGE_DEAD, PURGE_QUEUE = "purge-dead-letters", "purge-queue"
IN_PROGRESS = "PurgeQueueInProgress"
AGAINST_NONE = "there are no dead letters"
MAILS = "Whoever got nothing because of these is mailed: workers take them like any other reference."
FOR_EVER = "What is thrown away can't be had back, and the queue takes up to a minute for it."


def operations(pipe: Pipe, slug: str = "") -> tuple[Operation, ...]:
    """Those about this campaign, or about the queues. Looks only. Raises Trouble."""
    if slug:
        item = pipe.campaign(slug)
        return editing.offered(pipe, slug, item, begun(pipe, text(item, "campaign_id")))
    queue = pipe.queue()
    dead = pipe.dead_letter(queue)
    going = under_way(pipe) if queue.left or (dead and dead.left) else []  # it reads the whole table
    found = [_purge(pipe, PURGE_QUEUE, queue, _why_no_purge(queue, going), going)]
    if dead is not None:
        task = moving.running(pipe, dead)
        found = [
            _redrive(pipe, REDRIVE, queue, dead, "by SQS itself", task),
            _redrive(pipe, BY_HAND, queue, dead, "ten at a time, from here", task),
            _purge(pipe, PURGE_DEAD, dead, "" if dead.left else AGAINST_NONE, going),
            *found,
        ]
    return tuple(found)


def operate(
    pipe: Pipe, operation: Operation, value: str, by: str, on_output: Callable[[bytes], None], stop: Event
) -> Operated:
    """Do it. Raises Refused with nothing done where it isn't what was shown any more."""
    now = next((one for one in operations(pipe, operation.slug) if one.id == operation.id), None)
    if now is None:
        raise Refused(f"{operation.label} isn't offered any more", "Nothing was done", "Look again")
    if now.against:
        raise Refused(f"{operation.label}: {now.against}", "Nothing was done")
    if now.state != operation.state:
        raise Refused(f"{operation.label}: it isn't as it was shown", "Nothing was done", "Look again")

    def say(line: str) -> None:
        on_output(f"{line}\n".encode())

    if operation.id.startswith("content-"):
        return editing.put(pipe, operation.slug, operation.id.removeprefix("content-"), value, by)
    queue = pipe.queue()
    dead = pipe.dead_letter(queue)
    if operation.id == PURGE_QUEUE:
        return _purged(pipe, queue, pipe.queue)
    assert dead is not None  # offered a moment ago by the same configuration
    if operation.id == PURGE_DEAD:
        return _purged(pipe, dead, lambda: pipe.dead_letter(queue) or dead)
    if operation.id == REDRIVE:
        return moving.by_task(pipe, queue, dead, say, stop)
    return moving.by_hand(pipe, queue, dead, operation.count or dead.visible, say, stop)


def under_way(pipe: Pipe) -> list[dict[str, Any]]:
    """The campaigns that are queued or processing, with what was read of them."""
    request = {
        "TableName": pipe.settings.campaigns_table,
        "FilterExpression": "#s IN (:q, :p)",
        "ProjectionExpression": "campaign_id, #s, paused",
        "ExpressionAttributeNames": {"#s": "status"},
        "ExpressionAttributeValues": typed({f":{str(status)[0]}": str(status) for status in GOING}),
        "ConsistentRead": True,
    }
    return [plain(item) for page in pipe.pages("scan", request) for item in page.get("Items", ())]


def _why_no_purge(queue: Queue, going: list[dict[str, Any]]) -> str:
    names = [
        text(item, "campaign_id") for item in going if status_of(item) in GOING and item.get("paused") is not True
    ]
    if names:
        return f"{', '.join(names[:3])} {'is' if len(names) == 1 else 'are'} being sent: pause or cancel first"
    return "" if queue.left else "the queue is empty"


def _redrive(pipe: Pipe, name: str, queue: Queue, dead: Queue, how: str, task: Mapping[str, Any]) -> Operation:
    against = "" if dead.left else AGAINST_NONE
    if task:
        against = "SQS is moving them already"
    elif dead.left and not dead.visible:
        against = "all of them are in somebody's hands right now: wait until they come back"
    return Operation(
        id=name,
        source=pipe.name,
        label=f"Move the dead letters back, {how}",
        lines=(*_lines(dead), ("to", f"{queue.name}, which has about {queue.left:,}")),
        warnings=(MAILS,),
        count=dead.visible,
        against=against,
        mails=True,
        state=f"{dead.url}>{queue.url}",
    )


def _purge(pipe: Pipe, name: str, queue: Queue, against: str, going: list[dict[str, Any]]) -> Operation:
    paused = [text(item, "campaign_id") for item in going]
    lost = (f"Of {', '.join(paused[:5])} nobody in it is mailed; `send-rest` queues them again.",) if paused else ()
    return Operation(
        id=name,
        source=pipe.name,
        label="Throw away all dead letters" if name == PURGE_DEAD else "Throw away everything in the queue",
        lines=(*_lines(queue), ("this will", "throw away every message in it, of whatever campaign")),
        warnings=(FOR_EVER, *lost),
        count=queue.left,
        against=against,
        state=f"{queue.url}/{','.join(sorted(paused))}",
    )


def _lines(queue: Queue) -> tuple[tuple[str, str], ...]:
    return (
        ("queue", queue.name),
        ("in it", f"about {queue.visible:,} waiting, {queue.in_flight:,} in flight, {queue.delayed:,} delayed"),
    )


def _purged(pipe: Pipe, queue: Queue, look: Callable[[], Queue]) -> Operated:
    try:
        pipe.aws.once("sqs", "purge_queue", QueueUrl=queue.url)
    except Unclear as error:
        raise Trouble(
            f"The answer to the purge of {queue.name} was lost: {error.what}",
            "It may be emptied",
            "Look at it in a minute; purging it again does no further harm",
        ) from error
    except Refused as error:
        if IN_PROGRESS in error.what:
            raise Refused(
                f"{queue.name} was purged within the last minute", "It isn't purged once more", "Wait a minute"
            ) from error
        raise
    with afterwards(f"About {queue.left:,} messages of {queue.name} are thrown away"):
        after = look()
    return Operated(
        says=f"About {queue.left:,} messages of {queue.name} are thrown away; it takes up to a minute",
        count=queue.left,
        before=f"{queue.left:,} messages",
        after=f"{after.left:,} messages",
    )
