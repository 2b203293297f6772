"""Which campaigns a cron line concerns: those it names, and those that the small scripts it calls name. Pure.

In doubt a campaign belongs: a line wrongly shown costs a look, a line missed may send twice.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from opsconsole.campaign import is_slug
from opsconsole.cron import commands, is_send, mentions
from opsconsole.cronsyntax import CronLine
from opsconsole.hostfacts import ScriptFact
from opsconsole.settings import BlastHost

MOST_SCRIPTS = 20
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_CAMPAIGN = re.compile(r"--campaign(?:=|\s+)['\"]?([^\s'\";&|<>]+)")
_MODE = re.compile(r"--mode(?:=|\s+)['\"]?([\w-]+)")
_SYSTEM = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/dev/", "/proc/", "/sys/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongs:
    """What one line is about. `campaigns` are known, `strangers` are given to the runner and unknown. `via` is the
    script that names some of them; `blind` says why what the line starts can't be told, "" when it can."""

    campaigns: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    sends: bool | None = None
    via: str = ""
    blind: str = ""


def belongs(
    line: CronLine, campaigns: Collection[str], scripts: Mapping[str, ScriptFact], settings: BlastHost
) -> Belongs:
    """`campaigns` are the slugs of those that exist, `scripts` what was read of the host's, by path."""
    own = set(_own(line, campaigns, settings))
    strangers = {slug for slug in _CAMPAIGN.findall(line.shell) if is_slug(slug) and slug not in campaigns}
    sends, via, blind = is_send(line), "", ""
    for path in called(line, settings) if scripts else ():
        script = scripts.get(path)
        if script is None:
            continue
        text = _spoken(script)
        if script.trouble and not own:
            blind = blind or f"it calls {path}, which can't be read: {script.trouble}"
        if not _starts_campaigns(text, settings):
            continue
        named = {word for word in _WORD.findall(_MODE.sub("", text)) if word in campaigns}
        named.discard(settings.runner.rpartition("/")[2])
        others = {slug for slug in _CAMPAIGN.findall(text) if is_slug(slug) and slug not in campaigns}
        if not (own or named or others or strangers):
            blind = blind or f"it calls {path}, which starts the runner for campaigns it doesn't name"
        via = via or path
        own, strangers, sends = own | named, strangers | others, _mode(text) if sends is None else sends
    return Belongs(
        campaigns=tuple(sorted(own)),
        strangers=tuple(sorted(strangers)) if via or settings.runner.rpartition("/")[2] in line.shell else (),
        sends=sends,
        via=via,
        blind=blind,
    )


def called(line: CronLine, settings: BlastHost) -> tuple[str, ...]:
    """The files that a line may call, as far as its words tell: absolute paths, and ./ ones behind a cd."""
    found: dict[str, None] = {}
    folder = ""
    for words in commands(line):
        before = ""
        for word in words:
            if before == "cd":
                folder = word.rstrip("/")
            path = f"{folder}/{word.removeprefix('./')}" if folder and word.startswith("./") else word
            if before not in ("cd", "<", ">", ">>", ">|", "2>") and _may_be_script(path, settings):
                found[re.sub("/+", "/", path)] = None
            before = word
    return tuple(found)


def scripts_of(lines: Iterable[CronLine], settings: BlastHost) -> tuple[str, ...]:
    """The first MOST_SCRIPTS files that any of the lines may call."""
    found = dict.fromkeys(path for line in lines for path in called(line, settings))
    return tuple(found)[:MOST_SCRIPTS]


def _may_be_script(path: str, settings: BlastHost) -> bool:
    """Never the credentials, nor what belongs to the campaigns, the logs or the system."""
    if not path.startswith("/") or re.search(r"[\s*?\[\]$`\0\x01-\x1f]", path) or path.endswith("/"):
        return False
    others = tuple(
        f"{folder.rstrip('/')}/" for folder in (settings.campaigns_dir, settings.log_dir, settings.state_dir)
    )
    return path not in (settings.runner, settings.credentials) and not path.startswith((*_SYSTEM, *others))


def _own(line: CronLine, campaigns: Collection[str], settings: BlastHost) -> Iterator[str]:
    """Words of the line first, as asking for each campaign would take seconds."""
    text = f"{line.shell} {line.stdin or ''}"
    text += " " + _VARIABLE.sub(lambda name: line.env.get(name[1] or name[2], ""), text)
    text += " " + re.sub(r"[\\'\"]", "", text)
    for word in set(_WORD.findall(text)):
        if word in campaigns and mentions(line, word, settings.runner, settings.campaigns_dir):
            yield word


def _spoken(script: ScriptFact) -> str:
    """A script without its comments."""
    lines = (script.text or b"").decode("utf-8", "replace").split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _starts_campaigns(text: str, settings: BlastHost) -> bool:
    names = (settings.runner.rpartition("/")[2], "--campaign", settings.campaigns_dir.rstrip("/") + "/")
    return any(name in text for name in names)


def _mode(text: str) -> bool | None:
    modes = set(_MODE.findall(text))
    return True if "send" in modes else False if modes == {"dry-run"} else None
