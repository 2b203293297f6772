"""The records as JSON Lines (docs/audit-format.md): a sealed first line, each row as it is stored, a sealed end.

`verify_export.py` reads it back with code of its own, so that a fault here can't hide itself.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from opsconsole.audit.chain import Anchor, Row, store_id
from opsconsole.audit.records import utc_text

FORMAT = "opsconsole audit export"
VERSION = 1
FIELDS = (
    "seq", "ref", "utc", "operator", "session", "environment", "campaign", "run", "action", "phase", "reason",
    "detail", "prev", "mac",
)  # fmt: skip
_DOMAIN = b"opsconsole audit export 1\n"


def write_export(fp: TextIO, rows: Iterable[Row], head: Anchor, key: bytes, now: datetime) -> int:
    """How many rows were written between the first line and the last."""
    claim = {"store": store_id(key), "seq": head.seq, "head": head.mac, "exported": utc_text(now)}
    claim["seal"] = _seal(claim, key)
    fp.write(_line({"format": FORMAT, "version": VERSION, **claim}))
    count = 0
    for row in rows:
        fp.write(_line({name: _shown(value) for name, value in zip(FIELDS, row, strict=True)}))
        count += 1
    fp.write(_line({"end": True, **claim}))
    return count


def _seal(claim: dict[str, object], key: bytes) -> str:
    """Over the whole promise: who cuts an export short can't seal a shorter one."""
    text = "\n".join(str(claim[name]) for name in ("store", "seq", "head", "exported"))
    return hmac.new(key, _DOMAIN + text.encode(), hashlib.sha256).hexdigest()


def _shown(value: object) -> object:
    """A value of a type no honest row holds is written as text, and then doesn't match its MAC."""
    return value if value is None or type(value) in (int, str) else repr(value)


def _line(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n"
