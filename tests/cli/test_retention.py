"""``db retain``: it shows what would go, and drops it only where somebody said so."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from jangbu.metering.retention import month_start
from jangbu.metering.verify import Verification
from jangbu.storage.database import Database
from tests.cli.conftest import Jangbu
from tests.metering.traffic import KIM, Shop, open_shop

OLD = month_start(datetime.now(UTC), -4) + timedelta(days=3)


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Give a book of the default project with two calls of an old month and one of now."""
    async with open_shop(database, "default") as opened:
        opened.clock.set(OLD)
        await opened.record([opened.row(KIM), opened.row(KIM)])
        opened.clock.set(datetime.now(UTC))
        await opened.record([opened.row(KIM)])
        yield opened


async def test_without_yes_and_without_anybody_to_ask_it_only_shows(shop: Shop, jangbu: Jangbu) -> None:
    shown = jangbu.ok("db", "retain", "--months", "2")
    [partition] = jangbu.json("db", "retain", "--months", "2")["partitions"]

    assert f"usage_{OLD:%Y%m}" in shown.out
    assert "nothing was dropped" in shown.out
    assert (partition["month"], partition["records"]) == (f"{OLD:%Y-%m}-01", 2)
    assert (partition["dropped"], partition["refusal"]) == (False, None)
    assert await shop.rows("SELECT count(*) FROM jangbu.usage") == [(3,)]


async def test_with_yes_it_drops_and_again_finds_nothing_to_do(shop: Shop, jangbu: Jangbu) -> None:
    assert "dropped 2 records" in jangbu.ok("db", "retain", "--months", "2", "--yes").out
    assert "no partition is that old" in jangbu.ok("db", "retain", "--months", "2", "--yes").out
    assert jangbu.json("db", "retain", "--months", "2", "--yes") == {"months": 2, "partitions": []}

    assert await shop.rows("SELECT count(*) FROM jangbu.usage") == [(1,)]
    assert (await Verification(shop.database, "default").run()).is_clean


async def test_a_month_that_is_not_finished_is_kept_with_one_line_about_it(shop: Shop, jangbu: Jangbu) -> None:
    shop.clock.set(OLD)
    await shop.record([shop.row(KIM, model="gemini-99")])

    ended = jangbu("db", "retain", "--months", "2", "--yes", "--json")

    assert ended.code == 1
    assert ended.error["message"] == f"usage_{OLD:%Y%m} is kept: 1 call without a price; run `jangbu prices backfill`"
    assert [partition["dropped"] for partition in ended.json["partitions"]] == [False]


def test_less_than_a_month_is_refused(jangbu: Jangbu) -> None:
    for months in ("0", "-1", "1.5"):
        refused = jangbu("db", "retain", "--months", months, "--yes")
        assert (refused.code, refused.out) == (2, "")
