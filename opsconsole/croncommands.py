"""What the command of a cron line says: which campaigns it names, and whether it sends. Pure."""

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

from opsconsole.cronsyntax import CronLine


def mentions(line: CronLine, slug: str, runner: str, campaigns_dir: str) -> bool:
    """Whether this line concerns the campaign `slug`.

    True for `--campaign slug`, `--campaign=slug` (or any other `name=slug`), a path in the campaign's
    folder, and the slug as a word of its own, also inside `sh -c '…'` and the standard input. The program
    a command starts, the runner, and the value of `--mode` are no slugs. In doubt it says True: a line
    wrongly shown costs a look, a line missed may send twice.
    """
    folder = re.compile(re.escape(f"{campaigns_dir.rstrip('/')}/{slug}") + r"(?![A-Za-z0-9._-])")
    program = runner.rpartition("/")[2]
    for words in commands(line):
        before, started = "", False
        for word in words:
            value = word.partition("=")[2]
            if folder.search(re.sub("/+", "/", word)) or slug == value:
                return True
            if started and word == slug and before != "--mode" and word not in (runner, program):
                return True
            started = started or not re.match(r"[A-Za-z_]\w*=", word)
            before = word
    return False


def is_send(line: CronLine) -> bool | None:
    """True if any command of the line has `--mode send`, False if all say `dry-run`, None if unknown."""
    modes = set()
    for words in commands(line):
        for word, following in pairwise([*words, ""]):
            if word == "--mode":
                modes.add(following)
            elif word.startswith("--mode="):
                modes.add(word.partition("=")[2])
    if "send" in modes:
        return True
    return False if modes == {"dry-run"} else None


@lru_cache(maxsize=4096)  # taking a line apart costs a millisecond, and several ask for it
def commands(line: CronLine) -> tuple[tuple[str, ...], ...]:
    """The words of each simple command of a line, also of those quoted in it or piped into it."""
    return tuple(tuple(words) for words in _commands(line))


def _commands(line: CronLine) -> Iterator[list[str]]:
    yield from _split(line.shell, line.env, depth=3)
    for part in filter(None, (line.stdin or "").split("\n")):
        # standard input may be commands or bare data, so its first word counts too
        yield from (["", *words] for words in _split(part, line.env, depth=3))


def _split(text: str, env: Mapping[str, str], depth: int) -> Iterator[list[str]]:
    """The words of each simple command in `text`, and of commands quoted within it."""
    text = _without_comment(text).replace("`", " ; ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        tokens = list(lexer)
    except ValueError:  # unbalanced quotes: cut at everything that could end a word
        tokens = re.split(r"[\s'\"]+|([;&|()<>]+)", text)
    words: list[str] = []
    for token in filter(None, tokens):
        if set(token) <= set(";&|()"):
            yield words
            words = []
            continue
        expanded = _expand(token, env)
        words.append(expanded)
        if depth and re.search(r"[\s;&|()]", expanded):
            yield from _split(expanded, env, depth - 1)
    yield words


def _expand(word: str, env: Mapping[str, str]) -> str:
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda found: env.get(found[1] or found[2], found[0]), word)


def _without_comment(text: str) -> str:
    quiet = re.match(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?<=[^\s;&|(])\#|[^\#])*""", text, re.DOTALL)
    return text[: quiet.end()] if quiet else text
