"""Are the campaign's folder and files there, plain and readable?"""

import hashlib
from typing import Any

from opsconsole.campaign import FILES, TEMPLATE, TEXT, required_files
from opsconsole.hostfacts import FileFact, FolderFacts, Kind
from opsconsole.preflight.check import Check, Finding, Situation, failed, many, passed
from opsconsole.preflight.reading import details

_FOLDER = {
    Kind.MISSING: ("There is no folder {path} on {host}.", "Copy the campaign's folder to {path}."),
    Kind.DENIED: (
        "{user} may not look into {path}.",
        "Let {user} read it: chmod o+rx {path}, or add {user} to its group.",
    ),
    Kind.SYMLINK: (
        "{path} is a symbolic link, and links are not followed: they can change what is sent.",
        "Put the real folder in its place.",
    ),
    Kind.ERROR: ("{path} could not be looked at.", "Look at it on {host}: ls -la {path}"),
}
_NOT_A_FOLDER = ("{path} is not a folder but a {kind}.", "Move it away and copy the campaign's folder there.")


def gather_folder(situation: Situation) -> FolderFacts:
    return situation.seen.folder


def judge_folder(folder: FolderFacts, situation: Situation) -> Finding:
    path, host = situation.path(), situation.host
    if folder.folder is Kind.FOLDER:
        return passed(f"{path} is there.")
    says, remedy = _FOLDER.get(folder.folder, _NOT_A_FOLDER)
    words = {"path": path, "host": host.host, "user": host.user or "the login user", "kind": folder.folder.value}
    return failed(says.format(**words), remedy.format(**words), [folder.trouble] if folder.trouble else [])


def gather_files(situation: Situation) -> dict[str, FileFact | None]:
    return {name: situation.fact(name) for name in FILES}


def judge_files(files: dict[str, FileFact | None], situation: Situation) -> Finding:
    bad = []
    remedies = []
    for name, fact in files.items():
        trouble = _file_trouble(name, fact, situation)
        if trouble:
            bad.append(f"{situation.path(name)}: {trouble[0]}")
            remedies.append(trouble[1])
    if bad:
        return failed(f"{many(len(bad), 'file')} can't be used.", " ".join(dict.fromkeys(remedies)), bad)
    there = {name for name, fact in files.items() if fact and fact.there}
    more = there - set(_required(situation))
    also = ", and a plain text" if TEXT in more else f"; {TEMPLATE} is not used" if TEMPLATE in more else ""
    return passed(
        f"All {len(_required(situation))} files are there{also}.",
        *(f"{name}: {fact.size:,} bytes" for name, fact in files.items() if fact and fact.there),
    )


def _required(situation: Situation) -> tuple[str, ...]:
    return required_files(situation.once(details).channel)


def _file_trouble(name: str, fact: FileFact | None, situation: Situation) -> tuple[str, str] | None:
    path = situation.path(name)
    user = situation.host.user or "the login user"
    kind = fact.kind if fact else Kind.MISSING
    if kind is Kind.MISSING:
        return ("missing", f"Copy {name} into {situation.path()}.") if name in _required(situation) else None
    if kind is Kind.SYMLINK:
        return "a symbolic link, and links are not followed", f"Replace the link {name} by the file itself."
    if kind is Kind.DENIED:
        return f"{user} may not read it", f"Let {user} read it: chmod o+r {path}"
    if kind is not Kind.FILE or fact is None:
        return (fact.trouble if fact and fact.trouble else f"not a file ({kind.value})"), f"Look at {path}."
    unread = situation.seen.unread.get(name)
    if unread:
        return f"not read: {unread}", f"Mend {path}, then repeat the pre-flight."
    if fact.size == 0:
        return "empty", f"Copy {name} again: the one on the host has 0 bytes."
    content = situation.seen.files.get(name)
    if content is not None and fact.sha256 and hashlib.sha256(content).hexdigest() != fact.sha256:
        return "it changed while it was looked at", "Wait until nobody works on it, then repeat the pre-flight."
    return None


CHECKS: tuple[Check[Any], ...] = (
    Check("folder-there", "The campaign's folder is there", "files", gather_folder, judge_folder),
    Check("files-there", "Its files are there and readable", "files", gather_files, judge_files),
)
