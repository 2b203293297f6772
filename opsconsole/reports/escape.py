"""Text for Markdown in which nothing is markup, a link or HTML: for CommonMark, GitHub and chats. Pure.

What only matters at the start of a line is escaped there alone, so that a report stays readable as it is.
"""

import re

_MARKUP = re.compile(r"[\\`*_\[\]<>#|~&$!^]")
_MENTION = re.compile(r"(?<![\w•])@(?=\w)")
_LINE_START = re.compile(r"\A(\s*)([-+=:]|\d{1,9}(?=[.)]))")
# What readers make links of by themselves: names with a dot, and anything with a scheme.
_DOT = re.compile(r"(?<=\w)\.(?=[^\W\d])")
_SCHEME = re.compile(r"(?<=[A-Za-z0-9]):(?=[^\s\d])")


def markdown(text: str) -> str:
    """One line of plain text as Markdown that shows it as it is."""
    plain = " ".join(text.split("\n")).strip()  # four blanks before it would make it code
    shown = _MARKUP.sub(r"\\\g<0>", plain)
    shown = _SCHEME.sub(r"\\:", _DOT.sub(r"\\.", shown))
    shown = _MENTION.sub("`@`", shown)
    return _LINE_START.sub(_escape_start, shown)


def _escape_start(match: re.Match[str]) -> str:
    sign = match[2]
    return f"{match[1]}\\{sign}" if not sign.isdigit() else f"{match[1]}{sign}\\"
