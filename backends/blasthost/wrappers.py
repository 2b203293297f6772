"""The scripts that cron lines call, read so that what they start can be told; bounded in number and size."""

import base64
from collections.abc import Iterator
from dataclasses import replace

from backends.blasthost.answers import Session
from backends.blasthost.facts import BadAnswer
from backends.blasthost.scripts import script
from opsconsole.cron import own_table, read_cron
from opsconsole.cronbelongs import MOST_SCRIPTS, scripts_of
from opsconsole.cronsyntax import CronLine
from opsconsole.hostfacts import CronFact, HostFacts, ScriptFact
from opsconsole.settings import BlastHost

LIMIT = 20.0  # seconds
KEPT_FOR = 30.0  # seconds: so long a look doesn't read them again
_TROUBLES = {"DENIED": "permission denied", "LARGE": "larger than 64 KiB", "ODD": "no plain file"}


class Wrappers:
    """Reads them for one host; between looks that follow closely they are kept."""

    def __init__(self, session: Session, settings: BlastHost) -> None:
        self._session, self._settings = session, settings
        self._called: tuple[tuple[CronFact, ...], tuple[str, ...]] = ((), ())
        self._read: tuple[tuple[str, ...], float, tuple[ScriptFact, ...]] = ((), 0.0, ())

    def add(self, facts: HostFacts, now: float) -> HostFacts:
        """`facts` with the scripts its cron lines call; `now` in seconds. Raises HostError."""
        if self._called[0] != facts.cron:
            self._called = (facts.cron, scripts_of(_lines(facts.cron), self._settings))
        paths, (known, at, scripts) = self._called[1], self._read
        if paths and (known != paths or not 0 <= now - at < KEPT_FOR):
            scripts = self._ask(paths)
            self._read = (paths, now, scripts)
        return replace(facts, scripts=scripts if paths else ())

    def _ask(self, paths: tuple[str, ...]) -> tuple[ScriptFact, ...]:
        orders = (self._settings.credentials, *paths)
        done = self._session.run(script("wrappers"), *orders, timeout=LIMIT, max_bytes=MOST_SCRIPTS * 100_000)
        return tuple(_facts(done.check("read the scripts that cron calls").stdout, paths))


def _lines(tables: tuple[CronFact, ...]) -> Iterator[CronLine]:
    for fact in tables:
        path = fact.file.path
        file = read_cron(path, fact.text or b"", has_user_column=not own_table(path))
        yield from (*file.lines, *file.disabled)


def _facts(answer: bytes, paths: tuple[str, ...]) -> Iterator[ScriptFact]:
    lines = answer.decode("ascii", "replace").splitlines()
    if len(lines) != len(paths):
        raise BadAnswer("it tells of other scripts than were asked for")
    for path, line in zip(paths, lines, strict=True):
        _, _, told = line.partition(" ")
        word, _, text = told.partition(" ")
        if word == "TEXT":
            try:
                yield ScriptFact(path=path, text=base64.b64decode(text, validate=True))
            except ValueError as error:
                raise BadAnswer("a script in it can't be read") from error
        elif word in _TROUBLES:
            yield ScriptFact(path=path, trouble=_TROUBLES[word])
