"""Ways to the test server that the SSH tests share."""

from pathlib import Path

from backends.blasthost.sshconfig import Target
from tests.support.sshd import Sshd


def target_of(server: Sshd, *, port: int | None = None, jumps: tuple[Target, ...] = ()) -> Target:
    """A target that knows nothing of the SSH config of whoever runs the tests."""
    return Target(
        alias="blast-test",
        hostname=server.host,
        port=port or server.port,
        user=server.user,
        identity_files=(server.key,),
        identities_only=True,
        proxy_jump=jumps,
        known_hosts_files=(server.known_hosts,),
    )


def add_known_host(file: Path, server: Sshd, port: int) -> None:
    """Name the server's key under another port, as the proxy shows it."""
    key = Path(f"{server.host_key}.pub").read_text().split()[:2]
    with file.open("a") as lines:
        lines.write(f"[{server.host}]:{port} {' '.join(key)}\n")
