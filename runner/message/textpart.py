"""The text part of a campaign that has only HTML, without a look at every row's HTML: the template of the page
becomes a template of the text, once.

The page is parsed with a sign in the place of each expression and each statement, and the text that comes out is
put back into the template's tree. That is refused where a row could change how the page is parsed. What remains
open is whether a gap between two words meets another one, as around a value that is empty: gaps at the edge of a
literal stay marked, and joined() closes them in each row's text.
"""

import functools
import html as htmllib
import re
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from jinja2.compiler import Frame
from markupsafe import Markup, escape

from runner.message.plaintext import SCHEMES, Extractor, close_gaps, link, single_spaces
from runner.message.quoted import Quoting, QuotingGenerator, piece, straight
from runner.message.template import Source, Template, parse, sandbox

_FIRST = 0xF0000  # signs are private-use characters
_SIGN = re.compile("[\U000f0000-\U000ffffd]")
_SPLIT = re.compile("([\U000f0000-\U000ffffd])")
_STRINGS = re.compile(r"\"[^\"]*\"|'[^']*'")
_MOST = 2000
_UNSURE = re.compile(r"&[#\w]*$")  # what follows may complete a character reference,
_UNSURE_TEXT = re.compile(r"<[^\s<>]*")  # or a tag
_UNSURE_END = re.compile("[\U000f0000-\U000ffffd][-!]*>")  # a comment's end
_WITH_A_MEMORY = {"cycler", "joiner", "lipsum", "random", "changed"}
_PLAIN = re.compile(r"(?!\.|From )(?=.{1,75}\Z)[!-<>-~]+(?: [!-<>-~]+)*").fullmatch
# A gap is marked by \\0 and how many line ends it has; two together have those of both, at most a blank line
_GAPS = {"0": " =\r\n", "1": "\r\n", "2": "\r\n\r\n", "start": ""}
_TOGETHER = {(a, b): str(min(2, int(a or 0) + int(b))) for a in ("", "0", "1", "2") for b in "012"}
_TOGETHER |= {("start", mark): "start" for mark in "012"}
_OF_THE_PAGE = "\0!"


class _Unsure(Exception):
    """A row could change how the page is parsed."""


def text_template(source: Source) -> Template | None:
    """A template that makes the text of a page's row, for joined(); None when that takes the row's page. Raises
    TemplateError."""
    environment = _environment()
    tree = parse(source, environment)
    try:
        return Template(source, environment, _converted(tree))
    except (_Unsure, RecursionError):
        return None


def joined(text: str) -> str | None:
    """The text in quoted-printable with its gaps closed; None when it takes the row's page after all."""
    first, *rest = text.split("\0")
    out = [first]
    gap = "" if first else "start"
    for part in rest:
        mark = part[0]
        if mark == "!":
            return None
        gap = _TOGETHER[gap, mark]
        if len(part) > 1:
            out.append(_GAPS[gap])
            out.append(part[1:])
            gap = ""
    out.append("\r\n")
    return "".join(out)


def _text_value(value: Any) -> str:
    """What a value comes to when the page is read, encoded, with its outer gaps marked."""
    if type(value) is str:
        if _PLAIN(value):
            return value + "=\r\n"
        text = value
    elif type(value) is int and abs(value) < 1 << 64:
        return f"{value}=\r\n"
    elif hasattr(value, "__html__"):
        text = htmllib.unescape(value)
        if escape(str(text)) != value:
            return _OF_THE_PAGE  # HTML of its own
    else:
        text = str(value)
    return _marked(single_spaces(str(text)))


def _text_link(*parts: Any) -> str:
    """The address of a link whose beginning is a value."""
    href = ""
    for part in parts:
        if hasattr(part, "__html__"):
            text = htmllib.unescape(part)
            if escape(str(text)) != part:
                return Markup("<")  # as _text_value has it
            part = text
        href += str(part)
    return link(href)


def _marked(text: str) -> str:
    core = text.strip(" \n")
    if not core:
        return _mark(text) if text else ""
    start = text.index(core)
    before, after = text[:start], text[start + len(core) :]
    return (_mark(before) if before else "") + piece(close_gaps(core)) + (_mark(after) if after else "")


def _mark(gap: str) -> str:
    return f"\0{min(gap.count(chr(10)), 2)}"


class _Generator(QuotingGenerator):
    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        return super(QuotingGenerator, self)._output_child_to_const(node, frame, finalize)  # it is encoded


class _Sandbox(Quoting):
    code_generator_class = _Generator
    html = staticmethod(_text_value)
    link = staticmethod(_text_link)


@functools.cache
def _environment() -> _Sandbox:
    return sandbox(True, _Sandbox)


@dataclass(frozen=True, slots=True)
class _Token:
    """What a sign stands for: a value (`node` is its expression), or the beginning, a part or the end of a
    statement."""

    kind: str
    node: nodes.Node


class _Page:
    """The page with its signs. `spans` are the signs of each statement that has a body."""

    def __init__(self, tree: nodes.Template) -> None:
        self.tokens: dict[str, _Token] = {}
        self.spans: list[tuple[nodes.Node, list[str]]] = []
        self.written: list[str] = []
        self._add(tree.body)
        self.text = "".join(self.written)

    def sign(self, kind: str, node: nodes.Node) -> str:
        if len(self.tokens) == _MOST:
            raise _Unsure
        sign = chr(_FIRST + len(self.tokens))
        self.tokens[sign] = _Token(kind, node)
        return sign

    def _add(self, body: list[nodes.Node]) -> None:
        for node in body:
            if isinstance(node, nodes.Output):
                self._add_output(node)
            elif isinstance(node, nodes.Assign):
                self.written.append(self.sign("set", node))
            else:
                self._add_statement(node)

    def _add_output(self, node: nodes.Output) -> None:
        for child in node.nodes:
            if not isinstance(child, nodes.TemplateData):
                self.written.append(self.sign("value", child))
            elif _SIGN.search(child.data):
                raise _Unsure
            else:
                self.written.append(child.data)

    def _add_statement(self, node: nodes.Node) -> None:
        span: list[str] = []
        for number, body in enumerate(_bodies(node)):
            span.append(self.sign("part" if number else "begin", node))
            self.written.append(span[-1])
            self._add(body)
        span.append(self.sign("part", node))
        self.written.append(span[-1])
        self.spans.append((node, span))


def _bodies(node: nodes.Node) -> list[list[nodes.Node]]:
    if isinstance(node, nodes.If):
        return [node.body, *(other.body for other in node.elif_), *([node.else_] if node.else_ else [])]
    if isinstance(node, nodes.For):
        return [node.body, *([node.else_] if node.else_ else [])]
    if isinstance(node, nodes.With | nodes.Scope) and not isinstance(node, nodes.ScopedEvalContextModifier):
        return [node.body]
    raise _Unsure


class _Reader(Extractor):
    """Notes where each sign is: `hidden` in which attribute or comment, else in the text in which `state`."""

    def __init__(self, page: _Page) -> None:
        super().__init__()
        self.page = page
        self.hidden: dict[str, tuple[int, int]] = {}
        self.state: dict[str, tuple[object, ...]] = {}
        self.links_at: dict[str, tuple[str, ...]] = {}
        self._serial = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._serial += 1
        raw = self.get_starttag_text() or ""
        if _SIGN.search(_STRINGS.sub("", raw)):
            raise _Unsure  # a value without quotes may be anything
        for number, string in enumerate(_STRINGS.findall(raw)):
            self.hidden.update((sign, (self._serial, number)) for sign in _SIGN.findall(string))
        super().handle_starttag(tag, attrs)

    def handle_comment(self, data: str) -> None:
        self._serial += 1
        self.hidden.update((sign, (self._serial, -1)) for sign in _SIGN.findall(data))

    def handle_data(self, data: str) -> None:
        signs = _SIGN.findall(data)
        for sign in signs:
            self.links_at[sign] = tuple(self.links)
            self.state[sign] = (self.skipping, self.links_at[sign], self.cdata_elem)
        if self.skipping:
            self.out += [sign for sign in signs if self.page.tokens[sign].kind != "value"]
        else:
            self.out.append(single_spaces(data))

    def show(self, text: str) -> None:
        self._only_values(text)
        super().show(text)

    def show_link(self, href: str) -> None:
        first = _SIGN.search(href)
        begins = href[: first.start()] if first else href
        if first is None or begins.startswith(SCHEMES):
            shown = link(href)
        elif any(scheme.startswith(begins) for scheme in SCHEMES):
            shown = self.page.sign("value", self._link(href))
        else:
            return
        self._only_values(shown)
        self.out.append(shown)

    def _link(self, href: str) -> nodes.Expr:
        self._only_values(href)
        parts = [
            self.page.tokens[part].node if _SIGN.match(part) else nodes.Const(part) for part in _SPLIT.split(href)
        ]
        return nodes.Call(nodes.EnvironmentAttribute("link"), parts, [], None, None)

    def _only_values(self, text: str) -> None:
        if any(self.page.tokens[sign].kind != "value" for sign in _SIGN.findall(text)):
            raise _Unsure


def _converted(tree: nodes.Template) -> nodes.Template:
    """The tree of the text, made of the page's. Raises _Unsure."""
    if not straight(tree) or _remembers(tree):
        raise _Unsure
    page = _Page(tree)
    reader = _Reader(page)
    tokens = dict(page.tokens)
    reader.feed(page.text)
    reader.close()
    _check(page, reader, tokens)
    tree.body = _Rebuilt(page, "".join(reader.out)).body()
    tree.set_environment(_environment())
    return tree


def _remembers(tree: nodes.Template) -> bool:
    """Is there a call that has an effect on the next? An expression may be left out in the text, or come later."""
    names = {name.name for name in tree.find_all(nodes.Name)} | {name.name for name in tree.find_all(nodes.Filter)}
    return bool((names | {name.attr for name in tree.find_all(nodes.Getattr)}) & _WITH_A_MEMORY)


def _check(page: _Page, reader: _Reader, tokens: dict[str, _Token]) -> None:
    """Is the page parsed the same, whatever the signs become? A value brings no tag and no quote with it."""
    if _UNSURE_END.search(page.text):
        raise _Unsure
    for sign, token in tokens.items():
        at = page.text.index(sign)
        if _UNSURE.search(page.text[max(0, at - 80) : at]):
            raise _Unsure
        if sign in reader.state:
            tag = page.text.rfind("<", 0, at)
            if tag >= 0 and _UNSURE_TEXT.fullmatch(page.text, tag, at):
                raise _Unsure
            if token.kind == "set" and any(_SIGN.search(href) for href in reader.links_at[sign]):
                raise _Unsure  # the address is shown after the link's text
        elif sign not in reader.hidden or token.kind == "set":
            raise _Unsure
    for node, span in page.spans:
        places = {reader.hidden.get(sign) for sign in span}
        states = {reader.state.get(sign) for sign in span}
        if len(places) != 1 or len(states) != 1 or (None in states and node.find(nodes.Assign)):
            raise _Unsure


class _Rebuilt:
    """The template's statements around the text's literals."""

    def __init__(self, page: _Page, text: str) -> None:
        self._page = page
        self._parts = [part for part in _SPLIT.split(text) if part]
        self._at = 0

    def body(self) -> list[nodes.Node]:
        """Up to the next part of the statement that this is in."""
        made: list[nodes.Node] = []
        while self._at < len(self._parts):
            part = self._parts[self._at]
            token = self._page.tokens.get(part)
            if token is not None and token.kind == "part":
                break
            self._at += 1
            if token is None:
                made.append(nodes.Output([nodes.TemplateData(_marked(part))], lineno=1))
            elif isinstance(token.node, nodes.Expr):
                made.append(nodes.Output([token.node], lineno=token.node.lineno or 1))
            else:
                if token.kind == "begin":
                    self._fill(token.node)
                made.append(token.node)
        return made

    def _fill(self, node: nodes.Node) -> None:
        for body in _bodies(node):
            body[:] = self.body()
            self._at += 1
