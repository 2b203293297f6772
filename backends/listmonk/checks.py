"""The pre-flight of a listmonk campaign: pure judges over what facts.py gathered."""

from datetime import timedelta
from typing import Any, Final

from backends.listmonk.campaigns import DRAFT, PAUSED, SCHEDULED
from backends.listmonk.facts import ListmonkFacts
from backends.listmonk.letterchecks import CHECKS as OF_THE_LETTER
from backends.listmonk.loglines import other_mail
from backends.listmonk.scopes import NEEDED, OPTIONAL, lacking
from opsconsole.preflight.check import (
    CannotJudge,
    Check,
    Finding,
    Situation,
    failed,
    many,
    outside,
    passed,
    shown,
    warned,
)
from opsconsole.preflight.run import SHARED
from opsconsole.schedule import load_zone, say_instant, say_span

FRESH: Final = timedelta(minutes=15)
MANY_ERRORS: Final = 5
SENDING: Final = "error sending message"


def gathered(situation: Situation) -> ListmonkFacts:
    return situation.gathered(ListmonkFacts)


def tuned(situation: Situation) -> ListmonkFacts:
    facts = gathered(situation)
    if facts.tuning is None:
        why = facts.unread.get("settings", "The token's user lacks settings:get")
        raise CannotJudge(f"Its settings were not read: {why.rstrip('.')}.", "Give the user's role settings:get.")
    return facts


def counted(situation: Situation) -> ListmonkFacts:
    facts = gathered(situation)
    if facts.audience.people is None:
        why = facts.unread.get("audience") or facts.unread.get("lists") or "a list of it can't be seen"
        raise CannotJudge(
            f"Its audience can't be told: {why.rstrip('.')}.",
            "Give the token's user lists:get_all, and subscribers:sql_query for an exact count.",
        )
    return facts


def judge_scopes(facts: ListmonkFacts, situation: Situation) -> Finding:
    missing = lacking(facts.profile, NEEDED)
    if missing:
        return failed(
            f"The token's user lacks {many(len(missing), 'permission')}.",
            f"Give the role {facts.profile.role[:60]!a} what is named, and nothing more.",
            [f"{' or '.join(it.any_of)}: {it.what_for}" for it in missing],
        )
    without = lacking(facts.profile, OPTIONAL)
    lines = [f"without {' or '.join(it.any_of)}: {it.what_for}" for it in without]
    if any("subscribers:sql_query" in it.any_of for it in without):
        return warned("The token may send, and can't count the audience exactly.", "See docs/listmonk.md.", lines)
    return passed("The token may do what a send needs.", *lines)


def judge_status(facts: ListmonkFacts, situation: Situation) -> Finding:
    campaign = facts.campaign
    if campaign.status == DRAFT:
        return passed("It is a draft: nothing starts it by itself.")
    if campaign.status == SCHEDULED and campaign.send_at is not None:
        when = say_instant(campaign.send_at, situation.details.zone, situation.now)
        return warned(
            f"listmonk starts it by itself {when}.",
            "Sent from here, its schedule is taken off first; or leave it to listmonk.",
        )
    remedy = (
        "Resume it, or look what stopped it." if campaign.status == PAUSED else "Clone it there to send it anew."
    )
    return failed(f"It is {campaign.status}: it can't be started.", remedy)


def judge_restart(facts: ListmonkFacts, situation: Situation) -> Finding:
    if facts.config.needs_restart:
        return failed(
            "Settings were saved there that aren't in force.",
            "Restart it once nothing runs and all is drained: a restart skips what it has fetched and not sent.",
        )
    return passed("All its settings are in force.", f"version {facts.config.version}")


def judge_import(facts: ListmonkFacts, situation: Situation) -> Finding:
    it = facts.importing
    if it is None:
        why = facts.unread.get("import", "the token's user lacks subscribers:import")
        return warned(
            f"Whether an import is going isn't known: {why.rstrip('.')}.", "Look there that none is going."
        )
    if it.going:
        return failed(
            f"An import is going ({it.imported:,} of {it.total:,}): nobody knows yet who will be mailed.",
            "Wait for its end, then repeat the pre-flight.",
        )
    return passed("No import is going.")


def judge_others(facts: ListmonkFacts, situation: Situation) -> Finding:
    if not facts.others:
        return passed("Nothing else is being sent.")
    lines = [f"{name[:80]}: {it.sent:,} of {it.to_send:,}, {it.rate:,.0f} a minute" for name, it in facts.others]
    return warned(
        f"{many(len(facts.others), 'other campaign')} running: they take turns, and share one rate.",
        "Wait for their end, or count with longer.",
        shown(lines),
    )


def judge_messenger(facts: ListmonkFacts, situation: Situation) -> Finding:
    campaign = facts.campaign
    if campaign.messenger not in facts.config.messengers:
        return failed(
            f"Its messenger {campaign.messenger[:60]!a} isn't there: listmonk would cancel the campaign.",
            "Choose one that is there, or enable its mail server.",
            [f"there: {', '.join(facts.config.messengers[:10]) or 'none'}"],
        )
    blocks = [it for it in facts.tuning.smtp if it.enabled] if facts.tuning else []
    if facts.tuning and campaign.messenger == "email" and not blocks:
        return failed("None of its mail servers is enabled.", "Enable one in its settings.")
    return passed(f"It goes out by {campaign.messenger}.", *(f"{it.host}:{it.port}" for it in blocks[:5]))


def judge_lists(facts: ListmonkFacts, situation: Situation) -> Finding:
    campaign = facts.campaign
    if facts.lists is None:
        why = facts.unread.get("lists", "they can't be read")
        raise CannotJudge(f"Its lists were not read: {why.rstrip('.')}.", "Give the token's user lists:get_all.")
    if not campaign.lists:
        return failed("It has no list: it would reach nobody.", "Choose its lists there.")
    known = {it.id: it for it in facts.lists}
    wrong, lines = [], []
    for number, name in campaign.lists:
        it = known.get(number) if number is not None else None
        if it is None:
            wrong.append(f"{name[:80]}: {'deleted' if number is None else 'not to be seen with this token'}")
        elif it.status != "active":
            wrong.append(f"{it.name[:80]}: {it.status}")
        elif it.mailed_at_most == 0:
            wrong.append(f"{it.name[:80]}: nobody on it would be mailed")
        else:
            lines.append(
                f"{it.name[:80]}: ≤ {it.mailed_at_most:,}" if it.mailed_at_most is not None else it.name[:80]
            )
    if wrong:
        return failed("Not all of its lists can be used.", "Correct its lists there.", shown(wrong))
    return passed(f"{many(len(lines), 'list')}, all in use.", *shown(lines))


def judge_audience(facts: ListmonkFacts, situation: Situation) -> Finding:
    it, limits = facts.audience, facts.limits
    people = it.people or 0
    least, most = limits.min_audience, limits.max_audience
    if people < least:
        return failed(
            f"It would reach {it}, at least {least:,} were meant.", "Look at its lists, or lower min_audience."
        )
    if most and people > most:
        says = f"It would reach {it}, at most {most:,} were meant."
        remedy = "Look at its lists, or raise max_audience."
        return failed(says, remedy) if it.exact else warned(f"{says} It can't be counted exactly.", remedy)
    if not it.exact:
        return warned(
            f"It would reach {it}: people on several lists are counted several times.",
            "Give the token's user subscribers:sql_query for an exact count; it opens most of the database.",
        )
    return passed(f"It would reach {it} people, each counted once.")


def judge_errors_limit(facts: ListmonkFacts, situation: Situation) -> Finding:
    assert facts.tuning is not None
    limit, people = facts.tuning.max_send_errors, facts.audience.people or 0
    remedy = f"Set max_send_errors to about a tenth of the audience ({max(people // 10, 1):,})."
    if limit == 0:
        return warned("It never stops for errors: with a dead mail server it finishes with nothing sent.", remedy)
    if limit >= people:
        return warned(
            f"It stops after {limit:,} errors, and there are {people:,} people: with a dead mail server it "
            "finishes with nothing sent.",
            remedy,
        )
    if limit > people / 10:
        return warned(f"It stops only after {limit:,} errors, of {people:,} people.", remedy)
    return passed(f"It pauses after {limit:,} errors.")


def judge_crash(facts: ListmonkFacts, situation: Situation) -> Finding:
    it = facts.tuning
    assert it is not None
    queue = it.concurrency * it.message_rate * 2
    lost = min(it.batch_size + queue, facts.audience.people or it.batch_size + queue)
    if lost > facts.limits.lost_by_crash:
        return warned(
            f"Killed at a bad moment it would skip {lost:,} people in silence, {facts.limits.lost_by_crash:,} are "
            "allowed for.",
            "Lower its batch size, or raise lost_by_crash.",
            [f"batch {it.batch_size:,}, queue {queue:,}"],
        )
    return passed(f"Killed at a bad moment it would skip at most {lost:,}.", f"batch {it.batch_size:,}")


def judge_rate(facts: ListmonkFacts, situation: Situation) -> Finding:
    it, limit = facts.tuning, facts.limits.provider_rate
    assert it is not None
    people = facts.audience.people or 0
    takes = timedelta(seconds=it.seconds_for(people))
    lines = [f"{it.concurrency} workers × {it.message_rate} a second", f"{say_span(takes)} at least for {people:,}"]
    if it.window is not None:
        lines.append(f"window: {it.window_rate:,} in {say_span(it.window)}, then it sleeps")
    if not it.rate:
        return failed("Its rate is 0: it would send nothing.", "Set concurrency and message rate.", lines)
    if limit and it.rate > limit:
        return failed(
            f"It may send {it.rate:g} a second, and the provider takes {limit:g}: what it refuses is lost.",
            "Lower concurrency or message rate (operation, or its settings).",
            lines,
        )
    window, now = situation.details.window, situation.now
    closes = window.closing(now, load_zone(situation.details.zone or "UTC")) if window else None
    if closes is not None and now + takes > closes:
        left = say_span(closes - now)
        return warned(
            f"It takes {say_span(takes)} at least, and its window closes in {left}: listmonk won't stop for that.",
            "Raise the rate, or start it when the window opens.",
            lines,
        )
    if not limit:
        return warned(
            f"It may send {it.rate:g} a second, and nobody said what the provider takes.",
            "Set provider_rate in the config.",
            lines,
        )
    return passed(f"It sends at most {it.rate:g} a second, the provider takes {limit:g}.", *lines)


def judge_log(facts: ListmonkFacts, situation: Situation) -> Finding:
    if facts.log is None:
        why = facts.unread.get("log", "the token's user lacks settings:get")
        raise CannotJudge(f"Its log was not read: {why.rstrip('.')}.", "Give the token's user settings:get.")
    since = situation.now - FRESH
    errors = [it for it in facts.log if it.at >= since and (it.text.startswith(SENDING) or other_mail(it.text))]
    if not errors:
        return passed(f"No mail was refused in the last {say_span(FRESH)}.")
    says = f"{many(len(errors), 'mail')} couldn't be sent in the last {say_span(FRESH)}."
    remedy = "Look at its mail server before you send to everybody."
    lines = shown((outside(it.text) for it in reversed(errors)), len(errors))
    return failed(says, remedy, lines) if len(errors) >= MANY_ERRORS else warned(says, remedy, lines)


def judge_clock(facts: ListmonkFacts, situation: Situation) -> Finding:
    off, policy = facts.clock_offset, situation.policy
    if off is None:
        return warned("It doesn't tell its time.", "Look at its clock: what is scheduled goes out by it.")
    says = f"Its clock is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}."
    remedy = "Mend its time service: what is scheduled goes out by it."
    if abs(off) >= policy.clock_refuse:
        return failed(says, remedy)
    return warned(says, remedy) if abs(off) >= policy.clock_warn else passed("Its clock is right.")


CHECKS: tuple[Check[Any], ...] = (
    Check("listmonk-scopes", "The token may do what is needed", "listmonk", gathered, judge_scopes),
    Check("listmonk-status", "It can be started", "listmonk", gathered, judge_status),
    *OF_THE_LETTER,
    Check("lists-there", "Its lists are there and in use", "audience", gathered, judge_lists),
    Check("import-running", "Nobody is importing people", "audience", gathered, judge_import),
    Check("audience-bounds", "It reaches as many as meant", "audience", counted, judge_audience),
    *(check for check in SHARED if check.id in ("approval-valid", "due-and-window")),
    Check("listmonk-restart", "Its settings are in force", "listmonk", gathered, judge_restart),
    Check("messenger-there", "Its messenger is there", "listmonk", gathered, judge_messenger),
    Check("other-campaigns", "Nothing else is being sent", "listmonk", gathered, judge_others),
    Check("max-send-errors", "It stops when the mail server fails", "listmonk", tuned, judge_errors_limit),
    Check("lost-by-crash", "A crash loses no more than allowed", "listmonk", tuned, judge_crash),
    Check("rate-and-provider", "It is no faster than its provider", "listmonk", tuned, judge_rate),
    Check("smtp-errors", "Its mail server takes mail", "listmonk", gathered, judge_log),
    Check("clock-offset", "Its clock is right", "listmonk", gathered, judge_clock),
    *(check for check in SHARED if check.id not in ("approval-valid", "due-and-window")),
)
