"""The shell scripts of remote/ as texts that a HostSession can run. All are POSIX sh; none takes text into code."""

import secrets
from functools import cache
from importlib.resources import files

# What each script uses besides common.sh.
_NEEDS = {
    "launch": ("checks", "coming"),
    "rest": ("checks", "coming"),
    "settle": ("coming",),
    "settle_rest": ("coming",),
    "journal": ("checks",),
    "runner": ("checks",),
}


@cache
def script(name: str) -> str:
    """remote/NAME.sh with the shared functions before it and the call of its main behind it."""
    return f'{_whole(name)}\nmain "$@"\n'


@cache
def supervisor() -> str:
    """What the launcher leaves in the run folder and starts."""
    return f"{_text('common')}\n{_text('supervise')}"


def with_texts(name: str, texts: dict[str, str]) -> str:
    """remote/NAME.sh with a function for each of `texts` that prints it, whatever it holds."""
    functions = "\n".join(_printer(function, text) for function, text in texts.items())
    return f'{functions}\n{_whole(name)}\nmain "$@"\n'


def _whole(name: str) -> str:
    return "\n".join(map(_text, ("common", *_NEEDS.get(name, ()), name)))


def _printer(function: str, text: str) -> str:
    end = f"END_{secrets.token_hex(16)}"
    return f"{function}() {{\n    cat <<'{end}'\n{text.rstrip()}\n{end}\n}}\n"


def _text(name: str) -> str:
    return files("backends.blasthost").joinpath("remote", f"{name}.sh").read_text("utf-8")
