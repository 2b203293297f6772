"""A real OpenSSH server as our child, on loopback, for the user who runs the tests."""

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.support.programs import find


class Sshd:
    """Started by the constructor. `key` is a client key it accepts, `known_hosts` a file that names it.

    Works as root and as an ordinary user; everything it needs lies in `folder`. Commands on it see `home` as
    their $HOME.
    """

    def __init__(self, folder: Path, *, options: str = "", key_options: str = "", path: str = "") -> None:
        """`options`: more sshd_config lines; `key_options`: e.g. `command="..."` before the accepted key; `path`:
        the PATH of commands, when not the server's own."""
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        self.user = getpass.getuser()
        self.key = folder / "client_key"
        self.known_hosts = folder / "known_hosts"
        self.log = folder / "sshd.log"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._options, self._path = options, f" PATH={path}" if path else ""
        self._process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o700)
        make_key(self.key)
        self.accept(self.key, key_options=key_options)
        self.restart(new_host_key=True)

    @property
    def host_key(self) -> Path:
        return self.folder / "host_key"

    @property
    def fingerprint(self) -> str:
        """`SHA256:...`, as ssh-keygen prints it."""
        shown = subprocess.run(["ssh-keygen", "-lf", f"{self.host_key}.pub"], capture_output=True, check=True)
        return shown.stdout.decode().split()[1]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def accept(self, *keys: Path, key_options: str = "") -> None:
        """Make these (and only these) client keys the accepted ones."""
        lines = [f"{key_options} {Path(f'{key}.pub').read_text()}".lstrip() for key in keys]
        (self.folder / "authorized_keys").write_text("".join(lines))

    def write_known_hosts(self) -> None:
        key = Path(f"{self.host_key}.pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {' '.join(key)}\n")

    def restart(self, *, new_host_key: bool = False) -> None:
        """Stop and start on the same port. A new host key goes into `known_hosts` at the first start only."""
        self.stop()
        if new_host_key:
            first = not self.host_key.exists()
            self.host_key.unlink(missing_ok=True)
            make_key(self.host_key)
            if first:
                self.write_known_hosts()
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress {self.host}\nPort {self.port}\nHostKey {self.host_key}\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPidFile {self.folder}/sshd.pid\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PermitRootLogin prohibit-password\nPermitUserEnvironment yes\nAllowTcpForwarding yes\n"
            # A home of its own: no start-up files of whoever runs the tests, nothing of theirs written to.
            f"SetEnv HOME={self.home}{self._path}\n"
            f"Subsystem sftp internal-sftp\nMaxStartups 50\nLogLevel VERBOSE\n{self._options}\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        program = find("sshd")
        assert program, "tests that use a real sshd are marked needs('sshd')"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until_it_listens()

    def stop(self) -> None:
        """End the server, then the commands of its connections; what was detached from them lives on."""
        if self._process is None:
            return
        below = descendants(self._process.pid)
        servers = [pid for pid in below if _name(pid).startswith("sshd")]
        # The servers first, else a command's shell would still report how its child was killed.
        for pid in (self._process.pid, *servers, *(pid for pid in below if pid not in servers)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(10)
        self._process = None

    def _wait_until_it_listens(self) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"sshd did not start:\n{self.log.read_text()}")


def make_key(path: Path, passphrase: str = "") -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    """Children and their children, from /proc; deepest first."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it may end while we look
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                found += [*descendants(child), child]
    return found
