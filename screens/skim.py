"""Where a run stands, by its log, at the pace of the wire: under a flood only what can still matter is read."""

import threading

from opsconsole.runlog import Progress, Reader, read_line
from opsconsole.settings import Patterns

CALM = 24 * 1024  # bytes of one feed that are read line by line
STEP = 32 * 1024
FLOOD_SEARCHED = 1 << 20  # bytes of a flood in which the newest error is looked for
_ERROR_WORDS = (b"error", b"critical", b"fatal", b"traceback", b"exception:", b" 4.", b" 5.", b"-4.", b"-5.")


class Skimmer:
    """Fed with a log in pieces of any size. `progress` has the last word on each part."""

    def __init__(self, patterns: Patterns | None = None) -> None:
        self._patterns = patterns
        self._reader = Reader(patterns)
        self._behind = bytearray()
        self.taken = 0  # bytes so far
        self._taking, self._reading = threading.Lock(), threading.Lock()

    @property
    def progress(self) -> Progress:
        return self._reader.progress

    def feed(self, data: bytes) -> None:
        """Take in more of the log: costs nothing. `catch_up`, from any thread, reads it."""
        with self._taking:
            self._behind += data
            self.taken += len(data)

    def catch_up(self) -> None:
        """Read what came since. All but the last lines of a flood are only searched for the newest error."""
        with self._reading:
            with self._taking:
                data, self._behind = bytes(self._behind), bytearray()
            if len(data) > CALM:
                cut = data.find(b"\n", len(data) - CALM) + 1
                self._look_for_error(data[:cut])
                self._reader.feed(b"\n")
                data = data[cut:]
            self._reader.feed(data)

    def close(self) -> None:
        """Nothing more comes: read what is left, also a last line without an end."""
        self.catch_up()
        self._reader.close()

    def _look_for_error(self, flood: bytes) -> None:
        """In small steps from the end back: a search holds every other thread up while it lasts."""
        for end in range(len(flood), max(len(flood) - FLOOD_SEARCHED, 0), -STEP):
            piece = flood[max(end - STEP, 0) : end].lower()
            at = max(piece.rfind(word) for word in _ERROR_WORDS)
            if at < 0:
                continue
            at += max(end - STEP, 0)
            start = flood.rfind(b"\n", 0, at) + 1
            event = read_line(flood[start : flood.find(b"\n", at)], self._patterns)
            if event is not None and event.error:
                self.progress.last_error = event.error
                return
