"""Tells people outside the console, by webhook or e-mail. Called from the outbox, which alone tries again.

Each message carries the audit head, so that a channel's history or a mailbox is one more copy of it.
"""

import asyncio
import hashlib
import json
import ssl
import time
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from backends.secret import Secret
from opsconsole.config import duration
from opsconsole.ports import OutOfReach, Recorder, Refused, Trouble
from opsconsole.settings import Notify

LARGEST_ANSWER = 64 * 1024
LONGEST_TITLE = 180
LONGEST_TEXT = 4000
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def notifier(name: str, settings: Notify) -> Recorder:
    """What tells `notify:NAME`. Its `record` takes `title`, `text`, `severity`, `fields` and the `audit` head."""
    return Webhook(name, settings) if settings.kind == "webhook" else Email(name, settings)


def words(payload: Mapping[str, Any]) -> tuple[str, str]:
    """The one line and the whole text, with the audit head in it, of what is told."""
    title = " ".join(str(payload.get("title") or "opsconsole").split())[:LONGEST_TITLE]
    text = str(payload.get("text") or title)[:LONGEST_TEXT]
    head = payload.get("audit")
    if isinstance(head, Mapping):
        text += f"\nAudit head, record {head.get('seq')}:\n{head.get('mac')}"  # a line that no mail program breaks
    return title, text


class Webhook:
    """POSTs JSON with `text`, as Slack, Mattermost and their like take it, and everything else beside it.

    The address is a secret: whoever has it can post.
    """

    def __init__(self, name: str, settings: Notify) -> None:
        if settings.url is None:
            raise ValueError("a webhook needs a url")
        self.name = f"notify:{name}"
        self._url = Secret(settings.url, f"address of the webhook {name}")
        self._seconds = duration(settings.timeout).total_seconds()

    def record(self, payload: Mapping[str, Any]) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again."""
        import httpx

        title, text = words(payload)
        rest = {key: payload[key] for key in ("severity", "fields", "audit") if key in payload}
        url, deadline = self._url.reveal(), time.monotonic() + self._seconds
        try:
            host = httpx.URL(url).host
            with (
                httpx.Client(
                    timeout=httpx.Timeout(self._seconds, connect=min(5.0, self._seconds)),
                    follow_redirects=False,  # where it leads to isn't where the message was meant to go
                    trust_env=host not in _LOOPBACK,
                ) as client,
                client.stream(
                    "POST",
                    url,
                    json={"text": text, "title": title, **rest},
                    headers={"Idempotency-Key": _key(payload), "User-Agent": "opsconsole"},
                ) as answer,
            ):
                size = 0
                for chunk in answer.iter_raw():
                    size += len(chunk)
                    if size > LARGEST_ANSWER or time.monotonic() > deadline:
                        break  # its status came first, and says all that is needed
                status = answer.status_code
        except httpx.TimeoutException:
            raise self._away(f"didn't answer within {self._seconds:g} s") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
            self._url.forget()
            raise Refused(
                f"The webhook {self.name} has an address that can't be used.",
                "Nobody was told.",
                f"It comes from {self._url.where}; mend it there.",
            ) from None
        except httpx.HTTPError as error:  # its text may hold the address
            raise self._away(f"can't be reached ({type(error).__name__})") from None
        self._judge(status)

    def _judge(self, status: int) -> None:
        if 200 <= status < 300:
            return
        if status in (401, 403, 404, 410):
            self._url.forget()  # it may have been replaced where it is kept
        if status in (408, 425, 429) or status >= 500:
            raise self._away(f"said {status}")
        raise Refused(
            f"The webhook {self.name} refused the message ({status}).",
            "Nobody was told.",
            f"Its address comes from {self._url.where}; see whether it still is the right one.",
        )

    def _away(self, why: str) -> Trouble:
        return OutOfReach(
            f"The webhook {self.name} {why}.", "Nobody was told yet.", "The console tries again by itself."
        )


class Email:
    """Sends a plain mail to a few people at work. The same message has the same Message-ID when it comes twice."""

    def __init__(self, name: str, settings: Notify) -> None:
        self.name = f"notify:{name}"
        self._settings = settings
        self._password = Secret(settings.password, f"mail password of {name}") if settings.password else None
        self._seconds = duration(settings.timeout).total_seconds()

    def record(self, payload: Mapping[str, Any]) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again."""
        import aiosmtplib

        settings = self._settings
        if self._password is not None and settings.tls == "none" and settings.host not in _LOOPBACK:
            raise Refused(
                f"{self.name} would send its password without encryption.",
                "Nobody was told.",
                'Set tls = "starttls" or "tls" in its table.',
            )
        password = self._password.reveal() if self._password else None
        try:
            asyncio.run(asyncio.wait_for(self._send(self._mail(payload), password), self._seconds))
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            raise self._away(f"didn't take the mail within {self._seconds:g} s") from None
        except aiosmtplib.SMTPAuthenticationError as error:
            if self._password is not None:
                self._password.forget()
            raise self._refused(f"doesn't accept the name and password ({error.code})") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({recipient.code for recipient in error.recipients})
            raise self._by_code(codes[0] if codes else 550, "recipients") from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._by_code(error.code, "message") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:  # its text may hold what must not be shown
            raise self._away(f"can't be used ({type(error).__name__})") from None

    async def _send(self, mail: EmailMessage, password: str | None) -> None:
        import aiosmtplib

        settings = self._settings
        context = None
        if settings.tls != "none":
            context = ssl.create_default_context(cafile=settings.ca_file or None)
        await aiosmtplib.send(
            mail,
            hostname=settings.host,
            port=settings.port or _PORTS[settings.tls],
            username=settings.user or None if password is not None else None,
            password=password,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=context,
            timeout=self._seconds,
        )

    def _mail(self, payload: Mapping[str, Any]) -> EmailMessage:
        title, text = words(payload)
        mail = EmailMessage()
        mail["Subject"] = f"[opsconsole] {title}"
        mail["From"] = self._settings.sender
        mail["To"] = ", ".join(self._settings.to)
        mail["Message-ID"] = (
            f"<{_key(payload)}@{self._settings.sender.rpartition('@')[2].strip('>') or 'opsconsole'}>"
        )
        mail["Auto-Submitted"] = "auto-generated"
        fields = payload.get("fields")
        lines = [f"{name}: {value}" for name, value in fields.items()] if isinstance(fields, Mapping) else []
        mail.set_content("\n".join([text, "", *lines]) + "\n")
        return mail

    def _by_code(self, code: int, what: str) -> Trouble:
        if 400 <= code < 500:
            return self._away(f"doesn't take the {what} now ({code})")
        return self._refused(f"refused the {what} ({code})")

    def _refused(self, why: str) -> Trouble:
        return Refused(
            f"The mail server of {self.name} {why}.", "Nobody was told.", "Check its table in the configuration."
        )

    def _away(self, why: str) -> Trouble:
        return OutOfReach(
            f"The mail server of {self.name} {why}.", "Nobody was told yet.", "The console tries again by itself."
        )


def _key(payload: Mapping[str, Any]) -> str:
    """The same for the same message, so that a receiver can tell that it came twice."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()[:32]
