"""The mail itself: can it be read, is it whole, can one unsubscribe. Pure; dry run and pre-flight judge by it.

Links are read, never followed: following one could confirm or unsubscribe somebody.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Final
from urllib.parse import urlsplit

from backends.listmonk.campaigns import Campaign

PLAIN: Final = "plain"
MOST_LINKS: Final = 2000
CLIPPED: Final = 102 * 1024  # bytes: from here on Gmail hides the rest, the way to unsubscribe with it
MOST_READ: Final = 2 * 1024 * 1024  # characters
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})([^<>]*)>")
_HREF: Final = re.compile(r"""(?i)\bhref\s{0,20}=\s{0,20}(?:"([^"]*)"|'([^']*)'|([^\s"']+))""")
_HIDDEN: Final = ("style", "script", "head", "title")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ADDRESS: Final = re.compile(r"https?://[^\s\"'<>)\]]{1,2000}")
_UNSUBSCRIBES: Final = re.compile(r"/subscription/[0-9a-f-]{36}|unsubscri", re.I)
_LEFT: Final = (
    ("an action of a template", re.compile(r"\{\{[^{}]{0,80}\}\}|\{%[^{}%]{0,80}%\}")),
    (
        "a merge tag of another tool",
        re.compile(r"\*\|[A-Z0-9_:]{1,40}\|\*|%%[A-Za-z0-9_.]{1,40}%%|\$\{[A-Za-z_.]{1,40}\}"),
    ),
    ("a value that isn't there", re.compile(r"<no value>|&lt;no value&gt;")),
    (
        "text that was to be replaced",
        re.compile(r"(?i)\blorem ipsum\b|\[(?:first ?name|last ?name|insert|todo|tbd)[^\]]{0,30}\]"),
    ),
)
_NOWHERE: Final = ("example.com", "example.org", "example.net", "localhost", "127.0.0.1", "yourdomain.com")


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with the mail. `breaks`: it must not go out so. `code` as that of the check it belongs to."""

    code: str
    text: str
    breaks: bool = True


@dataclass(frozen=True, slots=True)
class Letter:
    """A rendered mail, read once."""

    text: str
    links: tuple[str, ...]
    size: int


def read(campaign: Campaign, rendered: str) -> Letter:
    """What of it people see, and where its links lead. Whatever it holds, nothing is raised."""
    if campaign.content_type == PLAIN:
        links = tuple(match[0] for match in _ADDRESS.finditer(rendered))
        return Letter(rendered, links[:MOST_LINKS], len(rendered.encode("utf-8", "replace")))
    shown, found = _read_html(rendered)
    return Letter(shown, tuple(found[:MOST_LINKS]), len(rendered.encode("utf-8", "replace")))


def flaws(campaign: Campaign, rendered: str | None) -> tuple[Flaw, ...]:
    """All that is wrong; without a rendered mail only what its source tells."""
    return (*headers(campaign), *(body(campaign, rendered) if rendered is not None else ()))


def headers(campaign: Campaign) -> Iterator[Flaw]:
    """Subject and sender."""
    if not campaign.subject.strip():
        yield Flaw("subject-and-sender", "it has no subject")
    if _CONTROL.search(campaign.subject):
        yield Flaw("subject-and-sender", "its subject holds a line break or another control character")
    if _CONTROL.search(campaign.sender):
        yield Flaw("subject-and-sender", "its sender holds a line break or another control character")
    elif campaign.sender and not re.search(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+", campaign.sender):
        yield Flaw("subject-and-sender", f"its sender {campaign.sender[:80]!a} has no address")


def body(campaign: Campaign, rendered: str) -> Iterator[Flaw]:
    """What was rendered."""
    letter = read(campaign, rendered)
    if not campaign.body.strip():
        yield Flaw("body-there", "its body is empty")
    elif not letter.text.strip() and "<img" not in rendered.lower():
        yield Flaw("body-there", "rendered, it shows nothing at all")
    if not any(_UNSUBSCRIBES.search(link) for link in letter.links):
        yield Flaw(
            "unsubscribe",
            "nothing in it leads to unsubscribing: {{ UnsubscribeURL }} is neither in it nor in its template",
            False,
        )
    for what, pattern in _LEFT:
        if match := pattern.search(letter.text) or pattern.search(campaign.subject if "action" not in what else ""):
            yield Flaw("template-tokens", f"{what} is left in it: {match[0][:80]!a}")
    yield from _links(letter)
    if letter.size >= CLIPPED and campaign.content_type != PLAIN:
        yield Flaw("size", f"it has {letter.size / 1024:,.0f} KiB: Gmail hides what is behind 102 KiB", False)


def _links(letter: Letter) -> Iterator[Flaw]:
    for link in dict.fromkeys(letter.links):
        why = _against(link)
        if why:
            yield Flaw("links", f"a link {why}: {link[:120]!a}", breaks=why != "leads to an example")


def _against(link: str) -> str:
    bare = unescape(link).strip()
    if not bare or bare == "#":
        return "leads nowhere"
    if "{{" in bare or "*|" in bare:
        return "wasn't filled in"
    try:
        url = urlsplit(bare)
        host = (url.hostname or "").lower()
    except ValueError:
        return "is none"
    if url.scheme.lower() in ("mailto", "tel", "sms", "cid") or bare.startswith("#"):
        return ""
    if url.scheme.lower() not in ("http", "https"):
        return "has no http address"
    if not host:
        return "names no server"
    return "leads to an example" if host in _NOWHERE and "/subscription/" not in url.path else ""


def _read_html(markup: str) -> tuple[str, list[str]]:
    """What is shown and where links lead, in one walk: the time of a real parser may grow with the square of what
    was never closed."""
    markup = _without_comments(markup[:MOST_READ])
    shown, links, hidden, end = [], [], 0, 0
    for tag in _TAG.finditer(markup):
        if not hidden:
            shown.append(markup[end : tag.start()])
        end = tag.end()
        name = tag[2].lower()
        if name in _HIDDEN:
            hidden = max(hidden + (-1 if tag[1] else 1), 0)
        elif name == "a" and not tag[1] and (href := _HREF.search(tag[3])):
            links.append(unescape(next(filter(None, href.groups()), "")))
    if not hidden:
        shown.append(markup[end:])
    return unescape(" ".join(shown)), links


def _without_comments(markup: str) -> str:
    kept, end = [], 0
    while (begin := markup.find("<!--", end)) >= 0:
        kept.append(markup[end:begin])
        closed = markup.find("-->", begin + 4)
        if closed < 0:
            return "".join(kept)
        end = closed + 3
    return "".join((*kept, markup[end:]))
