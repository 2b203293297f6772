"""JSON over HTTP, bounded: every call has one deadline and a largest answer, and fails in three plain sentences.

Reads are tried twice when the line failed, writes once. Redirects are not followed: they would carry the token.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from backends.secret import Secret
from opsconsole.ports import OutOfReach, Refused, Trouble

LARGEST_ANSWER = 8 * 1024 * 1024
REMEMBERED = 64  # answers kept for If-None-Match
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NotThere(Refused):
    """The service has nothing at that address."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is for, so that its failure can say what that means: `means` is a whole sentence."""

    doing: str
    means: str


class Rest:
    """One service. `what` names it in errors: `the dashboard`. Safe to use from several threads."""

    def __init__(self, what: str, url: str, token: Secret | None, timeout: timedelta) -> None:
        self._what, self._url, self._token = what, url.rstrip("/"), token
        self._seconds = timeout.total_seconds()
        self._known: dict[str, tuple[str, Any]] = {}
        self._client = httpx.Client(
            timeout=httpx.Timeout(self._seconds, connect=min(5.0, self._seconds)),
            follow_redirects=False,
            trust_env=urlsplit(url).hostname not in LOOPBACK,  # no proxy stands between us and ourselves
            headers={"Accept": "application/json", "User-Agent": "opsconsole"},
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, purpose: Purpose) -> Any:
        """The JSON there; from memory when the service says it hasn't changed."""
        known = self._known.get(path)
        headers = {"If-None-Match": known[0]} if known else {}
        try:
            response, body = self._send("GET", path, None, headers, purpose)
        except OutOfReach:
            response, body = self._send("GET", path, None, headers, purpose)
        if response.status_code == httpx.codes.NOT_MODIFIED and known:
            return known[1]
        document = self._document(response, body, purpose)
        if etag := response.headers.get("ETag"):
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[path] = (etag, document)
        return document

    def write(self, method: str, path: str, body: Mapping[str, Any], purpose: Purpose) -> Any:
        """The service's answer to one attempt; never repeated here."""
        response, answer = self._send(method, path, dict(body), {}, purpose)
        return self._document(response, answer, purpose)

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: Mapping[str, str], purpose: Purpose
    ) -> tuple[httpx.Response, bytes]:
        deadline = time.monotonic() + self._seconds
        request = self._client.build_request(method, self._url + path, json=body, headers=dict(headers))
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        try:
            response = self._client.send(request, stream=True)
            try:
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > LARGEST_ANSWER:
                        raise self._trouble(
                            purpose, f"answered with more than {LARGEST_ANSWER >> 20} MiB", "Check its url"
                        )
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("too slow as a whole")
                return response, bytes(content)
            finally:
                response.close()
        except httpx.TimeoutException:
            why = f"didn't answer within {self._seconds:g} s"
            raise self._away(purpose, why, "Try again; if it stays slow, ask whoever runs it") from None
        except httpx.ConnectError as error:
            why = f"can't be reached at {self._address} ({_first_line(error)})"
            raise self._away(purpose, why, "See whether it is up, and check its url in the config") from None
        except httpx.InvalidURL:
            raise self._trouble(purpose, "has a url that can't be used", "Check it in the config") from None
        except httpx.HTTPError as error:
            why = f"broke off ({type(error).__name__})"
            raise self._away(purpose, why, "Try again; if it goes on, ask whoever runs it") from None

    def _document(self, response: httpx.Response, body: bytes, purpose: Purpose) -> Any:
        if not response.is_success:
            raise self._refusal(response, body, purpose)
        kind = response.headers.get("Content-Type", "")
        if "json" not in kind:
            why = f"answered with {kind.split(';')[0] or 'something'} and not JSON, often a sign-in page or a proxy"
            raise self._trouble(purpose, why, "Check its url in the config")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self._trouble(purpose, "answered with JSON that is broken", "Ask whoever runs it") from None

    def _refusal(self, response: httpx.Response, body: bytes, purpose: Purpose) -> Trouble:
        status = response.status_code
        token = self._token.where if self._token else "no token, as the config names none"
        if status in (401, 403) and self._token is not None:
            self._token.forget()
        why, mend = {
            401: ("doesn't accept our token (401)", f"Renew it; it comes from {token}"),
            403: ("doesn't let our token do this (403)", f"Ask for the right to; the token comes from {token}"),
            404: ("doesn't know it (404)", "Check the url in the config, and that the campaign is there"),
            409: ("says it conflicts with what it has (409)", "Look at the campaign there, then decide"),
            429: ("asks us to wait (429)" + _wait(response), "Wait; the next refresh tries again"),
        }.get(status, ("", ""))
        if status >= 500:
            why, mend = f"failed by itself ({status})", "Try again; if it goes on, ask whoever runs it"
        elif 300 <= status < 400:
            why, mend = f"sends us elsewhere ({status})", "Put the address it moved to in the config"
        elif not why:
            why, mend = f"refused it ({status}{_reason(body)})", "Look at the campaign there, then decide"
        if status == 429 or status >= 500:
            return self._away(purpose, why, mend)
        return self._trouble(purpose, why, mend, NotThere if status == 404 else Refused)

    @property
    def _address(self) -> str:
        """Without what a url may hide: a password, a key in the query."""
        url = urlsplit(self._url)
        return f"{url.scheme}://{url.hostname or ''}{f':{url.port}' if url.port else ''}"

    def _away(self, purpose: Purpose, why: str, mend: str) -> Trouble:
        return self._trouble(purpose, why, mend, OutOfReach)

    def _trouble(self, purpose: Purpose, why: str, mend: str, kind: type[Trouble] = Trouble) -> Trouble:
        return kind(f"{purpose.doing} failed: {self._what} {why}.", purpose.means, f"{mend}.")


def _wait(response: httpx.Response) -> str:
    after = response.headers.get("Retry-After", "")
    if not after:
        return ""
    return f", {int(after)} s" if after.isdecimal() and len(after) < 7 else f", until {after[:40]!a}"


def _reason(body: bytes) -> str:
    """The service's own word on why, short and harmless."""
    try:
        error = json.loads(body[:4096])["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {error[:120]!a}" if isinstance(error, str) else ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
