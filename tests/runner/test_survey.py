"""The look at every row before anything is sent, and that what is sent is what was looked at."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.campaign.address import Address
from runner.campaign.files import Campaign, open_campaign
from runner.campaign.survey import BLOCK, Survey, blocks, survey
from runner.errors import BAD_DATA, Refused
from runner.record.journal import PENDING, SKIPPED
from tests.runner.conftest import Host

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
MANY = [f"recipient{number}@example.com" for number in range(6_000)]  # some chunks of the reader


@pytest.fixture
def opened(host: Host) -> Iterator[Campaign]:
    host.campaign(MANY)
    with closing(open_campaign(host.root / "campaigns", "may")) as campaign:
        yield campaign


def looked(campaign: Campaign, **more: Any) -> Survey:
    return survey(campaign, tick=lambda row: None, now=NOW, **more)


def looked_at(host: Host, **more: Any) -> Survey:
    with closing(open_campaign(host.root / "campaigns", "may")) as campaign:
        return looked(campaign, **more)


def test_the_rows_come_again_in_blocks(opened: Campaign) -> None:
    found = looked(opened, rendered=True)
    again = list(blocks(opened, found))
    assert [len(block) for block in again] == [BLOCK] * 30
    assert [row.values[0] for block in again for row in block] == MANY


def test_a_file_put_in_its_place_is_not_seen(host: Host, opened: Campaign) -> None:
    found = looked(opened, rendered=True)
    other = host.folder / "other.csv"
    other.write_text("email,first_name\nsomebody@example.com,Else\n")
    other.replace(host.folder / "blast_data.csv")
    assert sum(map(len, blocks(opened, found))) == len(MANY)


@pytest.mark.parametrize("row", [1, 3_000, 6_000])
def test_a_row_changed_in_place_stops_the_send_before_it(host: Host, opened: Campaign, row: int) -> None:
    found = looked(opened, rendered=True)
    data = host.folder / "blast_data.csv"
    text = data.read_text()
    with data.open("r+") as file:  # the file itself, not another one in its place
        file.write(text.replace(f"{MANY[row - 1]},", f"{MANY[row - 1].upper()},", 1))
    given = []
    with pytest.raises(Refused, match="changed while it was being sent"):
        given.extend(row for block in blocks(opened, found) for row in block)
    assert all(got.values[0] == MANY[got.number - 1] for got in given)
    assert len(given) < row


@pytest.mark.parametrize("now", ["cut", "grown"])
def test_a_file_cut_or_grown_in_place_stops_the_send(host: Host, opened: Campaign, now: str) -> None:
    found = looked(opened, rendered=True)
    data = host.folder / "blast_data.csv"
    with data.open("r+") as file:
        if now == "cut":
            file.truncate(data.stat().st_size // 2)
        else:
            file.seek(0, 2)
            file.write("somebody@example.com,Else\n")
    with pytest.raises(Refused, match="changed while it was being sent"):
        list(blocks(opened, found))


def test_every_further_row_of_a_person_is_found_wherever_it_stands(host: Host) -> None:
    host.campaign([*MANY, *(address.replace("example", "EXAMPLE") for address in MANY[::7]), MANY[0]])
    found = looked_at(host, rendered=True)
    assert found.audience == len(MANY)
    assert found.duplicates == len(MANY[::7]) + 1
    assert found.states[1 : len(MANY) + 1] == bytes([PENDING]) * len(MANY)
    assert set(found.states[len(MANY) + 1 :]) == {SKIPPED}


def test_who_is_suppressed_is_skipped_in_each_row_and_never_rendered(host: Host) -> None:
    host.campaign(csv=b'email,first_name\nann@example.com,Ann\nbo@example.com,"B\no"\nann@example.com,Ann\n')
    found = looked_at(host, suppressed=lambda to: to.text == "bo@example.com")
    assert (found.audience, found.duplicates, found.refused_total) == (1, 1, 0)
    assert list(found.suppressed_rows) == [2]
    assert list(found.states[1:]) == [PENDING, SKIPPED, SKIPPED]
    all_of_them = looked_at(host, suppressed=lambda to: True)
    assert (all_of_them.audience, all_of_them.duplicates, all_of_them.suppressed) == (0, 0, 3)


def test_what_a_rehearsal_rendered_is_not_rendered_again(host: Host) -> None:
    host.campaign(csv=b'email,first_name\nann@example.com,Ann\nbo@example.com,"B\no"\nnobody,Cy\n')
    shown: list[Address] = []
    found = looked_at(host, rendered=True, on_message=lambda row, to, message: shown.append(to))
    assert (found.audience, found.refused_total, shown) == (2, 1, [])
    assert found.composer is not None
    assert looked_at(host).kinds == {"header": 1, "address": 1}


def test_a_template_is_tried_in_a_child_even_when_its_rows_were_rendered(host: Host) -> None:
    host.campaign(MANY[:3], html="{{ 'a' | center(3000000000) }}")
    found = looked_at(host, rendered=True)
    assert "cut off" in (found.broken or "")
    assert found.audience == 0


def test_rows_above_an_unreadable_line_are_counted(host: Host) -> None:
    host.campaign(csv=b'email,first_name\nann@example.com,Ann\nbo@example.com,"Bo\n')
    found = looked_at(host)
    assert (found.rows, found.audience) == (1, 1)
    assert found.unreadable
    assert found.unreadable.startswith("line 3: a quote is opened here")


def test_given_no_such_campaign_then_it_is_said_where_one_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"there is no campaign may in .*--campaigns-dir") as refused:
        open_campaign(tmp_path, "may")
    assert refused.value.code == BAD_DATA


def test_given_metadata_that_is_no_json_then_the_file_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "may").mkdir()
    (tmp_path / "may" / "blast_metadata.json").write_text('{"a": 1,}')
    with pytest.raises(Refused) as refused:
        open_campaign(tmp_path, "may")
    assert str(refused.value).startswith("blast_metadata.json line 1 column ")
