"""mail-blast-runner: rehearse, send and resume one campaign on the blast host."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.errors import CANCELLED, JOURNAL, OK, Refused

if TYPE_CHECKING:
    from runner.run.output import Output

LOOKS = ("list-unknown", "reconcile")
MODES = ("dry-run", "send", "resume", *LOOKS, "resolve")
_TICK_SECONDS = 0.25
_LOOK_SECONDS = 60.0  # an answer somebody waits for may take long to write over a slow line


def version() -> str:
    return __version__


def capabilities() -> str:
    """What this runner can do, as one JSON line."""
    from runner.campaign.metadata import CHANNELS

    return json.dumps(
        {
            "runner": "opsconsole",
            "version": version(),
            "modes": list(MODES),
            "control": "file",
            "controls": ["pause", "resume", "cancel", "rate", "account"],
            "progress": "jsonl",
            "channels": list(CHANNELS),
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
    made.add_argument("--connections", type=_positive_int, default=20, metavar="N")
    made.add_argument(
        "--no-pipelining",
        dest="pipelining",
        action="store_false",
        help="wait for each command's answer before the next one, for servers that mix them up",
    )
    made.add_argument("--rate", type=_positive, metavar="N", help="mails a second, at most")
    made.add_argument("--batch-size", type=_positive_int, default=0, metavar="N")
    made.add_argument("--batch-pause", type=_positive, default=0.0, metavar="SECONDS")
    made.add_argument(
        "--maillog",
        metavar="FILE",
        action="append",
        default=[],
        help="the mail server's log to look for unknown recipients in; again for each rotated one, .gz too",
    )
    made.add_argument(
        "--sent", metavar="ROWS", help="resolve: take these unknown rows (3,7,10-12, all, all=9) for sent"
    )
    made.add_argument("--resend", metavar="ROWS", help="resolve: let these unknown rows be sent again by a resume")
    made.add_argument(
        "--from-maillog",
        metavar="ROWS",
        help="resolve: take those of these unknown rows for sent that the mail server's log proves to be taken",
    )
    made.add_argument("--by", metavar="NAME", help="resolve: who decided it")
    made.add_argument("--show", type=_few, default=1, metavar="N", help="dry-run: tell of so many messages")
    made.add_argument("--save-to", type=Path, metavar="DIR", help="dry-run: and write them into this new folder")
    made.add_argument(
        "--probe", action="store_true", help="dry-run: connect to the mail server and log in too, hand nothing over"
    )
    made.add_argument("--version", action="version", version=version())
    made.add_argument("--capabilities", action="store_true", help="say as JSON what this runner can do")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. Wrong usage exits with 2."""
    born = time.time()
    from runner.run.output import Output, keep_standard_descriptors

    keep_standard_descriptors()
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] == ["worker"]:
        from runner.worker import command

        return command.main(given[1:])
    made = parser()
    args = made.parse_args(given)
    if args.capabilities:
        sys.stdout.write(capabilities() + "\n")
        return OK
    if not args.campaign or not args.mode:
        made.error("--campaign and --mode are required")
    decided = args.sent or args.resend
    if args.mode == "resolve" and not ((decided or args.from_maillog) and args.by and args.by.strip()):
        made.error("--mode resolve needs --sent, --resend or --from-maillog, and --by")
    if args.mode == "resolve" and decided and args.from_maillog:
        made.error("--from-maillog goes alone: decide what it leaves unknown afterwards")
    output = Output()
    try:
        return _run(args, output, born)
    except Refused as error:
        return _failed(output, args.mode, error.code, str(error))
    except OSError as error:  # a file of ours: a full disk, a folder that went away
        return _failed(output, args.mode, JOURNAL, f"{error.filename or 'a file'}: {error.strerror}. Stopped there")
    finally:
        output.close(patience=_LOOK_SECONDS if args.mode in LOOKS or args.mode == "resolve" else 2.0)


def _failed(output: "Output", mode: str, rc: int, why: str) -> int:
    output.complain(why)
    output.line(json.dumps({"v": 1, "summary": True, "mode": mode, "rc": rc, "error": why, "counts": None}))
    return rc


def _run(args: argparse.Namespace, output: "Output", born: float) -> int:
    from runner import launch, settings
    from runner.campaign.files import check_slug
    from runner.dryrun import rehearse
    from runner.record import doubt
    from runner.run.control import Control
    from runner.run.notify import notify
    from runner.run.progress import Counts, Progress

    chosen = settings.from_args(args, os.environ)
    check_slug(chosen.slug)
    if chosen.mode in LOOKS:
        return _tell(output, *doubt.report(chosen, doubt.standing(chosen, doubt.attempt(chosen))))
    if chosen.mode == "resolve":
        from runner.record.resolve import parse_rows, resolve

        sent, resend, proven = map(parse_rows, (args.sent, args.resend, args.from_maillog))
        decided = resolve(chosen, sent, resend, args.by, datetime.now(UTC), proven=proven)
        return _tell(output, *doubt.report(chosen, decided))
    control = Control(output.complain)
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
        return _tell(output, *rehearse(chosen, tick=tick, now=datetime.now(UTC)))
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


def _tell(output: "Output", lines: list[str], summary: dict[str, Any]) -> int:
    for line in lines:
        output.line(line)
    output.line(json.dumps(summary))
    return int(summary["rc"])


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _few(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError("must be from 0 to 100")
    return value


def _positive_int(text: str) -> int:
    value = int(text)
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError("must be from 1 to 100000")
    return value
