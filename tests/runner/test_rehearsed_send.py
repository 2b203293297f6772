"""A send that rests on a rehearsal isn't rehearsed again, and people who unsubscribed since aren't written to."""

import json

import pytest

from runner.record import past
from runner.run import claim
from tests.runner.conftest import Host
from tests.support.smtp_peer import SmtpPeer

# The second row can't become a mail: a look at every row before the send finds it, the send by itself later.
ROWS = b'email,first_name\nann@example.com,Ann\nbo@example.com,"B\no"\ncy@example.com,Cy\n'


def planned(host: Host, audience: int, rendered: object) -> dict[str, str]:
    """A claim with its plan, as the console's launcher makes them."""
    folder = host.runs / "1"
    folder.mkdir(parents=True)
    digests = host.run("dry-run").summary["digests"]
    plan = {"slug": "may", "digests": digests, "audience": audience, "dry_run": {"seq": 1, "rendered": rendered}}
    (folder / "claim.json").write_text(json.dumps({"run_id": "c0ffee", "slug": "may", "attempt": 1}))
    (folder / "plan.json").write_text(json.dumps(plan))
    return {"MAIL_BLAST_RUN_DIR": str(folder), "MAIL_BLAST_RUN_ID": "c0ffee"}


@pytest.mark.slow
def test_given_a_plan_of_rendered_rows_then_they_are_rendered_only_to_be_sent(host: Host, peer: SmtpPeer) -> None:
    host.campaign(csv=ROWS)
    host.server(peer)
    sent = host.run("send", **planned(host, audience=3, rendered=3))
    assert sent.rc == 1
    assert peer.recipients() == {"ann@example.com": 1, "cy@example.com": 1}
    assert any(line.startswith("F 2 ") and "header:" in line for line in host.journal())


@pytest.mark.slow
def test_given_a_plan_that_does_not_say_what_was_rendered_then_every_row_is_first(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(csv=ROWS)
    host.server(peer)
    refused = host.run("send", **planned(host, audience=3, rendered=None))
    assert refused.rc == 65
    assert "audience was 3 in the plan, is 2 now" in refused.err
    assert peer.connections == 0


@pytest.mark.parametrize(
    ("plan", "proven"),
    [
        ({"audience": 3, "dry_run": {"rendered": 3}}, True),
        ({"audience": 3, "dry_run": {"rendered": 4}}, True),  # somebody is there twice
        ({"audience": 3, "dry_run": {"rendered": 2}}, False),
        ({"audience": 3, "dry_run": {"seq": 1}}, False),
        ({"audience": 0, "dry_run": {"rendered": 0}}, False),
        ({"audience": 3, "dry_run": "yes"}, False),
        ({"dry_run": {"rendered": 3}}, False),
        (None, False),
    ],
)
def test_what_of_a_plan_proves_that_everybody_was_rendered(
    host: Host, plan: dict[str, object] | None, proven: bool
) -> None:
    folder = host.runs / "1"
    folder.mkdir(parents=True)
    (folder / "claim.json").write_text(json.dumps({"run_id": "c0ffee", "slug": "may", "attempt": 1}))
    if plan is not None:
        (folder / "plan.json").write_text(json.dumps(plan))
    assert past.rehearsed(claim.existing(folder, None, supervised=False)) is proven


@pytest.mark.slow
def test_given_people_who_unsubscribed_after_a_stop_then_a_resume_leaves_them_out_and_mails_the_others(
    host: Host, peer: SmtpPeer
) -> None:
    who = [f"r{number}@example.com" for number in range(60)]
    host.campaign(who)
    host.server(peer)
    env = planned(host, audience=60, rendered=60)
    peer.on_delivery = lambda count: host.say("cancel") if count == 5 else None
    peer.delay = 0.02
    assert host.run("send", "--connections", "1", **env).rc == 143
    before = set(peer.recipients())
    later = next(address for address in reversed(who) if address not in before)
    first = next(iter(before))
    (host.folder / "blast_suppressed.txt").write_text(f"{later}\n{first}\n")
    host.say("run")

    resumed = host.run("resume", **env)

    assert resumed.rc == 0, resumed.err
    assert peer.recipients() == dict.fromkeys(set(who) - {later}, 1)
    counts = resumed.summary["counts"]
    assert (counts["total"], counts["accepted"], counts["suppressed"]) == (59, 59, 1)
