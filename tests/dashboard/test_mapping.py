"""Another team's dashboard, read and written by what the configuration says of it, and what doctor says of that."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.dashboard import DashboardBackend
from opsconsole.config import ConfigError, duration, parse
from opsconsole.observation import Counts, Says
from opsconsole.ports import Mapped, Trouble
from tests.support.dashboard import NOW, Answer, Asked, completion, peer, rewrite, seen

TABLES = """
[environments.prod.dashboard.campaigns]
path = "/v3/mailings"
rows = "result.mailings[?!archived]"
total = ""
slug = "key"
name = "title"
status = "signed_off && state == 'open' && 'signed off' || state"
due = "schedule.at"
zone = "schedule.tz || 'Europe/London'"
approved_by = "signed_off.by.login"
approved_at = "signed_off.at"
task = ""
recipients = "metrics.audience"
completed_at = "metrics.done_at"
failures = "metrics.bounced"
duration = "metrics.seconds"
session = ""
statuses = { open = "draft", "signed off" = "approved", done = "sent", dead = "failed", stopped = "cancelled" }

[environments.prod.dashboard.tasks]
path = "/v3/tickets"
rows = "@"
total = ""
token = "number"
status = "closed"
campaign = "mailing"
title = "summary"
priority = "prio.name"
notes = "comments[].text"
done = ["true"]

[environments.prod.dashboard.write]
method = "PUT"
path = "/v3/mailings/{slug}/outcome"
answer = "mailing"
log = "/v3/log"
log_answer = ""
statuses = { sent = "done", partial = "done", failed = "dead", cancelled = "stopped", draft = "open" }

[environments.prod.dashboard.write.body]
state = "status"
"metrics.audience" = "recipients"
"metrics.bounced" = "failures"
"metrics.done_at" = "completed_at"
"metrics.seconds" = "duration_s"
by = "'opsconsole'"

[environments.prod.dashboard.write.entry]
id = "run_id"
text = "join(' ', [operator, outcome || status])"
"""

MAILINGS: list[dict[str, Any]] = [
    {
        "key": "client-letter-r3", "title": "Client letter", "state": "open",
        "signed_off": {"by": {"login": "ana"}, "at": 1778350800000},
        "schedule": {"at": "2026-05-12 10:00", "tz": None}, "metrics": {"audience": "830"},
    },
    {
        "key": "harbor-lights", "title": "Harbor lights", "state": "done", "schedule": {"tz": "America/New_York"},
        "metrics": {"audience": 1204, "bounced": 4, "done_at": 1778432952, "seconds": 552},
    },
    {"key": "old-one", "title": "Old", "state": "done", "archived": True},
]  # fmt: skip
TICKETS = [
    {
        "number": 71, "closed": True, "mailing": "client-letter-r3", "prio": {"name": "urgent"},
        "comments": [{"text": "list is final"}, {"text": "ask ana"}],
        "summary": "Send the letter to mia@example.com",
    }
]  # fmt: skip


def theirs(asked: Asked) -> Answer:
    if asked.method == "GET":
        return 200, {}, TICKETS if asked.path == "/v3/tickets" else {"result": {"mailings": MAILINGS}}
    if asked.path == "/v3/log":
        return 201, {}, None
    return 200, {}, {"mailing": {"key": "client-letter-r3", "state": asked.body["state"]}}


def configured(url: str, tables: str = TABLES) -> DashboardBackend:
    text = f'[environments.prod.dashboard]\nurl = "{url}"\n{tables}'
    table = parse(text, "c.toml").environments["prod"].dashboard
    assert table is not None
    span = timedelta(seconds=90)
    return DashboardBackend("dashboard", table, fresh_for=span, timeout=duration(table.timeout), clock=lambda: NOW)


def test_another_team_s_dashboard_is_read_by_its_mapping() -> None:
    with peer(theirs) as there:
        backend = configured(there.url)
        known = seen(backend)
        backend.close()
    assert sorted(known) == ["client-letter-r3", "harbor-lights"]
    letter, lights = known["client-letter-r3"], known["harbor-lights"]
    assert letter.says is Says.NOTHING
    assert letter.approval is not None
    assert (letter.approval.by, letter.approval.reference, letter.approval.recipients) == ("ana", "71", 830)
    assert letter.approval.at == datetime(2026, 5, 9, 18, 20, tzinfo=UTC)
    assert letter.details.due is not None
    assert (letter.details.due.zone, letter.details.due.instant.hour) == ("Europe/London", 9)
    assert letter.details.problems == ()
    assert lights.run is not None
    assert lights.run.counts == Counts(total=1204, accepted=1200, failed=4)


def test_a_task_is_told_with_its_title_priority_and_notes_and_without_addresses() -> None:
    with peer(theirs) as there:
        backend = configured(there.url)
        evidence = seen(backend)["client-letter-r3"].evidence
        backend.close()
    assert evidence[0].text == "signed off, approved by ana, task 71 true"
    assert evidence[1].label == "task 71"
    assert evidence[1].text == "Send the letter to m•••@example.com, priority urgent; list is final; ask ana"


def test_it_is_told_in_its_own_keys_and_words() -> None:
    with peer(theirs) as there:
        backend = configured(there.url)
        backend.record(completion(slug="client-letter-r3", status="PARTIAL"))
        backend.close()
    logged, changed = there.asked
    assert (logged.method, logged.path) == ("POST", "/v3/log")
    assert logged.body == {"id": "0123456789abcdef", "text": "mara PARTIAL"}
    assert (changed.method, changed.path) == ("PUT", "/v3/mailings/client-letter-r3/outcome")
    assert changed.body == {
        "state": "done",
        "by": "opsconsole",
        "metrics": {
            "audience": 2601, "bounced": 0, "done_at": "2026-05-12T18:01:12+00:00", "seconds": 552.0
        },
    }  # fmt: skip
    assert changed.headers["Idempotency-Key"] == "0123456789abcdef"


def test_an_answer_that_shows_another_state_is_no_acknowledgement() -> None:
    def stubborn(asked: Asked) -> Answer:
        return 200, {}, {"mailing": {"key": "client-letter-r3", "state": "open"}}

    with peer(stubborn) as there:
        backend = configured(there.url)
        with pytest.raises(Trouble, match="not with what was written"):
            backend.record(completion(slug="client-letter-r3"))
        backend.close()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'slug = "key"',
            'slug = "key["',
            "c.toml:8: environments.prod.dashboard.campaigns.slug: 'key[' is no JMES",
        ),
        (
            'slug = "key"',
            'slug = "nokey(@)"',
            "c.toml:8: environments.prod.dashboard.campaigns.slug: 'nokey(@)' calls",
        ),
        ('slug = "key"', 'slug = ""', "slug can't be empty"),
        (
            'slug = "key"',
            'slugg = "key"',
            "c.toml:8: unknown key 'environments.prod.dashboard.campaigns.slugg'; did",
        ),
        ('title = "summary"', 'title = "a b"', "dashboard.tasks.title: 'a b' is no JMESPath"),
        (
            '"metrics.bounced" = "failures"',
            '"metrics.bounced" = "][" ',
            "c.toml:46: environments.prod.dashboard.wr",
        ),
        ('state = "status"', 'state = "status"\nmetrics = "status"', "can't be both a value and an object"),
        ("/v3/mailings/{slug}/outcome", "/v3/mailings/outcome", "the path must hold {slug}"),
        ("/v3/mailings/{slug}/outcome", "/v3/{slug}/{id}", "{id} is not known here; {slug} is"),
        ('path = "/v3/mailings"', 'path = "https://x.example.com/v3"', "a path begins with /"),
        (
            'partial = "done"',
            'partial = "dead"',
            "'partial' is written as 'dead', so campaigns.statuses must read that",
        ),
        ('stopped = "cancelled"', 'stopped = "canceled"', "campaigns.statuses: "),
        (', draft = "open"', "", "write.statuses has no word for 'draft'"),
        ("[environments.prod.dashboard]", '[environments.prod.dashboard]\ntimeout = "30 s"', "can't be over 15 s"),
        ('method = "PUT"', 'method = "DELETE"', "must be one of PATCH, PUT, POST"),
    ],
)
def test_a_mapping_that_cannot_work_is_named_with_its_line(old: str, new: str, says: str) -> None:
    text = f'[environments.prod.dashboard]\nurl = "https://x.example.com"\n{TABLES}'
    assert old in text
    with pytest.raises(ConfigError) as caught:
        parse(text.replace(old, new), "c.toml")
    assert says in str(caught.value), str(caught.value)


def test_a_mapping_is_tried_on_what_the_dashboard_has_now() -> None:
    wrong = TABLES.replace('name = "title"', 'name = "titel"')
    with peer(theirs) as there:
        backend = configured(there.url, wrong)
        assert isinstance(backend, Mapped)
        tried = {(one.table, one.field): one for one in backend.try_mapping()}
        backend.close()
    assert (tried["campaigns", "slug"].found, tried["campaigns", "slug"].rows) == (2, 2)
    assert tried["campaigns", "failures"].found == 1
    assert tried["campaigns", "failures"].trouble == ""
    assert tried["campaigns", "name"].found == 0
    assert "in no row" in tried["campaigns", "name"].trouble
    assert ("campaigns", "session") not in tried, "said to be none"
    assert tried["tasks", "notes"].found == 1


def test_what_is_found_and_cannot_be_used_is_told_by_the_trial(server: Any, dashboard: DashboardBackend) -> None:
    rewrite(
        server,
        total=3,
        data=[
            {"slug": "A Slug", "status": "resting", "due_at": "soon"},
            {"slug": "b", "status": "resting", "recipient_count": -1},
            {"slug": "c", "status": "draft", "recipient_count": 3},
        ],
    )
    tried = {one.field: one.trouble for one in dashboard.try_mapping() if one.table == "campaigns"}
    assert tried["slug"].startswith("1 can't be a campaign's slug")
    assert tried["status"] == "statuses has no meaning for 'resting' (2)"
    assert tried["due"].startswith("1 can't be used, such as: ")
    assert tried["recipients"].startswith("1 can't be used")


def test_an_expression_that_does_not_fit_a_row_costs_that_field_alone() -> None:
    odd = TABLES.replace('name = "title"', "name = \"join('-', title)\"")
    with peer(theirs) as there:
        backend = configured(there.url, odd)
        letter = seen(backend)["client-letter-r3"]
        backend.close()
    assert letter.approval is not None
    assert letter.details.name == ""
    assert letter.details.problems == (
        "dashboard: join('-', title): can't be applied to what came (JMESPathTypeError)",
    )


def test_what_is_documented_for_the_embedded_dashboard_is_what_goes_without_saying() -> None:
    """The example in docs/dashboard.md spells the defaults out: it must be them."""
    page = (Path(__file__).parents[2] / "docs" / "dashboard.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]
    plain = parse('[environments.prod.dashboard]\nurl = "https://dashboard.example.com"\n', "c")
    spelled, silent = parse(example, "docs").environments["prod"].dashboard, plain.environments["prod"].dashboard
    assert spelled == silent
    assert example.count("=") > 40
