"""The bench of a blast host: the embedded one, with our own runner and a mail sink."""

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec

from backends.blasthost.host import BlastHostBackend
from backends.embedded.world import HOST, World
from opsconsole.campaign import DATA, METADATA, TEMPLATE
from opsconsole.config import load
from tests.contract.bench import Bench

_NUMBER = itertools.count(1)


class HostBench(Bench):
    name = HOST
    kind = "blasthost"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "world").mkdir()
        self.world = World(folder / "world", runner_name="blast-runner-contract")
        self.world.start()
        self._before = self.mailed()

    def backend(self, *, reach: bool = True) -> BlastHostBackend:
        settings = load(self.world.config_path).environment.blasthost[HOST]
        if not reach:  # nothing listens there
            config = self.folder / "ssh_config"
            config.write_text(self.world.ssh_config.read_text().replace(f"Port {self.world.ssh.port}", "Port 1"))
            settings = msgspec.structs.replace(settings, ssh_config=str(config))
        return BlastHostBackend(self.name, settings, policy=self.around.policy, cache_dir=self.data_dir)

    def campaign(self, *people: str, subject: str = "An evening") -> str:
        slug = f"contract-{next(_NUMBER)}"
        folder = self.world.paths.campaigns / slug
        folder.mkdir()
        (folder / DATA).write_text("email,name\n" + "".join(f"{who},Somebody\n" for who in people))
        (folder / TEMPLATE).write_text("<html><body><p>Dear {{ name }}</p></body></html>\n")
        said = {"name": "An evening", "subject": subject, "from": "Events <events@example.com>"}
        (folder / METADATA).write_text(json.dumps(said))
        return slug

    def change(self, slug: str) -> None:
        template = self.world.paths.campaigns / slug / TEMPLATE
        template.write_text("<html><body><p>Hello {{ name }}</p></body></html>\n")

    def everything(self) -> Any:
        roots = (self.world.paths.campaigns, self.world.paths.runs, self.world.paths.cron.parent)
        files = (path for root in roots for path in root.rglob("*") if path.is_file())
        lasting = {path: path.read_bytes() for path in files if not path.name.startswith(".")}
        return lasting, self.mailed()

    def mailed(self) -> list[str]:
        return sorted(self.world.sent_to().elements())

    def slowly(self) -> None:
        self.world.sink.pace = 0.4

    def quickly(self) -> None:
        self.world.sink.pace = 0.0

    def close(self) -> None:
        self.world.stop()
