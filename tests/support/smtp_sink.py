"""Postfix's own smtp-sink on a loopback port, which dumps each mail it takes into a file."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.programs import find

_RCPT = re.compile(rb"^X-Rcpt-Args: <([^>]+)>", re.MULTILINE)


class SmtpSink:
    """`options` as in smtp-sink(1). `dump` is the folder with one file a mail."""

    def __init__(self, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        # A folder of its own: smtp-sink gives root's rights up before it writes there.
        self._root = Path(tempfile.mkdtemp(prefix="sink-"))
        self.dump = self._root / "dump"
        self.dump.mkdir()
        for place in (self._root, self.dump):
            place.chmod(0o777)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        program = find("smtp-sink") or "smtp-sink"
        self._process = subprocess.Popen(
            [program, *user, *options, "-d", f"{self.dump}/mail.", f"127.0.0.1:{self.port}", "64"]
        )
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("smtp-sink did not come up")

    def mailed(self) -> Counter[str]:
        """How many mails each address has."""
        found = [_RCPT.findall(file.read_bytes()) for file in self.dump.iterdir()]
        return Counter(address.decode() for addresses in found for address in addresses)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._root, ignore_errors=True)
