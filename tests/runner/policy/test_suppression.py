"""Those who asked not to be mailed are known again, however a list writes them."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from runner.campaign import phone
from runner.campaign.address import Address, check
from runner.campaign.suppression import LIST_FILE, Suppressed, lists
from runner.errors import BAD_DATA, Refused

LOOK = """
import resource, sys
from pathlib import Path
from runner.campaign.suppression import Suppressed
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = most()
found = Suppressed.load([Path(sys.argv[1])])
print(before, most(), len(found))
"""


def address(text: str) -> Address:
    found = check(text)
    assert isinstance(found, Address)
    return found


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def loaded(folder: Path, text: str | bytes) -> Suppressed:
    path = folder / LIST_FILE
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Suppressed.load([path])


@pytest.mark.parametrize(
    "line",
    [
        "ann@example.com",
        "  Ann@Example.COM\r",
        "\ufeffann@example.com",
        hashed("ann@example.com"),
        hashed("ann@example.com").upper(),
        address("ann@example.com").hexkey,
    ],
)
@pytest.mark.parametrize("written", ["ann@example.com", "Ann@example.com", "ANN@EXAMPLE.COM"])
def test_one_person_however_written(tmp_path: Path, line: str, written: str) -> None:
    suppressed = loaded(tmp_path, f"{line}\n# others\n\nbo@example.com\n")
    assert suppressed.has(address(written))
    assert len(suppressed) == 2


def test_others_are_mailed(tmp_path: Path) -> None:
    suppressed = loaded(tmp_path, f"ann@example.com\n{hashed('bo@example.com')}\n")
    assert not suppressed.has(address("cy@example.com"))
    assert not suppressed.has(address("ann@example.test"))


def test_an_international_domain_is_the_same_in_both_forms(tmp_path: Path) -> None:
    assert loaded(tmp_path, "ann@exämple.example.com\n").has(address("ann@xn--exmple-cua.example.com"))


def test_telephone_numbers(tmp_path: Path) -> None:
    suppressed = loaded(tmp_path, "+44 20 7946 0123\n" + hashed("+442079460999"))
    for number, there in (("+442079460123", True), ("+442079460999", True), ("+442079460124", False)):
        found = phone.check(number)
        assert isinstance(found, Address)
        assert suppressed.has(found) is there


def test_without_a_list_nobody_is_suppressed(tmp_path: Path) -> None:
    suppressed = Suppressed.load(lists(tmp_path, None))
    assert not suppressed
    assert not suppressed.has(address("ann@example.com"))
    assert not loaded(tmp_path, "# nobody yet\n")


def test_the_campaigns_list_and_the_hosts_are_one(tmp_path: Path) -> None:
    host, folder = tmp_path / "everywhere.txt", tmp_path / "may"
    folder.mkdir()
    host.write_text("ann@example.com\n")
    (folder / LIST_FILE).write_text("bo@example.com\nann@example.com")
    suppressed = Suppressed.load(lists(folder, host))
    assert suppressed.has(address("ann@example.com"))
    assert suppressed.has(address("bo@example.com"))
    assert len(suppressed) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"ann", "no address"),
        (b"ann@", "not an e-mail address"),
        (b"Ann <ann@example.com>", "name"),
        (b"ann@example.com, bo@example.com", "comma"),
        (b"ann@ex\xe4mple.com", "UTF-8"),
        (b"0" * 63, "SHA-256"),
        (b"x" * 5000, "1000 characters"),
        (b"07946 0123", "no address"),
        (b"a@example.com\x00", "control character"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_nobody_is_mailed(tmp_path: Path, line: bytes, why: str) -> None:
    with pytest.raises(Refused, match=f"line 3: .*{why}") as refused:
        loaded(tmp_path, b"# first\nbo@example.com\n" + line + b"\ncy@example.com\n")
    assert refused.value.code == BAD_DATA
    assert "ann" not in str(refused.value).replace("can't", "")
    assert "example" not in str(refused.value)


def test_a_list_that_is_named_and_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.txt can't be read: No such file.*put the list there"):
        Suppressed.load(lists(tmp_path, tmp_path / "none.txt"))
    (tmp_path / LIST_FILE).mkdir()
    with pytest.raises(Refused, match=r"Is a directory.*the right to read it"):
        Suppressed.load(lists(tmp_path, None))


@pytest.mark.slow
def test_an_entry_takes_less_than_twenty_bytes_also_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / LIST_FILE
    with path.open("w") as file:
        for number in range(250_000):
            digest = hashed(f"p{number}@example.com")
            file.write(f"{digest if number % 2 else digest[:16]}\n")
    looked = subprocess.run(
        [sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=True, timeout=100
    )
    before, after, count = map(int, looked.stdout.split())
    assert count == 250_000
    assert (after - before) * 1024 < 20 * count
