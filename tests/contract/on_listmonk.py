"""The bench of a listmonk: the stand-in, which sends by itself."""

import itertools
from dataclasses import astuple
from pathlib import Path
from typing import Any

from backends.listmonk.platform import ListmonkBackend
from opsconsole.settings import Listmonk, SecretFrom
from tests.contract.bench import Bench
from tests.support.listmonk import listmonk

_NUMBER = itertools.count(1)


class ListmonkBench(Bench):
    name = "lists"
    kind = "listmonk"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.there = listmonk()
        self.standin = self.there.standin
        self.standin.configure({"app.concurrency": 1, "app.batch_size": 1})
        self.token = folder / "token"
        self.token.write_text(self.there.manager.token)
        self.token.chmod(0o600)
        self._ids: dict[str, int] = {}

    def backend(self, *, reach: bool = True) -> ListmonkBackend:
        settings = Listmonk(
            url=self.there.url if reach else "http://127.0.0.1:1",
            user=self.there.manager.username,
            token=SecretFrom(file=str(self.token)),
            refresh_every="1 s",
            list_every="1 s",
        )
        return ListmonkBackend(self.name, settings, self.around)

    def campaign(self, *people: str, subject: str = "An evening") -> str:
        slug = f"contract-{next(_NUMBER)}"
        to = self.standin.add_list(slug)
        for who in people:
            self.standin.add_person(who, to)
        self._ids[slug] = self.standin.add_campaign(slug, to, subject=subject)
        return slug

    def change(self, slug: str) -> None:
        number = self._ids[slug]
        with self.there.as_user(self.there.manager) as client:
            row = client.get(f"/api/campaigns/{number}").json()["data"]
            lists = [each["id"] for each in row["lists"]]
            told = {**row, "lists": lists, "body": "<p>Changed</p>"}
            assert client.put(f"/api/campaigns/{number}", json=told).status_code == 200

    def everything(self) -> Any:
        rows = self.standin.database
        campaigns = {number: astuple(self.standin.campaign(number)) for number in list(rows.campaigns)}
        return campaigns, dict(rows.lists), dict(self.standin.settings), self.mailed()

    def mailed(self) -> list[str]:
        return sorted(self.standin.post.sent_to().elements())

    def slowly(self) -> None:
        self.standin.post.latency = 0.3

    def quickly(self) -> None:
        self.standin.post.latency = 0.0

    def close(self) -> None:
        self.standin.stop()
