"""The keyed chain: each record's MAC covers all its fields and the MAC before it. Pure.

A bare hash chain can be recomputed by whoever edits it, and no chain notices that its end was cut off:
hence a key that is not in the database, and anchors (copies of the head) kept elsewhere.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from opsconsole.audit.records import CLOCK_EXPLAINED, Record, canonical, utc_moment, utc_text

GENESIS = "0" * 64
"""`prev` of record 1, and the MAC of an empty store's head."""

Row = tuple[Any, ...]
"""seq, ref, then texts: utc operator session environment campaign run action phase reason detail prev mac."""

_DOMAIN = b"opsconsole audit record 1\n"
_STORE = b"opsconsole audit store 1\n"
_LENGTHS = struct.Struct(">13I").pack  # fixed count, fixed width: no two rows have the same encoding
_BLOCK = 64
CLOCK_MAY_DIFFER = timedelta(seconds=2)
_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Anchor:
    """A copy of the chain's head kept somewhere else."""

    seq: int
    mac: str


@dataclass(frozen=True, slots=True)
class Verification:
    """`checked` records are good, in order from 1; `first_bad_seq` and `why` name the first that isn't.

    `regressions` are the seqs (the first thousand) of records that are older than the one before them by more than
    CLOCK_MAY_DIFFER, and that nobody has explained since. Such a chain is whole, its times can't be trusted.
    """

    ok: bool
    checked: int
    first_bad_seq: int | None
    why: str
    head: Anchor
    regressions: tuple[int, ...] = ()

    @property
    def clean(self) -> bool:
        """Whole, and every record later than the one before it."""
        return self.ok and not self.regressions


def store_id(key: bytes) -> str:
    """16 hex digits that name the store kept under this key, and tell nothing of the key."""
    return hmac.new(key, _STORE, hashlib.sha256).hexdigest()[:16]


class Sealer:
    """HMAC-SHA256 with the key's two pads hashed once: a third of the cost of a fresh HMAC per record."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the audit key needs at least 16 bytes")
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self.inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + _DOMAIN)
        self.outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(self, message: bytes) -> str:
        inner = self.inner.copy()
        inner.update(message)
        outer = self.outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


def row_of(record: Record, detail: str | None = None) -> Row:
    """`detail` is the canonical text of the record's, when the caller has it at hand."""
    return (
        record.seq,
        record.ref,
        utc_text(record.utc),
        record.operator,
        record.session,
        record.environment,
        record.campaign,
        record.run,
        record.action,
        record.phase.value,
        record.reason,
        canonical(record.detail) if detail is None else detail,
        record.prev,
        record.mac,
    )


def message(row: Row) -> bytes:
    """The bytes a row's MAC covers: the lengths of its parts in characters, then the parts up to `prev`.

    TypeError when a part has the wrong type, as after an edit with another tool.
    """
    seq, ref, a, b, c, d, e, f, g, h, i, j, prev, _ = row
    s = str(seq)
    r = "" if ref is None else str(ref)
    return _LENGTHS(
        len(s), len(r), len(a), len(b), len(c), len(d), len(e), len(f), len(g), len(h), len(i), len(j), len(prev)
    ) + "".join((s, r, a, b, c, d, e, f, g, h, i, j, prev)).encode("utf-8", "surrogatepass")  # fmt: skip


def seal(record: Record, key: bytes) -> str:
    """The MAC the record should carry."""
    return Sealer(key).mac(message(row_of(record)))


def verify(records: Iterable[Record], key: bytes, anchor: Anchor | None = None) -> Verification:
    """Check records that should be 1, 2, 3 … without a gap, and hold `anchor` if one is given."""
    return verify_rows((row_of(record) for record in records), key, anchor)


def verify_rows(rows: Iterable[Row], key: bytes, anchor: Anchor | None = None) -> Verification:
    """`verify` on rows as they are stored. A blob in the place of a text is an edit too: no look-up finds it."""
    mac_of = Sealer(key).mac
    checked = 0
    last = GENESIS
    before = ""
    back: list[int] = []
    anchored = anchor is None or anchor == Anchor(0, GENESIS)

    def bad(seq: int, why: str) -> Verification:
        return Verification(False, checked, seq, why, Anchor(checked, last))

    for row in rows:
        seq, ref, expected = row[0], row[1], checked + 1
        if seq != expected or type(seq) is not int:
            return bad(expected, _out_of_place(seq, expected))
        mac = row[13]
        try:
            if mac_of(message(row)) != mac:
                return bad(expected, _not_ours(expected))
        except TypeError:
            return bad(expected, _wrong_type(expected))
        if ref is not None and type(ref) is not int:
            return bad(expected, _wrong_type(expected))
        if row[12] != last:
            return bad(expected, f"record {expected} doesn't follow the record before it")
        if not anchored and anchor is not None and anchor.seq == expected:
            if anchor.mac != mac:
                return bad(expected, f"record {expected} isn't the one the anchor names: history was rewritten")
            anchored = True
        if row[8] == CLOCK_EXPLAINED:
            back.clear()
        elif row[2] < before and _went_back(before, row[2]):
            back.append(expected)
        last, before, checked = mac, row[2], expected
    if anchor is not None and not anchored:
        if anchor.seq < 1:
            return bad(1, "the anchor names no record that can exist: it was damaged or edited")
        missing = f"record {checked + 1} is missing"
        return bad(checked + 1, f"{missing}: the anchor names {anchor.seq}, the last one here is {checked}")
    why = f"{checked} records, each in its place" + _say_back(back)
    return Verification(True, checked, None, why, Anchor(checked, last), tuple(back[:_NAMED]))


def _went_back(before: str, now: str) -> bool:
    try:
        return utc_moment(before) - utc_moment(now) > CLOCK_MAY_DIFFER
    except ValueError:  # sealed by us all the same: an instant no clock gives
        return True


def _say_back(back: list[int]) -> str:
    if not back:
        return ""
    more = f" (and before {len(back) - 1:,} more)" if len(back) > 1 else ""
    return f"; the clock was set back before record {back[0]}{more}, and nobody has said why"


def _wrong_type(seq: int) -> str:
    return f"record {seq} holds a value of another type than was written"


def _out_of_place(seq: object, expected: int) -> str:
    if type(seq) is int and seq > expected:
        return f"record {expected} is missing; the next one here is {seq}"
    return f"record {seq} stands where record {expected} should be"


def _not_ours(seq: int) -> str:
    edited = f"record {seq} doesn't match its MAC: it was edited, or written without the key"
    return edited + "; or this is not the key of this store" if seq == 1 else edited
