"""When a message that was deferred (4xx) is tried again, and when no more; when a lost connection is. Pure: the
chance is an argument."""

TRIES = 3
_LONGEST_BACKOFF = 60
_SPREAD = 0.25  # only ever later: the waits add up to what greylisting asks for


def due(attempt: int, base: float, chance: float) -> float | None:
    """Seconds from the answer to try number `attempt` (1 is the first) to the next; None: that was the last.

    `base` is the least first wait in seconds, `chance` from 0 to 1 spreads the messages. The waits are at least
    base and 4 * base: 300 s in all for a base of 60, which outlasts greylisting. Only for 4xx: 5xx is for good.
    """
    if attempt >= TRIES:
        return None
    return float(base * 4 ** (attempt - 1) * (1 + _SPREAD * chance))


def longest(base: float) -> float:
    """The longest wait between two tries, in seconds."""
    return due(TRIES - 1, base, 1.0) or base


def reconnect(losses: int, base: float) -> float:
    """Seconds to wait after so many lost connections in a row: 1, 2, 4 ... 60 for a base of 60."""
    return float(base / 60 * min(_LONGEST_BACKOFF, 2 ** min(losses - 1, 6)))
