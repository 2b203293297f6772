"""The senders that the runner is measured against; each sends the same mail N times and says how long it took.

    python -m bench.senders NAME PORT N FOLDER [uvloop]

FOLDER holds a campaign; `mail` in it is one of its mails, ready-made.
"""

import asyncio
import csv
import json
import smtplib
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from email.message import EmailMessage
from itertools import islice
from pathlib import Path
from typing import Any

import aiosmtplib
import jinja2

CONNECTIONS = 20
SENDER, RECIPIENT = "news@example.com", "somebody@example.com"


async def naive(port: int, count: int, folder: Path) -> None:
    """A template compiled for each row, a mail object, a connection of its own, a line printed."""
    source = (folder / "blast_template.html").read_text()
    for row in rows(folder, count):
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = SENDER, row["email"], f"News for {row['first_name']}"
        mail.set_content("Please read this as HTML.")
        mail.add_alternative(jinja2.Template(source).render(row), subtype="html")
        await aiosmtplib.send(mail, hostname="127.0.0.1", port=port, start_tls=False)
        print(json.dumps({"to": row["email"]}), file=sys.stderr, flush=True)


def smtplib_reused(port: int, count: int, folder: Path) -> None:
    """One connection, kept; the bytes are there."""
    data = (folder / "mail").read_bytes()
    with smtplib.SMTP("127.0.0.1", port) as client:
        for _ in range(count):
            client.sendmail(SENDER, RECIPIENT, data)


async def sendmail(port: int, count: int, folder: Path) -> None:
    """aiosmtplib.sendmail over kept connections; the bytes are there."""
    data = (folder / "mail").read_bytes()
    left = iter(range(count))

    async def work() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for _ in left:
                await client.sendmail(SENDER, [RECIPIENT], data)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


def rows(folder: Path, count: int) -> Iterator[dict[str, str]]:
    with (folder / "blast_data.csv").open(newline="") as file:
        yield from islice(csv.DictReader(file), count)


SENDERS: dict[str, Callable[[int, int, Path], Coroutine[Any, Any, None] | None]] = {
    "naive": naive,
    "smtplib": smtplib_reused,
    "sendmail": sendmail,
}


def main() -> None:
    name, port, count, folder, *fast = sys.argv[1:]
    if fast:
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    began = time.perf_counter()
    if (work := SENDERS[name](int(port), int(count), Path(folder))) is not None:
        asyncio.run(work)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
