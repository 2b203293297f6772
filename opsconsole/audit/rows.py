"""Between a record and the row it is stored in."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from opsconsole.audit.records import Phase, Record, canonical, read_detail, utc_moment, utc_text
from opsconsole.audit.tables import AUDIT

_TEXTS = ("operator", "session", "environment", "campaign", "run", "action", "reason", "prev", "mac")


def columns_of(record: Record) -> dict[str, object]:
    """The columns a record is stored in."""
    columns: dict[str, object] = {name: getattr(record, name) for name in _TEXTS}
    return columns | {
        "seq": record.seq,
        "utc": utc_text(record.utc),
        "phase": record.phase.value,
        "detail": canonical(record.detail),
        "ref": record.ref,
    }


def record_of(row: Row[Any] | Sequence[Any]) -> Record:
    """The record in a row. A row somebody damaged still shows (and fails to verify): one must not hide the rest."""
    columns: dict[str, Any] = (
        dict(row._mapping) if isinstance(row, Row) else dict(zip(AUDIT.c.keys(), row, strict=True))
    )
    texts = {name: value if isinstance(value, str) else repr(value) for name, value in columns.items()}
    try:
        utc = utc_moment(texts["utc"])
    except ValueError:
        utc = datetime.min.replace(tzinfo=UTC)
    try:
        phase = Phase(texts["phase"])
    except ValueError:
        phase = Phase.NOTE
    return Record(
        seq=columns["seq"] if isinstance(columns["seq"], int) else 0,
        utc=utc,
        **{name: texts[name] for name in _TEXTS},
        phase=phase,
        detail=read_detail(texts["detail"]),
        ref=columns["ref"] if isinstance(columns["ref"], int) else None,
    )
