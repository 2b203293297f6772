"""From a host's table in the configuration to where its connection goes."""

import re
from pathlib import Path

from backends.blasthost.sshconfig import Target, resolve
from opsconsole.settings import BlastHost

_PLACE = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?")


def target_of(settings: BlastHost) -> tuple[Target, tuple[Path, ...]]:
    """The target of `settings.ssh` (`[user@]host-or-alias[:port]`) and the known_hosts files to read for it.

    Raises HostUnreachable when the name can't be used.
    """
    place = _PLACE.fullmatch(settings.ssh)
    user, host, port = place.group("user", "host", "port") if place else (None, settings.ssh, None)
    config = Path(settings.ssh_config).expanduser()
    target = resolve(
        host,
        config_path=config if config.exists() else None,
        user=user,
        port=int(port) if port else None,
        key_files=[Path(name).expanduser() for name in settings.key_files],
    )
    return target, tuple(Path(name).expanduser() for name in settings.known_hosts)
