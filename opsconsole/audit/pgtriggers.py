"""What keeps the records append-only on PostgreSQL: trigger functions, and whether they stand as we made them."""

from sqlalchemy import Connection

from opsconsole.audit.tables import AUDIT, OUTBOX

TURN = 0x6F70_7363_6F6E  # "opscon": the advisory lock of whoever adds a record

# VOLATILE, so that max(seq) is read after the lock was got and not as of the statement's begin.
FUNCTIONS = {
    "audit_no_change": """
BEGIN
  RAISE EXCEPTION 'audit records are append-only: no %', lower(TG_OP);
END
""",
    "audit_only_next": """
BEGIN
  PERFORM pg_advisory_xact_lock(:turn);
  IF NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), 0) + 1 FROM audit) THEN
    RAISE EXCEPTION 'audit records are append-only: a new one takes the next seq';
  END IF;
  RETURN NEW;
END
""".replace(":turn", str(TURN)),
    "audit_second_person": """
DECLARE
  approval jsonb;
BEGIN
  IF NEW.detail !~ '"four_eyes"\\s*:\\s*true' THEN
    RETURN NEW;
  END IF;
  approval := NEW.detail::jsonb -> 'approval';
  IF EXISTS (
    SELECT 1 FROM audit WHERE 'record ' || seq = approval ->> 'reference' AND action = 'break-glass'
    AND campaign = NEW.campaign AND environment = NEW.environment
  ) THEN
    RETURN NEW;
  END IF;
  IF lower(btrim(coalesce(approval ->> 'by', ''))) IN
    ('', lower(btrim(coalesce(NEW.detail::jsonb #>> '{plan,planned_by}', '')))) THEN
    RAISE EXCEPTION 'a send needs a second person: its approval is by nobody, or by its planner';
  END IF;
  RETURN NEW;
END
""",
}
TRIGGERS = {
    "audit_no_change": "BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT",
    "audit_only_next": "BEFORE INSERT ON audit FOR EACH ROW",
    "audit_second_person": (
        "BEFORE INSERT ON audit FOR EACH ROW WHEN (NEW.action = 'send' AND NEW.phase = 'intent')"
    ),
}
# ALWAYS, so that a session that calls itself a replica isn't let through.
_SOUND = """
SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = to_regclass('audit') AND t.tgenabled = 'A' AND NOT t.tgisinternal
"""

_OTHERS = """
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND (
  tgrelid = to_regclass('outbox') OR (tgrelid = to_regclass('audit') AND tgname NOT IN :ours))
UNION ALL
SELECT rulename FROM pg_rewrite WHERE ev_class IN (to_regclass('audit'), to_regclass('outbox'))
""".replace(":ours", str(tuple(FUNCTIONS)))


def planted(connection: Connection) -> list[str]:
    """Triggers and rules on the tables that are none of ours: each may change or swallow what is written."""
    return [str(name) for (name,) in connection.exec_driver_sql(_OTHERS).all()]


def missing(connection: Connection) -> set[str]:
    """Tables that aren't there, and triggers that aren't there, are off, or aren't ours word for word."""
    tables = {
        name
        for name in ("audit", "outbox")
        if connection.exec_driver_sql(f"SELECT to_regclass('{name}')").scalar() is None
    }
    found = connection.exec_driver_sql(_SOUND).all()
    sound = {name for name, body in found if FUNCTIONS.get(name) == body}
    return tables | (FUNCTIONS.keys() - sound)


def build(connection: Connection) -> None:
    """Make what is missing, in the caller's transaction."""
    lacking = missing(connection)
    AUDIT.metadata.create_all(connection, tables=[AUDIT, OUTBOX])
    for name in lacking & FUNCTIONS.keys():
        body = FUNCTIONS[name].replace("%", "%%")
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body${body}$body$"
        )
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name} ON audit")
        connection.exec_driver_sql(f"CREATE TRIGGER {name} {TRIGGERS[name]} EXECUTE FUNCTION {name}()")
        connection.exec_driver_sql(f"ALTER TABLE audit ENABLE ALWAYS TRIGGER {name}")
