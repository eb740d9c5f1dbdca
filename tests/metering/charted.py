"""A book with calls over some weeks, most of them around a move of a clock: what is told of windows is tested on it.

Some of the calls are carried to where rollups last and some are recent, of all times, and some got their price later.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from jangbu.domain.amounts import Amounts
from jangbu.metering.rollups import Rollups
from jangbu.metering.snapshots import Filters
from jangbu.storage import usage
from jangbu.storage.database import Database
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PARK, PRO, PROJECT, TEXT, Shop, open_shop

NEW_YORK, SEOUL, KOLKATA, KATHMANDU, LORD_HOWE = (
    ZoneInfo(name)
    for name in ("America/New_York", "Asia/Seoul", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")
)
ZONES = (ZoneInfo("UTC"), NEW_YORK, SEOUL, KOLKATA, KATHMANDU, LORD_HOWE)
MOVED = datetime(2026, 3, 8, 7, tzinfo=UTC)
"""When clocks in New York were put forward."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MODELS, SERVICES, USERS = (FLASH, PRO, "gemini-99"), (TEXT, IMAGE), (KIM, LEE, PARK)


@dataclass(frozen=True)
class Recorded:
    """A record as it stands in the book."""

    at: datetime
    user: str
    model: str
    service: str
    amounts: Amounts


def calls() -> Sequence[tuple[datetime, str, str, str]]:
    """Give when who called what: over some weeks around the change of a clock, and densely on three days."""
    chance = random.Random(5)
    spread = [MOVED + chance.randint(-40 * 1440, 40 * 1440) * MINUTE for _ in range(400)]
    dense = [MOVED + chance.randint(-1440, 2880) * MINUTE for _ in range(300)]
    edges = [MOVED + number * 15 * MINUTE - timedelta(milliseconds=number % 2) for number in range(-100, 100)]
    return [
        (at + timedelta(seconds=chance.choice((0, 0, 17, 59))), chance.choice(USERS), chance.choice(MODELS),
         chance.choice(SERVICES))
        for at in spread + dense + edges
    ]  # fmt: skip


async def fill(dsn: str) -> None:
    database, chance = await Database.connect(dsn), random.Random(7)
    async with open_shop(database) as shop:
        await usage.make_partitions(database, [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 6)])
        rows = []
        for at, user, model, service in calls():
            shop.clock.set(at - timedelta(milliseconds=1))
            bounds = {"prompt": 90, "candidates": 90, "tool": 9, "thoughts": 9, "cached": 5}
            parts: dict[str, Any] = {name: chance.randint(0, most) for name, most in bounds.items()}
            rows.append(shop.row(user, model=model, service=service, **parts))
        chance.shuffle(rows)
        third = len(rows) // 3
        await shop.record(rows[:third])
        await Rollups(database).carry_before(MOVED + 10 * DAY, MOVED + 10 * DAY)
        await shop.record(rows[third : 2 * third])
        await Rollups(database).carry_before(MOVED + 3 * HOUR, MOVED + 2 * HOUR)
        await shop.record(rows[2 * third :])
        unpriced = [row for row in rows if row.cost_nano is None]
        prices = [(row.account_id, row.id, 700, 100, 900, 1) for row in unpriced[::2]]
        await usage.write_prices(database, prices, PROJECT, 0)
    await database.close()


async def recorded(shop: Shop) -> Sequence[Recorded]:
    """Give all records as they stand."""
    rows = await shop.rows(
        "SELECT jangbu.uuid7_time(u.id), a.user_id, m.name, s.name, 1::bigint, u.prompt + u.tool, u.candidates,"
        " u.thoughts, u.cached, u.total, coalesce(u.cost_nano, 0), coalesce(u.input_cost_nano, 0),"
        " coalesce(u.charge_nano, 0), (u.cost_nano IS NULL)::integer"
        " FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id)"
        " JOIN jangbu.services AS s USING (service_id) JOIN jangbu.models AS m USING (model_id) WHERE a.project = $1",
        shop.project,
    )
    return [Recorded(row[0], row[1], row[2], row[3], Amounts(*row[4:])) for row in rows]


def expected(records: Sequence[Recorded], edges: Sequence[datetime], filters: Filters) -> list[Amounts]:
    meant = [
        each
        for each in records
        if filters.user in (None, each.user)
        and (not filters.models or each.model in filters.models)
        and (not filters.services or each.service in filters.services)
    ]
    return [Amounts.sum(each.amounts for each in meant if start <= each.at < end) for start, end in pairwise(edges)]
