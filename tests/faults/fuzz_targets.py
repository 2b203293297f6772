"""What the fuzz suite reads: a small reader a format, honest samples of it, and what it may raise."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backends import dashboard_rows
from backends.blasthost import attempts, hostkeys
from backends.blasthost.frames import FrameReader
from opsconsole import config, snapshot
from opsconsole.audit import verify_export
from opsconsole.audit.chain import GENESIS, Anchor, row_of, seal
from opsconsole.audit.export import write_export
from opsconsole.audit.records import Phase, Record
from opsconsole.campaign import MetadataError, is_slug, parse_metadata
from opsconsole.case import Case
from opsconsole.cron import is_send, mentions, read_cron
from opsconsole.digests import content_digest
from opsconsole.observation import Report
from opsconsole.policy import Policy
from opsconsole.redact import csv_cell, mask_addresses, redact, visible
from opsconsole.runlog import Reader, stretches
from opsconsole.settings import Dashboard, Patterns
from runner.campaign import address, metadata
from runner.campaign.csvdata import CsvError
from runner.campaign.csvdata import Reader as Rows
from runner.errors import Refused as RunnerRefused
from runner.record import journal
from runner.settings import read_credentials

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
FRESH = timedelta(seconds=90)
POLICY = Policy()


@dataclass(frozen=True)
class Target:
    """`read` takes spoiled bytes and asserts what must hold of the answer; `refuses` are its documented errors."""

    name: str
    read: Callable[[bytes], object]
    samples: Sequence[bytes]
    refuses: tuple[type[Exception], ...] = ()
    share: int = 1  # one in so many of the cases, where each takes long


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _cron(data: bytes) -> None:
    for line in read_cron("mail-blasts", data, mode=0o644, owner="root", known_users={"root"}).lines:
        mentions(line, "spring-offer", "/usr/local/bin/mail-blast-runner", "/var/mail/campaigns")
        is_send(line)
    read_cron("mara", data, has_user_column=False)


def _details(data: bytes) -> None:
    from opsconsole.observation import Observation

    details = parse_metadata(data)
    seen = Observation(source="h", slug="a", observed_at=NOW, fresh_for=FRESH, details=details, keeps_traces=True)
    Case.of("a", [seen], POLICY, NOW)  # whatever came through must be usable
    from opsconsole.verdict import judge

    judge("a", [seen], POLICY, NOW)


def _csv(data: bytes) -> None:
    for row in Rows(BytesIO(data)):
        str(row)


def _address(data: bytes) -> None:
    found = address.check(_text(data))
    if isinstance(found, address.Address):
        assert found.text.isascii()
        assert not set(found.text) & set('\r\n\0 <>,;"'), "it could leave its place in an SMTP command"
        assert found.text.count("@") == 1


def _run_log(data: bytes) -> None:
    reader = Reader(Patterns())
    half = len(data) // 2
    lines = [*reader.feed(data[:half]), *reader.feed(data[half:]), *reader.close()]
    assert len(lines) <= data.count(b"\n") + data.count(b"\r") + 2
    for piece in stretches(data, Patterns()):
        counts = piece.counts
        assert counts is None or min(counts.accepted, counts.failed, counts.unknown, counts.deferred) >= 0


def _frames(data: bytes) -> None:
    nonce = "5" * 32
    whole, parts = FrameReader(nonce), FrameReader(nonce)
    at_once = whole.feed(data)
    in_parts = b"".join(parts.feed(data[at : at + 7]) for at in range(0, len(data), 7))
    if whole.ended:
        assert at_once == in_parts, "where the network cuts must not matter"
    assert whole.rc == parts.rc


def _attempt(data: bytes) -> None:
    fact = attempts.parse(_text(data).split("\n"))
    if fact is not None:
        attempts.run_state("spring-offer", fact, Patterns())


def _row(data: bytes) -> None:
    raw = json.loads(data)
    rows = dashboard_rows.Rows("dashboard", Dashboard(url="http://127.0.0.1"), FRESH)
    task = rows.read_task(raw)
    rows.read("spring-offer", raw, dashboard_rows.Tasks([task] if task else []), NOW)


def _journal(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "journal")
        path.write_bytes(data)
        found = journal.replay(path, "boot-2", repair=True)
        again = journal.replay(path, "boot-2")
        assert again.states == found.states, "what was cut off must not have counted"


def _snapshot(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "last-known.json")
        path.write_bytes(data)
        snapshot.load(path)


def _saved_report() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "last-known.json")
        snapshot.save(path, [Report(source="h", looked_at=NOW, fresh_for=FRESH, keeps_traces=True)])
        return path.read_bytes()


def _known_hosts(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "known_hosts")
        path.write_bytes(data)
        hostkeys.find("blast.example.com", 22, [path])


def _credentials(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "credentials")
        path.write_bytes(data)
        path.chmod(0o600)
        said = ""
        try:
            read_credentials(path)
        except RunnerRefused as error:
            said = str(error)
        assert "hunter2-canary" not in said, "an error repeats what it could not read"


def _shown(data: bytes) -> None:
    text = _text(data)
    shown = visible(text)
    assert shown == visible(shown)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2028\u2066" for c in shown)
    assert len(visible(text, 20)) <= 20
    mask_addresses(redact(text))
    cell = csv_cell(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "|", "%"))


def _config(data: bytes) -> None:
    config.parse(data.decode("utf-8", "replace"), "c.toml")


def _export(data: bytes) -> None:
    seq, _, _, _ = verify_export.check(BytesIO(data), bytes(32))
    assert (seq, data) == (1, EXPORT)  # whatever else is spoilt in it is found


def _slug(data: bytes) -> None:
    text = _text(data)
    if is_slug(text):
        assert text.isascii()
        assert ".." not in text.split("/")
        assert not set(text) & set("/\0\n '\"$`;|&<>*?[]{}()!~#%\\")
        assert len(text) <= 64


def _digests(data: bytes) -> None:
    content_digest({_text(data): "0" * 64})


DETAIL: dict[str, Any] = {"plan": {"audience": 12}, "digest": "ab" * 32, "carrier": "prod"}
METADATA = json.dumps(
    {
        "name": "Spring",
        "subject": "Hello {{ first_name }}",
        "from": "news@example.com",
        "reply_to": "team@example.com",
        "expected_recipients": 12,
        "due_at": "2026-05-12T10:00",
        "timezone": "America/Los_Angeles",
        "window": {"days": ["mon", "tue"], "from": "09:00", "to": "18:00"},
        "series": "spring",
        "round": 1,
        "rounds": 3,
        "max_rate": 5.5,
        "approval": {"by": "ana", "at": "2026-05-09T16:20:00Z"},
    }
).encode()
JOURNAL = (
    f"H run-1 boot-1 {'a' * 64} {'b' * 64} 5 {'c' * 64} 0.1.0 2026-05-12T10:00:00+00:00\n"
    "C 1 5\nB 1 00000000000000ff 1 <m1@example.com>\nA 1 00000000000000ff 250 ok\n"
    "B 2 00000000000000fe 1 <m2@example.com>\nD 2 00000000000000fe 1 1700000000 451 later\n"
    "B 3 00000000000000fd 1 <m3@example.com>\nF 3 00000000000000fd 550 no\n"
    "B 4 00000000000000fc 1 <m4@example.com>\n"
    "U 4 00000000000000fc lost\nS paused\n"
).encode()
LOG = (
    b"2026-05-12 10:00:00Z send started: run 1, attempt 1, 12 of 12 recipients to send\n"
    b'{"v":1,"state":"sending","total":12,"accepted":3,"failed":0,"deferred":1,"unknown":0,"rate":2.5,"eta_s":3}\n'
    b'{"v":1,"state":"window","total":12,"accepted":3,"suppressed":1,"rate_1s":2.5,"rate_30s":2.1,"rate_limit":20,'
    b'"account":"main","last_error":{"code":550,"class":"no-such-user","text":"no","n":2},'
    b'"classes":{"no-such-user":2},"why":"waiting for the window, opens at 09:00 UTC"}\n'
    b"1,587/2,601 sent\n2601 recipients processed\n0 SMTP failures\nFinished in 9.2 minutes\n"
    b'{"v":1,"summary":true,"mode":"send","rc":0,"counts":{"total":12,"accepted":12,"failed":0}}\n'
)
RUN = (
    b"RUN 1 live 4242\nFILE claim.json eyJydW5faWQiOiAiYWIxMiIsICJieSI6ICJtYXJhIn0K\n"
    b"FILE started MjAyNi0wNS0xMlQxMDowMDowMFoK\n"
    b"FILE finished eyJyYyI6MCwiYXQiOiIyMDI2LTA1LTEyVDEwOjAwOjAwWiIsImNvdW50cyI6bnVsbH0=\nUNREAD owner\nRELEASED\n"
    b"OUT 12 1700000000 Zm9vCg==\n"
)
CONFIG = b"""environment = "prod"
[operator]
name = "mara"
role = "operator"
[environments.prod]
label = "PROD"
danger = true
[environments.prod.blasthost.blast]
ssh = "mara@blast.example.com:22"
fresh_for = "90 s"
[environments.prod.dashboard]
url = "https://dashboard.example.com"
token = { env = "TOKEN" }
[environments.prod.policy]
start_grace = "10 min"
four_eyes = true
"""
ROW = json.dumps(
    {
        "slug": "spring-offer",
        "name": "Spring",
        "status": "sent",
        "due_at": "2026-05-12T10:00",
        "timezone": "Europe/London",
        "approved_by": "ana",
        "approved_at": "2026-05-09T16:20:00Z",
        "task_token": "t-1",
        "token": "t-1",
        "recipient_count": 12,
        "completion_timestamp": "2026-05-12T10:09:00Z",
        "failure_count": 0,
        "execution_duration_seconds": 552.1,
        "session_id": "s-1",
    }
).encode()
CRON = (
    b"# blasts\nSHELL=/bin/sh\nCRON_TZ=America/Los_Angeles\nMAILTO=ops@example.com\n"
    b"0 10 12 5 * root cd / && /usr/local/bin/mail-blast-runner --campaign spring-offer --mode send >>/var/log/x\n"
    b"*/15 9-17/2 * jan-mar mon-fri root sh -c 'echo hi%there'\n@reboot root /usr/local/bin/thing\n"
)


def _honest_export() -> bytes:
    record = Record(
        1, NOW, "mara", "s", "prod", "a", "r", "send", Phase.INTENT, "", {"a": 1.5, "b": "naïve"}, GENESIS, ""
    )
    row = row_of(replace(record, mac=seal(record, bytes(32))))
    out = StringIO()
    write_export(out, [row], Anchor(1, row[13]), bytes(32), NOW)
    return out.getvalue().encode()


EXPORT = _honest_export()
KNOWN = (
    b"blast.example.com,192.0.2.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvb2Jhcg==\n"
    b"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAAB3NzaC1yc2E=\n"
    b"@revoked *.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvb2Jhcg==\n"
)
HOSTILE = (
    b"\x1b]0;owned\x07 password=hunter2 Bearer abcdefghijklmnop jane@example.com",
    b'=HYPERLINK("x")',
    b"[Sale] [/today]",
    b"a\xe2\x80\xaeb\xe2\x80\xac \xd8\xa7",
)

TARGETS = (
    Target("cron table", _cron, (CRON,)),
    Target("metadata, console", _details, (METADATA,), (MetadataError,)),
    Target("metadata, runner", metadata.parse, (METADATA,), (metadata.MetadataError,)),
    Target("recipients", _csv, (b'email,first_name\na@example.com,Ann\n"b@example.com","B, C\nD"\n',), (CsvError,)),
    Target(
        "address", _address, (b"ann@example.com", "zo\u00eb@b\u00fccher.example".encode(), b"a.b+c@x.example.com")
    ),
    Target("run log", _run_log, (LOG,)),
    Target(
        "frames",
        _frames,
        (b"noise\0%s HELLO\nbody\0%s END 0\n" % (b"5" * 32, b"5" * 32), b"\0" + b"5" * 32 + b" EN"),
    ),
    Target("run state", _attempt, (RUN,)),
    Target("dashboard row", _row, (ROW,), (json.JSONDecodeError, UnicodeDecodeError, RecursionError)),
    Target("journal", _journal, (JOURNAL,), (journal.JournalError,)),
    Target("last known state", _snapshot, (_saved_report(),)),
    Target("known hosts", _known_hosts, (KNOWN,)),
    Target(
        "credentials",
        _credentials,
        (b"[smtp]\nhost = mx.example.com\nport = 587\nusername = u\npassword = hunter2-canary\ntls = starttls\n",),
    ),
    Target("configuration", _config, (CONFIG,), (config.ConfigError,)),
    Target("export", _export, (EXPORT,), (verify_export.Bad,)),
    Target("text to show", _shown, (*HOSTILE, LOG)),
    Target("slug", _slug, (b"spring-offer", b"a.b_c-9", b"..")),
)
