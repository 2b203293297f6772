"""What is running: rows and settings that last; the process with its engine, its log and its settings in force."""

import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backends.embedded.listmonk import settings
from backends.embedded.listmonk.database import Database
from backends.embedded.listmonk.engine import Manager, Waits
from backends.embedded.listmonk.golog import GoLog
from backends.embedded.listmonk.people import User
from backends.embedded.listmonk.post import Post

VERSION = "v6.2.0"


@dataclass(slots=True)
class Import:
    """Of subscribers; one at a time."""

    status: str = "none"  # importing, stopping, finished, failed
    name: str = ""
    total: int = 0
    imported: int = 0


@dataclass(slots=True)
class App:
    """`boot` starts the process, `halt` ends it as kill -9 does. `restart` is what a reload asks for."""

    database: Database
    stored: dict[str, Any]  # the settings
    post: Post
    clock: Callable[[], datetime]
    waits: Waits
    restart: Callable[[], None]
    passive: bool = False
    scan_held: bool = False
    version: str = VERSION
    users: list[User] = field(default_factory=list)
    importing: Import = field(default_factory=Import)
    needs_restart: bool = False
    in_force: dict[str, Any] = field(default_factory=dict)
    log: GoLog = field(init=False)
    manager: Manager = field(init=False)

    def boot(self) -> None:
        self.in_force = deepcopy(self.stored)
        self.needs_restart = False
        self.importing = Import()
        self.log = GoLog(self.clock)
        self.log.write(f"{self.version} (embedded stand-in)")
        self.manager = Manager(
            self.database, self.in_force, self.log, self.post, self.clock,
            waits=self.waits, passive=self.passive, held=lambda: self.scan_held,
        )  # fmt: skip
        self.manager.start()

    def halt(self) -> None:
        self.manager.kill()

    def save(self, changed: dict[str, Any]) -> Any:
        """The answer to saved settings: a restart follows, unless a campaign is in memory."""
        self.stored = changed
        if self.manager.running():
            self.needs_restart = True
            return {"needs_restart": True}
        self.reload()
        return True

    def reload(self) -> None:
        """A moment later, with whatever is on its way."""
        timer = threading.Timer(self.waits.reload, self.restart)
        timer.daemon = True
        timer.start()

    def shown_settings(self) -> dict[str, Any]:
        return settings.masked(self.stored)
