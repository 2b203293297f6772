"""Text from outside in a report: shown as it is, and no markup, no link, no HTML and no code, whoever reads it."""

from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from opsconsole.board import SourceState
from opsconsole.hostfacts import FileFact, FolderFacts, Kind
from opsconsole.observation import Counts, Evidence, Hold, Mark, Observation, RunWord, Says, Trigger
from opsconsole.reports.escape import markdown
from opsconsole.reports.facts import Chain, IncidentFacts, Setting, ShiftFacts
from opsconsole.reports.handover import handover_model
from opsconsole.reports.incident import incident_model
from opsconsole.reports.model import Model
from opsconsole.reports.render import render_html, render_markdown
from opsconsole.timeline import Past, RunLog
from tests.domain.test_timeline import item, record
from tests.domain.words import DETAILS, NOW, SLUG, dashboard, host, verdict
from tests.faults.test_hostile_text import ACTING, HOSTILE

MARKUP = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</style></td></table><iframe src=//example.com></iframe>",
    '" onmouseover="alert(1)',
    "[click](javascript:alert(1)) ![pic](http://example.com/p.png)",
    "http://example.com/a www.example.com example.com ftp://example.com mailto:x@example.com",
    "<http://example.com> <x@example.com> &lt;b&gt; &#60;b&#62;",
    "*bold* _it_ __b__ ~~gone~~ `code` ```\nfence\n``` ==mark== ^sup^ $x$",
    "# heading\n## two\n- item\n1. one\n> quote\n---\n===\n| a | b |\n|---|---|",
    "@channel @example/team #123 <!channel> <@U123> :smile: user@example.com",
    "{{ 7 * 7 }} {% for x in y %} {# gone #}",
    "\\",
    "\\*not\\* `` ` ``",
    "[ref]: http://example.com 'x'",
    "- [ ] task",
    "+ plus",
    "12) twelve",
)
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "p",
    "div",
    "strong",
    "dl",
    "dt",
    "dd",
    "section",
} | {"table", "thead", "tbody", "tr", "th", "td", "footer"}
OWN_TOKENS = {
    f"{name}_{end}"
    for name in ("heading", "paragraph", "bullet_list", "list_item", "strong")
    for end in ("open", "close")
} | {"inline", "text", "text_special", "hr", "softbreak"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class"}


def facts(nasty: str) -> IncidentFacts:
    """A campaign of which everything that comes from outside says `nasty`."""
    run = RunWord(
        run_id=nasty, by=nasty, started_at=NOW, ended_at=NOW, counts=Counts(total=3, accepted=1), note=nasty
    )
    details = replace(DETAILS, name=nasty, subject=nasty, owner=nasty, series=nasty, problems=(nasty,))
    words: tuple[Observation, ...] = (
        dashboard(
            reference=nasty, note=nasty, evidence=(Evidence(letter="D", label=nasty, mark=Mark.YES, text=nasty),)
        ),
        host(
            Says.ENDED,
            run=run,
            details=details,
            trouble=nasty,
            since=NOW,
            triggers=(Trigger(where=nasty, text=nasty, next_fire=NOW + timedelta(hours=1)),),
            holds=(Hold(scope=nasty, by=nasty, at=NOW, reason=nasty),),
            evidence=(Evidence(letter="F", label=nasty, mark=Mark.BAD, text=nasty, at=NOW),),
        ),
    )
    records = (
        record(1, nasty, reason=nasty, operator=nasty),
        record(
            2,
            "plan",
            detail={"plan": {"carrier": nasty, "planned_by": nasty, "expires_at": nasty}, "digest": nasty},
        ),
        record(3, "preflight", detail={"blocking": [nasty]}),
        record(4, "reschedule", detail={"local": nasty, "zone": nasty}),
        record(5, "dry-run", detail={"troubles": [nasty], "at": nasty, "digests": {nasty: nasty}}),
    )
    told = item("dashboard", {"slug": SLUG, "status": nasty}, done=None, tries=2)
    notified = item(f"notify:{nasty}", {"campaign": SLUG, "title": nasty}, done=NOW)
    file = FileFact(path=nasty, kind=Kind.FILE, mtime_ns=10**18, sha256="a" * 64)
    folder = FolderFacts(slug=SLUG, folder=Kind.FOLDER, files={nasty: file})
    log = RunLog(source=nasty, text=f"2026-05-12 10:00:00 ERROR {nasty}\n".encode("utf-8", "replace"), attempt=1)
    return IncidentFacts(
        setting=Setting(at=NOW, environment=nasty, danger=True, operator=nasty, local_zone="UTC"),
        verdict=verdict(*words),
        sources=(),
        past=Past(
            records=records,
            items=(replace(told, last_error=nasty), replace(notified, id=2)),
            folders=((nasty, folder),),
            logs=(log,),
            unread=(nasty,),
        ),
        open_intents=(record(9, nasty, operator=nasty, campaign=nasty),),
        chain=Chain(seq=9, mac="f" * 64, whole=False, why=nasty),
        store_trouble=nasty,
    )


def handed_over(nasty: str) -> ShiftFacts:
    from opsconsole.board import Board

    one = facts(nasty)
    source = SourceState(
        name=nasty,
        answered_at=NOW,
        fresh=False,
        trouble=nasty,
        latency_ms=None,
        findings=(nasty,),
        foreign=(nasty,),
    )
    return ShiftFacts(
        setting=one.setting,
        board=Board(at=NOW, verdicts=(one.verdict,), sources=(source,)),
        back=timedelta(hours=12),
        ahead=timedelta(hours=12),
        records=one.past.records,
        open_intents=one.open_intents,
        waiting=one.past.items,
        chain=one.chain,
    )


def models(nasty: str) -> tuple[Model, Model]:
    return incident_model(facts(nasty)), handover_model(handed_over(nasty))


class Page(HTMLParser):
    """All tags and attributes of a page, as a browser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.shown: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


QUICK = (HOSTILE[0], *MARKUP[:1], *MARKUP[3:5])
ALL = [pytest.param(text, marks=() if text in QUICK else pytest.mark.slow) for text in (*HOSTILE, *MARKUP)]


@pytest.mark.parametrize("nasty", ALL, ids=range(len(ALL)))
def test_nothing_from_outside_is_more_than_text(nasty: str) -> None:
    plain = models("harmless")
    for model, calm in zip(models(nasty), plain, strict=True):
        text, page = render_markdown(model), render_html(model)
        assert not ACTING.search(text)
        assert not ACTING.search(page)

        tokens = MarkdownIt("gfm-like", {"linkify": True, "html": True}).parse(text)
        kinds = {t.type for block in tokens for t in (block, *(block.children or ()))}
        code = [t.content for block in tokens for t in block.children or () if t.type == "code_inline"]
        assert set(code) <= {"@"}, "a mention calls nobody"
        assert kinds - OWN_TOKENS <= {"code_inline"}
        heads = [t.tag for t in tokens if t.type == "heading_open"]
        assert heads == ["h1"] + ["h2"] * len(model.sections), "no heading but the report's own"

        found = Page(page)
        assert set(found.tags) <= TAGS
        assert found.tags.count("table") == sum(bool(section.rows) for section in model.sections)
        assert {name for name, _ in found.attributes} <= ATTRIBUTES
        assert len(found.attributes) == len(Page(render_html(calm)).attributes)
        assert "'none'; style-src 'sha256-" in next(v or "" for n, v in found.attributes if n == "content")


def test_markdown_shows_what_was_written() -> None:
    """Read again by a Markdown reader, every character is there."""
    reader = MarkdownIt("gfm-like", {"linkify": True, "html": True})
    for text in (
        *MARKUP,
        "2,601 of 2,601 · 10:52 (t-9a8cae17) blast_data.csv a•••@example.com",
        "1. e4 e5",
        "a.b:c",
    ):
        flat = " ".join(text.split())
        (_, inline, *_) = reader.parse(markdown(text))
        shown = "".join(t.content for t in inline.children or ())
        assert " ".join(shown.split()) == flat


def test_the_page_needs_nothing_from_elsewhere_and_can_be_printed() -> None:
    page = render_html(models("harmless")[0])
    for banned in ("<script", "<link", "<img", "http://", "https://", "url(", "@import", " src=", " href="):
        assert banned not in page
    assert "@media print" in page
    assert "default-src 'none'" in page


def test_secrets_and_recipients_are_in_no_report() -> None:
    for model in models("anna@example.com has password=hunter2, Bearer abcdefgh12345678"):
        for text in (render_markdown(model), render_html(model)):
            assert "hunter2" not in text
            assert "abcdefgh12345678" not in text
            assert "anna@example" not in text
