"""Templates that make quoted-printable: what is the same for every row is encoded once, while compiling.

The text is cut into pieces, the literal ones and the values between them. Each is encoded for itself from the
beginning of a line, and closed by a soft break unless it ends with a line end; so any piece may follow any other.
"""

import functools
import re
from collections.abc import Collection
from typing import Any

from jinja2 import nodes
from jinja2.compiler import Frame
from markupsafe import escape

from runner.message.flat import Flat
from runner.message.flat import flat as flat_of
from runner.message.template import Generator, Sandbox, Source, Template, parse, sandbox

_WIDTH = 73  # of 76: room for the soft break and an encoded first character
_CODED = {byte: f"={byte:02X}" for byte in range(256) if not (byte == 9 or 32 <= byte < 127) or byte == 61}
_PLAIN = re.compile(r"(?!\.|From )[ -<>-~]{1,75}").fullmatch  # needs no encoding
_PLAIN_HTML = re.compile(r"(?!\.|From )[ !#-%(-;?-~]{1,75}").fullmatch  # nor escaping
# What these make is text that goes on being used as a value, or a template of its own
_STRAIGHT = (
    nodes.Output,
    nodes.If,
    nodes.For,
    nodes.Assign,
    nodes.With,
    nodes.Scope,
    nodes.EvalContextModifier,
)


def piece(text: str) -> str:
    """A text with `\n` for line ends, encoded. No line is longer than 76 or begins as a dot-stuffed or an mbox line
    would. Raises UnicodeEncodeError for a lone surrogate."""
    if not text:
        return ""
    *closed, rest = text.encode().decode("latin-1").split("\n")  # a character is a byte
    out: list[str] = []
    for line in closed:
        coded = line.translate(_CODED)
        if coded[-1:] in (" ", "\t"):  # at the end of a line it may get lost
            coded = f"{coded[:-1]}={ord(coded[-1]):02X}"
        _wrap(coded, out)
        out.append("\r\n")
    if rest:
        _wrap(rest.translate(_CODED), out)
        out.append("=\r\n")
    return "".join(out)


def _wrap(coded: str, out: list[str]) -> None:
    start = 0
    while True:
        end = start + _WIDTH
        if end < len(coded):
            end -= coded[end - 1] == "=" or 2 * (coded[end - 2] == "=")  # what is encoded stays whole
        line = coded[start:end]
        if line.startswith((".", "From ")):
            line = f"={ord(line[0]):02X}{line[1:]}"
        out.append(line)
        start = end
        if start >= len(coded):
            return
        out.append("=\r\n")


def quoted_html(value: Any) -> str:
    """A value in HTML: escaped unless it says that it is HTML."""
    if type(value) is str and _PLAIN_HTML(value):
        return value + "=\r\n"
    return quoted_text(value if type(value) is int else escape(value))


def quoted_text(value: Any) -> str:
    if type(value) is str and _PLAIN(value):
        return value + "=\r\n"
    if type(value) is int and abs(value) < 1 << 64:
        return f"{value}=\r\n"
    text = str(value)
    return piece(text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text)


class QuotingGenerator(Generator):
    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        return piece(super()._output_child_to_const(node, frame, finalize))

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile:
            self.write("(environment.html if context.eval_ctx.autoescape else environment.text)(")
        else:
            self.write("environment.html(" if frame.eval_ctx.autoescape else "environment.text(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")


class Quoting(Sandbox):
    code_generator_class = QuotingGenerator
    html = staticmethod(quoted_html)
    text = staticmethod(quoted_text)


@functools.cache
def _environment(html: bool) -> Quoting:
    return sandbox(html, Quoting)


def quoted(source: Source) -> Template | None:
    """The template that makes `source`'s text in quoted-printable, None when it has to be rendered and encoded as a
    whole. Raises TemplateError."""
    environment = _environment(source.html)
    tree = parse(source, environment)
    return Template(source, environment, tree) if straight(tree) else None


def flat(source: Source, columns: Collection[str]) -> Flat | None:
    """As quoted(), of a template that needs nothing run. Raises TemplateError."""
    tree = parse(source, _environment(source.html))
    return flat_of(tree, columns, piece, quoted_html if source.html else quoted_text)


def straight(tree: nodes.Template) -> bool:
    """Does all that it outputs go to the text, and nowhere else?"""
    return all(
        isinstance(node, _STRAIGHT) and not getattr(node, "recursive", False) for node in tree.find_all(nodes.Stmt)
    )
