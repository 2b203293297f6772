"""The demo's listmonk: there is one of everything, one is on its way, and one can't be."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.embedded.listmonk import scene
from backends.embedded.listmonk.engine import Waits
from backends.embedded.listmonk.post import Post
from backends.embedded.listmonk.rows import STATUSES
from backends.embedded.listmonk.standin import StandIn
from backends.embedded.sink import MailSink


@pytest.mark.slow
def test_the_scene_is_laid_and_plays(tmp_path: Path) -> None:
    with MailSink(tmp_path / "mailbox.jsonl") as sink:
        standin = StandIn(post=Post(wire=True), waits=Waits(scan=0.05, second=0.05))
        user = scene.lay(standin, datetime.now(UTC), sink.port)
        base = standin.database
        named = {letter.slug: row for letter, row in zip(scene.LETTERS, base.campaigns.values(), strict=True)}
        assert {row.status for row in named.values()} == set(STATUSES)
        assert all(row.to_send <= len(base.audience(row)) + 10 for row in named.values())
        with standin:
            assert scene.table(standin, user)["url"] == standin.url
            sending = named[scene.SENDING]
            standin.until(lambda: standin.campaign(sending.id).sent >= 40)
            standin.until_logged("error processing campaign (Engine recall)")
            assert standin.campaign(named[scene.STUCK].id).sent == 0
            assert standin.campaign(named["regatta-invitation"].id).status == "scheduled"
        assert len(standin.post.sent_to(sending.id)) >= 40
        messages = list(sink.messages())
    assert {entry["subject"] for entry in messages} == {"News from the harbor"}
    assert {entry["from"] for entry in messages} == {"letters@example.com"}
