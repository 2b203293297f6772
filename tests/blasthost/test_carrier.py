"""The whole way of a campaign over a real connection, as the console takes it, with a foreign runner."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.blasthost.host import BlastHostBackend
from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT, BadSlug
from opsconsole.observation import Counts, Says
from opsconsole.policy import Policy
from opsconsole.ports import Carrier, HostView, MaybeStarted, OutOfReach, Refused, Source, Started, Trouble
from tests.support.blasthost import SLUG, BlastTree, ended, launcher, session_to, until
from tests.support.proxy import Proxy
from tests.support.sshd import Sshd

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture
def backend(sshd: Sshd, tree: BlastTree, tmp_path: Path) -> Iterator[BlastHostBackend]:
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host blast\n HostName {sshd.host}\n Port {sshd.port}\n User {sshd.user}\n"
        f" IdentityFile {sshd.key}\n IdentitiesOnly yes\n UserKnownHostsFile {sshd.known_hosts}\n"
    )
    made = BlastHostBackend(
        "blast-test", tree.settings_with(ssh_config=str(config)), policy=Policy(), cache_dir=tmp_path
    )
    yield made
    made.close()


def test_a_refused_key_is_tried_again_once_somebody_asks(backend: BlastHostBackend, sshd: Sshd) -> None:
    """As after `opsconsole host trust` in another window: a refresh is enough, no restart."""
    known = sshd.known_hosts.read_text()
    sshd.known_hosts.write_text("")
    assert "is not known" in backend.observe().trouble
    sshd.known_hosts.write_text(known)
    assert "is not known" in backend.observe().trouble  # never again by itself
    backend.retry_now()
    assert backend.observe().trouble == ""


def test_a_blast_host_is_a_source_a_carrier_and_a_machine(backend: BlastHostBackend) -> None:
    assert isinstance(backend, Source)
    assert isinstance(backend, Carrier)
    assert isinstance(backend, HostView)
    assert backend.host_facts() is None
    assert backend.connection()["state"] == "connecting"


def test_from_the_first_look_to_the_end_of_the_send(backend: BlastHostBackend, tree: BlastTree) -> None:
    folder = tree.campaign()

    report = backend.observe()
    assert report.trouble == ""
    assert [o.slug for o in report.observations] == [SLUG]
    facts = backend.preflight_facts(SLUG)
    assert facts.files == {name: (folder / name).read_bytes() for name in (TEMPLATE, DATA, METADATA)}
    assert facts.unread == {TEXT: "missing"}
    assert facts.folder.files[DATA].sha256 == tree.plan().digests[DATA]
    shown: list[bytes] = []
    rehearsed = backend.dry_run(SLUG, shown.append, threading.Event())
    assert (rehearsed.ok, rehearsed.audience, rehearsed.refused) == (True, 40, 0)
    plan = tree.plan(digests=rehearsed.digests, audience=rehearsed.audience, host=facts.host.machine_id)
    started = backend.start(plan, by="mara")
    log: list[bytes] = []
    followed = backend.follow(SLUG, 1, 0, log.append, threading.Event())

    assert started.fresh
    assert followed.end is not None
    assert followed.end.says is Says.ENDED
    assert followed.end.word.counts == Counts(total=40, accepted=40)
    assert b"".join(log) == (tree.run_folder() / "out").read_bytes()
    assert tree.mailed() == [f"r{number}@example.com" for number in range(40)]
    (seen,) = backend.observe().observations
    assert seen.says is Says.ENDED
    assert seen.run is not None
    assert seen.run.run_id == plan.run_id
    assert backend.connection()["state"] == "connected"
    assert backend.host_facts() is not None


def test_a_host_out_of_reach_is_a_report_and_the_first_failure_is_remembered(
    backend: BlastHostBackend, sshd: Sshd, tree: BlastTree
) -> None:
    tree.campaign()
    assert backend.observe().trouble == ""
    sshd.stop()

    first, second = backend.observe(), backend.observe()

    assert first.trouble
    assert first.observations == ()
    assert first.out_of_reach_since == second.out_of_reach_since is not None
    assert backend.host_facts() is not None
    with pytest.raises(OutOfReach):
        backend.preflight_facts(SLUG)
    with pytest.raises(OutOfReach):
        backend.start(tree.plan(), by="mara")
    assert tree.attempts() == []


def test_a_rehearsal_of_a_foreign_runner_is_read_through_the_patterns(
    backend: BlastHostBackend, tree: BlastTree
) -> None:
    tree.campaign()
    shown: list[bytes] = []

    result = backend.dry_run(SLUG, shown.append, threading.Event())

    assert result.ok
    assert result.digests == tree.plan().digests
    assert result.troubles == ()
    assert result.carrier == "blast-test"
    assert b"".join(shown).startswith(f"Starting {SLUG}\n".encode())
    assert b"Dry run: no mail will be sent" in b"".join(shown)
    assert tree.mailed() == []
    assert tree.attempts() == []


def test_a_file_edited_while_it_is_rehearsed_spoils_the_rehearsal(
    backend: BlastHostBackend, tree: BlastTree
) -> None:
    folder = tree.campaign()

    def edit(data: bytes) -> None:
        (folder / TEMPLATE).write_text("<p>Something else</p>")

    result = backend.dry_run(SLUG, edit, threading.Event())

    assert not result.ok
    assert result.troubles == (f"{TEMPLATE} changed during the dry run",)


def test_a_rehearsal_that_fails_says_how(backend: BlastHostBackend, tree: BlastTree) -> None:
    folder = tree.campaign()
    (folder / DATA).unlink()

    result = backend.dry_run(SLUG, lambda data: None, threading.Event())

    assert not result.ok
    assert result.audience is None
    assert result.troubles == (
        f"{DATA} is missing",
        f"the runner ended with 1: ERROR: no data for {SLUG}",
    )
    tree.runner.chmod(0o644)
    with pytest.raises(Trouble, match="can't be executed"):
        backend.dry_run(SLUG, lambda data: None, threading.Event())


def test_a_rehearsal_that_is_stopped_ends_on_the_host_too(backend: BlastHostBackend, tree: BlastTree) -> None:
    tree.campaign(recipients=5000)
    stop = threading.Event()

    result = backend.dry_run(SLUG, lambda data: stop.set(), stop)

    assert not result.ok
    assert "it was stopped before its end" in result.troubles
    until(lambda: not rehearsals(tree))


def rehearsals(tree: BlastTree) -> list[Path]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(tree.runner) in words[:2] and b"dry-run" in words:
            found.append(path)
    return found


def test_a_slug_outside_the_grammar_goes_nowhere(backend: BlastHostBackend) -> None:
    for call in (
        lambda slug: backend.preflight_facts(slug),
        lambda slug: backend.dry_run(slug, lambda data: None, threading.Event()),
        lambda slug: backend.run_state(slug),
        lambda slug: backend.follow(slug, 1, 0, lambda data: None, threading.Event()),
    ):
        with pytest.raises(BadSlug):
            call("; rm -rf /")


def test_a_file_that_cannot_come_over_is_named_with_the_reason(backend: BlastHostBackend, tree: BlastTree) -> None:
    folder = tree.campaign()
    (folder / DATA).unlink()
    (folder / TEMPLATE).unlink()
    (folder / TEMPLATE).mkdir()

    facts = backend.preflight_facts(SLUG)

    assert facts.unread == {TEMPLATE: "not readable", DATA: "missing", TEXT: "missing"}
    assert set(facts.files) == {METADATA}


@pytest.mark.slow
@pytest.mark.parametrize(("after", "silently"), [(0.0, False), (0.02, False), (0.08, False), (0.03, True)])
def test_a_reply_that_is_lost_is_asked_for_and_never_sent_again(
    sshd: Sshd, proxy: Proxy, tree: BlastTree, after: float, silently: bool
) -> None:
    """The line breaks at some moment of the launch: whatever the answer is, there is one run or none."""
    tree.campaign()

    def line() -> None:
        time.sleep(after)
        if silently:
            proxy.black_hole = True
            time.sleep(4.5)
            proxy.black_hole = False
        proxy.cut()

    with session_to(sshd, host=proxy.host, port=proxy.port) as session:
        session.ensure()
        launch = launcher(session, tree)
        plan = tree.plan()
        cutter = threading.Thread(target=line)
        cutter.start()
        try:
            answer: Started | Trouble = launch.start(plan, by="mara")
        except (Refused, OutOfReach, MaybeStarted) as error:
            answer = error
        cutter.join()

    with session_to(sshd) as again:
        time.sleep(0.5)  # for a script that was on its way
        if isinstance(answer, Started):
            assert answer.state.run_id == plan.run_id
            ended(launcher(again, tree))
            assert len(tree.mailed()) == 40
        else:
            assert not isinstance(answer, MaybeStarted), answer
            assert tree.attempts() == []
            assert launcher(again, tree).start(plan, by="mara").fresh
            ended(launcher(again, tree))
            assert len(tree.mailed()) == 40
    assert tree.attempts() == ["1"]


@pytest.mark.slow
def test_when_nobody_can_be_asked_it_may_have_started(sshd: Sshd, proxy: Proxy, tree: BlastTree) -> None:
    tree.campaign()
    with session_to(sshd, host=proxy.host, port=proxy.port) as session:
        session.ensure()
        launch = launcher(session, tree)
        waited: list[float] = []
        object.__setattr__(launch, "sleep", waited.append)
        proxy.delay = 0.4  # the reply is on its way when the host goes

        def go() -> None:
            until((tree.run_folder() / "started").exists)
            sshd.stop()

        gone = threading.Thread(target=go)
        gone.start()
        with pytest.raises(MaybeStarted, match=r"may be going.*don't start it by other means"):
            launch.start(tree.plan(), by="mara")
        gone.join()

    assert len(waited) > 2
    sshd.restart()
    with session_to(sshd) as again:
        ended(launcher(again, tree))
    assert len(tree.mailed()) == 40
