"""Given text from outside that would like to act, wherever it comes from, then no command prints a character that a
terminal obeys, and no name leaves its place in a path or a shell."""

import json
from pathlib import Path
from typing import Any

import pytest

from backends.blasthost import frames
from opsconsole.campaign import BadSlug, check_slug
from tests.faults.house import SLUG, House
from tests.faults.support import report, size
from tests.faults.test_hostile_text import ACTING, HOSTILE

pytestmark = pytest.mark.slow

SLUGS = (
    "..", ".", "../etc", "a/b", "a\0b", "a" * 65, "a" * 100_000, "-rf", "--help", "A", "\u0430bc", "ａbc",
    "a\u200bb", "a b",
    "a\n", "$(id)", "`id`", ";id", "a\x1b[2J", "", "~root", "*", "%2e%2e", "con:", "a'b", 'a"b', "\ud800",
)  # fmt: skip


OFFERED = ("..", "../x", "a\0b", "a" * 100_000, "\u0430bc", "-rf", "a b", "a\n")


def touched(house: House) -> dict[str, Any]:
    """What a command could have changed: the records, every file on the host, and what was started there."""
    root = house.config.parent.with_name("host")
    files = {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert len(files) > 5, "the host is elsewhere"
    return {"records": [r.seq for r in house.store().search()], "files": files, "started": len(house.started)}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Every text that a host has of a campaign is hostile."""
    made = House(tmp_path, monkeypatch)
    text = " ".join(HOSTILE)
    made.tree.campaign(
        SLUG, data=f"email,name\na@example.com,{HOSTILE[0]}\n".encode(), subject=text, owner=text, **{"from": text}
    )
    made.tree.cron.write_text(f"# {HOSTILE[0]}\n0 1 1 1 * root echo {SLUG} '{HOSTILE[1]}' \x9b2J\n")
    (made.tree.log / f"{SLUG}.log").write_text(f"{text}\nsent 1 {HOSTILE[3]}\n")
    claim = {"run_id": "0" * 16, "slug": SLUG, "attempt": 1, "by": text, "host": text, "at": text, "plan": text}
    made.tree.run(SLUG, claim_json=claim, started=text, progress=text)
    (made.tree.holds / SLUG).write_text(text)
    (made.tree.campaigns / "\x1b]0;owned\x07").mkdir()
    made.records(2)
    made.anchors.write_text(f"{made.anchors.read_text()}{text}\n")
    return made


def test_no_command_and_no_json_prints_what_a_terminal_obeys(house: House) -> None:
    wrong, shown = [], 0
    commands = [
        ("board",), ("board", "--json"), ("show", SLUG), ("show", SLUG, "--json"), ("preflight", SLUG),
        ("preflight", SLUG, "--json"), ("host", "show"), ("host", "cron"), ("host", "cron", "--json"),
        ("trigger", "show", SLUG), ("trigger", "show", SLUG, "--json"), ("doctor",), ("doctor", "--json"),
        ("audit", "anchors"), ("audit", "anchors", "--json"), ("audit", "verify"), ("audit", "verify", "--json"),
        ("hold", SLUG, "--reason", " ".join(HOSTILE)), ("audit", "search"), ("audit", "search", "--json"),
        ("doubt", SLUG), ("doubt", SLUG, "--json"), ("board", "--json"),
        ("show", SLUG, "--timeline"), ("show", SLUG, "--timeline", "--json"), ("report", SLUG, "--output", "-"),
        ("report", SLUG, "--html", "--output", "-"), ("report", SLUG, "--json"), ("report", "--board", "--json"),
    ]  # fmt: skip
    for args in commands:
        said = house.command(*args)
        shown += bool(said.out or said.err)
        for text in (said.out, said.err):
            if found := ACTING.search(text):
                wrong.append(f"{args}: {found[0]!r} in {text[max(0, found.start() - 60) : found.end() + 20]!r}")
        if "--json" in args and said.out and args[:2] != ("audit", "search"):
            json.loads(said.out)
    report("hostile-text-commands", len(commands), shown, len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_slug_outside_the_grammar_touches_nothing(house: House) -> None:
    asked, wrong = len(house.session.execs), []
    why, meant = ("--reason", "x"), ("--confirm", "x 1")
    ways = (
        ("show",), ("preflight",), ("dry-run",), ("attach",), ("doubt",), ("pause",), ("resume",), ("report",),
        ("hold", *why), ("release", *why), ("approve", *why), ("mark", *why, *meant), ("cancel", *why, *meant),
        ("call-off", *why, *meant), ("close", *why, *meant), ("release-claim", *why, *meant),
        ("break-glass", *why, *meant), ("settle", "--all", "--sent", *why, *meant), ("send-rest", *meant),
        ("send", "--plan", "0" * 12, *meant), ("reschedule", *why), ("rate",), ("account", *why, *meant),
    )  # fmt: skip
    cases = 0
    for slug in SLUGS:
        try:
            check_slug(slug)
            wrong.append(f"{slug[:40]!r} passes")
        except BadSlug as error:
            if ACTING.search(str(error)) or len(str(error)) > 1000:
                wrong.append(f"{slug[:40]!r}: {str(error)[:80]!r}")
    before = touched(house)
    each = size(2, len(OFFERED))  # every command gets some of them in turn, and all of them in a full run
    offers = [(way, OFFERED[(n * each + k) % len(OFFERED)]) for n, way in enumerate(ways) for k in range(each)]
    for way, slug in offers:
        cases += 1
        more = {"reschedule": ("2027-05-14 10:00",), "rate": ("5",), "account": ("fallback",)}.get(way[0], ())
        said = house.command(*way, "--", slug, *more)
        if said.code not in (2, 3) or not said.err or ACTING.search(said.err) or len(said.err) > 3000:
            wrong.append(f"{way} {slug[:40]!r}: {said.code} {said.err[:200]!r}")
    if touched(house) != before:
        wrong.append("something was recorded or written")
    # What the program asks a host is one of its own scripts; a slug is only ever one of their arguments.
    for text in house.session.execs[asked:]:
        wrong += [f"{slug[:40]!r} was sent" for slug in ("../etc", "-rf", "a/b") if slug.encode() in text]
    report("hostile-text-slugs", len(SLUGS) + cases, len(SLUGS) + cases, len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_host_that_answers_with_a_gigabyte_is_cut_off() -> None:
    reader, fed, kept = frames.FrameReader("5" * 32), 0, 0
    chunk = b"\x1b[2J" * (1 << 18)
    for _ in range(64):
        kept += len(reader.feed(chunk))
        fed += len(chunk)
    report("hostile-text-flood", fed >> 20, 1, int(kept > 0))
    assert kept == 0, "what isn't in a frame is no answer"
