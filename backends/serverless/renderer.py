"""The process that makes the mail of every contact, and can be cut off. Started by rendering.py.

Standard input: one JSON line with the campaign, then lines that are a contact each, and `null` after each page.
Standard output: JSON lines, an answer to each `null`, and `done`. A template is somebody else's program, so this
process has limits on processor time and memory, and no secrets in its environment.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

from opsconsole.preflight.renderer import KEPT, LIFE_SECONDS, SLOW_ROWS, limit_memory, say
from runner.campaign.address import mask
from runner.message.guard import ROW_SECONDS
from runner.message.headers import RowRefused
from runner.message.look import look
from runner.message.mail import Mail
from runner.worker.mail import Content, ContentError


def main() -> None:
    stdin = sys.stdin.buffer
    limit_memory()
    say("hello")
    try:
        content = Content(json.loads(stdin.readline()))
    except ContentError as error:
        return say("broken", why=str(error))
    say("compiled", variables=sorted(content.variables))
    made = _Made(content)
    for line in stdin:
        contact = json.loads(line)
        if contact is None:
            say("page", rows=made.rows)
        elif why := made.take(contact):
            return say("broken", why=why)
        if made.slow >= SLOW_ROWS:
            return say("broken", why=f"several contacts took longer than {ROW_SECONDS:g} s each to render")
    return say(
        "done",
        rows=made.rows,
        refused=dict(made.refused),
        largest=made.largest,
        total=made.total,
        sample=made.sample,
    )


class _Made:
    """The mails so far: none is kept but the first, to be looked at."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.rows = self.largest = self.total = self.slow = 0
        self.refused: Counter[str] = Counter()
        self.sample: dict[str, Any] | None = None
        self._told = time.monotonic()

    def take(self, contact: dict[str, Any]) -> str:
        """Why nobody at all can be mailed; "" when that isn't so."""
        begun = time.monotonic()
        self.rows += 1
        try:
            mail = self._content.mail(contact, time.time())
        except ContentError as error:
            return str(error)
        except RowRefused as error:
            self._refuse(contact, error)
        else:
            self.total += mail.size
            self.largest = max(self.largest, mail.size)
            self.sample = self.sample or _sample(mail)
        now = time.monotonic()
        self.slow += now - begun >= ROW_SECONDS
        if now - self._told > LIFE_SECONDS:
            self._told = now
            say("at", rows=self.rows)
        return ""

    def _refuse(self, contact: dict[str, Any], error: RowRefused) -> None:
        if error.kind == "address":
            return  # the audience has counted it
        self.refused[error.kind] += 1
        if self.refused[error.kind] <= KEPT:
            say("refused", who=mask(str(contact.get("email", ""))), why=str(error), column=error.column)


def _sample(mail: Mail) -> dict[str, Any]:
    return {"to": mask(mail.recipient), **look(mail)}


if __name__ == "__main__":
    main()
