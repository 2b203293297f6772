"""Dead letters back into the queue: by the service's own task, or by hand, a batch at a time, with a stop.

By hand is for whoever isn't allowed the task. It receives from the dead-letter queue alone; a message is deleted
there when the queue has it, so that one may be in both for a moment and none in neither. Nobody is mailed twice by
that: a worker sends once for each person.
"""

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from backends.serverless.pipe import Pipe, Queue
from backends.serverless.troubles import CantDo, Denied, Throttled, afterwards
from opsconsole.ports import Operated, OutOfReach, Refused, Trouble

BATCH = 10
HIDDEN = 60  # seconds that a received letter is hidden from others: time enough to move it
EMPTY_LOOKS = 3  # SQS may say that there is nothing when there is
TASK_EVERY = 1.0
RUNNING, CANCELLING = "RUNNING", "CANCELLING"
MOST_UNSEEN = 30  # looks without a task, after one was started
BY_HAND = "Move them by hand instead: the operation redrive-by-hand"

Say = Callable[[str], None]


def by_task(pipe: Pipe, queue: Queue, dead: Queue, say: Say, stop: Event) -> Operated:
    """Let SQS move all of them. Raises Refused where it can't or may not, or is moving already."""
    if going := running(pipe, dead):
        raise Refused(f"SQS is moving dead letters already: {_say_task(going)}", "Nothing was started")
    try:
        asked = pipe.aws.once("sqs", "start_message_move_task", SourceArn=dead.arn, DestinationArn=queue.arn)
    except (Denied, CantDo) as error:
        raise Refused(error.what, "Nothing was moved", BY_HAND) from error
    try:
        task, stopped = _watched(pipe, dead, asked["TaskHandle"], say, stop)
    except Trouble as error:
        raise Trouble(
            f"SQS was told to move the dead letters, and how far it is can't be asked: {error}",
            "It goes on by itself",
            "Look at both queues",
        ) from error
    moved = _number(task, "ApproximateNumberOfMessagesMoved")
    if task.get("Status") not in ("COMPLETED", "CANCELLED"):
        raise Trouble(
            f"SQS's task is {task.get('Status', 'not to be seen')}: {str(task.get('FailureReason', ''))[:200]}",
            f"About {moved:,} of the dead letters were moved",
            "Look at both queues",
        )
    return _told(pipe, queue, dead, moved, stopped=stopped)


def _watched(pipe: Pipe, dead: Queue, handle: str, say: Say, stop: Event) -> tuple[Mapping[str, Any], bool]:
    """The task at its end, and whether it was stopped from here."""
    stopped, unseen, task = False, 0, newest(pipe, dead)
    while task.get("Status") in (RUNNING, CANCELLING, None) and unseen < MOST_UNSEEN:
        unseen += not task
        say(_say_task(task))
        if stop.is_set() and not stopped:
            stopped = True
            pipe.aws.once("sqs", "cancel_message_move_task", TaskHandle=handle)
        (Event() if stopped else stop).wait(TASK_EVERY)
        task = newest(pipe, dead)
    say(_say_task(task))
    return task, stopped


def by_hand(pipe: Pipe, queue: Queue, dead: Queue, most: int, say: Say, stop: Event) -> Operated:
    """Move `most` letters at most, ten at a time. Raises Trouble, with what was moved until then."""
    moved = empty = 0
    try:
        while moved < most and empty < EMPTY_LOOKS and not stop.is_set():
            letters = _received(pipe, dead, min(BATCH, most - moved))
            if not letters:
                empty += 1
                continue
            empty = 0
            moved += _moved(pipe, queue, dead, letters)
            say(f"moved {moved:,} of {most:,}")
    except Trouble as error:
        if not moved and isinstance(error, Refused | OutOfReach):
            raise
        raise Trouble(
            f"After {moved:,} of {most:,} dead letters: {error}",
            "Those are in the queue; a few more may be in both, which mails nobody twice",
            f"Look at both queues; letters that were taken come back within {HIDDEN} s",
        ) from error
    return _told(pipe, queue, dead, moved, stopped=stop.is_set() and moved < most)


def _received(pipe: Pipe, dead: Queue, most: int) -> list[dict[str, Any]]:
    answer = pipe.aws.ask(
        "sqs",
        "receive_message",
        QueueUrl=dead.url,
        MaxNumberOfMessages=most,
        VisibilityTimeout=HIDDEN,
        WaitTimeSeconds=1,
        AttributeNames=["All"],
    )
    return list(answer.get("Messages", ()))


def _moved(pipe: Pipe, queue: Queue, dead: Queue, letters: list[dict[str, Any]]) -> int:
    """How many of these are in the queue now, and no more in the dead-letter queue."""
    entries = [_entry(number, letter, queue.fifo) for number, letter in enumerate(letters)]
    try:
        answer = pipe.aws.ask("sqs", "send_message_batch", QueueUrl=queue.url, Entries=entries)
    except Throttled:
        raise
    except OutOfReach as error:
        raise Trouble(error.what, "They may be in the queue, and are mailed then") from error
    taken = [letters[int(entry["Id"])] for entry in answer.get("Successful", ())]
    if not taken:
        one: Mapping[str, Any] = next(iter(answer.get("Failed", ())), {})
        raise OutOfReach(f"SQS took none of {len(letters)} letters: {one.get('Code', 'it gave no reason')}")
    with afterwards(f"{len(taken):,} letters are in the queue, and may be dead letters still"):
        pipe.aws.ask(
            "sqs",
            "delete_message_batch",
            QueueUrl=dead.url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": letter["ReceiptHandle"]} for number, letter in enumerate(taken)
            ],
        )
    return len(taken)


def _entry(number: int, letter: Mapping[str, Any], fifo: bool) -> dict[str, str]:
    entry = {"Id": str(number), "MessageBody": str(letter["Body"])}
    if fifo:
        # By its own id: what it was queued with, the queue may still remember, and swallow it.
        group = letter.get("Attributes", {}).get("MessageGroupId") or str(letter["MessageId"])
        entry |= {"MessageGroupId": str(group), "MessageDeduplicationId": str(letter["MessageId"])}
    return entry


def running(pipe: Pipe, dead: Queue) -> Mapping[str, Any]:
    """The task that SQS is at; {} for none, and where it can't be asked."""
    try:
        task = newest(pipe, dead)
    except (Denied, CantDo):
        return {}
    return task if task.get("Status") in (RUNNING, CANCELLING) else {}


def newest(pipe: Pipe, dead: Queue) -> Mapping[str, Any]:
    answer = pipe.aws.ask("sqs", "list_message_move_tasks", SourceArn=dead.arn, MaxResults=1)
    return next(iter(answer.get("Results", ())), {})


def _told(pipe: Pipe, queue: Queue, dead: Queue, moved: int, *, stopped: bool) -> Operated:
    with afterwards(f"About {moved:,} dead letters were moved back into {queue.name}"):
        now = pipe.dead_letter(queue)
    left = now.left if now else 0
    return Operated(
        says=f"About {moved:,} dead letters were moved back into {queue.name}; about {left:,} are left",
        count=moved,
        before=f"{dead.left:,} dead letters",
        after=f"{left:,} dead letters",
        stopped=stopped,
    )


def _say_task(task: Mapping[str, Any]) -> str:
    moved, of = (
        _number(task, "ApproximateNumberOfMessagesMoved"),
        _number(task, "ApproximateNumberOfMessagesToMove"),
    )
    return f"{str(task.get('Status', 'starting')).lower()}: about {moved:,} of {of:,} moved"


def _number(task: Mapping[str, Any], name: str) -> int:
    value = task.get(name)
    return value if isinstance(value, int) else 0
