"""JSON over HTTP, bounded: every call has one limit of time and size, and fails in three plain sentences.

Reads are tried once more when the line broke or the service stumbled, writes never. A redirect is followed only by
reads and only within the service: elsewhere it would carry the token along.
"""

import json
import random
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx

from backends.rest_words import broken_line, refusal, retry_after
from backends.secret import Secret
from opsconsole.ports import OutOfReach, Refused, Trouble

T = TypeVar("T")
E = TypeVar("E", bound=Trouble)

LARGEST_ANSWER: Final = 32 * 1024 * 1024
REMEMBERED: Final = 600  # answers kept for If-None-Match
MOST_REDIRECTS: Final = 5
LONGEST_WAIT: Final = 300.0  # s that a service may silence us for with Retry-After
JITTER: Final = (0.05, 0.25)  # s before a read is tried again
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
UNASKED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""With these the service has heard nothing."""


class Rejected(Refused):
    """The service answered, and its answer is no: `status` is the code it gave."""

    status = 0


class NotThere(Rejected):
    """The service has nothing at that address."""


class Conflict(Rejected):
    """What the service has speaks against it, such as that it has this very thing already."""


class Away(OutOfReach):
    """No answer, or a failure of its own. `again`: it may work at once when tried again. `asked`: what was asked
    for may have been done, as it isn't certain that it was not heard. `status` is the code, 0 without an answer."""

    again = False
    asked = False
    status = 0


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is for, so that its failure can say what that means: `means` is a whole sentence."""

    doing: str
    means: str


class Rest:
    """One service. `what` names it in errors: `the dashboard`. Safe to use from several threads.

    `authorization` makes the header's value of the token. No cookie is kept: one would stand in for the token.
    """

    def __init__(
        self,
        what: str,
        url: str,
        token: Secret | None,
        timeout: timedelta,
        *,
        authorization: Callable[[str], str] = "Bearer {}".format,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._what, self._url, self._token = what, url.rstrip("/"), token
        self._authorization, self._clock = authorization, clock
        self.clock_offset: float | None = None  # s that its clock is ahead of ours, by its newest answer's date
        self.seconds = timeout.total_seconds()
        self._known: OrderedDict[str, tuple[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._client = self._make_client()
        self._not_before = 0.0  # of time.monotonic(): the service asked not to be asked until then

    def close(self) -> None:
        self._client.close()

    def address(self, path: str) -> str:
        return self._url + path

    def beside(self, address: str, link: str, purpose: Purpose) -> str:
        """The address a link on `address` leads to. Raises Trouble when that is another service's."""
        try:
            there = urljoin(address, link)
        except ValueError:
            raise self._trouble(purpose, "sends us to an address that is none", "Ask whoever runs it") from None
        if _origin(there) != _origin(self._url):
            why = f"sends us elsewhere, to {_origin(there)}, where our token has no business"
            raise self._trouble(purpose, why, "Put the address it moved to in the config")
        return there

    def get(self, address: str, purpose: Purpose, deadline: float | None = None) -> Any:
        """The JSON there; the very same object as before when the service says that it hasn't changed.

        Ends within the time limit, and before `deadline` (of time.monotonic()), tries and redirects included.
        """
        ends = min(time.monotonic() + self.seconds, deadline or float("inf"))
        return self._twice(lambda: self._read(address, purpose, ends), ends)

    def text(self, address: str, purpose: Purpose) -> str:
        """What is there, which isn't JSON, as text. Bounded and tried as `get` is."""
        ends = time.monotonic() + self.seconds

        def read() -> str:
            response, body = self._send("GET", address, None, {"Accept": "*/*"}, purpose, ends)
            if not response.is_success:
                raise self._refused(response, body, purpose)
            return body.decode("utf-8", "replace")

        return self._twice(read, ends)

    def write(self, method: str, address: str, body: Any, purpose: Purpose, key: str = "") -> Any:
        """The service's answer to one attempt, None when it is empty; never repeated here. `key` is the same for
        the same write, "" where the service knows no such thing."""
        headers = {"Idempotency-Key": key} if key else {}
        ends = time.monotonic() + self.seconds
        response, answer = self._send(method, address, body, headers, purpose, ends)
        if response.is_success and not answer:
            return None
        return self._document(response, answer, purpose)

    def _twice(self, read: Callable[[], T], ends: float) -> T:
        """`read`, once more where that may help and time is left."""
        try:
            return read()
        except Away as trouble:
            pause = random.uniform(*JITTER)  # noqa: S311 - so that consoles don't come back in step
            if not trouble.again or time.monotonic() + pause >= ends:
                raise
            time.sleep(pause)
            return read()

    def _read(self, address: str, purpose: Purpose, ends: float) -> Any:
        been = [address]
        while True:
            here = been[-1]
            known = self._known.get(here)
            headers = {"If-None-Match": known[0]} if known else {}
            response, body = self._send("GET", here, None, headers, purpose, ends)
            if response.status_code == httpx.codes.NOT_MODIFIED and known:
                return known[1]
            if not response.has_redirect_location:
                break
            there = self.beside(here, response.headers["Location"], purpose)
            if there in been or len(been) > MOST_REDIRECTS:
                why = f"sends us round in a circle ({response.status_code}, {len(been)} times)"
                raise self._trouble(purpose, why, "Ask whoever runs it; often the sign-in in front of it does this")
            been.append(there)
        document = self._document(response, body, purpose)
        if etag := response.headers.get("ETag"):
            with self._lock:
                self._known[here] = (etag, document)
                self._known.move_to_end(here)
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return document

    def _send(
        self,
        method: str,
        address: str,
        body: Any,
        headers: Mapping[str, str],
        purpose: Purpose,
        ends: float,
    ) -> tuple[httpx.Response, bytes]:
        """One exchange, in a thread of its own: a name that isn't resolved, or headers that drip a byte a second,
        are bounded by none of the client's own limits."""
        if (wait := self._not_before - time.monotonic()) > 0:
            raise self._away(purpose, f"asked us to wait, {wait:.0f} s more", "Wait; nothing is asked until then")
        try:
            request = self._client.build_request(method, address, json=body, headers=dict(headers))
        except (httpx.InvalidURL, ValueError):
            raise self._trouble(purpose, "has a url that can't be used", "Check it in the config") from None
        if self._token is not None:
            request.headers["Authorization"] = self._authorization(self._token.reveal())
        request.headers.pop("Cookie", None)
        client, given_up = self._client, threading.Event()
        request.extensions = {
            **request.extensions,
            "trace": lambda event, info: _not_late(given_up) if ".send_request_" in event else None,
        }
        answers: SimpleQueue[tuple[httpx.Response, bytes] | Exception] = SimpleQueue()

        def exchange() -> None:
            try:
                answers.put(self._exchange(client, request, given_up, purpose))
            except Exception as error:
                answers.put(error)

        threading.Thread(target=exchange, name="rest", daemon=True).start()
        try:
            answer = answers.get(timeout=max(ends - time.monotonic(), 0.001))
        except Empty:
            given_up.set()
            self._drop(client)
            answer = httpx.ReadTimeout("too slow as a whole")
        if isinstance(answer, httpx.HTTPError):
            why, mend, again = broken_line(answer, self.seconds, _origin(self._url))
            raise self._away(purpose, why, mend, again=again, asked=not isinstance(answer, UNASKED)) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _exchange(
        self, client: httpx.Client, request: httpx.Request, given_up: threading.Event, purpose: Purpose
    ) -> tuple[httpx.Response, bytes]:
        began = self._clock()
        response = client.send(request, stream=True)
        try:
            self._compare_clocks(response, began)
            content = bytearray()
            length = response.headers.get("Content-Length", "0")
            too_large = length.isdecimal() and int(length[:15]) > LARGEST_ANSWER
            for chunk in () if too_large else response.iter_bytes():
                content += chunk
                _not_late(given_up)
                if too_large := len(content) > LARGEST_ANSWER:
                    break
            if too_large:
                why = f"answered with more than {LARGEST_ANSWER >> 20} MiB"
                raise self._trouble(purpose, why, "Check its url, or let it give its rows in pages")
            return response, bytes(content)
        finally:
            response.close()

    def _compare_clocks(self, response: httpx.Response, began: datetime) -> None:
        """Its date is cut to whole seconds, so half a second is added; ours is that between question and answer."""
        with suppress(ValueError, TypeError, OverflowError):
            theirs = parsedate_to_datetime(response.headers.get("Date", "")) + timedelta(seconds=0.5)
            ours = began + (self._clock() - began) / 2
            self.clock_offset = (theirs - ours).total_seconds()

    def _drop(self, client: httpx.Client) -> None:
        """Hang up on what didn't answer in time, so that neither thread nor line is left waiting."""
        with self._lock:
            if self._client is client:
                self._client = self._make_client()
        with suppress(Exception):  # what is left of it is nobody's loss
            client.close()

    def _make_client(self) -> httpx.Client:
        return httpx.Client(
            timeout=httpx.Timeout(self.seconds, connect=min(5.0, self.seconds)),
            follow_redirects=False,
            verify=_authorities(),
            trust_env=urlsplit(self._url).hostname not in LOOPBACK,  # no proxy stands between us and ourselves
            headers={"Accept": "application/json", "User-Agent": "opsconsole"},
        )

    def _document(self, response: httpx.Response, body: bytes, purpose: Purpose) -> Any:
        if not response.is_success:
            raise self._refused(response, body, purpose)
        kind = response.headers.get("Content-Type", "")
        if "json" not in kind:
            why = f"answered with {kind.split(';')[0] or 'something'} and not JSON, often a sign-in page or a proxy"
            raise self._trouble(purpose, why, "Check its url in the config")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self._trouble(purpose, "answered with JSON that is broken", "Ask whoever runs it") from None

    def _refused(self, response: httpx.Response, body: bytes, purpose: Purpose) -> Trouble:
        status = response.status_code
        if status in (401, 403) and self._token is not None:
            self._token.forget()
        why, mend = refusal(response, body, self._token.where if self._token else "")
        if (wait := retry_after(response)) and status in (429, 503):
            self._not_before = time.monotonic() + min(wait, LONGEST_WAIT)
        if status == 429 or status >= 500:
            again = status != 429 and not wait
            return self._away(purpose, why, mend, again=again, asked=status != 429, status=status)
        rejected = self._trouble(purpose, why, mend, {404: NotThere, 409: Conflict}.get(status, Rejected))
        rejected.status = status
        return rejected

    def _away(
        self, purpose: Purpose, why: str, mend: str, *, again: bool = False, asked: bool = False, status: int = 0
    ) -> Trouble:
        away = self._trouble(purpose, why, mend, Away)
        away.again, away.asked, away.status = again, asked, status
        return away

    def _trouble(self, purpose: Purpose, why: str, mend: str, kind: type[E] = Trouble) -> E:  # type: ignore[assignment]
        return kind(f"{purpose.doing} failed: {self._what} {why}.", purpose.means, f"{mend}.")


@cache
def _authorities() -> ssl.SSLContext:
    """Whom we trust to vouch for a service: read once, as that takes a twentieth of a second."""
    return httpx.create_ssl_context()


def _not_late(given_up: threading.Event) -> None:
    """Nothing is sent or read any more for a call that was given up: a write that comes late could undo a newer."""
    if given_up.is_set():
        raise httpx.ReadTimeout("given up")


def _origin(address: str) -> str:
    """Scheme, host and port: all that may be shown of an address that may hide a password or a key."""
    try:
        url = urlsplit(address)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    except ValueError:
        return "an address that is none"
    default = {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.scheme}://{url.hostname or ''}{'' if port == default else f':{port}'}"
