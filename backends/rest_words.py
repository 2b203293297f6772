"""What an HTTP answer, or the lack of one, means in words: why, and what to do about it. Pure."""

import json
from email.utils import parsedate_to_datetime

import httpx


def broken_line(error: httpx.HTTPError, seconds: float, address: str) -> tuple[str, str, bool]:
    """Why there was no answer, what to do, and whether trying again at once makes sense."""
    if isinstance(error, httpx.TimeoutException):
        return f"didn't answer within {seconds:g} s", "Try again; if it stays slow, ask whoever runs it", False
    if isinstance(error, httpx.ConnectError):
        said = (str(error).splitlines() or [type(error).__name__])[0][:120]
        return (
            f"can't be reached at {address} ({said})",
            "See whether it is up, and check its url in the config",
            True,
        )
    if isinstance(error, httpx.UnsupportedProtocol):
        return "has a url that can't be used", "Check it in the config", False
    return f"broke off ({type(error).__name__})", "Try again; if it goes on, ask whoever runs it", True


def refusal(response: httpx.Response, body: bytes, token: str) -> tuple[str, str]:
    """Why it didn't do what was asked, and what to do. `token` says where ours comes from; "" is none."""
    status, wait = response.status_code, retry_after(response)
    token = token or "no token, as the config names none"
    known = {
        401: ("doesn't accept our token (401)", f"Renew it; it comes from {token}"),
        403: ("doesn't let our token do this (403)", f"Ask for the right to; the token comes from {token}"),
        404: ("doesn't know it (404)", "Check the url in the config, and that the campaign is there"),
        409: ("says it conflicts with what it has (409)", "Look at the campaign there, then decide"),
        429: (f"asks us to wait (429){_wait(response, wait)}", "Wait; nothing is asked until then"),
    }
    if status in known:
        return known[status]
    if status >= 500:
        return f"failed by itself ({status})", "Try again; if it goes on, ask whoever runs it"
    if 300 <= status < 400:
        return f"sends us elsewhere ({status})", "Put the address it moved to in the config"
    return f"refused it ({status}{_reason(body)})", "Look at the campaign there, then decide"


def retry_after(response: httpx.Response) -> float:
    """Seconds the service asks us to wait; 0 when it doesn't say. A date counts from its own clock."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal() and text.isascii() and len(text) < 7:
        return float(text)
    try:
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(response.headers.get("Date", ""))
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _wait(response: httpx.Response, wait: float) -> str:
    if wait:
        return f", {wait:.0f} s"
    after = response.headers.get("Retry-After", "")
    return f", until {after[:40]!a}" if after else ""


def _reason(body: bytes) -> str:
    """The service's own word on why, short and harmless."""
    try:
        answer = json.loads(body[:4096])
        error = answer.get("error") or answer.get("message")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return f": {error[:120]!a}" if isinstance(error, str) else ""
