"""One HTTP request whose address is a secret, bounded in time and size, told by its status."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from backends.secret import Secret
from opsconsole.ports import OutOfReach, Refused, Trouble

LARGEST_ANSWER = 64 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Posting:
    """What all receivers over HTTP share. `who` names the receiver in an error, such as `webhook notify:ops`;
    `mend` says where its address or key comes from."""

    def __init__(self, who: str, seconds: float, mend: str) -> None:
        self._who, self._seconds, self._mend = who, seconds, mend

    def ask(self, method: str, url: str, *, json: Any = None, headers: Mapping[str, str] | None = None) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again. No error holds the address."""
        import httpx

        deadline = time.monotonic() + self._seconds
        try:
            host = httpx.URL(url).host
            with (
                httpx.Client(
                    timeout=httpx.Timeout(self._seconds, connect=min(5.0, self._seconds)),
                    follow_redirects=False,  # where it leads to isn't where the message was meant to go
                    trust_env=host not in _LOOPBACK,
                ) as client,
                client.stream(
                    method, url, json=json, headers={"User-Agent": "opsconsole", **(headers or {})}
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
            raise Unusable(
                f"The {self._who} has an address that can't be used.", "Nobody was told.", f"{self._mend}; mend it."
            ) from None
        except httpx.HTTPError as error:  # its text may hold the address
            raise self._away(f"can't be reached ({type(error).__name__})") from None
        if 200 <= status < 300:
            return
        if status in (408, 425, 429) or status >= 500:
            raise self._away(f"said {status}")
        kind = Unusable if status in (401, 403, 404, 410) else Refused
        raise kind(
            f"The {self._who} refused the message ({status}), and would refuse it again.",
            "Nobody was told.",
            f"{self._mend}; see whether it still is the right one.",
        )

    def check(self, url: str) -> None:
        """Raises Refused when nothing could be asked at this address; asks nothing."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            usable = False
        if not usable:
            raise Refused(
                f"The {self._who} has an address that can't be used.", "Nobody would be told.", f"{self._mend}."
            )

    def _away(self, why: str) -> Trouble:
        return OutOfReach(f"The {self._who} {why}.", "Nobody was told yet.", "The console tries again by itself.")


class Unusable(Refused):
    """The address or the key isn't right, and may have been replaced where it is kept."""


def asked(posting: Posting, secret: Secret, method: str, url: str, **more: Any) -> None:
    """As `Posting.ask`; a secret that isn't right is fetched anew the next time."""
    try:
        posting.ask(method, url, **more)
    except Unusable:
        secret.forget()
        raise
