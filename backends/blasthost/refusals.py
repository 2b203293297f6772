"""Why a host said no, in the words of the operator. Every code is one of remote/launch.sh."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime

from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT
from opsconsole.digests import short
from opsconsole.hostfacts import RunFact
from opsconsole.plan import Difference, say_stale
from opsconsole.ports import Refused, RunState, Trouble, Verb
from opsconsole.wishes import Wish

NOTHING = "Nothing was started."

_FILES = {"template": TEMPLATE, "text": TEXT, "data": DATA, "metadata": METADATA}


def refused(
    host: str,
    slug: str,
    run_id: str,
    lines: Sequence[str],
    values: Sequence[str],
    other: RunState | None,
    fact: RunFact | None,
) -> Refused:
    """`values` are the words behind REFUSED: a code and what belongs to it; `other` the run in the way, if any."""
    code, *rest = [*values, ""]
    first = rest[0] if rest else ""
    match code:
        case "stale":
            return Refused(say_stale(_differences(lines)), NOTHING)
        case "hold":
            text = _hold_text(lines)
            what = "everything" if first == "ALL" else first
            return Refused(
                f"{host} holds {what}" + (f": {text}" if text else "."), NOTHING, "Release the hold first."
            )
        case "holds-unreadable":
            return Refused(
                f"Whether {slug} is held can't be told: {first} on {host} can't be read.",
                f"That counts as held. {NOTHING}",
                "Make it a folder that the console's account can read.",
            )
        case "other" if other:
            return Refused(
                f"{describe(slug, other, fact)} on {host}.",
                NOTHING,
                "Look at that run; another attempt is possible only after it was released.",
            )
        case "attempt-used" | "attempt-gap":
            why = "was used before" if code == "attempt-used" else "does not follow a released one"
            return Refused(f"Attempt {first} of {slug} {why}.", NOTHING, "Make a new plan.")
        case "lock":
            return Refused(
                f"{f'Process {first}' if first else 'Something'} on {host} still holds the lock of {slug}: "
                "another run, or what is left of one.",
                NOTHING,
                "Look at the host's processes; the lock is free when the last of them is gone.",
            )
        case "process":
            return Refused(
                f"Process {first} on {host} is sending {slug} right now, outside the console.",
                NOTHING,
                "Look at it on the host screen.",
            )
        case "disk":
            least, free, place = (*rest, "", "")[:3]
            return Refused(
                f"{place} on {host} has {free} MB free, and a send needs {least} MB.", NOTHING, "Make room first."
            )
        case "logout":
            return _logout(host, rest)
        case "clock":
            limit, offset = (*rest, "")[:2]
            return Refused(
                f"The clock of {host} is {offset} s off the console's, and the limit is {limit} s.",
                NOTHING,
                "Set the clock that is wrong (timedatectl on the host).",
            )
        case "runner":
            path = " ".join(rest).strip()
            return Refused(
                f"The runner isn't on {host}, or can't be executed: {path}.",
                NOTHING,
                f"Install it: opsconsole host install-runner {host}, or make it executable: chmod 755 {path}",
            )
        case "tool":
            name = " ".join(rest).strip()
            return Refused(f"{host} has no usable `{name}`.", NOTHING, "Install util-linux and coreutils.")
        case "state":
            return Refused(
                f"{first} on {host} can't be made or locked.",
                NOTHING,
                "Let the console's account write there; where it may, too many asked at once: try again.",
            )
        case "void":
            return Refused(
                f"Run {run_id} of {slug} was given up before its start reached {host}.",
                NOTHING,
                "Make a new plan.",
            )
        case "none":
            return Refused(
                f"There is no attempt {first} of {slug} on {host}.", NOTHING, "Look at the host's records."
            )
        case "released":
            return Refused(f"Attempt {first} of {slug} was released.", NOTHING, "Make a new plan for the next one.")
        case "unstarted" if other:
            return Refused(
                f"{describe(slug, other, fact)} on {host}: there is no rest to send, as nothing was begun.",
                NOTHING,
                "Release the claim, and make a new plan.",
            )
        case "mode":
            return Refused(
                f"The runner that is installed on {host} doesn't know --mode {first}.",
                NOTHING,
                f"Install ours: opsconsole host install-runner {host}",
            )
    return Refused(f"{host} refused the start ({' '.join(values)[:200]!a}).", NOTHING)


def not_started(host: str, slug: str, fact: RunFact) -> Trouble:
    """The claim stands, and it is certain that no runner was started under it."""
    why = f": {fact.trouble}" if fact.trouble else ""
    return Trouble(
        f"{slug} was claimed on {host} (attempt {fact.attempt}), but its supervisor did not start{why}.",
        "Nothing was sent, and nothing will be: the claim stands and keeps everybody else from sending.",
        f"Mend the cause, let a second person release it (opsconsole release-claim {slug}), and make a new plan.",
    )


def rest_not_started(host: str, slug: str, fact: RunFact) -> Trouble:
    why = f": {fact.trouble}" if fact.trouble else ""
    return Trouble(
        f"The supervisor for the rest of {slug} (attempt {fact.attempt}) did not come up on {host}{why}.",
        "Nothing more was sent, and this start can't come late.",
        "Mend the cause, and send the rest again.",
    )


def not_released(
    host: str, slug: str, attempt: int, code: str, state: RunState | None, fact: RunFact | None
) -> Refused:
    """`code` is a word of remote/release.sh."""
    what = describe(slug, state, fact) if state else f"{host} has no attempt {attempt} of {slug}"
    why, then = {
        "none": ("there is nothing to release", "Look at the host's records."),
        "other": ("that is another run than the one that was to be released", "Look at the run again."),
        "alive": ("something still holds its lock, so it may send", "Wait for its end, or cancel it."),
        "doubt": ("it was started and has no recorded end, so it may have sent", "Settle it: opsconsole doubt."),
        "reached": (
            "nothing proves that it handed no message over",
            "Settle it, or close it as it is: opsconsole doubt, opsconsole close.",
        ),
        "state": ("its folder can't be written or locked", "Let the console's account write there."),
    }.get(code, (f"{host} refused it ({code[:80]!a})", ""))
    return Refused(f"{what}: {why}.", "Nothing was released.", then)


def no_journal(host: str) -> Refused:
    return Refused(
        f"The runner of {host} keeps no journal (runner_kind isn't mail-blast-runner).",
        "Who got a message can't be told from its records, so nothing can be decided or sent on from here.",
        "Ask the mail server's log and the provider, and close the campaign as it is.",
    )


def not_asked(host: str, slug: str, attempt: int, code: str, mode: str, runner: str) -> Refused:
    """`code` is a word of remote/journal.sh."""
    why = {
        "none": f"{host} has no attempt {attempt} of {slug}",
        "other": f"Attempt {attempt} of {slug} on {host} is another run",
        "released": f"Attempt {attempt} of {slug} was released: there is nothing to decide any more",
        "alive": f"Attempt {attempt} of {slug} is going on {host}",
        "state": f"The run's folder on {host} can't be locked",
        "runner": f"{runner} isn't on {host}, or can't be executed",
        "mode": f"The runner on {host} doesn't know --mode {mode}: it isn't ours, or an older one",
    }.get(code, f"{host} refused it ({code[:80]!a})")
    return Refused(f"{why}.", "Nothing was written.", "Look at the run again, or install this console's runner.")


def nobody_there(host: str, slug: str, attempt: int, verb: Verb | Wish, state: RunState | None) -> Refused:
    what = f"it is {state.says.value}" if state else "there is no such run"
    about = f"to {verb}" if isinstance(verb, Verb) else f"another {verb}"
    return Refused(
        f"Attempt {attempt} of {slug} on {host} can't be told {about}: {what}.",
        "No process was touched.",
        "Look at the run again.",
    )


def describe(slug: str, state: RunState, fact: RunFact | None) -> str:
    """Who claimed a run, from where, when, and how it stands."""
    claim = fact.claim if fact else {}
    by = state.word.by or "somebody unknown"
    place = claim.get("host")
    origin = f" from {place}" if isinstance(place, str) and place else ""
    when = f" at {_say(state.word.claimed_at)}" if state.word.claimed_at else ""
    return f"Attempt {state.attempt} of {slug} was claimed by {by}{origin}{when} and is {state.says.value}"


def _logout(host: str, words: Sequence[str]) -> Refused:
    kind, user = (*words, "", "")[:2]
    if kind == "dies":
        return Refused(
            f"{host} ends the processes of {user} at logout (KillUserProcesses=yes): a send would stop half-way.",
            NOTHING,
            f"Once, as root on the host: loginctl enable-linger {user}",
        )
    return Refused(
        f"{host} ends the processes of {user} at logout, and its user manager starts no scope.",
        NOTHING,
        f"See why on the host: systemd-run --user --scope true (as {user})",
    )


def _differences(lines: Sequence[str]) -> list[Difference]:
    found = []
    for line in lines:
        kind, *words = line.split(" ")
        if kind == "STALE" and len(words) == 3:
            part, planned, now = words
            found.append(_difference(part, planned, now))
    return found


def _difference(part: str, planned: str, now: str) -> Difference:
    if part in _FILES:
        return Difference(f"{part} ({_FILES[part]})", short(planned), short(now))
    if part in ("expiry", "latest-start"):
        return Difference(part.replace("-", " "), _epoch(planned), _epoch(now))
    return Difference(part, "unknown" if planned == "-" else planned, "unknown" if now == "-" else now)


def _hold_text(lines: Sequence[str]) -> str:
    for line in lines:
        if line.startswith("HOLD "):
            try:
                return base64.b64decode(line[5:], validate=True).decode("utf-8", "replace").strip()
            except binascii.Error:
                return ""
    return ""


def _epoch(seconds: str) -> str:
    return _say(datetime.fromtimestamp(int(seconds), UTC))


def _say(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
