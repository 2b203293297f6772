"""Follows a run's log by byte offset, through as many lost connections as it takes: no byte lost, none doubled."""

import random
from collections.abc import Callable
from threading import Event
from typing import Protocol

from backends.blasthost.errors import AuthRefused, HostError, HostKeyRefused, HostRestricted, RemoteFailed
from backends.blasthost.scripts import script
from backends.blasthost.session import StreamEnd
from opsconsole.campaign import check_slug
from opsconsole.ports import Followed, RunState, Trouble

CHUNK = 256 * 1024
PAUSES = (0.5, 1.0, 2.0, 4.0, 5.0)  # seconds between tries, each a little longer or shorter
NO_LOG, SHORTER = 3, 4  # exit codes of remote/follow.sh


class Session(Protocol):
    """The part of HostSession that is used here."""

    def stream(
        self,
        script: str | bytes,
        *args: str,
        on_data: Callable[[bytes], None],
        stop: Event,
    ) -> StreamEnd: ...


def follow(
    session: Session,
    state_dir: str,
    slug: str,
    attempt: int,
    offset: int,
    on_output: Callable[[bytes], None],
    stop: Event,
    state: Callable[[], RunState | None],
) -> Followed:
    """Hand over the log from byte `offset` until the run's owner is gone or `stop` is set.

    `state` asks for the run's record once the log has ended. `on_output` gets at most CHUNK bytes at a time. Raises
    Trouble when there is no such log, and what no waiting cures: a refused key or login, a restricted account.
    """
    folder = f"{state_dir.rstrip('/')}/{check_slug(slug)}/{attempt}"
    tries = 0

    def take(data: bytes) -> None:
        nonlocal offset, tries
        tries = 0
        for at in range(0, len(data), CHUNK):
            piece = data[at : at + CHUNK]
            on_output(piece)
            offset += len(piece)

    while not stop.is_set():
        try:
            end = session.stream(script("follow"), folder, str(offset), on_data=take, stop=stop)
            if not end.ended:
                break
            _check(end, slug, attempt, offset)
            if not end.rc:
                return Followed(offset=offset, end=state())
        except (HostKeyRefused, AuthRefused, HostRestricted, RemoteFailed):
            raise
        except HostError:
            pass  # the line broke: what came is kept, the rest is asked for from here on
        stop.wait(PAUSES[min(tries, len(PAUSES) - 1)] * random.uniform(0.8, 1.2))  # noqa: S311
        tries += 1
    return Followed(offset=offset, end=None)


def _check(end: StreamEnd, slug: str, attempt: int, offset: int) -> None:
    if end.rc == NO_LOG:
        raise Trouble(
            f"Attempt {attempt} of {slug} has no log that can be read.",
            "There is nothing to follow.",
            "Look at the run's state.",
        )
    if end.rc == SHORTER:
        raise Trouble(
            f"The log of attempt {attempt} of {slug} is shorter than the {offset:,} bytes read before.",
            "Somebody replaced or cut it on the host.",
            "Save what was read, and look at the host.",
        )
