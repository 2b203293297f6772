"""Marks on the host that keep everybody from sending: launcher and runner obey them with no console running."""

import base64
import binascii
import json

from backends.blasthost.answers import Session
from backends.blasthost.errors import HostError
from backends.blasthost.launcher import ASK_LIMIT
from backends.blasthost.scripts import with_texts
from opsconsole.campaign import check_slug
from opsconsole.observation import Hold
from opsconsole.ports import OutOfReach, Refused, Trouble
from opsconsole.settings import BlastHost

ALL = "ALL"


def put_hold(session: Session, settings: BlastHost, host: str, scope: str, hold: Hold | None) -> None:
    """Make (None: take away) the mark for `scope`, a slug or ALL. Repeating is harmless.

    Raises Refused for a mark that somebody else made: it is never removed from here.
    """
    if scope != ALL:
        check_slug(scope)
    holds = f"{settings.state_dir.rstrip('/').rpartition('/')[0]}/holds"
    text = with_texts("hold", {"hold_text": _text(scope, hold) if hold else ""})
    try:
        done = session.run(text, holds, scope, "put" if hold else "take", timeout=ASK_LIMIT)
    except HostError as error:
        means = "The hold may be made or not." if error.may_have_run else "Nothing was changed."
        raise OutOfReach(error.what, means, "Repeating is harmless.") from error
    answer, word, *_ = [*(done.stdout.decode("utf-8", "replace").splitlines() or [""])[-1].split(" "), "", ""]
    if answer == "FOREIGN":
        raise Refused(
            f"{holds}/{scope} on {host} was made there by hand, or by something else: {_said(word)}",
            f"It stays, and {'everything' if scope == ALL else scope} is held by it.",
            "Ask whoever made it, and remove the file on the host.",
        )
    if answer != "DONE":
        raise Trouble(
            f"The hold {holds}/{scope} on {host} could not be {'written' if hold else 'removed'}.",
            "It is as it was before.",
            "Let the console's account write there, and see that the disk isn't full.",
        )


def _text(scope: str, hold: Hold) -> str:
    """One line; its keys and their order are how remote/hold.sh knows a console's mark."""
    at = hold.at.isoformat() if hold.at else ""
    return json.dumps({"by": hold.by, "at": at, "reason": hold.reason, "scope": scope, "record": hold.where})


def _said(word: str) -> str:
    try:
        text = base64.b64decode(word, validate=True).decode("utf-8", "replace").strip()
    except binascii.Error:
        text = ""
    return f"{text[:200]!a}." if text else "it is empty, or no plain file."
