"""Given secrets and people's data wherever they can be, when everything is done that is done to a campaign, then
they are in no record, message, export, snapshot, cache, output, notification, process list or temporary file.

Each is first looked for where it was planted: a search that can't find it there would find it nowhere.
"""

import csv
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from backends.embedded.world import World
from backends.notify.email import Email
from opsconsole import wiring
from opsconsole.cli import main
from opsconsole.config import load
from opsconsole.console import Console
from tests.faults.support import report

pytestmark = pytest.mark.slow

SLUG = "fleet-week-parking"
ENDED = "harbor-lights-jul"
BROKEN = "spring-refit-offer"  # its template has a variable that is no column
STALLED = "charter-season"
ADDRESS = re.compile(rb"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def word() -> str:
    return secrets.token_hex(12)


class Planted:
    """The canaries of one world: what each is, and its value."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.traffic: list[bytes] = []
        self.told: list[bytes] = []  # the bodies of notifications
        self.secrets = {
            "bearer in a log": word(),
            "cookie in a log": word(),
            "AWS key in a log": "AKIA" + secrets.token_hex(8).upper(),
            "private key in a log": word(),
            "password in metadata": word(),
            "api key in metadata": word(),
            "password in a reason": word(),
            "password in a cron line": word(),
            "password in an order of a public key": word(),
            "webhook": word(),
            "SMTP password": word(),
            "cookie in an answer of the dashboard": word(),
            "token in an answer of the dashboard": word(),
            "dashboard token": (world.config_path.parent / "token").read_text().strip(),
        }
        log = world.paths.logs / f"{ENDED}.log"
        with log.open("a") as out:
            out.write(
                f"Authorization: Bearer {self.secrets['bearer in a log']}\n"
                f"Set-Cookie: session={self.secrets['cookie in a log']}; HttpOnly\n"
                f"using {self.secrets['AWS key in a log']} for the bucket\n"
                f"-----BEGIN PRIVATE KEY-----\n{self.secrets['private key in a log']}\n-----END PRIVATE KEY-----\n"
            )
        metadata = world.paths.campaigns / SLUG / "blast_metadata.json"
        given = json.loads(metadata.read_text())
        given |= {
            "smtp_password": self.secrets["password in metadata"],
            "nested": {"api_key": self.secrets["api key in metadata"]},
        }
        metadata.write_text(json.dumps(given))
        with world.paths.cron.open("a") as table:
            table.write(f"# 0 1 1 1 * root send --password {self.secrets['password in a cron line']}\n")
        with world.paths.credentials.open("a") as out:
            out.write(f"password = {self.secrets['SMTP password']}\n")
        keys = world.ssh.home / ".ssh" / "authorized_keys"
        with keys.open("a") as out:
            secret = self.secrets["password in an order of a public key"]
            out.write(
                f'command="/bin/x --password {secret}",environment="X={secret}" {world.ssh.login_key.public}\n'
            )
        self.people: set[str] = set()
        for slug in (SLUG, BROKEN, ENDED, STALLED):
            self.people |= self._people(slug)
        self.bounced = f"anna.{word()}-550@example.com"
        self.name = f"Annabel{word()}"
        self.people.add(self.bounced)
        self._replace_a_row(BROKEN)
        self.count = self._replace_a_row(SLUG)
        self.places = (log, metadata, world.paths.cron, world.paths.credentials, keys, world.config_path.parent)

    def _table(self, slug: str) -> Path:
        return self.world.paths.campaigns / slug / "blast_data.csv"

    def _people(self, slug: str) -> set[str]:
        with self._table(slug).open(encoding="utf-8", newline="") as file:
            return {row["email"] for row in csv.DictReader(file)}

    def _replace_a_row(self, slug: str) -> int:
        """One recipient has a name that is nobody else's, and an address that is refused and quoted."""
        with self._table(slug).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        rows[1] |= {"email": self.bounced, "first_name": self.name}
        with self._table(slug).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        return len({row["email"] for row in rows})

    def unseen_at_home(self, elsewhere: bytes) -> list[str]:
        """What the search doesn't find although it is there: in its file, or in what really came and went."""
        home = elsewhere
        for place in self.places:
            home += b"".join(
                p.read_bytes() for p in ([place] if place.is_file() else place.iterdir()) if p.is_file()
            )
        tables = b"".join(self._table(slug).read_bytes() for slug in (SLUG, BROKEN, ENDED, STALLED))
        lost = set(self.secrets) - set(self.found_in(home))
        return [*lost, *({"people"} if self.people_in(tables) < len(self.people) - 3 else ())]

    def found_in(self, data: bytes) -> list[str]:
        return [what for what, value in self.secrets.items() if value.encode() in data]

    def people_in(self, data: bytes) -> int:
        """How many whole addresses of recipients are in it; the one rare name counts as one."""
        found = {match.decode() for match in ADDRESS.findall(data)}
        return len(found & self.people) + (self.name.encode() in data)


@contextmanager
def angry_dashboard(planted: Planted) -> Iterator[str]:
    """One that answers every question with an error that quotes secrets and a recipient. What came and went
    is in `planted.traffic`."""
    cookie = planted.secrets["cookie in an answer of the dashboard"]
    token = planted.secrets["token in an answer of the dashboard"]
    who = f"{planted.name} <{planted.bounced}>"

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.rfile.read(int(self.headers.get("content-length") or 0))
            sent = self.headers.get("authorization", "")
            body = json.dumps({"error": f"bad token={token} for {who}; you sent {sent}"}).encode()
            planted.traffic += [self.path.encode(), f"session={cookie}".encode(), body]
            planted.told += [asked] if self.path.startswith("/services/") else []
            self.send_response(500)
            self.send_header("Set-Cookie", f"session={cookie}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Spy(threading.Thread):
    """Reads the command lines and the environments of every process that begins while it runs, a few times each:
    one that was forked has its parent's until it becomes what it is to be."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.done = threading.Event()

    def run(self) -> None:
        times: Counter[str] = Counter()
        while not self.done.wait(0.1):
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit() or int(entry.name) == os.getpid() or times[entry.name] >= 4:
                    continue
                times[entry.name] += 1
                for name in ("cmdline", "environ"):
                    with suppress(OSError):
                        self.seen.add((entry / name).read_bytes())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "world").mkdir()
    with World(tmp_path / "world", runner_name=f"blast-runner-{word()[:8]}") as made:
        yield made


def quoting(world: World, planted: Planted) -> None:
    """The mail server takes any password, and quotes whom it refuses."""
    plain = world.sink.answer

    def answer(recipient: str) -> str:
        said = plain(recipient)
        if recipient != planted.bounced:
            return said
        planted.traffic.append(recipient.encode())
        return f"550 5.1.1 <{recipient}>: no such person"

    world.sink.answer = answer  # type: ignore[method-assign]


def test_no_secret_and_no_recipient_is_left_anywhere(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted, spy, leaks, looked = Planted(world), Spy(), [], 0
    quoting(world, planted)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    said: list[tuple[str, bytes]] = []

    async def mailed(_: Email, mail: EmailMessage, __: str | None) -> None:
        planted.told.append(b"mail " + str(mail["Subject"]).encode() + str(mail.get_content()).encode())

    monkeypatch.setattr(Email, "_send", mailed)

    def call(*args: str, config: Path = world.config_path) -> None:
        result = CliRunner().invoke(main, ["--config", str(config), *args])
        assert result.exception is None or isinstance(result.exception, SystemExit), (args, result.exception)
        said.append((" ".join(args[:3]), result.output.encode()))

    def spawn(*args: str, config: Path = world.config_path) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "opsconsole.cli", "--config", str(config), *args],
            capture_output=True,
            timeout=120,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
        )
        said.append((" ".join(args), done.stdout + done.stderr))
        return done.stdout

    with angry_dashboard(planted) as url:
        hook = world.config_path.with_name("hook")
        hook.write_text(f"{url}/services/{planted.secrets['webhook']}\n")
        hook.chmod(0o600)
        with world.config_path.open("a") as config:
            config.write('\n[environments.demo.notify.ops]\nkind = "webhook"\n')
            config.write(f"[environments.demo.notify.ops.url]\nfile = {json.dumps(str(hook))}\n")
            config.write(
                f'[environments.demo.notify.alerts]\nkind = "alertmanager"\nendpoint = "{url}/services"\n'
                f'[environments.demo.notify.pager]\nkind = "pagerduty"\nendpoint = "{url}/services/pager"\n'
                'routing_key = { cmd = ["/bin/echo", "of-the-pager"] }\n'
                '[environments.demo.notify.mail]\nkind = "email"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'
                'sender = "console@example.com"\nto = ["ops@example.com"]\n'
            )
        angry = world.config_path.with_name("angry.toml")
        angry.write_text(world.config_path.read_text().replace(world.dashboard.url, url))
        spy.start()
        call("board", "--json")
        call("show", SLUG, "--json")
        call("show", ENDED)
        call("preflight", SLUG)
        call("preflight", BROKEN, "--json")
        call("attach", ENDED)
        call("doubt", STALLED)
        call("hold", SLUG, "--reason", f"password={planted.secrets['password in a reason']} for {planted.bounced}")
        call("release", SLUG, "--reason", "looked")
        call("dry-run", BROKEN)
        rehearsed = json.loads(spawn("dry-run", SLUG, "--json"))
        spawn("send", SLUG, "--plan", rehearsed["plan"] or "0" * 12, "--confirm", f"{SLUG} {planted.count}")
        call("attach", SLUG)
        for words in (
            ("report", SLUG),
            ("report", ENDED),
            ("report", "--board"),
            ("access",),
            ("access", "--json"),
        ):
            call(*words)
        for slug in (SLUG, ENDED, STALLED):
            call("show", slug, "--timeline")
        call("report", ENDED, "--html", "--output", "-")
        call("views", "--save", "mine", "owner:ana")
        call("watch", "--once", "--json")
        call("board", config=angry)
        call("mark", SLUG, "--reason", "by hand", "--confirm", f"{SLUG} {planted.count}", config=angry)
        call("hold", SLUG, "--reason", "again", config=angry)
        call("doctor", config=angry)
        call("host", "cron")
        call("audit", "search", "--json")
        call("audit", "export", str(tmp_path / "export.jsonl"))
        spy.done.set()
        spy.join()

    sent = sum(world.sent_to().values())
    artefacts = [(f"opsconsole {name}", text) for name, text in said]
    artefacts += [(f"notification {number}", text) for number, text in enumerate(planted.told)]
    # The list of a command's own words shows what its caller typed; the reason is the operator's to keep.
    typed = planted.secrets["password in a reason"].encode()
    artefacts.append(("process list", b"\n".join(text for text in spy.seen if typed not in text)))
    for folder in (world.config_path.parent / "data", temporary, world.paths.runs, tmp_path / "export.jsonl"):
        for path in [folder] if folder.is_file() else [p for p in folder.rglob("*") if p.is_file()]:
            artefacts.append((str(path.relative_to(tmp_path)), path.read_bytes()))
    for name, data in artefacts:
        looked += 1
        leaks += [f"{name}: {what}" for what in planted.found_in(data)]
        if people := planted.people_in(data):
            leaks.append(f"{name}: {people} people{' by name' if planted.name.encode() in data else ''}")
    blind = planted.unseen_at_home(b"\n".join([*planted.traffic, typed]))
    cases = looked * (len(planted.secrets) + 1)
    report("canaries-everywhere", cases, len(planted.secrets) + len(planted.people) - len(blind), len(leaks))
    assert not blind, f"planted, and not found where they are: {blind}"
    assert sent > 100, b"\n".join(name.encode() + b": " + text[-600:] for name, text in said).decode()
    assert planted.told, "nobody was told"
    assert planted.bounced.encode() in planted.traffic, "the mail server refused nobody"
    kinds = {Path(name).name for name, _ in artefacts}
    assert {"audit.db", "last-known-demo.json", "out", "export.jsonl", "process list"} <= kinds, kinds
    assert {"views.json", "attention-watch-demo.json"} <= kinds, kinds
    assert {".md", ".html"} <= {Path(kind).suffix for kind in kinds}
    for kind in (b"mail ", b"of-the-pager", b"alertname", planted.secrets["webhook"].encode()):
        assert any(kind in text for text in (*planted.told, *planted.traffic)), f"{kind!r} was told nothing"
    assert not leaks, "\n".join(leaks)


def test_a_secret_that_is_asked_of_a_command_is_in_no_process_list(world: World, tmp_path: Path) -> None:
    token = (world.config_path.parent / "token").read_text().strip()
    config = world.config_path
    text = config.read_text().replace(
        f'file = "{config.parent}/token"', f'cmd = ["/bin/cat", "{config.parent}/token"]'
    )
    config.write_text(text)
    assert "cmd =" in text
    spy = Spy()
    spy.start()
    with wiring_console(config) as console:
        assert any(s.name == "dashboard" and s.fresh for s in console.board().sources)
        time.sleep(0.1)
    spy.done.set()
    spy.join()
    leaks = [text for text in spy.seen if token.encode() in text]
    report("canaries-process-list", len(spy.seen), 1, len(leaks))
    assert not leaks


@contextmanager
def wiring_console(path: Path) -> Iterator[Console]:
    console = wiring.build(load(path))
    try:
        console.refresh()
        yield console
    finally:
        console.close()


def test_showing_people_is_recorded(world: World) -> None:
    with wiring_console(world.config_path) as console:
        console.reveal("recipients", SLUG)
        (record,) = console.store().search(action="reveal")
        assert (record.campaign, record.detail["what"]) == (SLUG, "recipients")
    report("canaries-reveal", 1, 1, 0)
