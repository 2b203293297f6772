"""The bench of the backend that docs/backends.md shows: its very lines, and the program that sends from it."""

import itertools
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.contract.bench import Bench

_NUMBER = itertools.count(1)
_PAGE = Path(__file__).parents[2] / "docs" / "backends.md"


def example() -> ModuleType:
    """The example of the page as a module."""
    found = re.search(r"<!-- example: (\w+)\.py -->\n```python\n(.*?)\n```", _PAGE.read_text("utf-8"), re.S)
    assert found is not None
    module = ModuleType(found[1])
    exec(compile(found[2], f"{_PAGE.name}:{found[1]}.py", "exec"), module.__dict__)
    return module


class SpoolBench(Bench):
    name = "spool-1"
    kind = "spool"
    signals = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.module, self.spool = example(), folder / "spool"
        self.spool.mkdir()
        self._sent = folder / "sent"
        self._sent.touch()

    def backend(self, *, reach: bool = True) -> Any:
        place = self.spool if reach else self.folder / "not-mounted"
        return self.module.Spool(self.name, {"folder": str(place)}, self.around)

    def campaign(self, *people: str, subject: str = "An evening") -> str:
        slug = f"contract-{next(_NUMBER)}"
        self._write(slug, {"subject": subject, "body": "<p>Come</p>", "people": people})
        return slug

    def change(self, slug: str) -> None:
        document = json.loads((self.spool / f"{slug}.json").read_text())
        self._write(slug, {**document, "body": "<p>Stay</p>"})

    def everything(self) -> Any:
        return {path.name: path.read_bytes() for path in self.spool.iterdir()}, self.mailed()

    def mailed(self) -> list[str]:
        return sorted(self._sent.read_text().split())

    def work(self) -> None:
        """The program that sends: each claimed campaign, once."""
        for claim in self.spool.glob("*.claim"):
            slug = claim.stem
            if (self.spool / f"{slug}.end").exists():
                continue
            people = json.loads((self.spool / f"{slug}.json").read_text())["people"]
            with (self.spool / f"{slug}.log").open("a") as log, self._sent.open("a") as sent:
                for number, who in enumerate(people, 1):
                    sent.write(f"{who}\n")
                    log.write(f"{number} of {len(people)} sent\n")
            told = {"total": len(people), "accepted": len(people), "at": datetime.now(UTC).isoformat()}
            (self.spool / f"{slug}.end").write_text(json.dumps(told))

    def _write(self, slug: str, document: dict[str, Any]) -> None:
        (self.spool / f"{slug}.json").write_text(json.dumps(document))
