"""The runner against Postfix's own smtp-sink: a second implementation of the other end."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.runner.conftest import Host
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.needs("smtp-sink")


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    started = SmtpSink()
    yield started
    started.stop()


@pytest.mark.slow
def test_given_postfixs_own_sink_when_sent_then_each_address_has_one_mail(host: Host, sink: SmtpSink) -> None:
    people = [f"person{number}@example.com" for number in range(400)]
    host.campaign(people)
    host.server(sink)  # type: ignore[arg-type]
    ended = host.run("send")
    assert ended.rc == 0, ended.err
    assert ended.summary["counts"]["accepted"] == 400
    assert sink.mailed() == Counter(people)
