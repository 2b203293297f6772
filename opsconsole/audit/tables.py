"""The tables of the audit store and the triggers that keep the records append-only."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text
from sqlmodel import Field, SQLModel

_Seq = BigInteger().with_variant(Integer, "sqlite")


class AuditRow(SQLModel, table=True):
    """Texts are stored exactly as their MAC covers them: `utc` fixed-width ISO, `detail` canonical JSON."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_action_campaign", "action", "campaign"),
        Index("audit_campaign", "campaign"),
        Index("audit_ref", "ref", "phase", "action"),
    )

    seq: int = Field(sa_column=Column(_Seq, primary_key=True, autoincrement=False))
    utc: str = Field(sa_type=Text, index=True)
    operator: str = Field(sa_type=Text)
    session: str = Field(sa_type=Text)
    environment: str = Field(sa_type=Text)
    campaign: str = Field(sa_type=Text)
    run: str = Field(sa_type=Text, index=True)
    action: str = Field(sa_type=Text)
    phase: str = Field(sa_type=Text, index=True)
    reason: str = Field(sa_type=Text)
    detail: str = Field(sa_type=Text)
    prev: str = Field(sa_type=Text)
    mac: str = Field(sa_type=Text)
    ref: int | None = Field(default=None, sa_column=Column(_Seq, nullable=True))


class OutboxRow(SQLModel, table=True):
    """What another system has yet to acknowledge. `key` makes putting idempotent."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, primary_key=True)
    created_utc: str = Field(sa_type=Text)
    destination: str = Field(sa_type=Text)
    key: str = Field(sa_type=Text, unique=True)
    payload: str = Field(sa_type=Text)
    tries: int = 0
    next_try_utc: str = Field(sa_type=Text)
    last_error: str = Field(default="", sa_type=Text)
    done_utc: str | None = Field(default=None, sa_type=Text, index=True)


AUDIT: Table = SQLModel.metadata.tables["audit"]
OUTBOX: Table = SQLModel.metadata.tables["outbox"]

# INSERT OR REPLACE removes rows without a delete trigger firing, so the insert itself must be the next one.
TRIGGERS = {
    "audit_no_update": (
        "BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit records are append-only: no update'); END"
    ),
    "audit_no_delete": (
        "BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit records are append-only: no delete'); END"
    ),
    "audit_only_next": (
        "BEFORE INSERT ON audit WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit) "
        "BEGIN SELECT RAISE(ABORT, 'audit records are append-only: a new one takes the next seq'); END"
    ),
}
