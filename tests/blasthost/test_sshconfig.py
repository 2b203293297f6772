"""The operator's ssh_config leads the console to the same place as it leads ssh."""

from pathlib import Path

import pytest

from backends.blasthost.errors import HostUnreachable
from backends.blasthost.sshconfig import resolve

CONFIG = """\
Host blast
  HostName blast.example.test
  User mara
  Port 2222
  ProxyJump ops@bastion:2200,inner
  HostKeyAlias blast-key
  IdentitiesOnly yes
  IdentityFile {key}
  UserKnownHostsFile {folder}/kh1 {folder}/kh2
  ServerAliveInterval 7
Host bastion
  HostName bastion.example.test
  ProxyJump outer
Host inner
  HostName inner.example.test
  ProxyJump somewhere-else
Host through
  ProxyCommand nc -X connect %h %p %%
Host round
  ProxyJump round2
Host round2
  ProxyJump round
Host loose
  StrictHostKeyChecking no
"""


@pytest.fixture(params=[pytest.param(True, marks=pytest.mark.needs("ssh"), id="ssh -G"), False])
def use_ssh(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("")
    file = tmp_path / "config"
    file.write_text(CONFIG.format(key=tmp_path / "key", folder=tmp_path))
    return file


def test_a_host_entry_is_followed(config: Path, tmp_path: Path, use_ssh: bool) -> None:
    target = resolve("blast", config_path=config, use_ssh_binary=use_ssh)
    assert (target.alias, target.hostname, target.port, target.user) == (
        "blast",
        "blast.example.test",
        2222,
        "mara",
    )
    assert target.identity_files == (tmp_path / "key",)
    assert target.identities_only
    assert target.key_name == ("blast-key", 22)
    assert target.known_hosts_files[:2] == (tmp_path / "kh1", tmp_path / "kh2")
    assert target.server_alive_interval == 7


def test_jumps_are_resolved_in_order_with_their_own_entries(config: Path, use_ssh: bool) -> None:
    hops = resolve("blast", config_path=config, use_ssh_binary=use_ssh).proxy_jump
    # The first hop's own jump counts; a later one is reached through the hop before it.
    assert [hop.hostname for hop in hops] == ["outer", "bastion.example.test", "inner.example.test"]
    assert (hops[1].user, hops[1].port) == ("ops", 2200)
    assert all(hop.proxy_jump == () for hop in hops)


def test_what_the_console_s_config_says_wins(config: Path, tmp_path: Path, use_ssh: bool) -> None:
    mine = tmp_path / "mine"
    target = resolve("blast", config_path=config, user="paul", port=22, key_files=[mine], use_ssh_binary=use_ssh)
    assert (target.user, target.port) == ("paul", 22)
    assert target.identity_files == (mine, tmp_path / "key")


def test_a_proxy_command_gets_its_tokens(config: Path, use_ssh: bool) -> None:
    target = resolve("through", config_path=config, use_ssh_binary=use_ssh)
    assert target.proxy_command == "nc -X connect through 22 %"


def test_a_name_without_an_entry_is_itself(config: Path, use_ssh: bool) -> None:
    target = resolve("192.0.2.7", config_path=config, use_ssh_binary=use_ssh)
    assert (target.hostname, target.port, target.proxy_jump) == ("192.0.2.7", 22, ())
    assert target.user


def test_jumps_in_a_circle_are_an_error_and_not_a_hang(config: Path, use_ssh: bool) -> None:
    with pytest.raises(HostUnreachable, match="deep"):
        resolve("round", config_path=config, use_ssh_binary=use_ssh)


def test_switched_off_key_checking_is_told_and_not_followed(config: Path, use_ssh: bool) -> None:
    target = resolve("loose", config_path=config, use_ssh_binary=use_ssh)
    assert any("checks all the same" in warning for warning in target.warnings)


def test_a_broken_config_is_told(tmp_path: Path, use_ssh: bool) -> None:
    file = tmp_path / "config"
    file.write_text("Host x\n  Port not-a-port\n")
    with pytest.raises(HostUnreachable):
        resolve("x", config_path=file, use_ssh_binary=use_ssh)
    with pytest.raises(HostUnreachable, match="does not exist"):
        resolve("x", config_path=tmp_path / "missing", use_ssh_binary=use_ssh)


@pytest.mark.parametrize("name", ["-oProxyCommand=id", "a b", "a;id", "$(id)", "a\nb", "", "'"])
def test_names_that_could_act_are_refused(config: Path, use_ssh: bool, name: str) -> None:
    with pytest.raises(HostUnreachable, match="can't be a host name"):
        resolve(name, config_path=config, use_ssh_binary=use_ssh)
    with pytest.raises(HostUnreachable, match="can't be a user name"):
        resolve("blast", config_path=config, user=name, use_ssh_binary=use_ssh)


def test_without_ssh_an_include_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("Include other\nHost x\n  Port 2022\n")
    target = resolve("x", config_path=file, use_ssh_binary=False)
    assert target.port == 2022
    assert any("Include" in warning for warning in target.warnings)


@pytest.mark.needs("ssh")
def test_with_ssh_an_include_is_followed(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Host x\n  Port 2022\n")
    file = tmp_path / "config"
    file.write_text(f"Include {tmp_path}/more\n")
    target = resolve("x", config_path=file)
    assert (target.port, target.warnings) == (2022, ())
