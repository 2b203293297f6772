"""Where its mail goes: kept in memory, and over SMTP as well where the settings' servers are real."""

import smtplib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import parseaddr
from random import Random
from threading import Condition, Event, Lock
from typing import Any

LOCKED_OUT = "535 5.7.8 Error: authentication failed"


class Undelivered(Exception):
    """What the mail server, or the way to it, said."""


class Cut(Exception):
    """The process was killed while the message was on its way: it was not taken."""


@dataclass(frozen=True, slots=True)
class Letter:
    sender: str
    to: str
    subject: str
    body: str
    content_type: str
    messenger: str
    campaign_id: int | None = None  # none: a transactional message, or a notice
    campaign: str = ""
    subscriber_id: int = 0
    test: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None  # when it was taken
    server: str = ""  # the host of the SMTP block that took it


class Post:
    """Every letter that was taken, in `letters`.

    `fails` is the answer to every message while it is set; `fails_for` by address, `fails_at` by the host of the
    SMTP block. `latency` is in seconds a message. `only(n)` lets n letters through, in all, and holds the next ones
    in flight until it is asked again. With `wire`, each is also sent to the block's host and port.
    """

    def __init__(self, *, wire: bool = False) -> None:
        self.fails = ""
        self.fails_for: dict[str, str] = {}
        self.fails_at: dict[str, str] = {}
        self.latency = 0.0
        self.letters: list[Letter] = []
        self._wire = wire
        self._random = Random(7)  # noqa: S311  which server takes a message is no secret
        self._lock = Lock()
        self._most: int | None = None
        self._asked = 0
        self.held = 0  # messages in flight that `only` keeps there
        self._more = Condition()

    def only(self, count: int | None) -> None:
        """So many messages may be tried from now on, all with None; those beyond are in flight."""
        with self._more:
            self._most, self._asked = count, 0
            self._more.notify_all()

    def _wait_for_turn(self, dead: Event) -> None:
        with self._more:
            self.held += 1
            while self._most is not None and self._asked >= self._most and not dead.is_set():
                self._more.wait(0.02)  # seconds; death doesn't knock here
            self.held -= 1
            self._asked += 1

    def sent_to(self, campaign: int | None = None) -> Counter[str]:
        """How many letters each address got: of one campaign, tests left out, or of all."""
        with self._lock:
            return Counter(
                one.to for one in self.letters if campaign is None or (one.campaign_id == campaign and not one.test)
            )

    def push(self, letter: Letter, blocks: list[Mapping[str, Any]], at: datetime, dead: Event) -> None:
        """Through one of the SMTP blocks, by chance. Raises Undelivered, Cut."""
        self._wait_for_turn(dead)
        if self.latency:
            dead.wait(self.latency)
        if dead.is_set():
            raise Cut
        if not blocks:
            raise Undelivered("no SMTP server")
        block = self._random.choice(blocks)
        host = str(block["host"])
        why = _locked_out(block) or self.fails or self.fails_for.get(letter.to, "") or self.fails_at.get(host, "")
        if why:
            raise Undelivered(why)
        if self._wire and block["port"]:
            _send(letter, host, int(block["port"]))
        with self._lock:
            self.letters.append(_taken(letter, at, host))


def _locked_out(block: Mapping[str, Any]) -> str:
    """A server that wants a password isn't deceived by an empty one, or by the dots that hid the right one."""
    wants = str(block.get("auth_protocol") or "none") != "none" and block.get("username")
    return LOCKED_OUT if wants and not set(str(block.get("password") or "")) - {"•"} else ""


def _taken(letter: Letter, at: datetime, host: str) -> Letter:
    return Letter(
        letter.sender, letter.to, letter.subject, letter.body, letter.content_type, letter.messenger,
        letter.campaign_id, letter.campaign, letter.subscriber_id, letter.test, letter.headers, at, host,
    )  # fmt: skip


def _send(letter: Letter, host: str, port: int) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = letter.sender, letter.to, letter.subject
    for name, value in letter.headers.items():
        mail[name] = value
    mail.set_content(letter.body, subtype="plain" if letter.content_type == "plain" else "html")
    try:
        with smtplib.SMTP(host, port, timeout=10) as server:
            server.send_message(mail, parseaddr(letter.sender)[1], [letter.to])
    except (OSError, smtplib.SMTPException) as error:
        raise Undelivered(str(error)) from error
