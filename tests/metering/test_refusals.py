"""Refused calls are counted by user and minute, and forgotten after as long as holds that were given back."""

from datetime import UTC, datetime, timedelta

from jangbu.clock import SystemClock
from jangbu.metering.refusals import Refusals, refused_page
from jangbu.metering.snapshots import snapshot
from jangbu.storage.database import Database
from jangbu.storage.refusals import add
from tests.metering.traffic import KIM, open_shop

KEPT = timedelta(days=400)
A_WHILE = timedelta(hours=1)
OTHER = "another project"


async def test_what_was_refused_longer_ago_than_it_is_kept_is_forgotten(database: Database) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    young, old = now - KEPT + A_WHILE, now - KEPT - A_WHILE
    async with open_shop(database) as shop, open_shop(database, OTHER) as other:
        kim = shop.accounts.id_of(KIM)
        minutes = {(old - timedelta(minutes=each), kim): 1 for each in range(2_100)}
        await add(database, shop.project, {**minutes, (young, kim): 3, (now, kim): 4})
        await add(database, OTHER, {(old, other.accounts.id_of(KIM)): 9})
        await Refusals(database, SystemClock(), project=shop.project).purge()
        async with snapshot(database, shop.project) as look, snapshot(database, OTHER) as beside:
            assert [(each.at, each.calls) for each in await refused_page(look)] == [(now, 4), (young, 3)]
            assert [each.calls for each in await refused_page(beside)] == [9]
