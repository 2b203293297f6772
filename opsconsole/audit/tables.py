"""The tables of the audit store and the triggers that keep the records append-only."""

from sqlalchemy import BigInteger, Column, Dialect, Index, Integer, Table, Text
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field, SQLModel

_Seq = BigInteger().with_variant(Integer, "sqlite")


class Exact(TypeDecorator[str]):
    """Text that is compared byte by byte, whatever language a server speaks: instants sort as texts."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())


class AuditRow(SQLModel, table=True):
    """Texts are stored exactly as their MAC covers them: `utc` fixed-width ISO, `detail` canonical JSON."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_action_campaign", "action", "campaign"),
        Index("audit_campaign", "campaign"),
        Index("audit_ref", "ref", "phase", "action"),
    )

    seq: int = Field(sa_column=Column(_Seq, primary_key=True, autoincrement=False))
    utc: str = Field(sa_type=Exact, index=True)
    operator: str = Field(sa_type=Exact)
    session: str = Field(sa_type=Exact)
    environment: str = Field(sa_type=Exact)
    campaign: str = Field(sa_type=Exact)
    run: str = Field(sa_type=Exact, index=True)
    action: str = Field(sa_type=Exact)
    phase: str = Field(sa_type=Exact, index=True)
    reason: str = Field(sa_type=Exact)
    detail: str = Field(sa_type=Exact)
    prev: str = Field(sa_type=Exact)
    mac: str = Field(sa_type=Exact)
    ref: int | None = Field(default=None, sa_column=Column(_Seq, nullable=True))


class OutboxRow(SQLModel, table=True):
    """What another system has yet to acknowledge. `key` makes putting idempotent."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, primary_key=True)
    created_utc: str = Field(sa_type=Exact)
    destination: str = Field(sa_type=Exact)
    key: str = Field(sa_type=Exact, unique=True)
    payload: str = Field(sa_type=Exact)
    tries: int = 0
    next_try_utc: str = Field(sa_type=Exact)
    last_error: str = Field(default="", sa_type=Exact)
    done_utc: str | None = Field(default=None, sa_type=Exact, index=True)


AUDIT: Table = SQLModel.metadata.tables["audit"]
OUTBOX: Table = SQLModel.metadata.tables["outbox"]

# SQLite's; PostgreSQL's are in pgtriggers.py.
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
    # The store itself says which sends are under four eyes (enforce.py); here for who writes past it.
    "audit_second_person": (
        "BEFORE INSERT ON audit WHEN NEW.action = 'send' AND NEW.phase = 'intent' AND json_valid(NEW.detail) "
        "AND json_extract(NEW.detail, '$.four_eyes') IS 1 "
        "AND lower(trim(coalesce(json_extract(NEW.detail, '$.approval.by'), ''))) IN "
        "('', lower(trim(coalesce(json_extract(NEW.detail, '$.plan.planned_by'), '')))) "
        "AND NOT EXISTS (SELECT 1 FROM audit "
        "WHERE 'record ' || seq = json_extract(NEW.detail, '$.approval.reference') AND action = 'break-glass' "
        "AND campaign = NEW.campaign AND environment = NEW.environment) "
        "BEGIN SELECT RAISE(ABORT, 'a send needs a second person: its approval is by nobody, or by its planner'); "
        "END"
    ),
}
