"""From the name in the console's config to where and how to connect, by the operator's own ssh_config.

`ssh -G` answers when the binary is there (it knows Include, Match and tokens); paramiko's reader otherwise.
"""

import getpass
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backends.blasthost.errors import HostUnreachable

# What may stand in a host or user name. It goes into ssh's arguments and a ProxyCommand's shell line.
_HOST = re.compile(r"[A-Za-z0-9_:%.\[\]][A-Za-z0-9_:%.\[\]-]{0,254}\Z")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@\\+-]{0,127}\Z")
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?/?\Z")
_MAX_HOPS = 5

_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


@dataclass(frozen=True)
class Target:
    """Where to connect and how; `alias` is the name the operator uses for it."""

    alias: str
    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    proxy_jump: tuple["Target", ...] = ()
    proxy_command: str | None = None
    host_key_alias: str | None = None
    known_hosts_files: tuple[Path, ...] = ()
    server_alive_interval: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def key_name(self) -> tuple[str, int]:
        """(name, port) under which known_hosts files list this host; an alias stands without a port."""
        return (self.host_key_alias, 22) if self.host_key_alias else (self.hostname, self.port)


def resolve(
    alias: str,
    *,
    config_path: Path | None = None,
    user: str | None = None,
    port: int | None = None,
    key_files: Sequence[Path] = (),
    use_ssh_binary: bool = True,
) -> Target:
    """The target for `alias`; `user`, `port` and `key_files` given here win over the file's.

    Raises HostUnreachable when the name or the file can't be used.
    """
    return _resolve(alias, config_path, user, port, tuple(key_files), use_ssh_binary, depth=0)


def _resolve(
    alias: str,
    config_path: Path | None,
    user: str | None,
    port: int | None,
    key_files: tuple[Path, ...],
    use_ssh_binary: bool,
    depth: int,
) -> Target:
    if depth > _MAX_HOPS:
        raise _unusable(f"The jumps to {alias!r} are more than {_MAX_HOPS} deep.", "ProxyJump goes in a circle.")
    _require(_HOST, alias, "host name")
    if user is not None:
        _require(_USER, user, "user name")
    if config_path is not None and not config_path.is_file():
        raise _unusable(f"The SSH config file {config_path} does not exist.", "Nothing is known about the host.")
    warnings: list[str] = []
    binary = shutil.which("ssh") if use_ssh_binary else None
    if binary:
        options = _ask_ssh(binary, alias, config_path, user, port)
    else:
        options = _read_config(alias, config_path, warnings)
    target = _target(alias, options, user, port, key_files, warnings)
    hops: list[Target] = []
    for number, jump in enumerate(_words(options, "proxyjump", ",")):
        match = _JUMP.match(jump)
        if not match:
            raise _unusable(f"ProxyJump {jump!r} can't be read.", "The way to the host is unknown.")
        hop_port = int(match["port"]) if match["port"] else None
        hop = _resolve(
            match["host"].strip("[]"), config_path, match["user"], hop_port, key_files, use_ssh_binary, depth + 1
        )
        # A hop's own jumps count for the first hop only: the later ones are reached through the one before.
        if number == 0:
            hops.extend(hop.proxy_jump)
        hops.append(replace(hop, proxy_jump=()))
    return replace(target, proxy_jump=tuple(hops), proxy_command=None if hops else target.proxy_command)


def _ask_ssh(
    binary: str, alias: str, config_path: Path | None, user: str | None, port: int | None
) -> dict[str, list[str]]:
    command = [binary, "-G"]
    if config_path is not None:
        command += ["-F", str(config_path)]
    if user is not None:
        command += ["-l", user]
    if port is not None:
        command += ["-p", str(port)]
    try:
        answer = subprocess.run(
            [*command, "--", alias], capture_output=True, stdin=subprocess.DEVNULL, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        raise _unusable("ssh -G did not answer in 10 s.", "A Match exec in the SSH config hangs.") from None
    if answer.returncode:
        lines = answer.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _unusable(f"ssh can't read its config for {alias}: {lines[-1] if lines else 'no reason given'}", "")
    options: dict[str, list[str]] = {}
    for line in answer.stdout.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(" ")
        options.setdefault(name, []).append(value)
    return options


def _read_config(alias: str, config_path: Path | None, warnings: list[str]) -> dict[str, list[str]]:
    import paramiko

    file = config_path or Path("~/.ssh/config").expanduser()
    if not file.is_file():
        return {}
    try:
        config = paramiko.SSHConfig.from_path(str(file))
        found: Mapping[str, str | list[str]] = config.lookup(alias)
    except Exception as error:  # its parser raises bare Exceptions and ValueErrors
        raise _unusable(f"The SSH config file {file} can't be read: {error}", "") from None
    if re.search(r"^\s*include\b", file.read_text("utf-8", "replace"), re.IGNORECASE | re.MULTILINE):
        warnings.append(f"{file} uses Include, which only the ssh program understands: install openssh-client.")
    return {key.lower(): list(value) if isinstance(value, list) else [value] for key, value in found.items()}


def _target(
    alias: str,
    options: Mapping[str, list[str]],
    user: str | None,
    port: int | None,
    key_files: tuple[Path, ...],
    warnings: list[str],
) -> Target:
    def one(name: str) -> str | None:
        value = options.get(name, [""])[0]
        return None if value.lower() in ("", "none") else value

    hostname = _require(_HOST, one("hostname") or alias, "host name")
    login = _require(_USER, user or one("user") or getpass.getuser(), "user name")
    port = port or _number(one("port") or "22", "Port")
    tokens = {"h": hostname, "p": str(port), "r": login, "n": alias, "d": str(Path.home()), "%": "%"}
    tokens["u"] = getpass.getuser()
    named = [_expand(name, tokens) for name in options.get("identityfile", _DEFAULT_KEYS)]
    if (one("stricthostkeychecking") or "").lower() in ("no", "off", "false", "accept-new"):
        warnings.append("StrictHostKeyChecking is switched off in the SSH config; the console checks all the same.")
    if one("identityagent"):
        warnings.append("IdentityAgent in the SSH config is not used; set SSH_AUTH_SOCK instead.")
    command = one("proxycommand")
    return Target(
        alias=alias,
        hostname=hostname,
        port=port,
        user=login,
        identity_files=tuple(dict.fromkeys([*key_files, *(file for file in named if file.exists())])),
        identities_only=(one("identitiesonly") or "no") == "yes",
        proxy_command=_fill(command, {k: shlex.quote(v) for k, v in tokens.items()} | {"%": "%"})
        if command
        else None,
        host_key_alias=one("hostkeyalias"),
        known_hosts_files=_files(options, "userknownhostsfile", _KNOWN_HOSTS, tokens)
        + _files(options, "globalknownhostsfile", _GLOBAL_KNOWN_HOSTS, tokens),
        server_alive_interval=_number(one("serveraliveinterval") or "0", "ServerAliveInterval"),
        warnings=tuple(warnings),
    )


def _files(
    options: Mapping[str, list[str]], name: str, default: Sequence[str], tokens: Mapping[str, str]
) -> tuple[Path, ...]:
    line = " ".join(options.get(name, default))
    whole = _expand(line, tokens)
    if whole.is_file():  # ssh -G prints a path with a space in it without quotes
        return (whole,)
    return tuple(_expand(word, tokens) for word in line.split() if word.lower() != "none")


def _words(options: Mapping[str, list[str]], name: str, separator: str) -> list[str]:
    text = options.get(name, [""])[0]
    return [] if text.lower() in ("", "none") else [word.strip() for word in text.split(separator)]


def _expand(name: str, tokens: Mapping[str, str]) -> Path:
    return Path(_fill(name, tokens)).expanduser()


def _fill(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%([hprndu%])", lambda match: tokens[match[1]], text)


def _require(pattern: re.Pattern[str], text: str, kind: str) -> str:
    if not pattern.match(text):
        raise _unusable(f"{text!r} can't be a {kind}.", "It is not passed on to a shell or to ssh.")
    return text


def _number(text: str, option: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise _unusable(f"{option} {text!r} in the SSH config is not a number it can have.", "")
    return int(text)


def _unusable(what: str, means: str) -> HostUnreachable:
    return HostUnreachable(what, means, "Correct the host's entry in the console's config or in the SSH config.")
