"""The lines of evidence a host gives for a campaign: F its files, C cron, L its runs and log, M memory. Pure."""

from datetime import datetime

from opsconsole.campaign import DATA, Details, required_files
from opsconsole.hostfacts import FolderFacts, HostFacts, Kind
from opsconsole.observation import MEMORY_SHORT, Counts, Evidence, Mark, RunWord, Says, Trigger
from opsconsole.schedule import say_instant


def evidence(
    folder: FolderFacts,
    details: Details,
    says: Says,
    word: RunWord | None,
    triggers: tuple[Trigger, ...],
    cron_unread: str,
    trouble: str,
    zone: str,
    now: datetime,
) -> tuple[Evidence, ...]:
    """`at` of each line is the instant it speaks of, None for a state that has none."""
    return (
        _files(folder, details),
        _cron(triggers, cron_unread, zone, now),
        _log(says, word, trouble, zone, now),
    )


def short_memory(facts: HostFacts) -> tuple[Evidence, ...]:
    """M, the host's memory, where a run may be stuck for want of it; else nothing."""
    used = facts.memory_used
    if used is None or used < MEMORY_SHORT:
        return ()
    swapped = f", {facts.swap_used / 2**20:,.0f} MB of it swapped out" if facts.swap_used else ""
    text = f"{used * 100:.0f} % used of {facts.memory_total / 2**20:,.0f} MB{swapped}"
    return (Evidence(letter="M", label="host memory", mark=Mark.BAD, text=text),)


def _files(folder: FolderFacts, details: Details) -> Evidence:
    def line(mark: Mark, text: str) -> Evidence:
        return Evidence(letter="F", label="host files", mark=mark, text=text)

    if folder.folder is Kind.MISSING:
        return line(Mark.NO, "no folder")
    if folder.folder not in (Kind.FOLDER, Kind.SYMLINK):
        return line(Mark.UNSEEN, folder.trouble or f"the folder is {folder.folder}")
    missing = [name for name in required_files(details.channel) if folder.files[name].kind is Kind.MISSING]
    if missing:
        return line(Mark.BAD, f"{', '.join(missing)} missing")
    for name, fact in folder.files.items():
        if fact.kind in (Kind.SYMLINK, Kind.FOLDER, Kind.OTHER):
            return line(Mark.BAD, f"{name} is no plain file ({fact.kind})")
        if fact.kind is not Kind.MISSING and fact.sha256 is None:
            return line(Mark.UNSEEN, f"{name}: {fact.trouble or 'not looked at'}")
    if details.problems:
        return line(Mark.BAD, details.problems[0])
    data = folder.files[DATA]
    if data.rows is None:
        return line(Mark.BAD, f"{DATA}: {data.trouble or 'its rows could not be counted'}")
    about = "" if data.rows_exact else "about "
    return line(Mark.YES, f"complete, {about}{data.rows:,} {'row' if data.rows == 1 else 'rows'}")


def _cron(triggers: tuple[Trigger, ...], unread: str, zone: str, now: datetime) -> Evidence:
    def line(mark: Mark, text: str, at: datetime | None = None) -> Evidence:
        return Evidence(letter="C", label="host cron", mark=mark, text=text, at=at)

    if unread:
        return line(Mark.UNSEEN, unread)
    if not triggers:
        return line(Mark.NO, "no line")
    more = f" (and {len(triggers) - 1} more)" if len(triggers) > 1 else ""
    coming = sorted((t for t in triggers if t.next_fire), key=lambda t: (not t.sends, t.next_fire or now))
    if coming and coming[0].next_fire:
        first = coming[0]
        fires = "fires" if first.sends else "runs, but sends nothing,"
        return line(
            Mark.WAITING,
            f"{fires} {say_instant(coming[0].next_fire, zone, now)}: {first.text}{more}",
            first.next_fire,
        )
    if boot := next((t for t in triggers if t.live), None):
        return line(Mark.WAITING, f"fires at every restart: {boot.text}{more}")
    if ignored := next((t for t in triggers if t.ignored_because and not t.off), None):
        return line(Mark.BAD, f"ignored by cron: {ignored.ignored_because}{more}")
    if off := next((t for t in triggers if t.off), None):
        return line(Mark.NO, f"{off.ignored_because}: {off.text}{more}")
    return line(Mark.NO, f"never fires: {triggers[0].text}{more}")


def _log(says: Says, word: RunWord | None, trouble: str, zone: str, now: datetime) -> Evidence:
    def line(mark: Mark, text: str, at: datetime | None = None) -> Evidence:
        return Evidence(letter="L", label="host log", mark=mark, text=text, at=at)

    def when(at: datetime | None) -> str:
        return say_instant(at, zone, now) if at else "at an unknown time"

    if word is None or says in (Says.NOTHING, Says.ABSENT):
        return line(Mark.UNSEEN, trouble) if trouble else line(Mark.NO, "none")
    counts = word.counts
    if says is Says.ENDED:
        good = word.rc in (0, None) and (counts is None or not (counts.failed or counts.unknown))
        code = f", exit code {word.rc}" if word.rc else ""
        text = f"{_processed(counts)}, ended {when(word.ended_at)}{code}"
        return line(Mark.YES if good else Mark.BAD, text, word.ended_at)
    if says is Says.CLAIMED:
        by = f" by {word.by}" if word.by else ""
        return line(Mark.WAITING, f"claimed{by} {when(word.claimed_at)}, not started", word.claimed_at)
    if says is Says.STARTED:
        so_far = f", {_processed(counts)}" if counts else ""
        return line(Mark.BAD, f"started {when(word.started_at)}{so_far}, no end recorded", word.started_at)
    total = f" of {counts.total:,}" if counts and counts.total is not None else ""
    so_far = f"{counts.settled:,}{total}, {counts.failed:,} failed" if counts else "no count yet"
    note = f" ({word.note})" if word.note else ""
    paused = says is Says.PAUSED
    return line(
        Mark.WAITING if paused else Mark.MOVING, f"{'paused at ' if paused else ''}{so_far}{note}", word.progress_at
    )


def _processed(counts: Counts | None) -> str:
    if counts is None:
        return "no counts told"
    unknown = f", {counts.unknown:,} unknown" if counts.unknown else ""
    return f"{counts.settled:,} processed, {counts.failed:,} failures{unknown}"
