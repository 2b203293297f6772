"""The pre-flight of a listmonk campaign: each check passes where all is well, and says what isn't."""

from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest

from backends.embedded.listmonk.people import READ, SEND
from backends.listmonk.audience import UNKNOWN, Audience
from backends.listmonk.checks import CHECKS
from backends.listmonk.facts import ListmonkFacts
from backends.listmonk.kept import Entry
from backends.listmonk.system import Config, Import, MailList, Profile, Tuning
from opsconsole.campaign import Details
from opsconsole.preflight.check import Outcome, Result, Situation
from opsconsole.preflight.run import SHARED, run_checks
from opsconsole.schedule import Window
from opsconsole.settings import Listmonk as Table
from tests.listmonk.desk import Desk, desk
from tests.listmonk.later import MINUTE, Later
from tests.listmonk.test_words import UNSUBSCRIBE, campaign
from tests.support.listmonk import Listmonk

NOW = datetime(2026, 7, 2, 12, tzinfo=UTC)
ALLOWED = frozenset({*SEND, "subscribers:sql_query"})
TUNING = {
    "app.batch_size": 500,
    "app.concurrency": 5,
    "app.message_rate": 4,
    "app.max_send_errors": 50,
    "smtp": [{"name": "", "enabled": True, "host": "smtp.example.com", "port": 587}],
}


def sound(**changed: Any) -> ListmonkFacts:
    """All is well."""
    made: dict[str, Any] = {
        "campaign": campaign(lists=((1, "Everybody"),)),
        "digests": {},
        "limits": Table(url="", user="ops", provider_rate=50.0),
        "config": Config(version="v6.2.0", root_url="", messengers=("email",), needs_restart=False),
        "profile": Profile(
            username="ops", role="Ops", role_id=3, permissions=frozenset({*SEND, "subscribers:sql_query"})
        ),
        "tuning": Tuning.read(TUNING),
        "importing": Import(name="", status="none", imported=0, total=0),
        "lists": (MailList(id=1, name="Everybody", count=1200),),
        "audience": Audience(people=1000, exact=True),
        "log": (),
        "rendered": f"<p>Hello</p>{UNSUBSCRIBE}",
        "clock_offset": 0.2,
        **changed,
    }
    return ListmonkFacts(**made)


def judged(facts: ListmonkFacts, check: str, **about: Any) -> Result:
    situation = Situation(slug="july", now=NOW, environment="test", carrier="lists", facts=facts, **about)
    return next(result for result in run_checks(situation, CHECKS) if result.check_id == check)


OWN = [check.id for check in CHECKS if check.id not in {shared.id for shared in SHARED}]


def test_every_shared_check_is_among_them_and_each_is_there_once() -> None:
    ids = [check.id for check in CHECKS]

    assert len(set(ids)) == len(ids)
    assert {check.id for check in SHARED} <= set(ids)


@pytest.mark.parametrize("check", OWN)
def test_where_all_is_well_each_check_passes(check: str) -> None:
    assert judged(sound(), check).outcome is Outcome.PASS


def tuned(**keys: Any) -> Tuning:
    return Tuning.read({**TUNING, **{f"app.{key}": value for key, value in keys.items()}})


LATE_WINDOW = Details(zone="UTC", window=Window(time(9), time(12, 0, 30)))
WRONG: list[tuple[str, dict[str, Any], Outcome, bool, str]] = [
    ("listmonk-scopes", {"profile": Profile(username="o", role="R", role_id=3, permissions=frozenset(READ))},
     Outcome.FAIL, True, "campaigns:send"),
    ("listmonk-scopes", {"profile": Profile(username="o", role="R", role_id=3, permissions=frozenset(SEND))},
     Outcome.WARN, False, "count the audience exactly"),
    ("listmonk-status", {"campaign": campaign(status="scheduled", send_at=NOW)}, Outcome.WARN, False, "by itself"),
    ("listmonk-status", {"campaign": campaign(status="finished")}, Outcome.FAIL, True, "finished"),
    ("listmonk-restart", {"config": Config(version="", root_url="", messengers=("email",), needs_restart=True)},
     Outcome.FAIL, True, "aren't in force"),
    ("import-running", {"importing": Import(name="", status="importing", imported=4, total=9)},
     Outcome.FAIL, True, "4 of 9"),
    ("import-running", {"importing": None}, Outcome.WARN, False, "isn't known"),
    ("messenger-there", {"campaign": campaign(messenger="sms")}, Outcome.FAIL, True, "cancel"),
    ("lists-there", {"campaign": campaign(lists=((None, "Gone"),))}, Outcome.FAIL, True, "Gone: deleted"),
    ("lists-there", {"campaign": campaign()}, Outcome.FAIL, True, "no list"),
    ("lists-there", {"lists": (MailList(id=1, name="Old", status="archived"),)}, Outcome.FAIL, True, "archived"),
    ("lists-there", {"lists": (MailList(id=1, name="Nobody", count=0),)}, Outcome.FAIL, True, "nobody on it"),
    ("lists-there", {"lists": None}, Outcome.SKIPPED, True, "not read"),
    ("audience-bounds", {"audience": UNKNOWN}, Outcome.SKIPPED, True, "can't be told"),
    ("audience-bounds", {"audience": Audience(people=0, exact=True)}, Outcome.FAIL, True, "at least 1"),
    ("audience-bounds", {"audience": Audience(people=900, exact=False)}, Outcome.WARN, False, "≤ 900"),
    ("audience-bounds", {"limits": Table(url="", user="", max_audience=500)}, Outcome.FAIL, True, "at most 500"),
    ("max-send-errors", {"tuning": tuned(max_send_errors=0)}, Outcome.WARN, False, "never stops"),
    ("max-send-errors", {"tuning": tuned(max_send_errors=1000)}, Outcome.WARN, False, "nothing sent"),
    ("max-send-errors", {"tuning": tuned(max_send_errors=200)}, Outcome.WARN, False, "only after 200"),
    ("lost-by-crash", {"limits": Table(url="", user="", lost_by_crash=100)}, Outcome.WARN, False, "540"),
    ("rate-and-provider", {"tuning": tuned(concurrency=50)}, Outcome.FAIL, True, "200 a second"),
    ("rate-and-provider", {"tuning": tuned(concurrency=0)}, Outcome.FAIL, True, "rate is 0"),
    ("rate-and-provider", {"limits": Table(url="", user="")}, Outcome.WARN, False, "nobody said"),
    ("rate-and-provider", {"tuning": None}, Outcome.SKIPPED, True, "settings"),
    ("other-campaigns", {"others": (("August", None),)}, Outcome.WARN, False, "take turns"),
    ("smtp-errors", {"log": (Entry(NOW, "error sending message in campaign June: subscriber 4: 454 no"),)},
     Outcome.WARN, False, "1 mail"),
    ("smtp-errors", {"log": tuple(Entry(NOW, f"error sending message 'x{n}': EOF") for n in range(9))},
     Outcome.FAIL, True, "9 mails"),
    ("smtp-errors", {"log": (Entry(NOW - 30 * MINUTE, "error sending message 'x': EOF"),)},
     Outcome.PASS, False, "No mail"),
    ("smtp-errors", {"log": None}, Outcome.SKIPPED, True, "log"),
    ("clock-offset", {"clock_offset": -45.0}, Outcome.FAIL, True, "45 s behind"),
    ("clock-offset", {"clock_offset": 12.0}, Outcome.WARN, False, "12 s ahead"),
    ("renders", {"rendered": None, "unread": {"preview": "function nonsense not defined"}},
     Outcome.FAIL, True, "can't render"),
    ("body-there", {"rendered": None}, Outcome.SKIPPED, True, "doesn't render"),
    ("unsubscribe", {"rendered": "<p>Hello</p>"}, Outcome.WARN, False, "unsubscribing"),
    ("template-tokens", {"rendered": f"<p>Hi *|FNAME|*</p>{UNSUBSCRIBE}"}, Outcome.FAIL, True, "FNAME"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "changed", "outcome", "blocks", "words"), WRONG)
def test_what_is_wrong_is_said(
    check: str, changed: dict[str, Any], outcome: Outcome, blocks: bool, words: str
) -> None:
    if "others" in changed:
        from backends.listmonk.campaigns import Running

        going = Running(id=8, to_send=9, sent=1, started_at=None, updated_at=None, rate=60, net_rate=0)
        changed = {"others": (("August", going),)}

    result = judged(sound(**changed), check)

    assert (result.outcome, result.blocks) == (outcome, blocks)
    assert words in " ".join((result.says, *result.evidence))
    assert result.remedy or outcome is Outcome.PASS


def test_a_send_that_outlasts_its_window_is_told_before() -> None:
    result = judged(sound(), "rate-and-provider", details=LATE_WINDOW)

    assert result.outcome is Outcome.WARN
    assert "window closes in 30 s" in result.says


def test_blind_means_that_nothing_is_judged() -> None:
    situation = Situation(slug="july", now=NOW, environment="test", carrier="lists", facts=None, blind="no answer")

    results = {r.check_id: r for r in run_checks(situation, CHECKS)}

    assert all(results[check].outcome is Outcome.SKIPPED and results[check].blocks for check in OWN)


def facts_of(at: Desk, prepare: Callable[[Desk], None] = lambda at: None) -> ListmonkFacts:
    at.campaign("July", 30)
    prepare(at)
    at.backend.observe()
    facts = at.backend.preflight_facts("july")
    assert isinstance(facts, ListmonkFacts)
    return facts


def test_the_facts_are_asked_now_and_the_audience_counts_each_person_once(asleep: Desk, clock: Later) -> None:
    def twice(at: Desk) -> None:
        other = at.standin.add_list("Others")
        for number in range(1, 11):
            at.standin.add_person(f"july{number}@example.com", other)
        row = at.standin.campaign(1)
        with at.listmonk.as_user(at.listmonk.manager) as them:
            lists = [1, other.id]
            them.put(f"/api/campaigns/{row.id}", json={"lists": lists}).raise_for_status()

    facts = facts_of(asleep, twice)

    assert facts.audience == Audience(people=30, exact=True)
    assert [name for _, name in facts.campaign.lists] == ["July list", "Others"]
    assert not facts.unread
    assert facts.digests == asleep.backend.looks.digests(facts.campaign)


def test_without_the_right_to_count_the_audience_is_a_bound(standin: Listmonk, tmp_path: Path) -> None:
    facts = facts_of(desk(standin, tmp_path, standin.sender))

    assert facts.audience == Audience(people=30, exact=False)


def test_what_is_missing_is_named_and_the_rest_is_still_judged(standin: Listmonk, tmp_path: Path) -> None:
    user = standin.standin.add_user("poor", [name for name in SEND if name != "settings:get"])
    facts = facts_of(desk(standin, tmp_path, user))

    assert facts.tuning is None
    assert judged(facts, "lost-by-crash").outcome is Outcome.SKIPPED
    assert judged(facts, "lists-there").outcome is Outcome.PASS


def test_looking_changes_nothing(asleep: Desk) -> None:
    facts_of(asleep)
    asleep.backend.preview("july", 1)
    asleep.backend.inspect()

    assert {method for method, _, _ in asleep.standin.requests} == {"GET"}


@pytest.mark.slow
def test_the_doctor_tells_what_is_reached_allowed_and_missing(standin: Listmonk, tmp_path: Path) -> None:
    told = desk(standin, tmp_path, standin.reader).backend.inspect()
    says = " ".join(line.says for line in told)

    assert "v6.2.0" in says
    assert "may only look: it lacks campaigns:send" in says
    assert all(line.ok for line in told)

    user = standin.standin.add_user("poor", ["campaigns:get_all"])
    poor = desk(standin, tmp_path, user).backend.inspect()
    assert any(not line.ok and "settings:get" in line.says for line in poor)


@pytest.mark.slow
def test_who_may_act_there_is_told_with_how_the_token_is_kept(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, standin.sender)
    role, line, token = at.backend.access()

    assert "campaigns:send" in role.scope
    assert not role.trouble
    assert "HTTP" in line.scope
    assert token.mode == "-rw-------"
    assert standin.sender.token not in repr((role, line, token))

    admin = standin.standin.add_user("root", (), role_id=1)
    assert "everything" in desk(standin, tmp_path, admin).backend.access()[0].trouble
