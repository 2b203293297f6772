"""Who and what may act on a blast host: its account, the keys that open it, the files that decide. Content never.

The host is asked once (remote/access.sh) and tells modes, owners and public keys. The credentials' file is only
looked at from outside: it isn't opened there, nor by the console.
"""

import base64
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from backends.blasthost.answers import Session
from backends.blasthost.errors import HostError
from backends.blasthost.offered import offered
from backends.blasthost.publickeys import SHORTEST_RSA, PublicKey, read_keys
from backends.blasthost.scripts import script
from backends.blasthost.sshconfig import Target
from opsconsole.ports import Access, OutOfReach, Trouble
from opsconsole.redact import redact
from opsconsole.settings import BlastHost

# `    (root) NOPASSWD: /usr/bin/systemctl restart x, /bin/y`
_RIGHT = re.compile(r"\s+\(([^)]*)\)\s*((?:[A-Z_]+:\s*)*)(.*)")

LIMIT = 30.0  # seconds
LARGEST = 1 << 20  # bytes
MOST_KEYS = 200  # of one file

_CLASSES = ((1, "empty"), (1 << 10, "under 1 KiB"), (64 << 10, "under 64 KiB"), (1 << 20, "under 1 MiB"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One PATH line. `may` holds r and w as far as the console's account has them."""

    label: str
    path: str
    kind: str  # file, folder, other, missing, denied
    mode: int = 0
    size: int = 0
    since: datetime | None = None
    may: str = ""
    owner: str = ""
    group: str = ""

    @property
    def shown(self) -> str:
        kind = {"folder": stat.S_IFDIR, "file": stat.S_IFREG}.get(self.kind, 0)
        return stat.filemode(kind | self.mode) if self.kind in ("folder", "file", "other") else ""


def look(
    session: Session, settings: BlastHost, target: Target, key: Callable[[], str], host: str
) -> tuple[Access, ...]:
    """Everything, in one exec. `key` tells the host key of this connection, `host` the name people know.

    Raises OutOfReach when the host can't be asked, Trouble when its answer can't be read.
    """
    try:
        done = session.run(script("access"), *_asked(settings), timeout=LIMIT, max_bytes=LARGEST)
    except HostError as error:
        raise OutOfReach(error.what, "Who may act there isn't known now.", error.next_step) from error
    try:
        told = _Told(done.check("tell who may act on it").stdout.decode("ascii"), settings, host)
        entries = tuple(told.entries(key()))
    except (ValueError, IndexError, OverflowError, OSError) as error:  # an absurd time is the latter two
        raise Trouble(
            f"{host} answered who may act on it in a way that can't be read ({type(error).__name__}).",
            "Nothing of it is shown.",
            "Look there by hand: id; ls -l ~/.ssh",
        ) from error
    return (*entries, *offered(target, settings, host))


def _asked(settings: BlastHost) -> Iterator[str]:
    """Pairs of label and path."""
    pairs = [
        ("campaigns", settings.campaigns_dir),
        ("state", settings.state_dir),
        ("logs", settings.log_dir),
        *(("cron", path) for path in settings.cron_files),
        *(("cron-folder", path.rpartition("/")[0] or "/") for path in settings.cron_files),
        ("credentials", settings.credentials),
        ("credentials-folder", settings.credentials.rpartition("/")[0] or "/"),
        ("runner", settings.runner),
        ("runner-folder", settings.runner.rpartition("/")[0] or "/"),
    ]
    for label, path in dict.fromkeys(pairs):
        yield from (label, path)


class _Told:
    """The script's lines, sorted."""

    def __init__(self, text: str, settings: BlastHost, host: str) -> None:
        self._settings, self._host = settings, host
        self._found: list[Found] = []
        self._texts: list[tuple[str, str, str]] = []
        self._unread: list[str] = []
        self._digest, self._asks, self._sudo = "", "", ""
        self._uid, self._user, self._groups = -1, "", ""
        offset = 0.0
        for line in text.splitlines():
            word, *rest = line.split(" ")
            match word:
                case "NOW":
                    offset = int(rest[0]) - datetime.now(UTC).timestamp()
                case "USER":
                    self._uid, self._user, self._groups = int(rest[0]), _plain(rest[1]), _plain(rest[2])
                case "PATH":
                    self._found.append(_path(rest, offset))
                case "AUTHORIZED" | "HOSTKEY":
                    self._texts.append((word, _plain(rest[0]), _plain(rest[1])))
                case "UNREAD":
                    self._unread.append(_plain(rest[1]))
                case "DIGEST":
                    self._digest = rest[0]
                case "ASKS":
                    self._asks = _plain(rest[0])
                case "SUDO":
                    self._sudo = rest[0] if rest[0] in ("absent", "silent") else _plain(rest[0])
                case _:
                    raise ValueError(word)
        if self._uid < 0:
            raise ValueError("no account")

    def entries(self, fingerprint: str) -> Iterator[Access]:
        yield self._account()
        yield self._rights()
        for word, path, text in self._texts:
            if word == "AUTHORIZED":
                yield from self._authorized(path, text)
            else:
                yield from self._host_key(path, text, fingerprint)
        if self._asks:
            words = f"sshd also asks {redact(self._asks.split()[0])} for keys, which aren't listed here."
            yield Access(kind="key", name="AuthorizedKeysCommand", where=self._host, scope=words)
        for path in self._unread:
            why = f"{path} can't be read by {self._user}, so the keys in it aren't known."
            yield Access(kind="key", name=path, where=path, trouble=why)
        if fingerprint and not self._told_of(fingerprint):
            scope = "shows that it is this host; the file it is kept in wasn't found"
            yield Access(kind="key", name="host key", where=self._host, scope=scope, fingerprint=fingerprint)
        for found in self._found:
            if found.label not in ("authorized", "hostkey"):
                yield self._file(found)

    def _told_of(self, fingerprint: str) -> bool:
        keys = (key for word, _, text in self._texts if word == "HOSTKEY" for key in read_keys(text))
        return any(not isinstance(key, int) and key.fingerprint == fingerprint for key in keys)

    def _at(self, label: str, path: str) -> Found:
        for found in self._found:
            if (found.label, found.path) == (label, path):
                return found
        raise ValueError(f"{label} without its file")

    def _account(self) -> Access:
        root = "; it is root: nothing on the host is closed to it" if self._uid == 0 else ""
        scope = f"the console logs in as it; groups {', '.join(self._groups.split())}{root}"
        return Access(kind="role", name=self._user, where=self._host, scope=scope)

    def _rights(self) -> Access:
        if self._sudo in ("absent", "silent"):
            scope = (
                "there is no sudo"
                if self._sudo == "absent"
                else "none without a password, as far as sudo tells without one"
            )
            return Access(kind="role", name="sudo", where=self._host, scope=scope)
        found = [match for line in self._sudo.splitlines() if (match := _RIGHT.match(line))]
        rights = [_right(*match.groups()) for match in found]
        trouble = ""
        if self._uid and any("ALL" in match[3].split(", ") for match in found):
            trouble = f"{self._user} can become root with sudo, to run anything, and isn't asked for a password."
        scope = "; ".join(rights) or "none that it lists"
        return Access(kind="role", name="sudo", where=self._host, scope=scope, trouble=trouble)

    def _authorized(self, path: str, text: str) -> Iterator[Access]:
        found = self._at("authorized", path)
        keys = list(read_keys(text))
        trouble = ""
        if found.mode & 0o022:
            trouble = f"{path} can be written by others than its owner: sshd then ignores it, or they can log in."
        yield Access(
            kind="file",
            name="authorized_keys",
            where=path,
            scope=f"{len(keys)} {'key' if len(keys) == 1 else 'keys'} that may log in as {self._user}",
            owner=found.owner,
            mode=found.shown,
            since=found.since,
            trouble=trouble,
        )
        for key in keys[:MOST_KEYS]:
            if isinstance(key, int):
                where = f"{path}:{key}"
                yield Access(
                    kind="key",
                    name=f"line {key}",
                    where=where,
                    trouble="It is no key that sshd knows: it opens nothing, and may not belong here.",
                )
            else:
                yield self._key(path, key, found.since)

    def _key(self, path: str, key: PublicKey, since: datetime | None) -> Access:
        limits = ", ".join(key.limits) or "from anywhere, to run anything"
        trouble = ""
        if key.unknown:
            trouble = f"sshd knows no such option ({key.unknown[0]}) and refuses the whole line."
        elif key.kind == "ssh-dss" or (key.bits and key.bits < SHORTEST_RSA):
            trouble = "It is too weak: a key of this kind and length can be forged. Replace it."
        elif key.unlimited and self._uid == 0:
            trouble = f"Whoever has it is root on {self._host}, from anywhere: limit it with from= or restrict."
        return Access(
            kind="key",
            name=key.comment or "without a comment",
            where=f"{path}:{key.number}",
            scope=f"logs in as {self._user}: {limits}",
            fingerprint=f"{key.kind} {key.fingerprint}",
            since=since,
            trouble=trouble,
        )

    def _host_key(self, path: str, text: str, fingerprint: str) -> Iterator[Access]:
        private = self._at("hostkey", path.removesuffix(".pub"))
        for key in read_keys(text):
            if not isinstance(key, int):
                bad = private.mode & 0o077 & ~(0o040 if private.group == "ssh_keys" else 0)
                used = ", the one this connection was made under" if key.fingerprint == fingerprint else ""
                yield Access(
                    kind="key",
                    name="host key",
                    where=private.path,
                    scope=f"shows that it is this host{used}",
                    owner=private.owner,
                    mode=private.shown,
                    fingerprint=f"{key.kind} {key.fingerprint}",
                    trouble="Others than root can read it, and pose as this host." if bad else "",
                )

    def _file(self, found: Found) -> Access:
        kind = "credential" if found.label == "credentials" else "file"
        scope = self._scope(found)
        if found.kind in ("missing", "denied"):
            why = "It isn't there." if found.kind == "missing" else f"{self._user} may not look at it."
            quiet = found.label.endswith("-folder")
            return Access(
                kind=kind, name=_name(found.label), where=found.path, scope=scope, trouble="" if quiet else why
            )
        told = found.label == "runner" and len(self._digest) == 64
        digest = f"sha256 {self._digest[:16]}" if told else ""
        return Access(
            kind=kind,
            name=_name(found.label),
            where=found.path,
            scope=scope,
            owner=f"{found.owner}:{found.group}",
            mode=found.shown,
            fingerprint=digest,
            since=found.since if found.kind == "file" else None,
            trouble=self._wrong(found),
        )

    def _scope(self, found: Found) -> str:
        may = {"": "may not read it", "r": "may read it", "w": "may write it", "rw": "may read and write it"}
        words = f"{self._user} {may.get(found.may.replace('-', ''), '')}" if found.may else ""
        if found.label == "credentials" and found.kind == "file":
            size = next((said for most, said in _CLASSES if found.size < most), "1 MiB and more")
            return f"{words}; {size}; its content is never read"
        return words

    def _wrong(self, found: Found) -> str:
        others, group = found.mode & 0o002, found.mode & 0o020
        match found.label:
            case "credentials":
                if found.mode & 0o077:
                    return f"It has mode {found.mode:04o}: others can read or change it. Set it to 0600."
                wanted = self._settings.credentials_owner
                if wanted and wanted != found.owner:
                    return f"It belongs to {found.owner}, and should to {wanted}."
            case "cron":
                if others or group:
                    return f"It has mode {found.mode:04o}: cron ignores a table that others can write."
                if found.owner != self._settings.cron_owner:
                    return f"It belongs to {found.owner} and not to {self._settings.cron_owner}: cron ignores it."
            case "runner":
                if others or group:
                    return f"It has mode {found.mode:04o}: whoever can write it decides what a send does."
                if not found.mode & 0o111:
                    return "It can't be executed: chmod 755."
            case _ if others:
                what = "a campaign's files" if found.label == "campaigns" else "what lies in it"
                return f"Everybody on the host can write here (mode {found.mode:04o}), and so replace {what}."
        return ""


def _right(who: str, tags: str, commands: str) -> str:
    """In words; of each command its program alone, for its arguments may hold a secret."""
    free = ", without a password" if "NOPASSWD" in tags else ""
    programs = [redact(command.split()[0])[:60] for command in commands.split(",") if command.strip()]
    return f"as {who.strip()}{free}: {', '.join(programs[:12])}"


def _name(label: str) -> str:
    return label.replace("-", " ")


def _path(words: list[str], offset: float) -> Found:
    label, path, kind, *rest = words
    if kind in ("missing", "denied"):
        return Found(label=label, path=_plain(path), kind=kind)
    mode, size, changed, may, owner, group = rest
    return Found(
        label=label,
        path=_plain(path),
        kind=kind,
        mode=int(mode, 8),
        size=int(size),
        since=datetime.fromtimestamp(int(changed) - offset, UTC),
        may=may,
        owner=_plain(owner).strip(),
        group=_plain(group).strip(),
    )


def _plain(word: str) -> str:
    return base64.b64decode(word, validate=True).decode("utf-8", "replace").rstrip("\n")
