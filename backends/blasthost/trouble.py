"""The three sentences of each trouble that can come up while talking to a host."""

from backends.blasthost.errors import (
    HostLost,
    HostRestricted,
    HostTimeout,
    HostUnreachable,
    RemoteFailed,
    TooMuchOutput,
)
from backends.blasthost.sshconfig import Target


def unreachable(hop: Target, what: str) -> HostUnreachable:
    return HostUnreachable(
        f"{hop.alias} ({hop.hostname}:{hop.port}) {what}.",
        "Nothing new is known about the host; nothing was started on it.",
        "The console tries again by itself; check the network, the VPN and the host.",
    )


def lost(what: str, *, may_have_run: bool = False) -> HostLost:
    return HostLost(
        what,
        "What the command did on the host is unknown." if may_have_run else "No command was under way.",
        "The console connects again; look at the host's state before repeating anything.",
        may_have_run=may_have_run,
    )


def restricted(target: Target, what: str, *, may_have_run: bool = True) -> HostRestricted:
    return HostRestricted(
        f"{target.user} on {target.alias} {what}.",
        "The account is restricted (ForceCommand, command= or a login shell of its own);"
        " this says nothing about the files on the host.",
        "Use an account that may run /bin/sh, or ask the host's owner to allow it.",
        may_have_run=may_have_run,
    )


def too_slow(target: Target, what: str, *, may_have_run: bool = True) -> HostTimeout:
    return HostTimeout(
        f"{target.alias} {what}.",
        "The command may still be running there." if may_have_run else "Nothing was started on the host.",
        "Look at the host's load and processes before trying again.",
        may_have_run=may_have_run,
    )


def too_much(target: Target, max_bytes: int) -> TooMuchOutput:
    return TooMuchOutput(
        f"A command on {target.alias} wrote more than {max_bytes} bytes.",
        "Its output was cut; it may have run on.",
        "Ask for less, or raise the limit.",
        may_have_run=True,
    )


def failed(doing: str, rc: int, stderr: bytes) -> RemoteFailed:
    text = stderr.decode("utf-8", "replace")
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    return RemoteFailed(
        f"The host failed to {doing} (exit status {rc}).",
        f"Its last words: {last[:300]!a}." if last else "It gave no reason.",
        "See the host screen for details.",
        rc=rc,
        stderr=text,
    )
