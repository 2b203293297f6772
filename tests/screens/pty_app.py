"""The app in a terminal of its own, as a child process. Run as `python -m tests.screens.pty_app FOLDER [crash]`."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

CANARY = "hunter2-canary-4711"


class Terminal:
    """A child that runs the app behind a pty, and everything it has written."""

    def __init__(self, *args: str, width: int = 100, height: int = 30) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        command = [sys.executable, "-m", "tests.screens.pty_app", *args]
        self.child = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)
        self.master, self.written = master, b""

    def read(self, until: bytes = b"", seconds: float = 20.0) -> bytes:
        """Read until these bytes came, or the child ended and nothing is left."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready, _, _ = select.select([self.master], [], [], 0.1)
            if ready:
                try:
                    data = os.read(self.master, 65536)
                except OSError:  # the child has closed its end
                    break
                self.written += data
            elif self.child.poll() is not None:
                break
            if until and until in self.written:
                break
        return self.written

    def vanish(self) -> None:
        """The other end of the terminal is gone."""
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        if self.master >= 0:
            os.close(self.master)


def main() -> int:
    from opsconsole.console import Console
    from opsconsole.lookout import Lookout
    from screens.app import OpsConsoleApp
    from screens.loud import Loud
    from tests.screens.night import believable

    night = believable(Path(sys.argv[1]))
    app = night.app()
    if "crash" in sys.argv:

        def explode(self: OpsConsoleApp) -> None:
            smtp_password = CANARY  # a local variable, as a real crash would have
            token = f"Authorization: Bearer {CANARY}"
            raise RuntimeError(f"login failed with password={smtp_password} and {token} for ana.lopez@example.com")

        OpsConsoleApp.action_help = explode  # type: ignore[method-assign]
    if "slow" in sys.argv:

        def build() -> Console:
            time.sleep(60)
            raise RuntimeError("never")

        app._build = build
    if "loud" in sys.argv:
        app.loud = Loud(("bell", "desktop", "title"), {"TERM": "xterm-kitty"}, Lookout("prod", None))
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
