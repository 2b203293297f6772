"""Everything the console talks to, on loopback: an SSH blast host, a dashboard, a mail sink, and a config for them;
for the demo a listmonk beside them.

    with World() as world:
        ...  # opsconsole --config world.config_path

It leaves nothing behind: its folder goes, and with it every run that was started on its host, detached or not.
"""

import atexit
import getpass
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from backends.embedded import processes
from backends.embedded.campaigns.catalogue import PAUSED, SENDING, STALLED
from backends.embedded.dashboard_server import DashboardServer
from backends.embedded.dashboard_state import DashboardState
from backends.embedded.scene import RUNNER, Paths, Scene
from backends.embedded.sink import MailSink
from backends.embedded.sshhost import EmbeddedSshHost

if TYPE_CHECKING:  # only the demo has one
    from backends.embedded.listmonk.standin import StandIn

HOST = "blast-mail-demo"
LISTS = "lists-demo"
DEMO_PACE = 0.0035  # seconds a message: 2,601 of them can be watched for about nine seconds


class World:
    """`start()` (or `with`) brings it up, `stop()` takes it away; both may be called twice.

    `root` is an empty folder to use, a new temporary one by default. `now` is the instant the scene is laid out
    for. `pace` slows the mail sink, in seconds a message. `live` starts two real sends, one of them paused.
    `listmonk` has a listmonk stand-in send to the same sink.
    `runner_name` is the runner's file name; worlds at the same time on one machine need different ones.
    """

    def __init__(
        self,
        root: Path | None = None,
        now: datetime | None = None,
        *,
        pace: float = 0.0,
        live: bool = False,
        listmonk: bool = False,
        runner_name: str = RUNNER,
    ) -> None:
        self._given, self._live, self._pace, self._runner_name = root, live, pace, runner_name
        self._with_listmonk = listmonk
        self.lists: StandIn | None = None
        self._tables: dict[str, dict[str, object]] = {}  # of the configuration, besides those that are always there
        self.now = now or datetime.now(UTC)
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._children: list[subprocess.Popen[bytes]] = []
        self._handlers: dict[int, Any] = {}
        self._started = False

    root: Path
    scene: Scene
    sink: MailSink
    ssh: EmbeddedSshHost
    dashboard: DashboardServer

    def __enter__(self) -> "World":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def paths(self) -> Paths:
        """Where everything is on the blast host."""
        return self.scene.paths

    @property
    def config_path(self) -> Path:
        return self._console / "config.toml"

    @property
    def ssh_config(self) -> Path:
        """For OpenSSH's own client: `ssh -F … blast-mail-demo`."""
        return self._console / "ssh_config"

    @property
    def _console(self) -> Path:
        return self.root / "console"

    def start(self) -> None:
        if self._started:
            return
        self._started = True
        self.root = Path(tempfile.mkdtemp(prefix="opsconsole-")) if self._given is None else self._given
        atexit.register(self.stop)
        self._catch_signals()
        try:
            self._build()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends all of it. Safe from any thread; does nothing in a forked child."""
        if not self._started or os.getpid() != self._pid:
            return
        self._started = False
        self._stop.set()
        for part in ("ssh", "dashboard", "lists", "sink"):
            if running := getattr(self, part, None):
                with suppress(OSError):
                    running.stop()
        if scene := getattr(self, "scene", None):
            processes.end_all(scene.paths, self._children)
        atexit.unregister(self.stop)
        self._release_signals()
        if self._given is None:
            shutil.rmtree(self.root, ignore_errors=True)
        else:
            for path in (self.root / "host", self._console):
                shutil.rmtree(path, ignore_errors=True)

    def mailbox(self) -> list[dict[str, Any]]:
        """Every message the sink took; see MailSink.messages."""
        return list(self.sink.messages())

    def sent_to(self) -> Counter[str]:
        """How many messages each recipient got."""
        return self.sink.counts()

    def dashboard_state(self) -> dict[str, Any]:
        """`campaigns`, `tasks` and `operations` as the dashboard has them now."""
        return self.dashboard.state.document()

    def campaign_on_dashboard(self, slug: str) -> dict[str, Any]:
        return self.dashboard.state.campaign(slug)

    def _build(self) -> None:
        host_root = self.root / "host"
        self._console.mkdir(mode=0o700)
        self.sink = MailSink(self._console / "mailbox.jsonl", pace=self._pace)
        self.sink.start()
        self.scene = Scene(host_root, self.now, self._runner_name)
        self.scene.lay(self.sink.port)
        token = secrets.token_urlsafe(24)
        state = DashboardState(self._console / "dashboard.json", self.scene.campaigns(), self.scene.tasks())
        self.dashboard = DashboardServer(state, token)
        self.dashboard.start()
        self.ssh = EmbeddedSshHost(host_root)
        self.ssh.start()
        folder = self.ssh.home / ".ssh"  # what lets the console in; this host listens on loopback only
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_text(f'from="127.0.0.1" {self.ssh.login_key.public} demo-console\n')
        if self._with_listmonk:
            self._start_listmonk()
        self._children.append(processes.start_stuck(self.paths, STALLED))
        if self._live:
            self._children += [processes.start_send(self.paths, slug) for slug in (SENDING, PAUSED)]
            processes.pause_when_started(self.paths, PAUSED, self._stop)
        self._write_console_files(token)

    def _start_listmonk(self) -> None:
        from backends.embedded.listmonk import scene
        from backends.embedded.listmonk.post import Post
        from backends.embedded.listmonk.standin import StandIn

        self.lists = StandIn(post=Post(wire=True))
        user = scene.lay(self.lists, self.now, self.sink.port)
        self.lists.start()
        token = self._console / "lists.token"
        _keep(token, user.token)
        here = f"environments.demo.listmonk.{LISTS}"
        self._tables = {here: scene.table(self.lists, user), f"{here}.token": {"file": str(token)}}

    def _write_console_files(self, token: str) -> None:
        folder = self._console
        key = self.ssh.login_key.save(folder / "id_ed25519")
        (folder / "known_hosts").write_text(self.ssh.known_hosts_line + "\n")
        self.ssh_config.write_text(
            f"Host {HOST}\n  HostName 127.0.0.1\n  Port {self.ssh.port}\n  User {self.ssh.user}\n"
            f"  IdentityFile {key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder / 'known_hosts'}\n"
        )
        _keep(folder / "token", token)
        self.config_path.write_text(self._config())

    def _config(self) -> str:
        """The console's configuration; JSON's strings and lists are TOML's."""
        paths, folder, user = self.paths, self._console, getpass.getuser()
        tables: dict[str, dict[str, object]] = {
            "": {"environment": "demo", "data_dir": str(folder / "data")},
            "environments.demo": {"label": "DEMO", "danger": False},
            f"environments.demo.blasthost.{HOST}": {
                "ssh": HOST,
                "ssh_config": str(self.ssh_config),
                "known_hosts": [str(folder / "known_hosts")],
                "key_files": [str(folder / "id_ed25519")],
                "campaigns_dir": str(paths.campaigns),
                "cron_files": [str(paths.cron)],
                "cron_owner": user,
                "log_dir": str(paths.logs),
                "credentials": str(paths.credentials),
                "credentials_owner": user,
                "runner_kind": "mail-blast-runner",
                "runner": str(paths.runner),
                "state_dir": str(paths.runs),
                "mail_log": [str(paths.mail_log)],
                "anchors_append_only": False,  # all of it is taken away at the end
                "refresh_every": "5 s",
            },
            "environments.demo.dashboard": {"url": self.dashboard.url, "refresh_every": "5 s"},
            "environments.demo.dashboard.token": {"file": str(folder / "token")},
            **self._tables,
        }
        text = ""
        for name, table in tables.items():
            text += f"[{name}]\n" if name else ""
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items()) + "\n"
        return text

    def _catch_signals(self) -> None:
        """SIGTERM and SIGHUP unwind the stack like any exception, unless somebody else minds them already."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.stop()
        raise SystemExit(128 + number)

    def _release_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._handlers.items():
                if signal.getsignal(number) == self._on_signal:
                    signal.signal(number, handler)
        self._handlers.clear()


def _keep(file: Path, secret: str) -> None:
    """In a file for this user alone."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secret + "\n")
