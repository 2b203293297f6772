"""A real Postfix of its own in a temporary folder, on a loopback port: it takes mail, queues it and throws it away.

Only root can start one. Its log is a file of its own; nothing of the machine's Postfix is touched.
"""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.programs import find

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
command_directory = {commands}
daemon_directory = {daemons}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.example.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = discard:
relay_transport = discard:
alias_maps =
alias_database =
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
biff = no
{more}
"""
_MASTER = """\
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """`settings` are further lines of main.cf."""

    def __init__(self, **settings: str) -> None:
        # Postfix's own user must get in; a test's folder is for root alone.
        self._folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self._folder.chmod(0o755)
        self._config = self._folder / "etc"
        for name in ("etc", "spool", "data", "log"):
            (self._folder / name).mkdir()
        shutil.chown(self._folder / "data", "postfix")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        more = "\n".join(f"{name} = {value}" for name, value in settings.items())
        commands, daemons = (self._default(name) for name in ("command_directory", "daemon_directory"))
        (self._config / "main.cf").write_text(
            _MAIN.format(folder=self._folder, commands=commands, daemons=daemons, more=more)
        )
        (self._config / "master.cf").write_text(_MASTER.format(port=f"127.0.0.1:{self.port}"))
        self._postfix("start", check=True)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"Postfix did not come up: {self.log()}")

    def log(self) -> str:
        file = self._folder / "log" / "mail.log"
        return file.read_text() if file.exists() else ""

    def sent(self) -> Counter[str]:
        """How often each recipient's mail was handed on."""
        return Counter(re.findall(r"postfix/discard\[\d+\]: \w+: to=<([^>]+)>.* status=sent", self.log()))

    def stop(self) -> None:
        self._postfix("stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _default(self, name: str) -> str:
        program = find("postconf") or "postconf"
        return subprocess.run(
            [program, "-d", "-h", name], check=True, capture_output=True, text=True
        ).stdout.strip()

    def _postfix(self, verb: str, check: bool = False) -> None:
        # The start's messages go to the log file; a pipe would be held open by the daemons.
        subprocess.run(
            [find("postfix") or "postfix", "-c", str(self._config), verb],
            check=check,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )
