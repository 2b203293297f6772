"""The one door for text from outside: whatever a log, a file or an answer holds is shown, and never acts."""

from rich.style import Style
from rich.text import Text

from opsconsole.redact import visible


def say(text: object, limit: int | None = None) -> str:
    """`text` in one line with nothing in it that a terminal obeys. Pass it on only where markup is off."""
    return visible(str(text), limit)


def safe(text: object, limit: int | None = None, style: str | Style = "", *, lines: bool = False) -> Text:
    """`text` for any widget: control characters visible, brackets plain. `lines` keeps line breaks."""
    return Text(visible(str(text), limit, keep_newlines=lines), style=style, end="")
