"""The data file: is it sound CSV, are its addresses good, and is it the audience that was meant?"""

from typing import Any

from opsconsole.campaign import DATA, METADATA, Approval
from opsconsole.preflight import reading
from opsconsole.preflight.check import (
    CannotJudge,
    Check,
    Finding,
    Outcome,
    Situation,
    failed,
    many,
    passed,
    shown,
    warned,
)
from opsconsole.preflight.reading import Audience


def gather_audience(situation: Situation) -> Audience:
    return situation.once(reading.audience)


def gather_whole(situation: Situation) -> Audience:
    return reading.whole_audience(situation)


def judge_csv(found: Audience, situation: Situation) -> Finding:
    path = situation.path(DATA)
    if found.broken:
        line = f"{path}, line {found.broken.line or 1}: {found.broken.what}"
        return failed(f"{DATA} is not sound CSV: {found.broken.what}.", _sentence(found.broken.remedy), [line])
    if found.uneven:
        return failed(
            f"{many(found.uneven_count, 'row')} of {DATA} {'has' if found.uneven_count == 1 else 'have'} "
            "more or fewer fields than the header.",
            _sentence(found.uneven[0].remedy),
            shown((f"{path}, line {p.line}: {p.what}" for p in found.uneven), found.uneven_count),
        )
    if not found.rows:
        return failed(f"{DATA} has a header but no recipient.", "Export the recipients again.", [f"{path}: 0 rows"])
    notes = []
    if found.bom:
        notes.append("It begins with a byte order mark, which is left out.")
    if found.crlf:
        notes.append("Its lines end in CRLF, as spreadsheets write them.")
    return passed(
        f"{many(found.rows, 'row')} in {many(len(found.columns), 'column')}.", *notes, _columns(found.columns)
    )


def judge_addresses(found: Audience, situation: Situation) -> Finding:
    if not found.bad_count:
        return passed(f"All {many(found.rows, 'address', 'addresses')} can be mailed.")
    them = "it" if found.bad_count == 1 else "them"
    return failed(
        f"{many(found.bad_count, 'address', 'addresses')} of {found.rows:,} can't be mailed.",
        f"Correct or remove {them} in {situation.path(DATA)}.",
        shown(
            (f"{situation.path(DATA)}, line {bad.line}: {bad.address}: {bad.why}" for bad in found.bad),
            found.bad_count,
        ),
    )


def judge_unique(found: Audience, situation: Situation) -> Finding:
    if not found.repeated_count:
        return passed("Nobody is there twice.")
    lines = shown(
        (f"{situation.path(DATA)}, line {fault.line}: {fault.address} {fault.why}" for fault in found.repeated),
        found.repeated_count,
    )
    rows = f"{many(found.repeated_count, 'row')} of {found.rows:,}"
    remedy = f"Remove the later rows from {situation.path(DATA)}, and ask whether the export joined two lists."
    if situation.our_runner:
        return warned(
            f"{rows} would mail somebody a second time; the runner leaves the later ones out.", remedy, lines
        )
    return failed(f"{rows} would mail somebody a second time.", remedy, lines)


def gather_expected(situation: Situation) -> tuple[int, dict[str, int]]:
    """The rows there are, and who expects how many."""
    expected = {}
    try:
        own = situation.once(reading.metadata).expected_recipients
    except CannotJudge:
        own = None
    if own is not None:
        expected[METADATA] = own
    known = situation.details.expected_recipients
    if known is not None and known != own:
        expected["the campaign's sources"] = known
    return reading.whole_audience(situation).rows, expected


def judge_expected(counts: tuple[int, dict[str, int]], situation: Situation) -> Finding:
    rows, expected = counts
    if not expected:
        return warned(
            f"Nobody said how many recipients to expect; {DATA} has {rows:,}.",
            f'Add "expected_recipients": {rows} to {situation.path(METADATA)} once somebody has confirmed it.',
        )
    wrong = {who: count for who, count in expected.items() if count != rows}
    if not wrong:
        return passed(f"{many(rows, 'row')}, as expected.")
    who, count = next(iter(wrong.items()))
    return failed(
        f"{DATA} has {rows:,} rows, {who} expected {count:,}: {_difference(rows, count)}.",
        "Find out which of the two is right, then export the data again or correct the number.",
        [
            f"{situation.path(DATA)}: {rows:,} rows",
            *(f"{who}: {count:,} expected" for who, count in expected.items()),
        ],
    )


def gather_approved(situation: Situation) -> tuple[Approval | None, int]:
    return situation.approval, reading.whole_audience(situation).rows


def judge_approved(gathered: tuple[Approval | None, int], situation: Situation) -> Finding:
    approval, rows = gathered
    if approval is None:
        return Finding(Outcome.SKIPPED, "There is no approval to compare with.", (), "Ask for an approval first.")
    if approval.recipients is None:
        return warned(
            f"The approval by {approval.by} names no number of recipients; {DATA} has {rows:,}.",
            f"Ask {approval.by} whether {rows:,} is the number that was meant.",
        )
    if approval.recipients == rows:
        return passed(f"{many(rows, 'row')}, as {approval.by} approved.")
    return failed(
        f"{DATA} has {rows:,} rows, {approval.by} approved {approval.recipients:,}: "
        f"{_difference(rows, approval.recipients)}.",
        f"Ask {approval.by} to approve {rows:,}, or put back the data that was approved.",
        [
            f"{situation.path(DATA)}: {rows:,} rows",
            f"approval {approval.reference or 'by ' + approval.by}: {approval.recipients:,}",
        ],
    )


def _difference(rows: int, wanted: int) -> str:
    return f"{abs(rows - wanted):,} too {'many' if rows > wanted else 'few'}"


def _columns(columns: tuple[str, ...]) -> str:
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return f"Columns: {', '.join(name[:40] for name in columns[:12])}{more}"


def _sentence(remedy: str) -> str:
    return f"{remedy[:1].upper()}{remedy[1:]}."


CHECKS: tuple[Check[Any], ...] = (
    Check("csv-well-formed", "The data is sound CSV", "audience", gather_audience, judge_csv),
    Check("addresses-valid", "Every address can be mailed", "audience", gather_whole, judge_addresses),
    Check("addresses-unique", "Nobody is mailed twice", "audience", gather_whole, judge_unique),
    Check("count-expected", "As many as expected", "audience", gather_expected, judge_expected),
    Check("count-approved", "As many as approved", "audience", gather_approved, judge_approved),
)
