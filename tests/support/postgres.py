"""A real PostgreSQL server as our child, on loopback and a unix socket, in a folder of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from tests.support.programs import find
from tests.support.sshd import free_port

PASSWORD = "Pg5CanarySecret"  # of this server alone


class Postgres:
    """Started by the constructor; `stop` removes everything. Root may not run one, so it becomes somebody else.

    Local connections are trusted; those over TCP need PASSWORD.
    """

    def __init__(self) -> None:
        # Not in pytest's folder, which nobody but its owner may pass; and a socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.port = free_port()
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _somebody()
        if self._user:
            os.chown(self.folder, self._user, -1)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", f"{self.folder}/data", "-U", "opsconsole", "-E", "UTF8", "--no-locale", "--no-sync",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip
        self.start()

    def start(self, *options: str) -> None:
        """With more settings, as `-c name=value`."""
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", f"{self.folder}/data", "-k", str(self.folder), "-p", str(self.port),
                 "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=120", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, user=self._user,
            )  # fmt: skip
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            if self._try("pg_isready", "-q", "-h", str(self.folder), "-p", str(self.port)):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def halt(self, *, at_once: bool = True) -> None:
        """End the server; at once: as a crash would, recovering at the next start."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        self._process.wait(20)
        self._process = None

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new(self) -> str:
        """The URL of a new, empty schema, over TCP and with the password in it."""
        name = f"store_{next(self._numbers)}"
        self.sql(f"CREATE SCHEMA {name}")
        return self.url(name)

    def url(self, schema: str = "public", *, password: str = PASSWORD, port: int | None = None) -> str:
        place = f"127.0.0.1:{port or self.port}/postgres"
        return f"postgresql://opsconsole:{password}@{place}?options=-csearch_path%3D{schema}"

    def sql(self, *statements: str, schema: str = "public") -> list[tuple[object, ...]]:
        """As the superuser, past the console; the rows of the last one."""
        import psycopg

        local = (
            f"host={self.folder} port={self.port} user=opsconsole dbname=postgres options=-csearch_path={schema}"
        )
        rows: list[tuple[object, ...]] = []
        with psycopg.connect(local, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [_program(name), *arguments], check=True, capture_output=True, cwd=self.folder, user=self._user
        )

    def _try(self, name: str, *arguments: str) -> bool:
        return subprocess.run([_program(name), *arguments], cwd=self.folder, user=self._user).returncode == 0


def schema_of(url: str) -> str:
    return url.rpartition("%3D")[2]


def _program(name: str) -> str:
    program = find(name)
    assert program, "tests that use a real PostgreSQL are marked needs('postgres')"
    return program


def _somebody() -> int | None:
    """Whom root becomes; None for an ordinary user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise AssertionError("there is no user 'nobody' to run PostgreSQL as")
