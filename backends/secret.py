"""A secret, fetched where the config says it is kept, when it is first needed."""

import os
import subprocess
from pathlib import Path
from threading import Lock

from opsconsole.ports import Refused
from opsconsole.redact import DEFAULT
from opsconsole.settings import SecretFrom

CMD_SECONDS = 15.0
LONGEST = 64 * 1024


class Secret:
    """Knows where a secret is; only `reveal` knows what. Every value it hands out is redacted from all logs."""

    def __init__(self, kept: SecretFrom, what: str) -> None:
        self._kept, self._what = kept, what
        self._lock = Lock()
        self._value: str | None = None

    def __repr__(self) -> str:
        return f"<{self._what} from {self.where}>"

    @property
    def where(self) -> str:
        """In words: `the environment variable OPS_TOKEN`."""
        if self._kept.env:
            return f"the environment variable {self._kept.env}"
        if self._kept.file:
            return f"the file {self._kept.file}"
        return f"the command {self._kept.cmd[0]}" if self._kept.cmd else "nowhere"

    def reveal(self) -> str:
        """Raises Refused when it can't be had; the text never holds what was read."""
        with self._lock:
            if self._value is None:
                value = self._fetch()
                DEFAULT.add_secret(value)
                self._value = value
            return self._value

    def forget(self) -> None:
        """Fetch it again next time: it was refused, so it may have been replaced."""
        with self._lock:
            self._value = None

    def _fetch(self) -> str:
        kept = self._kept
        if sum(map(bool, (kept.env, kept.file, kept.cmd))) != 1:
            raise self._missing("the config names not exactly one of env, file and cmd", "name exactly one of them")
        if kept.env:
            value = os.environ.get(kept.env, "")
        elif kept.file:
            value = self._read(Path(kept.file).expanduser())
        else:
            value = self._ask(kept.cmd)
        value = value.strip()
        if not value:
            raise self._missing(f"{self.where} is empty or not set", "put it there")
        if not value.isprintable() or not value.isascii():
            raise self._missing(f"{self.where} holds characters that no token has", "check what is kept there")
        return value

    def _read(self, path: Path) -> str:
        try:
            with path.open(encoding="utf-8") as file:
                return file.read(LONGEST)
        except OSError as error:
            raise self._missing(
                f"{self.where} can't be read: {error.strerror}", "check its path and mode"
            ) from None
        except UnicodeDecodeError:
            raise self._missing(f"{self.where} isn't text", "check what is kept there") from None

    def _ask(self, command: list[str]) -> str:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CMD_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise self._missing(f"{self.where} didn't end within {CMD_SECONDS:.0f} s", "run it by hand") from None
        except OSError as error:
            raise self._missing(f"{self.where} can't be run: {error.strerror}", "run it by hand") from None
        if done.returncode:
            raise self._missing(f"{self.where} ended with code {done.returncode}", "run it by hand")
        return done.stdout[:LONGEST].decode("utf-8", "replace")

    def _missing(self, why: str, mend: str) -> Refused:
        return Refused(
            f"The {self._what} can't be had: {why}.", "Nothing was asked.", f"{mend[0].upper()}{mend[1:]}."
        )
