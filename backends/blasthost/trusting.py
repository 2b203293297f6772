"""Accepting a host's key on purpose: only the very key whose fingerprint the operator typed."""

import hmac
from pathlib import Path

from backends.blasthost import hostkeys
from backends.blasthost.dial import dial
from backends.blasthost.errors import UnknownHostKey
from backends.blasthost.target import target_of
from opsconsole.ports import Refused
from opsconsole.settings import BlastHost

TIMEOUT = 10.0


def trust_host(settings: BlastHost, fingerprint: str, own_known_hosts: Path) -> str:
    """Add the key the host shows to the console's own file, and say for which host.

    Raises Refused when it shows another key or is known already, OutOfReach when it can't be reached.
    """
    target, files = target_of(settings)
    try:
        link = dial(target, [own_known_hosts, *files], timeout=TIMEOUT)
    except UnknownHostKey as error:
        if not hmac.compare_digest(error.fingerprint.encode(), fingerprint.strip().encode()):
            raise Refused(
                f"{error.name} shows the key {error.fingerprint}, not the one you typed.",
                "Nothing was trusted: either a typing mistake, or somebody stands between you and it.",
                "Ask the host's owner for the fingerprint again.",
            ) from None
        hostkeys.trust(error.name, error.port, error.blob, own_known_hosts)
        return hostkeys.lookup_name(error.name, error.port)
    link.end()
    raise Refused("The key of this host is known already.", "Nothing was changed.")
