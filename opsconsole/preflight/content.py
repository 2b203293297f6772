"""Metadata and templates: can they be used, and does every row become a mail?"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT, Details, MetadataError, parse_metadata
from opsconsole.preflight import reading
from opsconsole.preflight.check import (
    CannotJudge,
    Check,
    Finding,
    Situation,
    failed,
    many,
    passed,
    shown,
    warned,
)
from opsconsole.preflight.rendering import Rendering, rendering
from runner.campaign import metadata as runner_metadata

_KNOWN = (
    "name",
    "subject",
    "from",
    "reply_to",
    "expected_recipients",
    "due_at",
    "timezone",
    "window",
    "latest_start",
    "series",
    "round",
    "rounds",
    "owner",
    "list_unsubscribe",
    "max_rate",
    "channel",
    "email_column",
    "phone_column",
    "max_segments",
    "approval",
)


def gather_metadata(situation: Situation) -> bytes:
    return situation.content(METADATA)


def judge_metadata(raw: bytes, situation: Situation) -> Finding:
    path = situation.path(METADATA)
    try:
        details = parse_metadata(raw)
    except MetadataError as error:
        return failed(f"{METADATA} can't be read.", f"Correct {path}.", [str(error)])
    problems = [*details.problems, *_runner_problems(raw, details)]
    if problems:
        return failed(
            f"{many(len(problems), 'value')} in {METADATA} can't be used.", f"Correct {path}.", shown(problems)
        )
    unknown = sorted(details.extra)
    meant = {key: close[0] for key in unknown if (close := difflib.get_close_matches(key, _KNOWN, 1, 0.75))}
    if meant:
        return warned(
            f"{METADATA} has {'a key' if len(meant) == 1 else 'keys'} that may be misspelt.",
            f"Rename {'it' if len(meant) == 1 else 'them'} in {path} if so.",
            shown(f"{path}: {key[:60]}; did you mean {close}?" for key, close in meant.items()),
        )
    notes = [f"Unknown keys, kept: {', '.join(key[:40] for key in unknown[:12])}"] if unknown else []
    return passed(f"{METADATA} is sound.", *notes)


def _runner_problems(raw: bytes, details: Details) -> list[str]:
    """What the runner alone objects to: it refuses to start for these."""
    try:
        runner_metadata.parse(raw.removeprefix(b"\xef\xbb\xbf"))
    except runner_metadata.MetadataError as error:
        told = " ".join(details.problems)
        return [f"{METADATA}: {problem}" for problem in error.problems if problem.split()[0] not in told]
    if raw.startswith(b"\xef\xbb\xbf"):
        return [f"{METADATA} begins with a byte order mark: save it as UTF-8 without one"]
    return []


def gather_rendering(situation: Situation) -> Rendering:
    return situation.once(rendering)


def judge_compiles(found: Rendering, situation: Situation) -> Finding:
    if found.broken is None:
        return failed(
            f"A template was cut off while it was compiled: {found.cut_off}.",
            f"Look into {situation.path(TEMPLATE)}: a loop or a number in it has no end.",
            [situation.path(TEMPLATE)],
        )
    if found.broken:
        return failed(
            f"{many(len(found.broken), 'template')} can't be compiled.",
            "Correct the template on the line named.",
            shown(_lines(found.broken, situation)),
        )
    if reading.is_sms(situation):
        return passed("The template compiles.", TEXT)
    return passed("The templates compile.", f"{TEMPLATE}" + (f", {TEXT}" if TEXT in situation.seen.files else ""))


def gather_compiled(situation: Situation) -> Rendering:
    found = situation.once(rendering)
    if found.broken or found.broken is None:
        raise CannotJudge("A template doesn't compile.", "Mend the template first.")
    return found


def judge_variables(found: Rendering, situation: Situation) -> Finding:
    if found.unknown is None and found.cut_off:
        return failed(
            f"The templates were cut off before their variables were known: {found.cut_off}.",
            f"Look into {situation.path(TEMPLATE)}: a loop or a number in it has no end.",
            [situation.path(TEMPLATE)],
        )
    if found.unknown is None:
        raise CannotJudge(f"The columns of {DATA} could not be read.", f"Mend {situation.path(DATA)} first.")
    if not found.unknown:
        return passed("Every variable of the templates is a column.")
    first = found.unknown[0]
    meant = (
        f"write {{{{ {first['suggestion']} }}}} for {{{{ {first['variable']} }}}}" if first["suggestion"] else ""
    )
    return failed(
        f"{many(len(found.unknown), 'variable')} of the templates "
        f"{'is' if len(found.unknown) == 1 else 'are'} no column of {DATA}.",
        f"{'Correct the template: ' + meant + ', or' if meant else 'Correct the template, or'} add the column.",
        (
            *shown(_lines(found.unknown, situation)),
            f"{situation.path(DATA)} has: {', '.join(name[:40] for name in found.columns[:12])}",
        ),
    )


def gather_rows(situation: Situation) -> Rendering:
    reading.metadata(situation)
    problems = _runner_problems(situation.content(METADATA), situation.once(reading.metadata))
    if problems:
        raise CannotJudge(f"{METADATA} can't be used.", f"Correct {situation.path(METADATA)} first.")
    reading.whole_audience(situation)
    return gather_compiled(situation)


def judge_rows(found: Rendering, situation: Situation) -> Finding:
    if found.cut_off:
        return failed(
            f"Rendering was cut off after {many(found.at, 'row')}: {found.cut_off}.",
            f"Look into {situation.path(TEMPLATE)}: it does too much for one mail.",
            [f"{situation.path(TEMPLATE)}: stopped at row {found.at + 1:,} or soon after"],
        )
    count = found.counts.get("template", 0) + found.counts.get("text", 0)
    if count:
        faults = [fault for fault in found.faults if fault.kind != "header"]
        return failed(
            f"{many(count, 'row')} of {found.rows:,} can't be rendered.",
            "Correct the template, or the rows named.",
            shown((f"{situation.path(DATA)}, line {fault.line}: {fault.why}" for fault in faults), count),
        )
    if not found.rows:
        return failed("There is no row to render.", "Export the recipients again.", [situation.path(DATA)])
    return passed(f"{'Its one row renders' if found.rows == 1 else f'All {found.rows:,} rows render'}.")


def _lines(findings: Iterable[Mapping[str, Any]], situation: Situation) -> list[str]:
    lines = []
    for finding in findings:
        where = situation.path(finding["file"]) + (f", line {finding['line']}" if finding["line"] else "")
        hint = f"; did you mean {finding['suggestion']}?" if finding["suggestion"] else ""
        lines.append(f"{where}: {finding['what']}{hint}")
    return lines


CHECKS: tuple[Check[Any], ...] = (
    Check("metadata-valid", "The metadata is sound", "content", gather_metadata, judge_metadata),
    Check("template-compiles", "The templates compile", "content", gather_rendering, judge_compiles),
    Check("template-variables", "Every variable is a column", "content", gather_compiled, judge_variables),
    Check("rows-render", "Every row renders", "content", gather_rows, judge_rows),
)
