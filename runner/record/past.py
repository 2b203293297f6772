"""What earlier processes of this attempt, and earlier attempts, did: where a run stands before it goes on."""

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.campaign.files import Campaign, content_digest, stale_parts
from runner.errors import BAD_DATA, Refused
from runner.record import journal
from runner.record.journal import Identity, JournalError, Replay, replay
from runner.run import claim
from runner.run.progress import Counts


def former(run: claim.RunDir, *, repair: bool) -> Replay | None:
    """What the journal of this attempt says; None when nothing was begun. Raises JournalError (70).

    With `repair` a torn last record is cut off, which only the owner of the lock may do.
    """
    path, marker = run.path / "journal", (run.path / "run.json").exists()
    if not path.exists() or not path.stat().st_size:
        if marker:
            raise JournalError(
                f"{path} is missing or empty, but {run.path / 'run.json'} says that mails were sent. Who got one "
                f"can't be told; nothing is sent. Bring the journal back, or decide from the mail server's log"
            )
        return None
    old = replay(path, claim.boot_id(), repair=repair)
    if old.identity is None:
        if marker:
            raise JournalError(f"{path} has no header; an operator must decide")
        return None
    return old


def identity(run: claim.RunDir, campaign: Campaign, rows: int) -> Identity:
    """What the run is about, by the files as they are now; the campaign's data must have been read."""
    template, data = str(campaign.digests["template"]), str(campaign.digests["data"])
    return Identity(run.run_id, template, data, rows, content_digest(campaign))


def changes(old: Replay, now: Identity) -> Iterator[str]:
    """What isn't any more as it was when the attempt began, each with both values."""
    assert old.identity is not None
    for part, was, new in zip(old.identity._fields, old.identity, now, strict=True):
        if was != new:
            yield f"{part} was {was} when this attempt began, is {new} now"


def stale(
    run: claim.RunDir, digests: dict[str, str | None], audience: int | None, suppressed: int = 0
) -> list[str]:
    """What of the attempt's plan is no longer true. Raises Refused (65) when there is a plan that can't be read."""
    plan = _plan(run)
    return [] if plan is None else list(stale_parts(plan, digests, audience, suppressed))


def rehearsed(run: claim.RunDir) -> bool:
    """Whether the attempt's plan rests on a rehearsal that rendered everybody and refused nobody, so that for the
    same files, which stale() tells, nobody need be rendered before the first mail. Raises Refused (65)."""
    plan = _plan(run) or {}
    rehearsal, audience = plan.get("dry_run"), plan.get("audience")
    rendered = rehearsal.get("rendered") if isinstance(rehearsal, dict) else None
    return isinstance(rendered, int) and isinstance(audience, int) and rendered >= audience > 0


def _plan(run: claim.RunDir) -> dict[str, object] | None:
    """None when nobody planned it: started by hand or by cron."""
    try:
        plan = json.loads((run.path / "plan.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Refused(BAD_DATA, f"plan.json can't be read: {type(error).__name__}; make a new plan") from None
    if not isinstance(plan, dict):
        raise Refused(BAD_DATA, "plan.json holds no plan; make a new plan")
    return plan


def starting_point(
    run: claim.RunDir,
    campaign: Campaign,
    unworked: bytearray,
    keys: "array[int]",
    old: Replay | None,
    suppressed: Sequence[int] = (),
) -> tuple[bytearray, Counts]:
    """The state of each row and the counters, from this attempt's journal and earlier attempts'.

    `unworked` are the states and `keys` the recipient keys by row (from 1) before anything was sent: further rows
    of an address and the `suppressed` rows are SKIPPED, a row that can't be mailed has key 0. What was done for
    somebody before they were suppressed stays done. Raises JournalError (70).
    """
    states = bytearray(unworked)
    rows = len(states) - 1
    counts = Counts(duplicates=states.count(journal.SKIPPED) - 1 - len(suppressed))
    for row in suppressed:
        states[row] = journal.PENDING
    if old:
        for row in range(1, rows + 1):
            if states[row] != journal.SKIPPED and old.states[row] != journal.PENDING:
                states[row] = journal.UNKNOWN if old.states[row] in journal.DOUBTFUL else old.states[row]
    for row in suppressed:
        if states[row] in journal.SENDABLE:
            states[row] = journal.SKIPPED
            counts.suppressed += 1
    others = [folder for folder in claim.attempts(run.path.parent) if folder != run.path]
    mailed, nameless = _mailed_before(others, campaign)
    for row in range(1, rows + 1):
        if states[row] in journal.SENDABLE and keys[row] and (row in nameless or _holds(mailed, keys[row])):
            states[row] = journal.SKIPPED
            counts.earlier += 1
    counts.total = rows - counts.duplicates - counts.earlier - counts.suppressed
    count(states, counts)
    return states, counts


def count(states: bytearray, counts: Counts) -> None:
    """Fill the counters that follow from the states alone."""
    counts.decided = states.count(journal.TAKEN_FOR_SENT)
    counts.accepted = states.count(journal.ACCEPTED) + counts.decided
    counts.failed = states.count(journal.FAILED)
    counts.unknown = sum(states.count(state) for state in journal.DOUBTFUL)
    counts.deferred = states.count(journal.DEFERRED)


def _mailed_before(others: list[Path], campaign: Campaign) -> "tuple[array[int], set[int]]":
    """Recipient keys, sorted, and row numbers that earlier attempts mailed or may have mailed."""
    keys: array[int] = array("Q")
    rows: set[int] = set()
    for folder in others:
        path = folder / "journal"
        if not path.exists() or not path.stat().st_size:
            if (folder / "run.json").exists():
                raise JournalError(f"{path} is gone: whom attempt {folder.name} mailed can't be told")
            ours = (folder / "runner.json").exists() or claim.given_back_at(folder)
            if (folder / "started").exists() and not ours:
                raise JournalError(
                    f"attempt {folder.name} was started by a runner that kept no journal: whom it mailed can't be "
                    f"told. Take {folder / 'released'} away, and mark the campaign or let the console release it"
                )
            continue
        # What was proven when the attempt was given back stays proven, also after a restart of the machine.
        old = replay(path, claim.given_back_at(folder) or claim.boot_id(), on_done=keys)
        nameless = list(old.nameless())
        if nameless and old.identity and old.identity.data != campaign.digests["data"]:
            raise JournalError(
                f"attempt {folder.name} has {len(nameless)} rows that may have been mailed, and the data changed "
                f"since: who they are can't be told. Put the former data file back"
            )
        rows.update(nameless)
    return array("Q", sorted(keys)), rows


def _holds(keys: "array[int]", key: int) -> bool:
    at = bisect_left(keys, key)
    return at < len(keys) and keys[at] == key
