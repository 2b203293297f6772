"""Given text that would like to act in scripts that cron calls, public keys, tasks, accounts, job texts, views and
operators' own words, then no command that shows or decides by them prints what a terminal obeys."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backends.dashboard import DashboardBackend
from opsconsole.settings import Dashboard
from opsconsole.watch import Watched
from tests.faults.fuzz_looks import KEY
from tests.faults.house import SLUG, House
from tests.faults.support import report
from tests.faults.test_hostile_text import ACTING, HOSTILE

pytestmark = pytest.mark.slow

TEXT = " ".join(HOSTILE)
GONE = "harbor-lights"  # went out, by others than this console
JOB = f"echo {HOSTILE[0]} '{HOSTILE[1]}' \x9b2J"


@pytest.fixture
def hostile_dashboard() -> Iterator[str]:
    texts = ("name", "due_at", "timezone", "approved_by", "approved_at", "session_id", "completion_timestamp")
    row = {**dict.fromkeys((*texts, "failure_count", "status"), TEXT), "task_token": "t-1", "recipient_count": 1}
    task = {"token": "t-1", "status": TEXT, "title": TEXT, "priority": HOSTILE[0], "notes": [TEXT, {TEXT: TEXT}]}
    answers: dict[str, Any] = {
        "/api/campaigns": {"data": [{**row, "slug": SLUG}, {**row, "slug": GONE, "status": "sent"}], "total": 2},
        "/api/tasks": {"data": [task, {**task, "token": TEXT}], "total": 2},
        "/api/whoami": {"name": TEXT, "roles": [TEXT, "admin"], "scopes": TEXT, "expires": TEXT},
    }

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path.partition("?")[0], {"error": TEXT})).encode()
            self.send_response(200 if self.path.partition("?")[0] in answers else 422)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile_dashboard: str) -> House:
    made = House(tmp_path, monkeypatch)
    settings = Dashboard(url=hostile_dashboard)

    def dashboard() -> Watched:
        seconds = timedelta(seconds=5)
        return Watched(DashboardBackend("dashboard", settings, fresh_for=seconds, timeout=seconds), seconds)

    made.more.append(dashboard)
    for slug in (SLUG, GONE):
        made.tree.campaign(slug, timezone="Europe/London", due_at="2026-05-12T10:00", owner=TEXT, series=TEXT)
    (made.tree.log / f"{GONE}.log").write_text(f"{TEXT}\n1 recipients processed\nERROR {TEXT}\n")
    script = made.tree.root / "send.sh"
    script.write_text(f"#!/bin/sh\n{JOB}\n{made.tree.runner} --campaign {SLUG} --mode send # {TEXT}\n")
    made.tree.cron.write_text(
        f"0 1 1 1 * root {JOB}; {script}\n0 2 1 1 * root {made.tree.runner} --campaign {SLUG} --mode send '{JOB}'\n"
    )
    home = made.tree.root / "home"
    (home / ".ssh").mkdir(parents=True)
    keys = home / ".ssh" / "authorized_keys"
    keys.write_text(
        f'ssh-ed25519 {KEY} {HOSTILE[0]} {HOSTILE[4]}\nfrom="{HOSTILE[1]}",command="{HOSTILE[0]} x",'
        f'environment="{HOSTILE[3]}=x",\x1b[2J ssh-ed25519 {KEY} x\n{HOSTILE[2]}\n'
    )
    made.session.env = {"HOME": str(home)}
    (made.data / "views.json").write_text(json.dumps({"version": 1, "views": {"mine": f"owner:{TEXT}"}}))
    return made


def test_nothing_from_the_newer_places_acts(house: House) -> None:
    wrong, shown, done = [], 0, set()
    why, table = ("--reason", TEXT), str(house.tree.cron)
    commands = [
        ("mark", GONE, "--evidence", TEXT, "--evidence", "processed", *why, "--confirm", f"{GONE} 1"),
        ("mark", GONE, "--source", TEXT, *why, "--confirm", f"{GONE} 1"),
        ("mark", GONE, "--evidence", TEXT, *why, "--confirm", TEXT, "--json"),
        ("adopt", GONE, *why), ("adopt", GONE, *why, "--json"), ("adopt", SLUG, *why),
        ("reschedule", SLUG, "2027-05-14 10:00", *why), ("reschedule", SLUG, "2028-05-14 10:00", *why, "--json"),
        ("reschedule", SLUG, TEXT, *why), ("reschedule", SLUG, TEXT, *why, "--json"),
        ("trigger", "show", SLUG), ("trigger", "show", SLUG, "--json"),
        ("trigger", "off", SLUG, "--line", TEXT, *why),
        ("trigger", "off", SLUG, "--line", f"{table}:1", *why, "--confirm", TEXT),
        ("trigger", "off", SLUG, "--line", f"{table}:2", *why, "--confirm", f"{SLUG} 1"),
        ("host", "cron"), ("host", "cron", "--json"), ("access",), ("access", "--json"),
        ("views",), ("views", "--json"), ("views", "--save", TEXT, "x"), ("views", "--save", "x", f"{TEXT}:x"),
        ("views", "--save", "words", HOSTILE[0]), ("views", "--forget", TEXT), ("views",), ("views", "--json"),
        ("board", "--view", TEXT), ("board", "--view", "words"), ("board", "--view", "mine", "--json"),
        *(("board", "--filter", f"{key}{HOSTILE[n]}") for n, key in enumerate(("", "owner:", "due:", "sort:"))),
        *(("board", f"--{key}", TEXT) for key in ("status", "group", "source", "series", "owner", "due", "sort")),
        ("board", "--series", TEXT, "--json"), ("show", SLUG), ("show", GONE, "--json"),
        *(("show", slug, "--timeline", *more) for slug in (SLUG, GONE) for more in ((), ("--json",))),
        *(("report", what, "--output", "-") for what in (SLUG, GONE, "--board")),
        *(("report", what, "--output", "-", "--html") for what in (SLUG, GONE, "--board")),
        ("report", GONE, "--json"), ("report", "--board", "--json"), ("report", GONE, "--at", TEXT),
        ("watch", "--once", "--json"), ("watch", "--once"), ("watch", "--test", TEXT),
        ("audit", "search"), ("audit", "search", "--json"), ("doctor",), ("doctor", "--json"),
    ]  # fmt: skip
    for args in commands:
        said = house.command(*args)
        shown += bool(said.out or said.err)
        done |= {args[0]} if said.code in (0, 1) else set()
        for text in (said.out, said.err):
            if found := ACTING.search(text):
                wrong.append(f"{args}: {found[0]!r} in {text[max(0, found.start() - 60) : found.end() + 20]!r}")
        if "--json" in args and args[0] != "audit":
            lines = said.out.splitlines() if args[0] == "watch" else [said.out] if said.out else []
            for line in lines:
                json.loads(line)
    report("hostile-text-sources", len(commands), shown, len(wrong))
    assert {"mark", "adopt", "reschedule", "trigger", "views", "board", "show", "report"} <= done, done
    assert not wrong, "\n".join(wrong)
