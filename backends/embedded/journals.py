"""What a killed run of our own runner leaves: its journal, and what the mail server logged of the last messages.

Written by the runner's own code, so that it can be looked into, decided and gone on with like any other.
"""

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

IN_FLIGHT = 6  # handed over, and killed before the answer
CLAIMED_AHEAD = 256  # rows a runner puts on record at once before it begins them
HOST = "blast-mail-demo"


def write_journal(campaigns: Path, folder: Path, began: datetime, seconds: float, done: int) -> list[str]:
    """Journal, marker and capabilities of an attempt that came through `done` rows in `seconds`, the last
    IN_FLIGHT of them unknown. Returns the lines that the mail server logged of those.
    """
    from runner.campaign.address import Address
    from runner.campaign.csvdata import Row
    from runner.campaign.files import open_campaign
    from runner.campaign.survey import skim
    from runner.cli import capabilities, version
    from runner.message.mail import MessageIds
    from runner.record import past
    from runner.record.journal import Journal
    from runner.run import claim

    slug = folder.parent.name
    run = claim.existing(folder, None, supervised=True)
    unknown: list[tuple[str, str]] = []
    with closing(open_campaign(campaigns, slug)) as campaign:
        rows: list[tuple[Row, Address]] = []
        table = skim(campaign, lambda row, address: rows.append((row, address)))
        ids = MessageIds(slug, campaign.metadata, campaign.reader().columns)
        with closing(Journal(folder / "journal")) as book:
            book.header(past.identity(run, campaign, table.rows), claim.boot_id(), version(), began.isoformat())
            for first in range(1, min(done, table.rows) + 1, CLAIMED_AHEAD):
                book.claim(first, min(first + CLAIMED_AHEAD - 1, table.rows))
            for row, address in rows[:done]:
                message_id = ids.of(row.values, address)
                book.begin(row.number, address.hexkey, 1, message_id)
                if row.number <= done - IN_FLIGHT:
                    book.accepted(row.number, address.hexkey, 250, f"2.0.0 Ok: queued as {_queue_id(row.number)}")
                else:
                    unknown.append((message_id, address.text))
    marker = {"run_id": run.run_id, "slug": slug, "attempt": run.attempt, "journal": "journal"}
    for name, text in (("run.json", json.dumps(marker)), ("runner.json", capabilities())):
        (folder / name).write_text(text + "\n")
        (folder / name).chmod(0o600)
    ended = began + timedelta(seconds=seconds)
    for path in folder.iterdir():
        if path.name in ("journal", "run.json", "runner.json"):
            os.utime(path, (ended.timestamp(), ended.timestamp()))
    return _mail_log(unknown, done, ended)


def _mail_log(unknown: list[tuple[str, str]], done: int, ended: datetime) -> list[str]:
    """Of the first two it has the delivery, of the third that it was queued, of the fourth only the beginning, and
    of the others nothing."""
    lines = []
    for number, (message_id, address) in enumerate(unknown[:4]):
        queue_id = _queue_id(done - IN_FLIGHT + 1 + number)
        said = [("cleanup", f"message-id={message_id}")]
        if number < 3:
            said.append(("qmgr", "from=<letters@example.com>, size=9214, nrcpt=1 (queue active)"))
        if number < 2:
            relay = "relay=mx.example.com[192.0.2.25]:25, delay=0.9, delays=0.1/0/0.3/0.5"
            said.append(("smtp", f"to=<{address}>, {relay}, dsn=2.0.0, status=sent (250 2.0.0 Ok)"))
            said.append(("qmgr", "removed"))
        for daemon, text in said:
            at = ended.astimezone(UTC) + timedelta(milliseconds=40 * number)
            lines.append(f"{at:%Y-%m-%dT%H:%M:%S.%f}+00:00 {HOST} postfix/{daemon}[811]: {queue_id}: {text}")
    return lines


def _queue_id(row: int) -> str:
    return f"4F{row:06X}"
