"""What is on this machine and not in the ledger: the overview counts it whichever process wrote it, and is red then."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.locations import ledger_spool
from jangbu.metering.spool import Spool
from jangbu.wiring import open_metering
from tests.conftest import address, drop_database, execute
from tests.dashboard.conftest import site_of
from tests.dashboard.raw import Visitor, signed_in
from tests.dashboard.shown import Node, read
from tests.dashboard.site import VIEWER, Site, let_in_members, serving

NAMES = {"en": "On this machine, not in the ledger yet", "ko": "원장 미반영 (이 서버)"}

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def fill(database_url: str) -> str:
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        await let_in_members(ledger)
    return ""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with site_of(server, migrated, tmp_path_factory.mktemp("watched"), fill) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def other(watched: Site) -> AsyncIterator[Spool]:
    """Give the spool of another process on the server's machine: another worker, or an app that meters by the SDK."""
    settings = Settings.load(database_url=watched.database_url, spool_dir=watched.log.parent / "spool")
    spool = Spool.open(ledger_spool(settings) / f"other-{uuid4().hex}", clock=SystemClock())
    yield spool
    for path in sorted(spool.directory.glob("quarantine/*")):
        path.unlink()
    spool.note_committed([each.sequence for each in spool.pending(1_000)])
    spool.close()


def tile_of(page: Node, language: str = "en") -> Node:
    [tile] = [each for each in page.all("div", class_="tile") if each.one("dt").text == NAMES[language]]
    return tile


def is_red(tile: Node) -> bool:
    return "bad" in tile.attributes["class"].split()


def overview(visitor: Visitor, language: str = "en") -> Node:
    answer = visitor.get("/", accept_language=language)
    assert answer.status == 200, answer.text
    return read(answer.text)


def health_row(visitor: Visitor, name: str) -> tuple[str, ...]:
    shown = read(visitor.get("/settings").text)
    [found] = [row.cells for row in shown.table_of("health").rows if row.name == name]
    return found


async def visiting(site: Site) -> Visitor:
    return await asyncio.to_thread(signed_in, site, VIEWER)


async def test_all_is_well_where_nothing_lies_on_the_disk(watched: Site) -> None:
    visitor = await visiting(watched)
    tile = tile_of(overview(visitor))
    assert tile.one("dd").text == "0 every answer here is recorded"
    assert not is_red(tile)
    assert tile.one("a").attributes["href"] == "/dashboard/settings#health"
    assert health_row(visitor, "Records on this machine's disk") == ("well", "Nothing waits.")
    assert tile_of(overview(visitor, "ko"), "ko").one("dd").text == "0 이 서버의 응답은 모두 기록됨"


async def test_records_of_another_process_are_counted_until_they_are_recorded(watched: Site, other: Spool) -> None:
    visitor = await visiting(watched)
    sequences = other.append([b"an answer"] * 600)
    tile = tile_of(overview(visitor))
    assert tile.one("dd").text == "600 600 are durable and wait for the database"
    assert is_red(tile)
    state, found = health_row(visitor, "Records on this machine's disk")
    assert (state, found.split(",")[0]) == ("look at this", "600 waiting")
    other.note_committed(sequences)
    assert tile_of(overview(visitor)).one("dd").text == "0 every answer here is recorded"


async def test_a_record_in_quarantine_is_counted_as_long_as_it_lies_there(watched: Site, other: Spool) -> None:
    visitor = await visiting(watched)
    [aside, _] = other.append([b"nobody's", b"kim's"])
    other.set_aside(aside, "user 'nobody' has no account")
    tile = tile_of(overview(visitor))
    assert tile.one("dd").text == ("2 1 is durable and waits for the database 1 lies in quarantine until somebody acts")
    assert is_red(tile)
    other.note_committed([each.sequence for each in other.pending(10)])
    tile = tile_of(overview(visitor))
    assert (tile.one("dd").text, is_red(tile)) == ("1 1 lies in quarantine until somebody acts", True)
    state, found = health_row(visitor, "Records on this machine's disk")
    assert state == "look at this"
    assert "files in quarantine: 1; records of theirs that are in no book: 1." in found
    assert "`jangbu spool status`" in found


async def test_a_ledger_without_a_spool_is_not_called_well(server: str, migrated: str, tmp_path: Path) -> None:
    name = f"bare_{uuid4().hex}"
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    await fill(address(server, name))
    with serving(address(server, name), tmp_path, JANGBU_SPOOL_BYTES_MAX="0") as bare:
        tile = tile_of(overview(await visiting(bare)))
        assert tile.one("dd").text == "No spool There is none: a database that is away loses records."
        assert not is_red(tile)
    await drop_database(server, name)
