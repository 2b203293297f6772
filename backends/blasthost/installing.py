"""Puts this console's runner on a host, or a former one back: verified there, tried there, never half written."""

import base64
import json
import shlex
from datetime import datetime
from typing import Any

from backends.blasthost.answers import Session
from backends.blasthost.errors import HostError
from backends.blasthost.launcher import ASK_LIMIT
from backends.blasthost.runnerfile import PYTHON, RunnerFile, version_in
from backends.blasthost.scripts import script, with_texts
from opsconsole.hostfacts import KeptRunner, RunnerFact
from opsconsole.ports import OutOfReach, Refused, Trouble

NOTHING = "Nothing was changed."
AGAIN = "Look again: opsconsole host show"
UPLOAD_LIMIT = 300.0  # seconds, for a slow line


def look(session: Session, path: str, ours: RunnerFile, *, ask: bool) -> RunnerFact:
    """What is at `path` on the host. With `ask` it is run, to say what it can do: only where it is ours.

    Raises HostError, or Trouble where the answer can't be read.
    """
    done = session.run(script("runner"), "look", path, "yes" if ask else "no", timeout=ASK_LIMIT)
    lines = [line.split(" ") for line in done.stdout.decode("ascii", "replace").splitlines()]
    if not lines or lines[-1] != ["DONE"]:
        raise Trouble(f"What the host says of {path} can't be understood.", "Nothing was done.", "Try again.")
    told = {word: [*rest, ""] for word, *rest in lines if word != "KEPT"}
    size, mode, owner = (*_text(told.get("FACTS", [""])[0]).split("|"), "", "")[:3]
    there, says = told["THERE"][0], _object(_bytes(told.get("SAYS", [""])[0]))
    in_file = version_in(_bytes(told.get("END", [""])[0]))
    found = {_text(words[1]): words[2] for words in lines if words[0] == "KEPT" and len(words) == 3}
    return RunnerFact(
        path=path,
        there=there if there in ("none", "link", "odd", "unreadable") else "file",
        sha256=there if len(there) == 64 else "",
        size=int(size) if size.isdecimal() else 0,
        mode=int(mode, 8) if mode else 0,
        owner=owner,
        link=_text(told.get("LINK", [""])[0]),
        version=in_file or str(says.get("version", ""))[:40],
        ours=in_file is not None or "WRAPPER" in told,
        asked=ask,
        says=says,
        python=told["PYTHON"][0].strip("-"),
        cron_python=told["PYTHON"][1].strip("-"),
        kept=tuple(KeptRunner(path=name, sha256=found[name]) for name in sorted(found)),
        our_sha256=ours.sha256,
        our_version=ours.version,
    )


def put(session: Session, host: str, seen: RunnerFact, ours: RunnerFile, now: datetime) -> str:
    """Put `ours` where `seen` was looked at; gives the path of the copy of what was there, "" when nothing was.

    Raises Refused or OutOfReach with nothing changed; Trouble where what came of it isn't known.
    """
    _check_place(host, seen)
    _check_python(host, seen)
    copy = f"{seen.path}.before-{now:%Y%m%dT%H%M%SZ}-{seen.sha256[:12]}" if seen.sha256 else ""
    text = with_texts("runner", {"runner_text": base64.encodebytes(ours.content).decode("ascii")})
    orders = ("put", seen.path, seen.sha256 or "none", ours.sha256, copy)
    _done(_run(session, host, seen.path, text, orders), host, seen.path)
    return copy


def put_back(session: Session, host: str, seen: RunnerFact, kept: KeptRunner) -> None:
    """Raises like `put`."""
    _check_place(host, seen)
    if not kept.path.endswith(kept.sha256[:12]):
        raise Refused(
            f"{kept.path} on {host} isn't what was kept there: its name and its digest {kept.sha256[:12]} differ.",
            NOTHING,
            "Install this console's runner, or remove that file.",
        )
    orders = ("back", seen.path, seen.sha256 or "none", kept.sha256, kept.path)
    _done(_run(session, host, seen.path, script("runner"), orders), host, seen.path)


def _check_place(host: str, seen: RunnerFact) -> None:
    reasons = {
        "link": f"is a symbolic link to {seen.link}, which would be put out of use",
        "odd": "is no plain file",
        "unreadable": "can't be read by the console's account, so no copy of it can be kept",
    }
    if seen.there in reasons:
        then = (
            f"Name that file: --to {shlex.quote(seen.link)}" if seen.there == "link" else "Look at it on the host."
        )
        raise Refused(f"{seen.path} on {host} {reasons[seen.there]}.", NOTHING, then)


def _check_python(host: str, seen: RunnerFact) -> None:
    needed = ".".join(map(str, PYTHON))
    then = f"Install python3 {needed} or newer on {host}; nothing else is needed there."
    if not seen.python:
        raise Refused(f"{host} has no python3 that works, which the runner needs.", NOTHING, then)
    if not is_enough(seen.python):
        raise Refused(f"python3 on {host} is {seen.python}, and the runner needs {needed}.", NOTHING, then)


def is_enough(version: str) -> bool:
    """Whether a python3 of this version runs it."""
    parts = version.split(".")
    return all(part.isdecimal() for part in parts[:2]) and tuple(map(int, parts[:2])) >= PYTHON


def _run(session: Session, host: str, path: str, text: str, orders: tuple[str, ...]) -> tuple[str, str]:
    """The word it answered with, and what belongs to it."""
    try:
        done = session.run(text, *orders, timeout=UPLOAD_LIMIT)
    except HostError as error:
        if not error.may_have_run:
            raise OutOfReach(error.what, NOTHING, error.next_step) from error
        raise Trouble(
            f"{host} didn't answer whether {path} was replaced ({error.what}).",
            "It is the old file or the new one, never a part of it.",
            "Look again; to do the same again changes nothing twice.",
        ) from error
    word, _, rest = (*done.stdout.decode("ascii", "replace").splitlines(), "")[0].partition(" ")
    return word, rest


def _done(answer: tuple[str, str], host: str, path: str) -> None:
    word, rest = answer
    folder, told = path.rpartition("/")[0] or "/", " ".join(_text(rest).split())
    room = f" Room there: {told}." if told else ""
    refusals = {
        "CHANGED": (f"{path} on {host} has changed since it was looked at.", AGAIN),
        "LOCKED": (f"The console's account may not write in {folder} on {host}, or it isn't there.", by_hand(path)),
        "BUSY": (
            f"Process {rest} on {host} is sending with that runner.",
            "Wait for its end; a paused run counts as well.",
        ),
        "FULL": (f"The runner could not be written beside {path} on {host}.{room}", "Make room there first."),
        "WRONG": (
            f"What arrived at {folder} on {host} isn't what was sent, by its digest.{room}",
            "Try again; see that the disk there isn't full.",
        ),
        "NOTRUN": (
            f"The runner doesn't run on {host}: {told[:300] or 'it says nothing'}.",
            f"See that programs may be run in {folder} (mount option noexec), and try python3 there.",
        ),
        "NOCOPY": (f"No copy of {path} could be kept beside it on {host}.{room}", "Make room there first."),
        "FAILED": (
            f"{host} would not put the file in the place of {path}.",
            "See there whether it may be changed (lsattr).",
        ),
    }
    if word in refusals:
        what, then = refusals[word]
        raise Refused(what, NOTHING, then)
    if word != "DONE":
        raise Trouble(
            f"Whether {path} on {host} was replaced isn't proven.",
            "It is the old file or the new one, never a part of it.",
            "Look again; to do the same again changes nothing twice.",
        )


def by_hand(path: str) -> str:
    """How an admin puts the same file there."""
    return (
        "An admin can do it: write the file with `opsconsole host build-runner mail-blast-runner`, copy it there, "
        f"and run: sudo install -m 755 mail-blast-runner {shlex.quote(path)}"
    )


def _bytes(word: str) -> bytes:
    try:
        return base64.b64decode(word, validate=True)
    except ValueError:
        return b""


def _text(word: str) -> str:
    return _bytes(word).decode("utf-8", "replace").strip("\n")


def _object(text: bytes) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) and told.get("runner") == "opsconsole" else {}
