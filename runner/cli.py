"""mail-blast-runner: rehearse, send and resume one campaign on the blast host."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

from runner.errors import CANCELLED, OK, Refused

if TYPE_CHECKING:
    from runner.output import Output

MODES = ("dry-run", "send", "resume", "list-unknown")
_TICK_SECONDS = 0.25


def version() -> str:
    """The distribution's version, also when it runs from a single file without one."""
    try:
        return metadata.version("opsconsole")
    except metadata.PackageNotFoundError:
        return "0.1.0"


def capabilities() -> str:
    """What this runner can do, as one JSON line."""
    return json.dumps(
        {
            "runner": "opsconsole",
            "version": version(),
            "modes": list(MODES),
            "control": "file",
            "progress": "jsonl",
        }
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="mail-blast-runner", description=__doc__)
    made.add_argument("--campaign", metavar="SLUG")
    made.add_argument("--mode", choices=MODES)
    made.add_argument("--verbose", action="store_true", help="progress for people too")
    made.add_argument("--log-delivery", action="store_true", help="write delivery.jsonl, one line a recipient")
    made.add_argument(
        "--notify-completion", action="store_true", help="mail the summary to [notify] to of the credentials file"
    )
    made.add_argument("--campaigns-dir", metavar="DIR")
    made.add_argument("--log-dir", metavar="DIR")
    made.add_argument("--state-dir", metavar="DIR")
    made.add_argument("--credentials", metavar="FILE")
    made.add_argument("--connections", type=_positive_int, default=8, metavar="N")
    made.add_argument("--rate", type=_positive, metavar="N", help="mails a second, at most")
    made.add_argument("--batch-size", type=_positive_int, default=0, metavar="N")
    made.add_argument("--batch-pause", type=_positive, default=0.0, metavar="SECONDS")
    made.add_argument("--version", action="version", version=version())
    made.add_argument("--capabilities", action="store_true", help="say as JSON what this runner can do")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. Wrong usage exits with 2."""
    born = time.time()
    from runner.output import Output, keep_standard_descriptors

    keep_standard_descriptors()
    made = parser()
    args = made.parse_args(argv)
    if args.capabilities:
        sys.stdout.write(capabilities() + "\n")
        return OK
    if not args.campaign or not args.mode:
        made.error("--campaign and --mode are required")
    output = Output()
    try:
        return _run(args, output, born)
    except Refused as error:
        output.complain(str(error))
        failed = {"v": 1, "summary": True, "mode": args.mode, "rc": error.code, "error": str(error), "counts": None}
        output.line(json.dumps(failed))
        return error.code
    finally:
        output.close()


def _run(args: argparse.Namespace, output: "Output", born: float) -> int:
    from runner import launch, settings
    from runner.campaign import check_slug
    from runner.control import Control
    from runner.dryrun import rehearse
    from runner.notify import notify
    from runner.progress import Counts, Progress

    chosen = settings.from_args(args, os.environ)
    check_slug(chosen.slug)
    if chosen.mode == "list-unknown":
        rows, lines, rc = launch.list_unknown(chosen)
        for line in lines:
            output.line(line)
        output.line(
            json.dumps(
                {
                    "v": 1,
                    "summary": True,
                    "mode": chosen.mode,
                    "rc": rc,
                    "unknown_total": len(rows),
                    "rows": rows[:1000],
                }
            )
        )
        return rc
    control = Control()
    control.catch_signals()
    starting = Progress(Counts())
    last = 0.0

    def tick(checked: int) -> None:
        nonlocal last
        if control.cancelled:
            raise Refused(CANCELLED, "cancelled before anything was sent")
        if (now := time.monotonic()) - last >= _TICK_SECONDS:
            last = now
            output.line(starting.line("starting", 0, datetime.now(UTC), now, checked=checked))

    tick(0)
    if chosen.mode == "dry-run":
        lines, summary = rehearse(chosen, tick=tick, now=datetime.now(UTC))
        for line in lines:
            output.line(line)
        output.line(json.dumps(summary))
        return int(summary["rc"])
    result = launch.send(
        chosen, control, output, tick=tick, capabilities=capabilities(), version=version(), born=born
    )
    for line in result.lines:
        output.line(line)
    if chosen.notify:
        notify(chosen.slug, result, output)
    closing = {
        "v": 1,
        "summary": True,
        "mode": chosen.mode,
        "rc": result.rc,
        "counts": result.counts.as_dict(),
        "duration_s": round(result.seconds, 3),
    }
    if result.reason:
        closing["error"] = result.reason
    output.line(json.dumps(closing))
    return result.rc


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _positive_int(text: str) -> int:
    value = int(text)
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError("must be from 1 to 100000")
    return value
