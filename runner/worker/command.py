"""mail-blast-runner worker: send what a queue of the AWS pipeline names. Any number of these work on one queue."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace

from runner.errors import USAGE, Refused
from runner.run.output import Output
from runner.worker.machine import Machine, Until
from runner.worker.parts import Parts
from runner.worker.settings import PREFIX, THREADS, WorkerSettings, from_environment

_REGION = re.compile(r"https?://sqs\.([a-z0-9-]+)\.")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="mail-blast-runner worker",
        description=__doc__,
        epilog=f"Each option may be given in the environment as well: {PREFIX}QUEUE_URL, {PREFIX}RATE and so on.",
    )
    made.add_argument("--queue", metavar="URL", help="the queue's URL")
    made.add_argument("--region", help="of all services; the queue's by default")
    made.add_argument("--endpoint", metavar="URL", help="for all services, where they aren't AWS's own")
    made.add_argument("--channel", choices=("ses", "smtp"), help="for all campaigns, whatever they say")
    made.add_argument("--threads", type=int, metavar="N", help=f"mails at a time; {THREADS} unless said")
    made.add_argument("--rate", type=float, metavar="N", help="mails a second at most; what SES allows unless said")
    made.add_argument("--campaigns-table", metavar="NAME")
    made.add_argument("--contacts-table", metavar="NAME")
    made.add_argument("--deliveries-table", metavar="NAME")
    made.add_argument("--configuration-set", metavar="NAME", help="of SES")
    made.add_argument(
        "--credentials", metavar="FILE", help="whose [smtp] account is used for its own host and port"
    )
    made.add_argument(
        "--stale-after",
        type=float,
        metavar="SECONDS",
        help="then a delivery that was begun has no worker any more, and is unknown; 900 unless said",
    )
    made.add_argument("--poll", type=int, default=5, metavar="SECONDS", help="one look into an empty queue")
    ends = made.add_mutually_exclusive_group()
    ends.add_argument("--once", action="store_true", help="end after one batch")
    ends.add_argument("--until-empty", action="store_true", help="end when nothing can be taken")
    return made


def main(argv: Sequence[str]) -> int:
    """Run the worker; returns the exit code. Wrong usage exits with 2."""
    made = parser()
    args = made.parse_args(argv)
    if not 0 <= args.poll <= 20:
        made.error("--poll is from 0 to 20 seconds")
    output = Output()
    try:
        settings = regional(from_environment({**os.environ, **_said(args)}))
        if not settings.queue_url:
            output.complain("--queue is required")
            return USAGE
        parts = Parts(settings, output.complain)
        until = Until.ONCE if args.once else Until.EMPTY if args.until_empty else Until.STOPPED
        queue = parts.queue(settings.queue_url)
        try:
            rc = Machine(parts, queue, output.line, output.complain, until=until, poll_seconds=args.poll).run()
        finally:
            parts.close()
        return rc
    except Refused as error:
        output.complain(str(error))
        return error.code
    finally:
        output.close()


def regional(settings: WorkerSettings) -> WorkerSettings:
    """The region is the queue's where none is said."""
    found = _REGION.match(settings.queue_url)
    return settings if settings.region or not found else replace(settings, region=found[1])


def _said(args: argparse.Namespace) -> dict[str, str]:
    """What the command line says, as the environment would: so it is judged by the same rules."""
    given = {
        "QUEUE_URL": args.queue,
        "REGION": args.region,
        "ENDPOINT": args.endpoint,
        "CHANNEL": args.channel,
        "THREADS": args.threads,
        "RATE": args.rate,
        "STALE_AFTER": args.stale_after,
        "CONFIGURATION_SET": args.configuration_set,
        "CREDENTIALS": args.credentials,
        "CAMPAIGNS_TABLE": args.campaigns_table,
        "CONTACTS_TABLE": args.contacts_table,
        "DELIVERIES_TABLE": args.deliveries_table,
    }
    return {PREFIX + name: str(value) for name, value in given.items() if value is not None}
