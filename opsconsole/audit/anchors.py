"""Anchors: copies of the store's head that are kept elsewhere, one sealed line each, and what they prove. Pure.

Each line carries a seal of its own (HMAC with the audit key), so that one somebody edited is told from an honest
one; and `after`, the newest seq its keeper had acknowledged before, so that a keeper that lost lines can't hide it
by taking new ones.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from opsconsole.audit.chain import Anchor
from opsconsole.audit.records import canonical, utc_moment, utc_text

LONGEST_LINE = 1024
_DOMAIN = b"opsconsole anchor line 1\n"
_STORE = re.compile(r"[0-9a-f]{16}")
_MAC = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The head of `store` (16 hex digits), as it was copied to one keeper at `utc`.

    `after` is the newest seq it had acknowledged by then, `machine` what identifies its machine, "" when that
    wasn't known.
    """

    store: str
    seq: int
    mac: str
    utc: datetime
    environment: str
    after: int = 0
    machine: str = ""


class Kind(StrEnum):
    """What a contradiction speaks against: the store itself, or the keeper that lost or changed its lines."""

    STORE = "store"
    KEEPER = "keeper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """What an anchor and the store can't both be right about; `seq` is the first bad record, None when none is."""

    kind: Kind
    seq: int | None
    text: str


def seal(line: Line, key: bytes) -> str:
    """The line as its keeper gets it: one line of ASCII JSON, the seal last."""
    fields = _fields(line)
    return json.dumps({**fields, "seal": _seal(fields, key)}, ensure_ascii=True, separators=(",", ":"))


def parse(text: str, key: bytes) -> Line | None:
    """The line in `text`; None when it isn't exactly what `seal` wrote with this key."""
    if len(text) > LONGEST_LINE:
        return None
    try:
        fields = json.loads(text)
        line = Line(
            store=str(fields["store"]),
            seq=int(fields["seq"]),
            mac=str(fields["mac"]),
            utc=utc_moment(fields["utc"]),
            environment=str(fields["environment"]),
            after=int(fields["after"]),
            machine=str(fields.get("machine", "")),
        )
        honest = hmac.compare_digest(seal(line, key), text)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    sound = _STORE.fullmatch(line.store) and _MAC.fullmatch(line.mac) and line.seq >= 1 and line.after >= 0
    return line if honest and sound else None


def place(store: str, accepted: int) -> str:
    """Under which id a keeper keeps the lines of `store`, given the seq of the newest record that accepted the
    keeper as it is (0 for none): what it held before then stays there as evidence, and is compared no more."""
    return store if not accepted else hashlib.sha256(f"{store}:{accepted}".encode()).hexdigest()[:16]


def _fields(line: Line) -> dict[str, object]:
    fields = asdict(line) | {"utc": utc_text(line.utc)}
    if not line.machine:
        del fields["machine"]
    return fields


def _seal(fields: dict[str, object], key: bytes) -> str:
    # A key of its own: no seal can pass for a record's MAC, nor the other way round.
    own = hmac.new(key, _DOMAIN, hashlib.sha256).digest()
    return hmac.new(own, canonical(fields).encode(), hashlib.sha256).hexdigest()  # type: ignore[arg-type]


def compare(
    texts: Sequence[str],
    *,
    key: bytes,
    store: str,
    head: Anchor,
    mac_of: Callable[[Collection[int]], dict[int, str]],
    keeper: str,
    acknowledged: int = 0,
    machine: str = "",
    whole: bool = False,
) -> tuple[Contradiction, ...]:
    """Everything the newest lines of `keeper` (oldest first) and the store can't both be right about.

    `head` must have been read after the lines, and `acknowledged`, the newest seq the keeper confirmed, before
    them: else an honest writer in between would look like a liar. `mac_of` gives the MACs of records that are
    there. `machine` is what the keeper is now, "" when not known. With `whole`, `texts` are all it has, so that the
    first of them must have been its first.
    """
    found: list[Contradiction] = []
    lines: list[Line] = []
    for text in texts:
        line = parse(text, key)
        if line is None:
            found.append(_keeper(None, f"a line of {keeper} was edited, or not written by this console"))
        elif line.store != store:
            why = f"{keeper} holds an anchor of another store ({line.store}) among those of {store}"
            found.append(_keeper(line.seq, why))
        else:
            found += _order(lines[-1], line, keeper) if lines else ()
            lines.append(line)
    if whole and lines and lines[0].after:
        why = (
            f"{keeper} lost records: its first anchor, of record {lines[0].seq}, says that {lines[0].after} "
            "had been acknowledged before"
        )
        found.append(_keeper(lines[0].after, why))
    found += _against_store(lines, head, mac_of, keeper)
    last = lines[-1].seq if lines else 0
    if last < acknowledged:
        # Told apart from an empty keeper at the first start ever, which has acknowledged nothing.
        held = f"ends at record {last}" if lines else "holds no anchor"
        found.append(
            _keeper(last + 1, f"{keeper} lost records: it acknowledged record {acknowledged}, and now {held}")
        )
    found += _machines(lines, machine, keeper)
    return tuple(found)


def _order(before: Line, line: Line, keeper: str) -> tuple[Contradiction, ...]:
    if line.seq <= before.seq:
        why = f"the anchors of {keeper} are out of order: record {line.seq} stands behind record {before.seq}"
        return (_keeper(line.seq, why),)
    if line.after > before.seq:
        why = (
            f"{keeper} lost records: its anchor of record {line.seq} says that {line.after} had been acknowledged, "
            f"and the one before it is of record {before.seq}"
        )
        return (_keeper(before.seq + 1, why),)
    return ()


def _against_store(
    lines: Sequence[Line], head: Anchor, mac_of: Callable[[Collection[int]], dict[int, str]], keeper: str
) -> list[Contradiction]:
    """The first record that isn't what was anchored, and the end that is missing: one sentence each."""
    found: list[Contradiction] = []
    here = sorted({line.seq for line in lines if line.seq <= head.seq})
    macs = mac_of(here) if here else {}
    for line in sorted(lines, key=lambda line: line.seq):
        if line.seq <= head.seq and macs.get(line.seq) != line.mac:
            why = (
                f"record {line.seq} isn't the one that {keeper} holds an anchor of: "
                "history was rewritten, or put back and gone on with"
            )
            found.append(Contradiction(kind=Kind.STORE, seq=line.seq, text=why))
            break
    newest = max(lines, key=lambda line: line.seq, default=None)
    if newest is not None and newest.seq > head.seq:
        why = (
            f"record {head.seq + 1} is missing: {keeper} holds an anchor of record {newest.seq}, and the last one "
            f"here is {head.seq}: the store was cut, put back to an earlier state, or swapped"
        )
        found.append(Contradiction(kind=Kind.STORE, seq=head.seq + 1, text=why))
    return found


def _machines(lines: Sequence[Line], machine: str, keeper: str) -> list[Contradiction]:
    """A keeper that became another machine: its other records can't be believed to be those of before."""
    named = [(line.seq, line.machine) for line in lines if line.machine]
    if machine:
        named.append((0, machine))
    for (seq, was), (_, now) in pairwise(named):
        if was != now:
            why = f"{keeper} is another machine now ({_short(now)}) than when it kept record {seq} ({_short(was)})"
            return [_keeper(seq, why)]
    return []


def _short(machine: str) -> str:
    return machine if len(machine) <= 12 else f"{machine[:12]}…"


def _keeper(seq: int | None, text: str) -> Contradiction:
    return Contradiction(kind=Kind.KEEPER, seq=seq, text=text)
