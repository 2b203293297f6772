"""Copies of the audit head on a blast host: lines of a file beside its run state, only ever added to."""

import json
import re
from dataclasses import dataclass

from backends.blasthost.answers import Completed, Session
from backends.blasthost.errors import HostError
from backends.blasthost.scripts import script
from opsconsole.ports import OutOfReach, Refused, Trouble
from opsconsole.settings import BlastHost

LIMIT = 20.0  # seconds
LARGEST = 1 << 20  # bytes of lines taken in one answer
_STORE = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Anchors:
    """`host` is the name people know the machine by. An AnchorKeeper; repeating any call is harmless."""

    session: Session
    settings: BlastHost
    host: str

    def put_anchor(self, store: str, line: str) -> None:
        """Raises Refused when the host holds a newer line than this, or lost one it acknowledged before."""
        fields = json.loads(line)
        seq, after = int(fields["seq"]), int(fields["after"])
        attribute = "yes" if self.settings.anchors_append_only else "no"
        done = self._run("put", self._file(store), str(seq), str(after), attribute, line)
        word, _, rest = done.stdout.decode("utf-8", "replace").rstrip("\n").partition(" ")
        if done.rc == 0 and (word == "KEPT" or (word == "HELD" and _same(rest, fields))):
            return
        if done.rc == 0 and word == "HELD":
            raise Refused(
                f"{self.host} holds an anchor already that is not older than record {seq}.",
                "The copy of this record was not added.",
                "Compare them: opsconsole audit verify",
            )
        if done.rc == 0 and word == "LOST":
            raise Refused(
                f"{self.host} lost records: it acknowledged record {after}, and its anchors end at {rest[:20]}.",
                "It may have been put back to an earlier state; what it says of runs may be of before, too.",
                f"Find out, then: opsconsole host accept {self.host} --reason …",
            )
        raise self._unusable(store)

    def anchors(self, store: str, newest: int = 200) -> tuple[str, ...]:
        """Raises OutOfReach when the host can't be asked, Trouble when its file can't be read."""
        done = self._run("get", self._file(store), str(newest))
        if done.rc:
            raise self._unusable(store)
        return tuple(done.stdout.decode("utf-8", "backslashreplace").split("\n")[:-1])

    def _run(self, *args: str) -> Completed:
        try:
            return self.session.run(script("anchor"), *args, timeout=LIMIT, max_bytes=LARGEST)
        except HostError as error:
            # Whatever came of it, asking again settles it.
            raise OutOfReach(error.what, "The audit head could not be compared there.", error.next_step) from error

    def _file(self, store: str) -> str:
        if not _STORE.fullmatch(store):
            raise ValueError(f"not a store's id: {store!r}")
        return f"{self.settings.state_dir.rstrip('/').rpartition('/')[0]}/anchors/{store}"

    def _unusable(self, store: str) -> Trouble:
        place = self._file(store)
        return Trouble(
            f"{place} on {self.host} can't be read or written.",
            "Copies of the audit head can't be kept there; after a while nothing is sent.",
            f"Look at: ls -ld {place.rpartition('/')[0]}; df -h {place.rpartition('/')[0]}",
        )


def _same(held: str, fields: dict[str, object]) -> bool:
    """The very record is there: a lost answer is asked again."""
    try:
        line = json.loads(held)
    except ValueError:
        return False
    return isinstance(line, dict) and all(line.get(name) == fields[name] for name in ("store", "seq", "mac"))
