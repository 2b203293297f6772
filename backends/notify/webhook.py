"""A chat channel's webhook: JSON with `text`, as Slack, Mattermost and their like take it."""

from collections.abc import Mapping
from typing import Any

from backends.notify.posting import Posting, asked
from backends.notify.words import same, words
from backends.secret import Secret
from opsconsole.config import duration
from opsconsole.settings import Notify


class Webhook:
    """POSTs `text`, and to any receiver but Slack, which takes no other keys, everything else beside it.

    The address is a secret: whoever has it can post.
    """

    def __init__(self, name: str, settings: Notify) -> None:
        if settings.url is None:
            raise ValueError("a webhook needs a url")
        self.name = f"notify:{name}"
        self._slack = settings.kind == "slack"
        self._url = Secret(settings.url, f"address of the webhook {name}")
        seconds = duration(settings.timeout).total_seconds()
        self._posting = Posting(f"webhook {self.name}", seconds, f"Its address comes from {self._url.where}")

    def check(self) -> None:
        """Raises Refused when its address can't be had or used; tells nobody."""
        self._posting.check(self._url.reveal())

    def record(self, payload: Mapping[str, Any]) -> None:
        """Raises OutOfReach, or Refused when the same again would be refused again."""
        title, text = words(payload)
        if self._slack:
            body: dict[str, Any] = {"text": _plain(text)}
        else:
            rest = {key: payload[key] for key in ("severity", "fields", "audit", "alarm") if key in payload}
            body = {"text": text, "title": title, **rest}
        asked(self._posting, self._url, "POST", self._url.reveal(), json=body, headers=_idempotent(payload))


def _idempotent(payload: Mapping[str, Any]) -> dict[str, str]:
    return {"Idempotency-Key": same(payload)}


def _plain(text: str) -> str:
    """Slack reads `<…>` as links and mentions, `<!channel>` among them; these three are all it asks to escape."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
