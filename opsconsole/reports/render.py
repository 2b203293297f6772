"""A report as Markdown and as one HTML file. The same model gives the same bytes."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from opsconsole.reports.escape import markdown
from opsconsole.reports.model import Model


def render_markdown(model: Model) -> str:
    """CommonMark; every text of the model is escaped."""
    return _tidied(_environment(False).get_template("report.md.j2").render(model=model))


def render_html(model: Model) -> str:
    """One file without a script or anything from elsewhere; a browser that honours its policy loads nothing."""
    style = _read("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _environment(True).get_template("report.html.j2").render(model=model, style=style, digest=digest)


@cache
def _environment(html: bool) -> Environment:
    return Environment(
        loader=FunctionLoader(_read),
        autoescape=html,  # noqa: S701 - Markdown has an escaping of its own, for every expression
        finalize=None if html else _escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _read(name: str) -> str:
    return (files("opsconsole.reports") / "templates" / name).read_text(encoding="utf-8")


def _escaped(value: object) -> str:
    return markdown(str(value))


def _tidied(text: str) -> str:
    """Without spaces at line ends, and no two empty lines in a row."""
    lines = [line.rstrip() for line in text.split("\n")]
    kept = [line for n, line in enumerate(lines) if line or (n and lines[n - 1])]
    return "\n".join(kept).strip("\n") + "\n"
