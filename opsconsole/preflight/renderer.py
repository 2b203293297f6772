"""The process that renders a campaign's templates for every row, and can be cut off. Started by rendering.py.

Standard input: one JSON line with the templates, then the data file. Standard output: JSON lines, closed by
`done`. A template is somebody else's program, so this process has limits on processor time and memory, no
secrets in its environment, and says where it is often enough for its parent to notice when it hangs.
"""

import contextlib
import json
import resource
import sys
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from runner.campaign.address import Address
from runner.campaign.csvdata import CsvError, Problem, Reader
from runner.campaign.metadata import Metadata, MetadataError, parse
from runner.message import sms
from runner.message.guard import ROW_SECONDS
from runner.message.mail import Composer, RowRefused, sources
from runner.message.template import Finding, Source, Template, TemplateError, unknown_variables

KEPT = 20  # faults of one kind that are told; the others are counted
STEP_SECONDS = 6  # processor time from one sign of life to the next
LIFE_SECONDS = 0.5
MEMORY = 512 << 20
SLOW_ROWS = 3  # this many rows beyond the time limit of a row, and the rest isn't tried


def main() -> None:
    stdin = sys.stdin.buffer
    limit_memory()
    say("hello")
    order = json.loads(stdin.readline())
    metadata = _metadata(order["metadata"])
    parts = _sources(metadata, order["html"], order["text"])
    broken = [finding for source in parts if (finding := _compile(source))]
    say("compiled", findings=[asdict(finding) for finding in broken])
    try:
        reader = Reader(stdin, order["column"])
    except CsvError:
        return say("done", rows=0)
    if broken:
        return say("done", rows=0)
    unknown = [finding for source in parts for finding in unknown_variables(source, reader.columns)]
    say("variables", findings=[asdict(finding) for finding in unknown], columns=list(reader.columns))
    if metadata is None:
        return say("done", rows=0)
    text = order["text"]
    if metadata.channel == "sms":
        render(reader, _Texts(sms.SmsComposer(order["slug"], metadata, text or "", reader.columns)))
    else:
        render(reader, _Mails(Composer(order["slug"], metadata, order["html"], text, reader.columns)))
    return None


class _Mails:
    def __init__(self, composer: Composer) -> None:
        self._composer = composer

    def size(self, values: list[str]) -> int:
        """Bytes of the page. Raises RowRefused."""
        rendered = self._composer.render(values)
        if not rendered.html.strip():
            raise RowRefused("template", "the page comes out empty")
        if not rendered.subject:
            raise RowRefused("header", "subject comes out empty", "subject")
        return len(rendered.html.encode("utf-8", "replace"))


class _Texts:
    def __init__(self, composer: sms.SmsComposer) -> None:
        self._composer = composer

    def size(self, values: list[str]) -> int:
        """Segments. Raises RowRefused."""
        return self._composer.compose(values, Address("", 0), 0.0).segments


def render(reader: Reader, made: _Mails | _Texts) -> None:
    """Render every row; tells refused rows, the largest message, the sum and the count."""
    refused: Counter[str] = Counter()
    rows = largest = largest_line = total = slow = 0
    last = begun = time.monotonic()
    with contextlib.suppress(CsvError):
        for row in reader:
            if isinstance(row, Problem):
                continue
            try:
                size = made.size(row.values)
                kind, why, column = "", "", None
                total += size
                if size > largest:
                    largest, largest_line = size, row.line
            except RowRefused as error:
                kind, why, column = error.kind, str(error), error.column
            rows += 1
            if kind:
                refused[kind] += 1
                if refused[kind] <= KEPT:
                    say("refused", row=row.number, line=row.line, kind=kind, why=why, column=column)
            now = time.monotonic()
            slow += now - begun >= ROW_SECONDS
            begun = now
            if slow >= SLOW_ROWS:
                return say("slow", rows=rows)
            if now - last > LIFE_SECONDS:
                last = now
                say("at", row=row.number)
    return say("done", rows=rows, refused=dict(refused), largest=largest, largest_line=largest_line, total=total)


def say(word: str, **more: Any) -> None:
    """A line to the parent. Each one grants the same processor time again for what comes next."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + STEP_SECONDS
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    sys.stdout.write(json.dumps({"say": word, **more}) + "\n")
    sys.stdout.flush()


def limit_memory() -> None:
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm") as statm:
            already = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (already + MEMORY, already + MEMORY))


def _metadata(text: str | None) -> Metadata | None:
    if text is None:
        return None
    try:
        return parse(text.encode("utf-8", "surrogatepass"))
    except (MetadataError, UnicodeError):
        return None


def _sources(metadata: Metadata | None, html: str, text: str | None) -> list[Source]:
    """Every template there is; those in the metadata only when it can be used."""
    if metadata is not None and metadata.channel == "sms":
        return [sms.source(text or "")]
    if metadata is not None:
        return [source for source in sources(metadata, html, text) if source]
    found = [Source(html, "blast_template.html", html=True)]
    return found if text is None else [*found, Source(text, "blast_template.txt")]


def _compile(source: Source) -> Finding | None:
    try:
        Template(source)
    except TemplateError as error:
        return error.finding
    return None


if __name__ == "__main__":
    main()
