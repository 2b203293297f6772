"""Plans: frozen, compared part by part, and refused when anything moved."""

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT
from opsconsole.digests import content_digest
from opsconsole.observation import Content
from opsconsole.plan import Actual, DryRun, Plan, compare
from opsconsole.ports import Refused
from opsconsole.safety import check_plan, confirm_send, make_plan
from opsconsole.schedule import resolve_due
from tests.domain.words import DETAILS, NOW, POLICY, SLUG, dashboard, host, stale, verdict

DIGESTS = {TEMPLATE: "1" * 64, DATA: "2" * 64, METADATA: "3" * 64}
CONTENT = Content(digest=content_digest(DIGESTS), digests=tuple(DIGESTS.items()), rows=2601)
REHEARSED = DryRun(
    slug=SLUG,
    carrier="blast-mail-prod",
    at=NOW - timedelta(minutes=3),
    ok=True,
    digests=DIGESTS,
    audience=2601,
    seq=41,
)


def ready(content: Content = CONTENT, **more: object):  # type: ignore[no-untyped-def]
    return verdict(dashboard(), host(content=content, **more))


def plan(dry_run: DryRun = REHEARSED, attempt: int = 1, **more: object) -> Plan:
    known = {"policy": POLICY, "environment": "prod", "host": "machine-1", "operator": "mara", "now": NOW}
    return make_plan(ready(next_attempt=attempt), dry_run, **(known | more))  # type: ignore[arg-type]


def test_a_plan_holds_while_nothing_moves() -> None:
    made = plan()
    assert compare(made, Actual(digests=DIGESTS, audience=2601, host="machine-1"), NOW) == ()
    check_plan(made, ready(), REHEARSED, "machine-1", POLICY, NOW)
    assert made.phrase == "paul-simon-may12 2601"


def test_a_plan_survives_being_written_down() -> None:
    made = plan()
    again = Plan.from_document(made.document())
    assert (again.digest, again.run_id) == (made.digest, made.run_id)


def test_a_plan_says_how_many_rows_its_rehearsal_rendered_and_one_of_before_keeps_its_digest() -> None:
    told = plan(replace(REHEARSED, rendered=2610))
    assert told.document()["dry_run"]["rendered"] == 2610
    assert Plan.from_document(told.document()) == told
    assert "rendered" not in plan().document()["dry_run"]
    assert plan().digest != told.digest


def test_who_is_there_twice_or_suppressed_is_among_the_rows_and_not_among_the_people() -> None:
    counted = replace(REHEARSED, audience=2590, duplicates=4, suppressed=7)
    check_plan(plan(counted), ready(), counted, "machine-1", POLICY, NOW)
    with pytest.raises(Refused, match="audience was 2,590"):
        check_plan(plan(counted), ready(), replace(counted, suppressed=8), "machine-1", POLICY, NOW)


def test_the_run_id_is_the_same_for_the_same_plan_and_no_other() -> None:
    made = plan()
    assert made.run_id == plan().run_id
    assert made.run_id != replace(made, attempt=2).run_id
    assert made.run_id != replace(made, audience=2602).run_id


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (
            Actual(digests=DIGESTS | {TEMPLATE: "9" * 64}),
            "template (blast_template.html) was 111111111111 in the plan",
        ),
        (Actual(digests=DIGESTS | {DATA: "9" * 64}), "data (blast_data.csv)"),
        (Actual(digests=DIGESTS | {METADATA: "9" * 64}), "metadata (blast_metadata.json)"),
        (
            Actual(digests=DIGESTS | {TEXT: "9" * 64}),
            "text (blast_template.txt) was missing in the plan, is 999999999999",
        ),
        (Actual(digests={k: v for k, v in DIGESTS.items() if k != DATA}), "is missing now"),
        (Actual(audience=2602), "audience was 2,601 in the plan, is 2,602 now"),
        (Actual(host="machine-2"), "host was machine-1 in the plan, is machine-2 now"),
    ],
)
def test_a_stale_plan_names_the_part_and_both_values(actual: Actual, words: str) -> None:
    (difference,) = compare(plan(), actual, NOW)
    assert words in str(difference)


def test_a_plan_expires_and_dies_with_its_latest_start() -> None:
    made = plan()
    assert [d.part for d in compare(made, Actual(), NOW + timedelta(minutes=30))] == ["expiry"]
    assert [d.part for d in compare(made, Actual(), NOW + timedelta(hours=9))] == ["expiry", "latest start"]


@pytest.mark.parametrize(
    ("dry_run", "words"),
    [
        (None, "run the dry run first"),
        (replace(REHEARSED, ok=False, troubles=("row 7: 'frist_name' is undefined",)), "'frist_name' is undefined"),
        (replace(REHEARSED, at=NOW - timedelta(minutes=31)), "31 min old and counts for 30 min"),
        (
            replace(REHEARSED, digests=DIGESTS | {DATA: "8" * 64}),
            "blast_data.csv was 888888888888, is 222222222222",
        ),
        (replace(REHEARSED, audience=None), "counted nobody"),
    ],
)
def test_no_plan_without_a_passing_young_dry_run_of_this_content(dry_run: DryRun, words: str) -> None:
    with pytest.raises(Refused, match="nothing was sent") as caught:
        plan(dry_run)
    assert words in str(caught.value)


def test_a_host_lost_between_the_confirmations_refuses_the_send() -> None:
    made = plan()
    blind = verdict(dashboard(), stale(host(content=CONTENT)))
    with pytest.raises(Refused, match="UNKNOWN"):
        check_plan(made, blind, REHEARSED, "machine-1", POLICY, NOW)


def test_one_more_row_since_the_plan_refuses_the_send() -> None:
    made = plan()
    grown = ready(replace(CONTENT, rows=2602))
    with pytest.raises(Refused, match=r"audience was 2,601 in the plan, is 2,602 now"):
        check_plan(made, grown, REHEARSED, "machine-1", POLICY, NOW)


def test_the_confirmation_says_where_to_how_many_and_when_by_every_clock() -> None:
    confirmation = confirm_send(
        plan(),
        DETAILS,
        where="ops@203.0.113.7:22",
        danger=True,
        now=NOW,
        local_zone="Europe/London",
        warnings=(),
    )
    lines = dict(confirmation.lines)
    assert lines["recipients"] == "2,601"
    assert "ops@203.0.113.7:22" in lines["host"]
    assert lines["now"] == "May 12 10:52 PDT · May 12 18:52 BST · May 12 17:52 UTC"
    confirmation.check("paul-simon-may12 2601", "")
    for typed in ("", "paul-simon-may12", "paul-simon-may12 2602", "PAUL-SIMON-MAY12 2601", "yes"):
        with pytest.raises(Refused, match="Nothing was done"):
            confirmation.check(typed, "")


def test_a_plan_made_for_another_due_time_is_stale() -> None:
    """Somebody moved it by ten minutes since: it is still due, but that isn't what was confirmed."""
    moved = replace(DETAILS, due=resolve_due("2026-05-12 10:10", DETAILS.zone))
    changed = verdict(dashboard(details=moved), host(content=CONTENT, details=moved))
    with pytest.raises(Refused, match="due time was 2026-05-12 17:00 UTC in the plan, is 2026-05-12 17:10 UTC now"):
        check_plan(plan(), changed, REHEARSED, "machine-1", POLICY, NOW)
