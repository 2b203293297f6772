"""By whom mails go: SES, or a campaign's own SMTP server. Called by several threads at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.message.look import eml
from runner.message.mail import Mail
from runner.settings import Smtp
from runner.worker.answers import Answer, refused
from runner.worker.pacing import Hold

_IDLE_SECONDS: Final = 5.0  # a connection that was idle for longer may have been dropped on the way unnoticed
_SWEEP_SECONDS: Final = 1.0


class Sender(Protocol):
    everybody: bool
    """Its ServerRefusesUs is about all campaigns."""
    hold: Hold
    """While it lasts, nothing is to be handed over."""

    def deliver(self, mail: Mail) -> Answer:
        """Hand over one mail, at most once. Raises ServerRefusesUs, with nothing handed over."""
        ...

    def close(self) -> None: ...


class SesSender:
    """SES v2 by its client, which must not try again by itself."""

    everybody = True

    def __init__(self, ses: Any, configuration_set: str | None = None) -> None:
        self._ses = ses
        self._more = {"ConfigurationSetName": configuration_set} if configuration_set else {}
        self._lock = threading.Lock()
        self._used = time.monotonic()
        self.hold = Hold()

    def deliver(self, mail: Mail) -> Answer:
        """As Sender has it."""
        from botocore import exceptions
        from botocore.parsers import ResponseParserError

        self._fresh()
        try:
            answer = self._ses.send_email(
                Destination={"ToAddresses": [mail.recipient]}, Content={"Raw": {"Data": eml(mail)[1]}}, **self._more
            )
        except exceptions.ClientError as error:
            said = error.response.get("Error", {})
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            return refused(str(said.get("Code", "")), str(said.get("Message", "")), status)
        except (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError, exceptions.SSLError) as error:
            raise ServerRefusesUs(f"SES can't be used: {type(error).__name__}: {error}") from None
        except (
            exceptions.ConnectTimeoutError,
            exceptions.EndpointConnectionError,
            exceptions.ProxyConnectionError,
        ) as error:
            return Answer(Outcome(Kind.UNREACHABLE, 0, type(error).__name__))
        except exceptions.ParamValidationError as error:
            return Answer(Outcome(Kind.FAILED, 0, str(error)))
        except (exceptions.BotoCoreError, exceptions.HTTPClientError, ResponseParserError) as error:
            return Answer(Outcome(Kind.UNKNOWN, 0, f"the answer was lost: {type(error).__name__}"))
        ident = str(answer.get("MessageId", ""))
        return Answer(Outcome(Kind.ACCEPTED, 250, ident), ident)

    def close(self) -> None:
        self._ses.close()

    def _fresh(self) -> None:
        """A mail that breaks with its connection is unknown: connections that idled, as between two calls of a
        Lambda, are made anew."""
        with self._lock:
            last, self._used = self._used, time.monotonic()
            if self._used - last > _IDLE_SECONDS:
                self._ses.close()


class SmtpSender:
    """One server, by the runner's own wires: as many connections as threads ask at a time, at most."""

    everybody = False

    def __init__(self, smtp: Smtp, connections: int) -> None:
        from runner.channel.smtp import SmtpWire

        self.hold = Hold()
        self._wires = [SmtpWire(smtp) for _ in range(connections)]
        self._loop = asyncio.new_event_loop()
        self._free: asyncio.LifoQueue[SmtpWire] = asyncio.LifoQueue()
        for wire in self._wires:
            self._free.put_nowait(wire)
        self._thread = threading.Thread(target=self._run, name=f"smtp {smtp.host}", daemon=True)
        self._thread.start()

    def deliver(self, mail: Mail) -> Answer:
        """As Sender has it."""
        try:
            outcome = asyncio.run_coroutine_threadsafe(self._deliver(mail), self._loop).result()
        except ValueError as error:
            return Answer(Outcome(Kind.FAILED, 0, str(error)))
        return Answer(outcome, mail.ident if outcome.kind is Kind.ACCEPTED else "")

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _deliver(self, mail: Mail) -> Outcome:
        wire = await self._free.get()
        try:
            return await wire.deliver(mail, lambda: None)
        finally:
            self._free.put_nowait(wire)

    async def _close(self) -> None:
        self._sweeping.cancel()
        await asyncio.gather(*(wire.close() for wire in self._wires))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for wire in self._wires:
                wire.sweep(time.monotonic())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._sweeping = self._loop.create_task(self._sweep())
        self._loop.run_forever()


class Senders:
    """Who sends for a campaign. `channel` is "ses" or "smtp" for all of them, "" for what each says; `known` is the
    account of the credentials file."""

    def __init__(
        self, ses: Callable[[], Sender], channel: str = "", known: Smtp | None = None, connections: int = 1
    ) -> None:
        self._make_ses, self._channel, self._known, self._connections = ses, channel, known, connections
        self._made: dict[tuple[str, int], Sender] = {}
        self._lock = threading.Lock()

    def of(self, campaign: Mapping[str, Any]) -> Sender:
        """Raises ServerRefusesUs when the campaign says nothing that can be used."""
        channel = self._channel or str(campaign.get("email_service") or "ses")
        if channel not in ("ses", "smtp"):
            raise ServerRefusesUs("the campaign's email_service is neither ses nor smtp")
        smtp = smtp_account(campaign, self._known) if channel == "smtp" else None
        key = (smtp.host, smtp.port) if smtp else ("", 0)
        with self._lock:
            if key not in self._made:
                self._made[key] = SmtpSender(smtp, self._connections) if smtp else self._make_ses()
            return self._made[key]

    def close(self) -> None:
        with self._lock:
            made, self._made = list(self._made.values()), {}
        for sender in made:
            sender.close()


def smtp_account(campaign: Mapping[str, Any], known: Smtp | None) -> Smtp:
    """The server a campaign names, else the `known` one, whose login and TLS are used for its own host and port
    alone; for others TLS is told by the port. Raises ServerRefusesUs when none is named."""
    host = str(campaign.get("smtp_server") or "").strip()
    if not host and known is not None:
        return known
    try:
        port = int(campaign.get("smtp_port") or (known.port if known and known.host == host else 25))
    except (TypeError, ValueError):
        port = 0
    if not host or not 0 < port < 65536:
        raise ServerRefusesUs("the campaign names no SMTP server and port that can be used")
    if known is not None and (known.host.lower(), known.port) == (host.lower(), port):
        return known
    return Smtp(host, port, {465: "tls", 587: "starttls"}.get(port, "none"))
