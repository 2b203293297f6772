"""Builds the situation a case describes: a healthy campaign on a healthy host, changed by the case's `given`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, get_type_hints

import msgspec

from opsconsole.campaign import DATA, METADATA, TEMPLATE, Approval, Details, MetadataError, parse_metadata
from opsconsole.hostfacts import CronFact, FileFact, FolderFacts, HostFacts, Kind
from opsconsole.observation import Hold, Observation
from opsconsole.policy import Policy
from opsconsole.ports import CampaignFacts
from opsconsole.preflight import Earlier, Situation
from opsconsole.settings import BlastHost

SLUG = "paul-simon-may12"
NOW = "2026-05-12T17:05:00Z"  # 10:05 in Los Angeles, five minutes after it is due
META = {
    "name": "Paul Simon",
    "subject": "Hello {{ first_name }}",
    "from": "Box Office <news@example.com>",
    "due_at": "2026-05-12 10:00",
    "timezone": "America/Los_Angeles",
    "window": {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "18:00"},
    "expected_recipients": 3,
    "list_unsubscribe": "https://example.com/out?m={{ email }}",
}
PAGE = "<p>Dear {{ first_name }},</p>\n<p>see you in {{ city }}.</p>\n"
ROWS = "email,first_name,city\nann@example.com,Ann,Reno\nbob@example.com,Bob,Elko\ncarla@example.com,Carla,Ely\n"
HOST = {
    "host": "blast-mail-prod",
    "user": "ops",
    "zone": "America/Los_Angeles",
    "clock_offset": 0.1,
    "clock_error": 0.02,
    "memory_total": 4 << 30,
    "memory_available": 2 << 30,
    "disks": [{"path": "/var", "free": 20 << 30, "total": 40 << 30, "free_inodes": 900_000}],
    "runner": {
        "path": "/usr/local/bin/mail-blast-runner",
        "kind": "file",
        "mode": "0755",
        "owner": "root",
        "executable": True,
    },
    "credentials": {"path": "/etc/mail/blast-credentials.conf", "kind": "file", "mode": "0600", "owner": "ops"},
}
CRON = [{"path": "/etc/cron.d/mail-blasts", "text": "MAILTO=ops\n"}]
APPROVAL = {"by": "ana", "at": "2026-05-09T16:20:00-07:00", "reference": "t-71c0", "recipients": 3}


def situation(given: Mapping[str, Any]) -> Situation:
    """The healthy situation with what `given` says differently."""
    files = {DATA: ROWS, TEMPLATE: PAGE, METADATA: {**META, **given.get("metadata", {})}, **given.get("files", {})}
    contents = {name: content for name, value in files.items() if (content := _bytes(value)) is not None}
    try:
        details = parse_metadata(contents.get(METADATA, b""))
    except MetadataError:
        details = Details()
    if "details" in given:
        details = _replace(details, given["details"])
    approval = given.get("approval", APPROVAL)
    return Situation(
        slug=given.get("slug", SLUG),
        now=datetime.fromisoformat(given.get("now", NOW)),
        environment="production",
        carrier="blast-mail-prod",
        facts=None if "blind" in given else _facts(given, files, contents),
        blind=given.get("blind", ""),
        details=details,
        approval=_as(approval, Approval) if approval else None,
        policy=_as(given.get("policy", {}), Policy),
        settings=_as(
            {"ssh": "blast-mail-prod", "runner_kind": "mail-blast-runner", **given.get("settings", {})}, BlastHost
        ),
        observations=tuple(_observation(o) for o in given.get("observations", [])),
        runs=tuple(_as(given.get("runs", []), list[Earlier])),
        holds=tuple(_as(given.get("holds", []), list[Hold])),
    )


def _facts(given: Mapping[str, Any], files: Mapping[str, Any], contents: Mapping[str, bytes]) -> CampaignFacts:
    slug = given.get("slug", SLUG)
    facts = {}
    for name, value in files.items():
        path = f"/var/mail/campaigns/{slug}/{name}"
        content = contents.get(name)
        if content is not None:
            told = value.get("sha256") if isinstance(value, Mapping) else None
            digest = told or hashlib.sha256(content).hexdigest()
            facts[name] = FileFact(path=path, kind=Kind.FILE, size=len(content), sha256=digest, mode=0o644)
        else:
            facts[name] = _as({"path": path, **value}, FileFact)
    folder = _as({"slug": slug, "folder": "folder", **given.get("folder", {})}, FolderFacts)
    host = _as({**HOST, **given.get("host", {})}, HostFacts)
    cron = tuple(_cron(table) for table in given.get("cron", CRON))
    return CampaignFacts(
        host=replace(host, cron=cron),
        folder=replace(folder, files=facts),
        files=contents,
        unread=given.get("unread", {}),
    )


def _cron(table: Mapping[str, Any]) -> CronFact:
    file = _as(
        {"kind": "file", "mode": "0644", "owner": "root", **{k: v for k, v in table.items() if k != "text"}},
        FileFact,
    )
    return CronFact(file=file, text=table["text"].encode() if "text" in table else None)


def _observation(value: Mapping[str, Any]) -> Observation:
    return _as({"slug": SLUG, "observed_at": NOW, "fresh_for": 90, **value}, Observation)


def _bytes(value: Any) -> bytes | None:
    """A file's bytes: a text, an object with `text` (and `encoding`, `repeat`), or a JSON document.

    None for an object with `kind`: what is there instead of a readable file.
    """
    if isinstance(value, str):
        return value.encode()
    if "kind" in value:
        return None
    if "text" in value:
        middle = value.get("repeat", "") * value.get("times", 0)
        return (value["text"].replace("<repeat>", middle)).encode(value.get("encoding", "utf-8"))
    return json.dumps(value).encode()


def _as(value: Any, kind: Any) -> Any:
    return msgspec.convert(_octal(value), kind, strict=False)


def _octal(value: Any) -> Any:
    """File modes are written as in ls: "0600"."""
    if isinstance(value, Mapping):
        return {
            key: int(item, 8) if key == "mode" and isinstance(item, str) else _octal(item)
            for key, item in value.items()
        }
    return [_octal(item) for item in value] if isinstance(value, list) else value


def _replace(value: Any, changes: Mapping[str, Any]) -> Any:
    """`value` with some parts changed; parts written as JSON are converted."""
    hints = get_type_hints(type(value))
    return replace(
        value,
        **{
            name: _as(part, hints[name]) if type(part) in (str, int, float, list, dict) else part
            for name, part in changes.items()
        },
    )
