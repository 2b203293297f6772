"""The text part of a mail that has none of its own, taken from its HTML: blocks as paragraphs, links with their
address, styles left out."""

import re
from html.parser import HTMLParser

_SKIPPED = {"head", "style", "script", "title", "template"}
_BLOCKS = {"p", "div", "table", "tr", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr"}
SCHEMES = ("http://", "https://", "mailto:")
_SPACES = re.compile(r"\s+")
GAP = re.compile(r"[ \n]+")  # the spaces of the page are single ones by now, a line feed is one of ours


class Extractor(HTMLParser):
    """Feeds a page's text to `out`; `skipping` while it is in an element that isn't shown, `links` are those that
    are open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.skipping = 0
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self.skipping += 1
        elif tag == "br":
            self.out.append("\n")
        elif tag == "li":
            self.out.append("\n- ")
        elif tag == "td" or tag == "th":
            self.out.append(" ")
        elif tag in _BLOCKS:
            self.out.append("\n\n")
        elif tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        elif tag == "img" and (alt := dict(attrs).get("alt")):
            self.show(alt)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self.skipping = max(0, self.skipping - 1)
        elif tag in _BLOCKS:
            self.out.append("\n\n")
        elif tag == "a" and self.links:
            href = self.links.pop()
            if not self.skipping:
                self.show_link(href)

    def handle_data(self, data: str) -> None:
        self.show(data)

    def show(self, text: str) -> None:
        if not self.skipping:
            self.out.append(single_spaces(text))

    def show_link(self, href: str) -> None:
        self.out.append(link(href))


def from_html(html: str) -> str:
    """Readable text of a page, closed by a line end."""
    extractor = Extractor()
    extractor.feed(html)
    extractor.close()
    return close_gaps("".join(extractor.out)).strip(" \n") + "\n"


def link(href: str) -> str:
    return f" ({single_spaces(href)})" if href.startswith(SCHEMES) else ""


def single_spaces(text: str) -> str:
    return _SPACES.sub(" ", text)


def close_gaps(text: str) -> str:
    """Between two words: one space, or one line end, or a blank line."""
    return GAP.sub(lambda gap: "\n" * min(gap[0].count("\n"), 2) or " ", text)
