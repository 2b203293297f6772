"""Can this host carry the send: runner, disk, memory, clock, and does a run outlive the connection?"""

from typing import Any

from opsconsole.campaign import DATA
from opsconsole.hostfacts import FileFact, HostFacts, Kind
from opsconsole.preflight.check import Check, Finding, Situation, failed, passed, warned

_MB = 1024 * 1024
_JOURNAL_BYTES = 400  # a recipient's intent, outcome and log line, generously
_FEW_INODES = 100
_CLOCK_ERROR = 5.0  # seconds: a wider error bar says nothing about the clock


def gather_host(situation: Situation) -> HostFacts:
    return situation.host


def gather_runner(situation: Situation) -> FileFact | None:
    return situation.host.runner


def judge_runner(runner: FileFact | None, situation: Situation) -> Finding:
    path, host = situation.settings.runner, situation.host.host
    update = f"opsconsole host install-runner {situation.carrier}"
    install = f"Install it: {update}, or correct `runner` for {host} in the configuration."
    if runner is None or runner.kind is Kind.MISSING:
        return failed(f"There is no runner at {path} on {host}.", install)
    if runner.kind is Kind.DENIED:
        return failed(f"{path} can't be seen by {situation.host.user or 'the login user'}.", f"chmod 755 {path}")
    if runner.kind not in (Kind.FILE, Kind.SYMLINK):
        return failed(f"{path} is not a program but a {runner.kind.value}.", install)
    if not runner.executable:
        return failed(
            f"{path} can't be executed by {situation.host.user or 'the login user'}.",
            f"Make it executable: chmod 755 {path}",
            [f"mode {runner.mode:04o}, owner {runner.owner}"],
        )
    if runner.kind is Kind.FILE and runner.mode & 0o002:
        return failed(
            f"Everybody on {host} may change {path}, so what would run can't be trusted.",
            f"chmod o-w {path}, and compare it with the released one.",
            [f"mode {runner.mode:04o}, owner {runner.owner}"],
        )
    program = situation.host.program
    if program is None or not situation.our_runner:
        return passed(f"{path} is there and executable.")
    update = f"Install this console's: {update}"
    if not program.says:
        why = [f"python3 on {host} is {program.python or 'missing'}"]
        return failed(f"{path} on {host} doesn't answer as our runner.", update, why)
    if program.version != program.our_version:
        return warned(f"{path} on {host} is {program.say()}.", update)
    return passed(f"{path} is there and executable, {program.say()}.")


def judge_disk(host: HostFacts, situation: Situation) -> Finding:
    if not host.disks:
        return warned(
            f"{host.host} didn't tell its free disk space.", f"Look on {host.host}: df -h /var/log /var/lib"
        )
    data = situation.fact(DATA)
    least = situation.policy.min_free_disk_mb * _MB + (data.rows or 0 if data else 0) * _JOURNAL_BYTES
    lines = [f"{disk.path}: {disk.free / _MB:,.0f} MB free of {disk.total / _MB:,.0f} MB" for disk in host.disks]
    full = [disk.path for disk in host.disks if disk.free < least]
    if full:
        return failed(
            f"Too little disk space on {', '.join(full)}: a run needs {least / _MB:,.0f} MB free.",
            f"Free some space on {host.host} (old logs, journalctl --vacuum-size=200M), then repeat.",
            lines,
        )
    spent = [d for d in host.disks if d.free_inodes is not None and d.free_inodes < _FEW_INODES]
    if spent:
        return failed(
            f"{spent[0].path} has only {spent[0].free_inodes} inodes left: no new file can be made.",
            f"Remove many small files on {host.host}: df -i shows where.",
            lines,
        )
    tight = [disk.path for disk in host.disks if disk.free < 2 * least]
    if tight:
        return warned(
            f"Disk space is tight on {', '.join(tight)}.", f"Free some space on {host.host} before the send.", lines
        )
    return passed("There is enough disk space.", *lines)


def judge_memory(host: HostFacts, situation: Situation) -> Finding:
    if not host.memory_total:
        return warned(f"{host.host} didn't tell its free memory.", f"Look on {host.host}: free -m")
    free, least = host.memory_available / _MB, situation.policy.min_free_memory_mb
    line = f"{free:,.0f} MB available of {host.memory_total / _MB:,.0f} MB"
    if free < least:
        return failed(
            f"{host.host} has {free:,.0f} MB of memory left; a send needs {least:,} MB.",
            f"See what uses it on {host.host} (ps aux --sort=-rss | head) and stop what isn't needed.",
            [line],
        )
    if free < 2 * least:
        return warned(f"Memory is tight on {host.host}.", "Watch it while the send runs.", [line])
    return passed("There is enough memory.", line)


def judge_clock(host: HostFacts, situation: Situation) -> Finding:
    offset, error, policy = host.clock_offset, host.clock_error, situation.policy
    line = f"offset {offset:+.1f} s ± {error:.1f} s"
    mend = f"Set the clock of {host.host} right (timedatectl set-ntp true), and check this machine's clock too."
    if error > _CLOCK_ERROR:
        return failed(
            f"The clock of {host.host} could only be measured to ± {error:.1f} s, not to {_CLOCK_ERROR:.0f} s.",
            "The link is too slow just now; repeat the pre-flight.",
            [line],
        )
    ahead = "ahead of" if offset > 0 else "behind"
    says = f"The clock of {host.host} is {abs(offset):.1f} s {ahead} this machine's"
    if abs(offset) >= policy.clock_refuse:
        return failed(f"{says}; from {policy.clock_refuse:g} s on nothing is sent.", mend, [line])
    if abs(offset) >= policy.clock_warn:
        return warned(f"{says}.", mend, [line])
    if abs(offset) >= policy.clock_show:
        return passed(f"{says}, within the limit of {policy.clock_warn:g} s.", line)
    return passed("The clocks agree.", line)


def gather_survival(situation: Situation) -> str:
    return situation.host.survives_logout


def judge_survival(reason: str, situation: Situation) -> Finding:
    if not reason:
        return passed("A run goes on when the connection ends.")
    return failed(
        "A run would end with the connection.",
        f"Let processes of {situation.host.user or 'the login user'} linger on {situation.host.host}: "
        f"loginctl enable-linger {situation.host.user}".rstrip(),
        [reason],
    )


CHECKS: tuple[Check[Any], ...] = (
    Check("runner-there", "The runner is there", "host", gather_runner, judge_runner),
    Check("disk", "Enough disk space", "host", gather_host, judge_disk),
    Check("memory", "Enough memory", "host", gather_host, judge_memory),
    Check("clock-offset", "The clocks agree", "host", gather_host, judge_clock),
    Check("survives-logout", "A run outlives the connection", "host", gather_survival, judge_survival),
)
