"""The bench of the AWS pipeline: moto, and a real worker on its queue."""

import itertools
import os
import time
from pathlib import Path
from typing import Any

from backends.serverless.pipeline import ServerlessBackend
from tests.contract.bench import Bench, until
from tests.support.aws import ENVIRONMENT, FORGOTTEN, Pipeline, plain
from tests.support.cloud import Cloud
from tests.support.workers import Worker

_NUMBER = itertools.count(1)
OVER = ("", "draft", "completed", "cancelled")


class AwsBench(Bench):
    name = "bulk"
    kind = "serverless"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._before = {name: os.environ.get(name) for name in (*ENVIRONMENT, *FORGOTTEN)}
        os.environ.update(ENVIRONMENT)
        for name in FORGOTTEN:
            os.environ.pop(name, None)
        self.cloud = Cloud()
        self.pipeline = Pipeline(self.cloud)
        self._slugs: list[str] = []
        self._worker: Worker | None = None

    def backend(self, *, reach: bool = True) -> ServerlessBackend:
        settings = self.pipeline.settings
        if not reach:
            here = self.pipeline.settings
            settings = self.pipeline.with_settings(endpoint="http://127.0.0.1:1", timeout="2 s")
            self.pipeline.settings = here
        return ServerlessBackend(self.name, settings, self.around)

    def campaign(self, *people: str, subject: str = "An evening") -> str:
        slug = f"contract-{next(_NUMBER)}"
        self._slugs.append(slug)
        self.pipeline.contacts(*people, audience=slug)
        self.pipeline.campaign(slug, subject=subject, audience_attribute="audience", audience_value=slug)
        return slug

    def change(self, slug: str) -> None:
        table = self.pipeline.settings.campaigns_table
        self.pipeline.put(table, {**self.pipeline.item(slug), "body": "<p>Hello {{ first_name }}</p>"})

    def everything(self) -> Any:
        settings, client = self.pipeline.settings, self.cloud.client("dynamodb")
        tables = (settings.campaigns_table, settings.contacts_table, settings.deliveries_table)
        items = [[plain(item) for item in client.scan(TableName=name)["Items"]] for name in tables]
        return items, self.pipeline.bodies(), self.pipeline.bodies(dead=True), self.mailed()

    def mailed(self) -> list[str]:
        return sorted(who for mail in self.cloud.mails for who in _recipients(mail))

    def work(self) -> None:
        """A worker, from now on; and wait until all is over or paused, and a moment more for what it mustn't do."""
        if self.pipeline.depth == 0 and self._all_settled():  # nothing that any worker could do
            return
        self._worker = self._worker or Worker(self.pipeline, self.folder)
        until(self._all_settled)
        time.sleep(0.3)

    def slowly(self) -> None:
        """No worker at all, so that what is queued waits."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _all_settled(self) -> bool:
        items = [self.pipeline.item(slug) for slug in self._slugs]
        return all(item.get("status", "") in OVER or item.get("paused") for item in items)

    def close(self) -> None:
        self.slowly()
        self.cloud.stop()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _recipients(mail: Any) -> list[str]:
    """Once each: moto counts the envelope and the headers."""
    told = mail.destinations
    return sorted(set(told if isinstance(told, list) else [who for each in told.values() for who in each]))
