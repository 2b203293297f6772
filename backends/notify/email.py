"""A plain mail to a few people at work."""

import asyncio
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from backends.notify.words import same, words
from backends.secret import Secret
from opsconsole.config import duration
from opsconsole.ports import OutOfReach, Refused, Trouble
from opsconsole.settings import Notify

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Email:
    """Sends one mail for each message. The same message has the same Message-ID when it comes twice."""

    def __init__(self, name: str, settings: Notify) -> None:
        self.name = f"notify:{name}"
        self._settings = settings
        self._password = Secret(settings.password, f"mail password of {name}") if settings.password else None
        self._seconds = duration(settings.timeout).total_seconds()

    def check(self) -> str | None:
        """The password, None without one. Raises Refused when it can't be had or must not be used; tells nobody."""
        settings = self._settings
        if self._password is not None and settings.tls == "none" and settings.host not in _LOOPBACK:
            raise Refused(
                f"{self.name} would send its password without encryption.",
                "Nobody was told.",
                'Set tls = "starttls" or "tls" in its table.',
            )
        return self._password.reveal() if self._password else None

    def record(self, payload: Mapping[str, Any]) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again."""
        import aiosmtplib

        password = self.check()
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
            f"<{same(payload)}@{self._settings.sender.rpartition('@')[2].strip('>') or 'opsconsole'}>"
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
