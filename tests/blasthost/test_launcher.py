"""Starting a run on a real host: once, detached, or not at all."""

import fcntl
import json
import os
import signal
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.blasthost.session import HostSession
from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT, BadSlug
from opsconsole.observation import Counts, Says
from opsconsole.ports import Refused, Verb
from tests.support.blasthost import SLUG, BlastTree, ended, launcher, session_to, until
from tests.support.sshd import Sshd, descendants

pytestmark = pytest.mark.needs("sshd")


def test_a_start_runs_to_its_end_and_leaves_its_record(session: HostSession, tree: BlastTree) -> None:
    tree.campaign()
    plan = tree.plan()

    started = launcher(session, tree).start(plan, by="mara")

    assert started.fresh
    assert started.state.says in (Says.RUNNING, Says.ENDED)  # on a busy machine it may be through by now
    assert started.state.run_id == plan.run_id
    assert started.state.can == ({Verb.PAUSE, Verb.CANCEL} if started.state.says is Says.RUNNING else set())
    state = ended(launcher(session, tree))
    assert state.word.rc == 0
    assert state.word.by == "mara"
    assert state.word.counts == Counts(total=40, accepted=40)
    assert tree.mailed() == [f"r{number}@example.com" for number in range(40)]
    folder = tree.run_folder()
    assert json.loads((folder / "plan.json").read_text()) == plan.document()
    claim = json.loads((folder / "claim.json").read_text())
    assert (claim["run_id"], claim["slug"], claim["attempt"], claim["plan"]) == (plan.run_id, SLUG, 1, plan.digest)
    assert b"40 recipients processed" in (folder / "out").read_bytes()
    assert state.out_size == (folder / "out").stat().st_size
    assert set(json.loads((folder / "finished").read_text())) == {"rc", "at", "counts"}


@pytest.mark.slow
def test_a_run_outlives_its_connection_and_the_server_it_came_through(
    sshd: Sshd, session: HostSession, tree: BlastTree
) -> None:
    tree.campaign(recipients=200)
    launcher(session, tree).start(tree.plan(), by="mara")

    for child in descendants(sshd.pid):
        os.kill(child, signal.SIGKILL)
    session.close()
    sshd.stop()
    before = len(tree.mailed())
    until(lambda: len(tree.mailed()) > before)
    sshd.restart()

    with session_to(sshd) as again:
        state = ended(launcher(again, tree))
    assert state.word.rc == 0
    assert tree.mailed() == [f"r{number}@example.com" for number in range(200)]


def test_the_same_plan_again_attaches_and_another_plan_is_refused(session: HostSession, tree: BlastTree) -> None:
    tree.campaign()
    plan = tree.plan()
    launch = launcher(session, tree)
    launch.start(plan, by="mara")

    again = launch.start(plan, by="mara")
    with pytest.raises(Refused) as refused:
        launch.start(tree.plan(planned_by="ana"), by="ana")

    assert not again.fresh
    assert again.state.run_id == plan.run_id
    text = str(refused.value)
    assert "claimed by mara" in text
    assert f"{again.state.word.claimed_at:%Y-%m-%d %H:%M:%S} UTC" in text
    assert "running" in text or "ended" in text
    assert tree.attempts() == ["1"]
    ended(launch)
    assert len(tree.mailed()) == 40


@pytest.mark.slow
def test_a_second_attempt_needs_the_first_one_released(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=3)
    launch = launcher(session, tree)
    launch.start(tree.plan(), by="mara")
    ended(launch)

    with pytest.raises(Refused, match=r"Attempt 1 of .* claimed by mara"):
        launch.start(tree.plan(attempt=2), by="mara")
    (tree.run_folder() / "released").touch()
    with pytest.raises(Refused, match=r"Attempt 3 .* does not follow a released one"):
        launch.start(tree.plan(attempt=3), by="mara")
    with pytest.raises(Refused, match=r"Attempt 1 .* was used before"):
        launch.start(tree.plan(), by="mara")

    assert launch.start(tree.plan(attempt=2), by="mara").fresh
    assert ended(launch, attempt=2).attempt == 2
    assert tree.attempts() == ["1", "2"]


@pytest.mark.parametrize("same_plan", [True, False])
def test_of_twenty_starts_at_once_one_sends(sshd: Sshd, tree: BlastTree, same_plan: bool) -> None:
    tree.campaign()
    plans = [tree.plan() if same_plan else tree.plan(planned_by=f"operator {number}") for number in range(20)]
    if same_plan:
        plans = [plans[0]] * 20
    sessions = [session_to(sshd) for _ in range(4)]
    answers: list[str] = []

    def start(number: int) -> None:
        try:
            started = launcher(sessions[number % 4], tree).start(plans[number], by=f"operator {number}")
            answers.append("started" if started.fresh else "attached")
        except Refused:
            answers.append("refused")

    threads = [threading.Thread(target=start, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ended(launcher(sessions[0], tree))
    for session in sessions:
        session.close()

    assert sorted(answers) == sorted(["started"] + ["attached" if same_plan else "refused"] * 19)
    assert tree.attempts() == ["1"]
    assert len(tree.mailed()) == 40


@pytest.mark.parametrize(
    ("part", "name"), [("template", TEMPLATE), ("data", DATA), ("metadata", METADATA), ("text", TEXT)]
)
def test_a_file_that_changed_since_the_plan_is_named_with_both_values(
    session: HostSession, tree: BlastTree, part: str, name: str
) -> None:
    folder = tree.campaign()
    plan = tree.plan()
    with (folder / name).open("a") as file:
        file.write(" ")
    now = tree.plan().digests[name]

    with pytest.raises(Refused) as refused:
        launcher(session, tree).start(plan, by="mara")

    planned = plan.digests.get(name, "missing")
    assert f"{part} ({name}) was {planned[:12]} in the plan, is {now[:12]} now" in str(refused.value)
    assert tree.attempts() == []


def test_a_file_that_is_gone_and_a_host_that_is_another_are_named_too(
    session: HostSession, tree: BlastTree
) -> None:
    folder = tree.campaign()
    plan = tree.plan(host="another-machine")
    (folder / DATA).unlink()

    with pytest.raises(Refused) as refused:
        launcher(session, tree).start(plan, by="mara")

    assert "host was another-machine in the plan" in str(refused.value)
    assert f"data ({DATA}) was {plan.digests[DATA][:12]} in the plan, is missing now" in str(refused.value)
    assert tree.attempts() == []


def test_an_expired_plan_is_refused_here_and_on_the_host(session: HostSession, tree: BlastTree) -> None:
    tree.campaign()
    now = datetime.now(UTC)
    plan = tree.plan(expires_at=now - timedelta(seconds=5), latest_start=now - timedelta(seconds=5))
    slow_clock = launcher(session, tree)
    object.__setattr__(slow_clock, "now", lambda: now - timedelta(seconds=10))

    with pytest.raises(Refused, match=r"expiry was .* latest start was"):
        launcher(session, tree).start(plan, by="mara")
    with pytest.raises(Refused, match=r"expiry was .* latest start was"):
        slow_clock.start(plan, by="mara")
    assert tree.attempts() == []


@pytest.mark.parametrize("scope", ["ALL", SLUG], ids=["everything", "the campaign"])
def test_a_hold_refuses_and_says_why(session: HostSession, tree: BlastTree, scope: str) -> None:
    tree.campaign()
    tree.holds.mkdir()
    (tree.holds / scope).write_text("ana: the venue moved\n")

    with pytest.raises(Refused, match="ana: the venue moved"):
        launcher(session, tree).start(tree.plan(), by="mara")
    (tree.holds / scope).unlink()
    (tree.holds / "another-campaign").touch()
    assert launcher(session, tree).start(tree.plan(), by="mara").fresh


@pytest.mark.parametrize("wreck", ["a file in the folder's place", "a link to nowhere", "a folder as hold"])
def test_a_hold_that_cannot_be_read_counts_as_held(session: HostSession, tree: BlastTree, wreck: str) -> None:
    tree.campaign()
    if wreck == "a file in the folder's place":
        tree.holds.touch()
    elif wreck == "a link to nowhere":
        tree.holds.mkdir()
        (tree.holds / "ALL").symlink_to("/nowhere/at/all")
    else:
        (tree.holds / SLUG).mkdir(parents=True)

    with pytest.raises(Refused, match=r"[Hh]eld|holds"):
        launcher(session, tree).start(tree.plan(), by="mara")
    assert tree.attempts() == []


def test_a_clock_that_is_off_and_a_disk_that_is_full_refuse_with_their_numbers(
    session: HostSession, tree: BlastTree
) -> None:
    tree.campaign()
    plan = tree.plan(expires_at=datetime.now(UTC) + timedelta(days=2))
    late = launcher(session, tree)
    object.__setattr__(late, "now", lambda: datetime.now(UTC) - timedelta(seconds=90))

    with pytest.raises(Refused, match=r"clock of blast-test is [89]\d s off the console's, and the limit is 30"):
        late.start(plan, by="mara")
    with pytest.raises(Refused, match=r"MB free, and a send needs 99999999 MB"):
        launcher(session, tree, min_free_disk_mb=99_999_999).start(plan, by="mara")
    assert tree.attempts() == []


@pytest.mark.slow
def test_a_runner_that_sends_already_or_is_not_there_refuses(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=500)
    foreign = subprocess.Popen(
        [tree.runner, "--campaign", SLUG, "--mode", "send"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with pytest.raises(Refused, match=f"Process {foreign.pid} on blast-test is sending {SLUG} right now"):
            launcher(session, tree).start(tree.plan(), by="mara")
    finally:
        os.killpg(foreign.pid, signal.SIGKILL)
        foreign.wait()
    tree.runner.chmod(0o644)
    with pytest.raises(Refused, match="runner isn't on blast-test"):
        launcher(session, tree).start(tree.plan(), by="mara")
    assert tree.attempts() == []


def test_a_rehearsal_or_another_folder_s_campaign_of_that_name_does_not_stop_a_send(
    session: HostSession, tree: BlastTree
) -> None:
    tree.campaign(recipients=500)
    rehearsal = subprocess.Popen(
        [tree.runner, "--campaign", SLUG, "--mode", "dry-run"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    elsewhere = subprocess.Popen(
        [tree.runner, "--campaign", SLUG, "--mode", "send"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "MAIL_BLAST_CAMPAIGNS_DIR": "/another/folder"},
    )
    try:
        assert launcher(session, tree).start(tree.plan(), by="mara").fresh
    finally:
        for process in (rehearsal, elsewhere):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_name_outside_the_grammar_reaches_no_host(session: HostSession, tree: BlastTree) -> None:
    for slug in ("; rm -rf /", "../etc", "a b", "", "$(id)"):
        with pytest.raises(BadSlug):
            launcher(session, tree).start(tree.plan(slug=slug, digests={}), by="mara")
        with pytest.raises(BadSlug):
            launcher(session, tree).run_state(slug)
    assert session.state == "connecting"  # nobody ever called


def test_hostile_texts_in_a_plan_stay_texts(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=2)
    evil = '\'; touch pwned; $(touch pwned) `touch pwned`\nEND\nmain() { :; }\n"run_id": "0000"\x1b[2J'
    plan = tree.plan(subject=evil, planned_by=evil)
    launch = launcher(session, tree)

    launch.start(plan, by=evil)

    state = ended(launch)
    assert (state.word.by, state.run_id) == (evil, plan.run_id)
    assert not launch.start(plan, by=evil).fresh
    assert json.loads((tree.run_folder() / "plan.json").read_text())["subject"] == evil
    assert not list(Path(tree.root).rglob("pwned"))


@pytest.mark.slow
def test_a_lock_that_somebody_holds_refuses_before_the_claim(session: HostSession, tree: BlastTree) -> None:
    tree.campaign()
    (tree.runs / SLUG).mkdir()
    with (tree.runs / SLUG / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="still holds the lock"):
            launcher(session, tree).start(tree.plan(), by="mara")
    assert tree.attempts() == []


@pytest.mark.slow
def test_a_released_attempt_whose_children_live_on_keeps_others_from_sending(
    session: HostSession, tree: BlastTree
) -> None:
    tree.campaign(recipients=2000)
    launch = launcher(session, tree)
    launch.start(tree.plan(), by="mara")
    until(tree.mailed)
    owner = int((tree.run_folder() / "owner").read_text().split()[0])
    orphans = descendants(owner)
    os.kill(owner, signal.SIGKILL)
    try:
        state = until(lambda: (s := launch.run_state(SLUG)) and s.says is Says.STARTED and s)
        assert state.word.rc is None
        (tree.run_folder() / "released").touch()
        with pytest.raises(Refused, match="still holds the lock"):
            launch.start(tree.plan(attempt=2), by="mara")
    finally:
        os.killpg(owner, signal.SIGKILL)
    assert orphans
    until(lambda: lock_is_free(tree))
    assert launch.start(tree.plan(attempt=2), by="mara").fresh


def lock_is_free(tree: BlastTree) -> bool:
    with (tree.runs / SLUG / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
