"""`listmonk`: the stand-in always, and a real one where the environment names it.

OPSCONSOLE_TEST_LISTMONK_URL, _USER and _TOKEN: of an API user. What its token may not do is skipped. The tests make
lists, subscribers and campaigns of their own there, send to addresses of example.com, and take all of it away.
"""

import os
from collections.abc import Iterator

import pytest

from backends.embedded.listmonk.engine import Waits
from backends.embedded.listmonk.people import MANAGE
from backends.embedded.listmonk.standin import StandIn
from tests.listmonk.contract.peer import Peer

VARIABLES = tuple(f"OPSCONSOLE_TEST_LISTMONK_{name}" for name in ("URL", "USER", "TOKEN"))
REAL_SCAN = 6.0  # seconds: it looks every five


@pytest.fixture(params=["standin", "real"])
def listmonk(request: pytest.FixtureRequest) -> Iterator[Peer]:
    if request.param == "real":
        given = [os.environ.get(name, "") for name in VARIABLES]
        if not all(given):
            pytest.skip(f"no real listmonk: {', '.join(VARIABLES)} aren't set")
        peer = Peer(*given, scan=REAL_SCAN, real=True)
        yield peer
        peer.close()
        return
    with StandIn(waits=Waits(scan=0.05, second=0.02, push=0.3, reload=0.02, down=0.02)) as standin:
        standin.post.latency = 0.05  # seconds a message: long enough to pause a campaign of forty
        user = standin.add_user("contract", (*MANAGE, "subscribers:import"))
        peer = Peer(standin.url, user.username, user.token, scan=0.05, real=False)
        yield peer
        peer.close()
