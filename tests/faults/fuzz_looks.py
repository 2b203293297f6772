"""What the fuzz suite reads beside the board: access, cron tables, dashboards in pages, queries, reports."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from markdown_it import MarkdownIt

from backends import dashboard_access, dashboard_trial
from backends.blasthost import access, cronswitch, crontriggers
from backends.blasthost.answers import Completed
from backends.blasthost.errors import HostError
from backends.blasthost.offered import offered
from backends.blasthost.publickeys import PublicKey, read_keys
from backends.blasthost.sshconfig import Target as Login
from backends.blasthost.wrappers import Wrappers
from backends.dashboard_pages import Pages
from backends.dashboard_rows import Rows, Tasks
from backends.rest import Purpose, Rest
from opsconsole import attention, duerange, filters, lookout, mapping, views
from opsconsole.access import SystemAccess, judged, say_rest
from opsconsole.board import Board
from opsconsole.cron import disable_line, off_mark
from opsconsole.cronview import cron_tables, say_fire, table_json
from opsconsole.filters import FilterError
from opsconsole.grounds import doubtful, named, say_recorded
from opsconsole.hostfacts import CronFact, FileFact, FolderFacts, HostFacts, Kind, ScriptFact
from opsconsole.observation import Counts, Evidence, Mark, RunWord, Says, Trigger
from opsconsole.ports import Access, OutOfReach, Refused, Trouble
from opsconsole.reports.model import Model, Section, finished
from opsconsole.reports.render import render_html, render_markdown
from opsconsole.settings import BlastHost, Dashboard, DashboardCampaigns
from opsconsole.timeline import Past, RunLog, entry_json, timeline
from tests.domain.words import NOW, POLICY, SLUG, dashboard, host, verdict
from tests.faults.fuzz_targets import CRON, LOG, ROW, Target

HOST = BlastHost(ssh="blast.example.com", cron_files=["/etc/cron.d/mail-blasts"])
ZONE = "Europe/London"
FRESH = timedelta(seconds=90)
KEY = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
VERDICT = verdict(
    dashboard(), host(Says.ENDED, run=RunWord(run_id="ab12", by="mara", ended_at=NOW, counts=Counts(total=3)))
)
JUNK = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)  # bytes that aren't even JSON


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class Answers:
    """A session that gives these answers one after the other, the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)

    def run(self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 0) -> Completed:
        return Completed(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0], b"", 0, 0.01)


def _shown(entries: tuple[Access, ...]) -> None:
    for _, some in SystemAccess(name="h", entries=judged(entries, POLICY, NOW)).sections():
        for entry in some:
            say_rest(entry, NOW)


def _login(*files: Path) -> Login:
    return Login(
        alias="h", hostname="h", port=22, user="u", identity_files=tuple(files), identities_only=True, proxy_jump=()
    )


def _access(data: bytes) -> None:
    _shown(access.look(Answers(data), HOST, _login(), lambda: "SHA256:x", "h"))


def _authorized(data: bytes) -> None:
    for key in read_keys(_text(data)):
        if isinstance(key, PublicKey):
            assert len(key.comment) <= 80
            assert all(len(said) <= 120 for said in (*key.limits, *key.unknown))


def _private_key(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "id")
        path.write_bytes(data)
        (entry,) = offered(_login(path), HOST, "h")
        _shown((entry,))


def _facts(table: bytes, script: bytes = b"#!/bin/sh\nmail-blast-runner --campaign spring-offer\n") -> HostFacts:
    file = FileFact(path=HOST.cron_files[0], kind=Kind.FILE, mode=0o644, owner=HOST.cron_owner)
    return HostFacts(
        host="h",
        zone=ZONE,
        cron=(CronFact(file=file, text=table),),
        scripts=(ScriptFact(path="/opt/send.sh", text=script),),
        campaigns={"spring-offer": FolderFacts(slug="spring-offer", folder=Kind.FOLDER)},
    )


def _cron_table(data: bytes) -> None:
    _cron_shown(_facts(data))


def _called_script(data: bytes) -> None:
    _cron_shown(_facts(b"0 10 12 5 * root /opt/send.sh >/dev/null\n", data))


def _cron_shown(facts: HostFacts) -> None:
    for table in cron_tables(facts, HOST, [VERDICT], NOW, ZONE):
        json.dumps(table_json(table, NOW))
        for row in table.rows:
            say_fire(row.next_at, table, row, NOW)
    for triggers in crontriggers.read_tables(facts, HOST, NOW, "h").triggers.values():
        for trigger in triggers:
            key = cronswitch.read_key(trigger.key) if trigger.key else None
            assert key is None or (key.source, key.where) == ("h", trigger.where), "a key of another line"


def _called_scripts(data: bytes) -> None:
    for script in Wrappers(Answers(data), HOST).add(_facts(b"@daily root /opt/send.sh\n"), 0.0).scripts:
        assert (script.text is None) == bool(script.trouble)


def _switched(data: bytes) -> None:
    first, _, again = data.partition(b"\n--\n")
    line = TABLE.split(b"\n")[0]
    key = cronswitch.Key("h", HOST.cron_files[0], 1, cronswitch.digest(line), cronswitch.digest(TABLE))
    done = cronswitch.switch(Answers(first, again), HOST, "h", str(key), False, "mara", NOW)
    assert done.before.endswith(line.decode()), "another line was switched"


def _filter(data: bytes) -> None:
    text = _text(data)
    good, wrong = filters.readable(text, ZONE, NOW)
    filters.parse(good, ZONE, NOW).shown([VERDICT])
    filters.completed(text, [VERDICT])
    try:
        query = filters.parse(text, ZONE, NOW)
    except FilterError:
        assert wrong, "what can't be read is passed over in silence"
        raise
    query.shown([VERDICT])
    query.unknown([VERDICT])


def _due(data: bytes) -> None:
    duerange.parse_due(_text(data), ZONE, NOW).holds(NOW)


def _views(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "views.json")
        path.write_bytes(data)
        known = views.load({"mine": "group:attention"}, path)
        assert known.get("mine").query == "group:attention", "the configured ones are always there"
        try:
            views.save({}, path, "new", "status:sent")
        finally:
            assert known.trouble == "" or path.read_bytes() == data, "a damaged file was written over"


def _attention(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "attention.json")
        path.write_bytes(data)
        known = lookout.Lookout("demo", path)
        before = attention.Attention(standing=known.standing, waiting=known._attention.waiting)
        for whole in (False, True):
            attention.advance(before, BOARD, environment="demo", policy=POLICY, whole=whole)
        max((change.at for change in known.owed), default=NOW) <= NOW  # noqa: B015 - it can be compared


def _stood() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "attention.json")
        known = lookout.Lookout("demo", path)
        alarm = attention.alarm_of(VERDICT, "demo", POLICY, NOW)
        known._attention = attention.Attention(standing={SLUG: alarm}, waiting={f"{SLUG}/ERROR": NOW})
        known.owed = (attention.Transition(event=attention.Event.TRIGGER, alarm=alarm, at=NOW),)
        known._save()
        return path.read_bytes()


def _expression(data: bytes) -> None:
    mapping.reader(_text(data))(json.loads(ROW))


class Near(Rest):
    """A service without a network: `answer` is given to every question."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer
        super().__init__("the dashboard", "http://127.0.0.1", None, timedelta(seconds=5))

    def _make_client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._answer), trust_env=False)


LOOKING = Purpose("Looking", "Nothing is known")


def _pages(data: bytes) -> None:
    def answer(asked: httpx.Request) -> httpx.Response:
        content = b'{"data": []}' if asked.url.query else data
        return httpx.Response(200, content=content, headers={"Content-Type": "application/json"})

    rest = Near(answer)
    settings = Dashboard(url="http://127.0.0.1", campaigns=DashboardCampaigns(path="/c", next="links.next"))
    rows = Rows("dashboard", settings, FRESH)
    pages = Pages(rest, settings.campaigns, "campaigns", LOOKING)
    dashboard_trial.trial(rows, pages, pages, NOW)
    for raw in pages.first().rows:
        task = rows.read_task(raw)
        rows.read("spring-offer", raw, Tasks([task] if task else []), NOW)
    pages.all()


def _row(data: bytes) -> None:
    """What was read of a row can be judged and told."""
    rows = Rows("dashboard", Dashboard(url="http://127.0.0.1"), FRESH)
    seen = verdict(rows.read(SLUG, json.loads(data), Tasks(), NOW), host())
    for zone in (ZONE, "Asia/Tokyo", "America/Los_Angeles"):
        json.dumps([entry_json(entry, zone) for entry in timeline(seen, now=NOW)])


def _headers(data: bytes) -> None:
    """Each line is what an answer says in one header."""
    names = (b"Location", b"Retry-After", b"Date", b"ETag", b"Content-Type", b"Content-Length")
    headers = list(zip(names, data.split(b"\n"), strict=False))

    def answer(asked: httpx.Request) -> httpx.Response:
        moved = asked.url.path == "/c"
        return httpx.Response(302 if moved else 200, headers=headers[not moved :], content=b"[]")

    with suppress(OutOfReach):
        Near(lambda _: httpx.Response(429, headers=headers[1:])).get("http://127.0.0.1/c", LOOKING)
    Near(answer).get("http://127.0.0.1/c", LOOKING)


def _whoami(data: bytes) -> None:
    told = json.loads(data)
    _shown(dashboard_access.look(lambda path, purpose: told, Dashboard(url="http://127.0.0.1"), NOW))


def _story(data: bytes) -> None:
    for offset in (0.0, 5400.0, -5400.0):
        logs = (RunLog(source="blast-mail-prod", text=data, zone="America/Los_Angeles"),)
        past = Past(logs=logs, offsets={"blast-mail-prod": offset})
        for entry in timeline(VERDICT, past, NOW):
            json.dumps(entry_json(entry, ZONE))


def _page(text: str) -> tuple[str, str]:
    section = Section(title="What happened", text=(text,), pairs=((text, text),), heads=("a",), rows=((text,),))
    model = Model(
        title=text,
        environment=text,
        danger=True,
        tone="bad",
        lead=text,
        sentence=text,
        about=((text, text),),
        sections=(section,),
        foot=text,
        stem="report",
    )
    return render_markdown(finished(model)), render_html(finished(model))


def _report(data: bytes) -> None:
    shown, page = _page(_text(data) + "x")  # a text that is there
    assert page.count("<") == PLAIN[1].count("<"), "a tag of its own"
    tokens = MARKDOWN.parse(shown)
    kinds = {t.type for block in tokens for t in (block, *(block.children or ()))}
    code = {t.content for block in tokens for t in block.children or () if t.type == "code_inline"}
    assert kinds <= PLAIN_KINDS | {"code_inline", "text_special", "softbreak"}, kinds - PLAIN_KINDS
    assert code <= {"@"}


def _evidence(data: bytes) -> None:
    text = _text(data)
    found = named(VERDICT, NOW, [text], [], "mara")
    assert found, "an own word is always one"
    doubtful(found, VERDICT, NOW)
    say_recorded([ground.record() for ground in found])
    json.dumps([ground.record() for ground in found])


MARKDOWN = MarkdownIt("gfm-like", {"linkify": True, "html": True})
PLAIN = _page("x")
PLAIN_KINDS = {t.type for block in MARKDOWN.parse(PLAIN[0]) for t in (block, *(block.children or ()))}
BOARD = Board(
    at=NOW,
    sources=(),
    verdicts=(
        VERDICT,
        replace(verdict(host()), slug="late"),
        verdict(
            host(
                triggers=(Trigger(where="t:1", text="x", next_fire=NOW),),
                evidence=(Evidence(letter="F", label="f", mark=Mark.BAD, text="x"),),
            )
        ),
    ),
)
TABLE = CRON.split(b"\n", 4)[4]
SWITCHED = disable_line(TABLE, 1, off_mark("mara", NOW))
FACTS = _b64("regular file|644|root|root|1|1700000000")
SWITCH = (
    f"TABLE yes {FACTS} {_b64(TABLE)}\n--\nSWAPPED {_b64('/var/lib/x/cron-backups/a')}\n"
    f"TABLE yes {FACTS} {_b64(SWITCHED)}\n"
).encode()
ROOT = _b64("root")
ACCESS = (
    f"NOW 1700000000\nUSER 0 {_b64('root')} {_b64('root adm')}\n"
    f"PATH runner {_b64('/usr/local/bin/mail-blast-runner')} file 755 812 1700000000 r {ROOT} {ROOT}\n"
    f"DIGEST {'a' * 64}\nPATH credentials {_b64('/etc/x')} denied\n"
    f"PATH authorized {_b64('/home/mara/.ssh/authorized_keys')} file 600 99 1700000000 rw {ROOT} {ROOT}\n"
    f"AUTHORIZED {_b64('/home/mara/.ssh/authorized_keys')} {_b64(f'ssh-ed25519 {KEY} ana@example.com')}\n"
    f"PATH hostkey {_b64('/etc/ssh/k')} file 600 99 1700000000 - {_b64('root')} {_b64('root')}\n"
    f"HOSTKEY {_b64('/etc/ssh/k.pub')} {_b64(f'ssh-ed25519 {KEY} root@h')}\n"
    f"UNREAD AUTHORIZED {_b64('/x')}\nASKS {_b64('/usr/bin/keys --token x')}\n"
    f"SUDO {_b64('User may run:' + chr(10) + '    (root) NOPASSWD: ALL, /bin/x --y z')}\n"
).encode()
AUTHORIZED = (
    f'# ours\nfrom="10.0.0.0/8",command="/bin/x --y z" ssh-ed25519 {KEY} ana@example.com\n'
    f'restrict,environment="TOKEN=x" ssh-ed25519 {KEY}\nssh-rsa AAAAB3NzaC1yc2E= old\nnonsense here\n'
).encode()
OPEN_KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n" % base64.b64encode(
    b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01\0\0\0\x33\0\0\0\x0bssh-ed25519\0\0\0\x20"
    + bytes(32)
)
RSA_KEY = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
LIST = json.dumps(
    {
        "data": [
            json.loads(ROW),
            {"token": "t-1", "status": "open", "title": "Send", "notes": ["by phone", {"a": 1}]},
        ],
        "total": 2,
        "links": {"next": None},
    }
).encode()
DEEP = b'{"data": [{"token": "t", "status": "s", "notes": %s}]}' % (b"[" * 700 + b"1" + b"]" * 700)
WHOAMI = json.dumps(
    {"name": "console", "roles": ["ops"], "scopes": "a:* b", "expires": "2026-05-13T10:00:00+00:00"}
).encode()

STOOD = _stood()
SCRIPT = b"#!/bin/sh\n# x\nmail-blast-runner --campaign=spring-offer --mode send\n"
NEXT = b'{"data": [], "links": {"next": "/c?page=2"}}'
SCRIPTS = (b"SCRIPT TEXT %s\n" % _b64("x y").encode(), b"SCRIPT DENIED\n")
LINE = f"{'a' * 64}:{'b' * 64}:7:h:/etc/cron.d/x".encode()
QUERIES = (
    b'group:attention,done !status:sent due:<2h sort:-due "two words"',
    b"due:2026-05-01..today owner:ana x series:none",
)
DUE = (b"2026-05-01..2026-05-14", b"<2h", b"10:30", b"2026-10-25T01:30", b"now..+1.5d", b">tomorrow")
VIEWS = b'{"version": 1, "views": {"late": "status:overdue", "b": "due:today"}}'
EXPRESSIONS = (b"a.b[?x > `1`].{y: join(', ', z)} | [0]", b"status", b"sum([failure_count, `1`]) && to_number('1')")
HEADERS = b'/elsewhere?x=1\n30\nTue, 12 May 2026 17:52:00 GMT\n"a"\napplication/json\n2'
MARKED = (b"*you* <b>x</b> [a](http://example.com) @ana www.example.com", b"1. a | b\n# c", b"`x` ~~y~~ $z$")

LOOKS = (
    Target("access of a host", _access, (ACCESS,), (Trouble,)),
    Target("authorized keys", _authorized, (AUTHORIZED,)),
    Target("private key", _private_key, (OPEN_KEY, RSA_KEY)),
    Target("cron table, shown", _cron_table, (CRON, b"0 1 * * * root cd /opt && ./send.sh\n"), share=2),
    Target("called script", _called_script, (SCRIPT,), share=2),
    Target("called scripts", _called_scripts, SCRIPTS, (HostError,)),
    Target("key of a line", lambda data: cronswitch.read_key(_text(data)), (LINE,), (Refused,)),
    Target("line that was switched", _switched, (SWITCH,), (Trouble,)),
    Target("filter", _filter, QUERIES, (FilterError,)),
    Target("due words", _due, DUE, (duerange.DueError,)),
    Target("saved views", _views, (VIEWS,), (views.ViewError,)),
    Target("what was told before", _attention, (STOOD,)),
    Target("expression of a mapping", _expression, EXPRESSIONS, (mapping.MappingError,)),
    Target("dashboard in pages", _pages, (LIST, DEEP, NEXT), (Trouble,), share=2),
    Target("dashboard row, shown", _row, (ROW,), JUNK),
    Target("headers of an answer", _headers, (HEADERS,), (Trouble,), share=5),
    Target("who we are there", _whoami, (WHOAMI,), (Trouble, *JUNK)),
    Target("story of a run", _story, (LOG,), share=5),
    Target("report", _report, MARKED, share=10),
    Target("evidence in own words", _evidence, (b"ana saw it in the provider's console", b"ended")),
)
