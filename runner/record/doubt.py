"""A run that may not have reached everybody: what is on record of it, for a person to decide by. Looks only."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from runner.campaign.address import Address, mask
from runner.campaign.csvdata import CsvError, Row
from runner.campaign.files import Campaign, open_campaign
from runner.campaign.suppression import Suppressed, lists
from runner.campaign.survey import skim
from runner.channel.choose import channel_for
from runner.errors import BAD_DATA, OK, Refused
from runner.message.template import TemplateError
from runner.record import maillog, past
from runner.record.journal import SENDABLE, Replay
from runner.run import claim
from runner.run.progress import Counts
from runner.settings import Settings, suppression_list

SHOWN = 1000  # unknown rows told one by one


@dataclass
class Standing:
    """Where an attempt stands. `who` (masked), `keys` and `message_ids` are of unknown rows, by number, as far as
    they could be told; `against` is why the rest can't be sent, "" when it can. After a decision `settled` is how
    many it was about, and `log` the mail log where that was asked."""

    run: claim.RunDir
    old: Replay | None = None
    counts: Counts = field(default_factory=Counts)
    unsent: int = 0
    unknown: list[int] = field(default_factory=list)
    who: dict[int, str] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    message_ids: dict[int, str] = field(default_factory=dict)
    against: str = ""
    channel: str = "email"
    settled: int | None = None
    log: maillog.Found | None = None


def attempt(settings: Settings) -> claim.RunDir:
    """The attempt that is meant: the supervisor's, or the newest. Raises Refused (65, 70, 75)."""
    folder = settings.run_dir or claim.latest(settings.state_dir / settings.slug)
    if folder is None:
        raise Refused(BAD_DATA, f"{settings.slug} has no attempt in {settings.state_dir}")
    return claim.existing(folder, settings.run_id, supervised=settings.run_dir is not None)


def standing(settings: Settings, run: claim.RunDir) -> Standing:
    """Raises Refused (70) when the journal is gone or can't be believed; changed files are told in `against`."""
    found = Standing(run, past.former(run, repair=False))
    if found.old:
        found.unknown = list(found.old.doubtful())
        found.keys = {row: found.old.keys[row] for row in found.unknown if row in found.old.keys}
        found.message_ids = {row: found.old.begun[row][1] for row in found.unknown if row in found.old.begun}
    files = _by_the_files(settings, found)
    if found.old and not found.counts.total:  # the journal alone is left to count by
        found.counts.total = len(found.old.states) - 1
        past.count(found.old.states, found.counts)
        found.unsent = sum(found.old.states.count(state) for state in SENDABLE)
    found.against = _in_the_way(settings, run) or files
    return found


def report(settings: Settings, found: Standing) -> tuple[list[str], dict[str, Any]]:
    """The lines for people and the summary for machines."""
    log = found.log or _mail_log(settings, found)
    rows = []
    for row in found.unknown[:SHOWN]:
        message_id = found.message_ids.get(row, "")
        rows.append(
            {
                "row": row,
                "who": found.who.get(row) or f"recipient {found.keys.get(row, '-')}",
                "message_id": message_id,
                "why": found.old.why(row) if found.old else "",
                "maillog": log.about(message_id),
                "taken": bool(log.taken(message_id)) and not (found.old and row in found.old.resent),
            }
        )
    summary = {
        "v": 1,
        "summary": True,
        "mode": settings.mode,
        "rc": OK,
        "run_id": found.run.run_id,
        "attempt": found.run.attempt,
        "counts": found.counts.as_dict(),
        "unsent": found.unsent,
        "unknown_total": len(found.unknown),
        "rows": rows,
        "maillog": log.where,
        "against": found.against,
    }
    if found.settled is not None:
        summary["settled"] = found.settled
    return list(_lines(found, rows, log)), summary


def _lines(found: Standing, rows: list[dict[str, Any]], log: maillog.Found) -> Iterator[str]:
    if found.settled is not None:
        by = " as sent, by the mail log" if found.log else ""
        yield f"{found.settled} recipients settled{by}; the others stay as they are"
    for told in rows:
        seen = f"; mail log: {told['maillog'] or 'nothing of this mail'}" if log.read else ""
        ident = told["message_id"] or "Message-ID not known"
        yield f"row {told['row']}  {told['who']}  {ident}  journal: {told['why']}{seen}"
    if len(found.unknown) > len(rows):
        yield f"and {len(found.unknown) - len(rows)} more"
    yield f"{len(found.unknown)} recipients unknown: they may have been sent; --mode resolve records a decision"
    yield f"{found.unsent} recipients provably not sent" + ("; --mode resume sends them" if found.unsent else "")
    yield f"mail log: {log.where}"
    if found.against:
        yield f"The rest can't be sent now: {found.against}"


def _mail_log(settings: Settings, found: Standing) -> maillog.Found:
    if not found.unknown:
        return maillog.Found("not looked at: no recipient is unknown")
    if found.channel == "sms":
        return maillog.Found("not looked at: it holds no text messages. The gateway lists them by number and time")
    return maillog.look(settings.maillogs, [message_id for message_id in found.message_ids.values() if message_id])


def _by_the_files(settings: Settings, found: Standing) -> str:
    """Count exactly and name the unknown by the campaign's files; why not, when they aren't what was sent."""
    try:
        with closing(open_campaign(settings.campaigns_dir, settings.slug)) as campaign:
            found.channel = campaign.metadata.channel
            return _by_the_data(settings, campaign, found)
    except CsvError as error:
        return f"blast_data.csv: {error}"
    except Refused as error:
        return str(error)


def _by_the_data(settings: Settings, campaign: Campaign, found: Standing) -> str:
    old, wanted = found.old, set(found.unknown)
    addresses: dict[int, tuple[Row, Address]] = {}

    def note(row: Row, address: Address) -> None:
        if row.number in wanted:
            addresses[row.number] = (row, address)

    nobody, unreadable = Suppressed(), ""
    try:
        nobody = Suppressed.load(lists(settings.campaigns_dir / settings.slug, suppression_list(settings)))
    except Refused as error:  # who is who can be told all the same
        unreadable = str(error)
    table = skim(campaign, note, nobody.has)
    if old and old.identity and campaign.digests["data"] == old.identity.data:
        for number, (_, address) in addresses.items():
            found.who[number] = mask(address.text)
            found.keys.setdefault(number, address.hexkey)
    if old and (changed := list(past.changes(old, past.identity(found.run, campaign, table.rows)))):
        return f"{'; '.join(changed)}; put the former files back"
    _compute_message_ids(campaign, addresses, found)
    states, found.counts = past.starting_point(
        found.run, campaign, table.states, table.keys, old, table.suppressed_rows
    )
    found.unsent = sum(states.count(state) for state in SENDABLE)
    if stale := past.stale(found.run, campaign.digests, None):
        return f"plan is stale: {'; '.join(stale)}"
    return unreadable


def _compute_message_ids(campaign: Campaign, addresses: dict[int, tuple[Row, Address]], found: Standing) -> None:
    """For rows of which the journal has no begin: the Message-ID follows from the campaign and the recipient."""
    missing = [number for number in addresses if number not in found.message_ids]
    if not missing:
        return
    try:
        ids = channel_for(campaign.metadata.channel).idents(campaign, campaign.reader().columns)
    except TemplateError:
        return
    for number in missing:
        row, address = addresses[number]
        if told := ids.of(row.values, address):
            found.message_ids[number] = told


def _in_the_way(settings: Settings, run: claim.RunDir) -> str:
    """What keeps anybody from sending the rest, other than the files."""
    if claim.released(run.path):
        return "this attempt was given back"
    if claim.alive(run.path) or claim.at_work(run.path):
        return "a run is going: those in flight look unknown until they are answered"
    try:
        claim.refuse_if_held(settings.holds_dir, settings.slug)
    except Refused as error:
        return str(error)
    return ""
