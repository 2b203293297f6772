"""The runner against Postfix's own smtp-sink: a second implementation of the other end."""

import os
import re
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.conftest import Host
from tests.support.programs import find

pytestmark = pytest.mark.needs("smtp-sink")

RCPT = re.compile(rb"^X-Rcpt-Args: <([^>]+)>", re.MULTILINE)


class Sink:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.folder = folder
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        program = find("smtp-sink") or "smtp-sink"
        dump = str(folder / "mail.")
        self.process = subprocess.Popen([program, *user, "-d", dump, f"127.0.0.1:{self.port}", "64"])
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("smtp-sink did not come up")

    def mailed(self) -> Counter[str]:
        found = [RCPT.findall(file.read_bytes()) for file in self.folder.iterdir()]
        return Counter(address.decode() for addresses in found for address in addresses)


@pytest.fixture
def sink() -> Iterator[Sink]:
    # A folder of its own: smtp-sink gives root's rights up before it writes there.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "dump"
        folder.mkdir()
        for place in (folder.parent, folder):
            place.chmod(0o777)
        started = Sink(folder)
        yield started
        started.process.terminate()
        started.process.wait(10)


@pytest.mark.slow
def test_given_postfixs_own_sink_when_sent_then_each_address_has_one_mail(host: Host, sink: Sink) -> None:
    people = [f"person{number}@example.com" for number in range(400)]
    host.campaign(people)
    host.server(sink)  # type: ignore[arg-type]
    ended = host.run("send")
    assert ended.rc == 0, ended.err
    assert ended.summary["counts"]["accepted"] == 400
    assert sink.mailed() == Counter(people)
