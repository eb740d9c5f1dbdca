"""A shop whose book figures are compared in: its calls, and what pages and the raw records say of them.

What a page ought to show is asked of the raw records by SQL of these tests' own, which cuts days by PostgreSQL's zones.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import asyncpg
from playwright.async_api import Page

from jangbu.config import Settings
from jangbu.dashboard.formats import Formats
from jangbu.metering.keyed import with_key
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import marked_up
from jangbu.providers.gemini.parse import parse
from jangbu.storage import usage
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering
from tests.dashboard.shown import Node, read
from tests.dashboard.site import let_in_members

NEW_YORK, KOLKATA, LORD_HOWE = "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"
ZONES = ("UTC", NEW_YORK, KOLKATA, LORD_HOWE)
USERS, MODELS, SERVICES = ("kim", "lee"), ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-0-free"), ("chat", "search")
MOVED = (datetime(2026, 11, 1, 6, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
         datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 4, 4, 15, tzinfo=UTC))  # fmt: skip
"""When clocks were put back in New York and forward on Lord Howe, and in spring the other way round."""
FIRST, LAST = date(2026, 9, 28), date(2026, 11, 9)
KEYS = ("feature", "<b>key</b>")
"""What keys are called: like a tag, and like nothing that a name should be."""
FEATURES = ("writing", "<b>그림</b>", "a & b?", "")
MARKED_UP_FROM = 120
"""Which call is the first for which users are charged more than Google asks for."""
UNTOLD = (0, 70, -300, 0, 100)
"""How much more Google's total says than its parts, of calls of the second model: it is what is charged."""
METRICS = ("tokens", "cost", "calls")
COUNTED = {
    "tokens": "total", "cost": "coalesce(cost_nano, 0)", "calls": "1", "input": "prompt + tool", "cached": "cached",
    "output": "candidates", "thinking": "thoughts", "charge": "coalesce(charge_nano, 0)",
    "input_cost": "coalesce(input_cost_nano, 0)", "unpriced": "(cost_nano IS NULL)::integer",
}  # fmt: skip
EMPTY = dict.fromkeys(COUNTED, 0)
RECORDS = """
    WITH record AS (
        SELECT jangbu.uuid7_time(u.id) AS at, a.user_id, m.name AS model, s.name AS service, u.*
        FROM jangbu.usage AS u
        JOIN jangbu.accounts AS a ON a.account_id = u.account_id
        JOIN jangbu.models AS m ON m.model_id = u.model_id
        JOIN jangbu.services AS s ON s.service_id = u.service_id
    ), meant AS (
        SELECT r.*, r.at AT TIME ZONE $1 AS clock
        FROM record AS r
        WHERE (r.at AT TIME ZONE $1)::date BETWEEN $2 AND $3
            AND ($4::text IS NULL OR r.model = $4) AND ($5::text IS NULL OR r.service = $5)
            AND ($6::text IS NULL OR r.user_id = $6)
    )
"""


async def fill(database_url: str) -> str:
    """Record calls of some weeks, dense where clocks were moved, and at every midnight the last and first moment; and
    calls of weeks that are not long over, of which a month's end is foretold.
    """
    dice = random.Random(3)
    now = datetime.now(UTC)
    lately = [now - timedelta(days=8, minutes=dice.randrange(28 * 1440)) for _ in range(150)]
    spread = [datetime(2026, 9, 27, tzinfo=UTC) + timedelta(minutes=dice.randrange(45 * 1440)) for _ in range(250)]
    dense = [at + timedelta(minutes=dice.randrange(-1500, 1500)) for at in MOVED for _ in range(70)]
    midnights = [
        datetime(2026, 10, 30, tzinfo=UTC) + timedelta(hours=hours / 2, milliseconds=-early)
        for hours in range(0, 200, 5) for early in (0, 1)
    ]  # fmt: skip
    clock = SettableClock(datetime(2026, 11, 12, tzinfo=UTC))
    async with open_metering(Settings.load(database_url=database_url), clock=clock, delivers=False) as ledger:
        await let_in_members(ledger)
        for user in USERS:
            await ledger.accounts.create(user)
            await ledger.accounts.grant(user, 10_000_000, key="first")
        for name in KEYS:
            await ledger.keys.create_for_app(name)
        keys = [key.id for key in reversed(await ledger.keys.list())]
        months = {at.replace(day=1, hour=0, minute=0) for at in (*spread, *dense, *midnights, *lately)}
        await usage.make_partitions(ledger.database, sorted(months))
        for number, at in enumerate((*spread, *dense, *midnights, *lately)):
            clock.set(at + timedelta(seconds=dice.randrange(60)) if number < 500 else at)
            if number == MARKED_UP_FROM:
                await ledger.pricing.change(marked_up(125_000), "an eighth on top")
            await record(ledger, dice, number, keys)
        clock.set(MOVED[0])
        blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": MODELS[2]}
        await ledger.record("lee", "chat", parse(json.dumps(blocked).encode()))
        await ledger.keys.revoke(keys[1])
    return ""


async def record(ledger: Metering, dice: random.Random, number: int, keys: Sequence[UUID] = ()) -> None:
    prompt, thoughts = dice.randrange(10, 5_000), dice.randrange(0, 900)
    answer: dict[str, Any] = {
        "usageMetadata": {
            "promptTokenCount": prompt,
            "cachedContentTokenCount": dice.randrange(10),
            "candidatesTokenCount": 300,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": prompt + 300 + thoughts,
        },
        "modelVersion": dice.choice(MODELS),
        "responseId": f"answer-{number}",
    }
    if answer["modelVersion"] == MODELS[1]:
        answer["usageMetadata"]["totalTokenCount"] += UNTOLD[number % len(UNTOLD)]
    tags = {"feature": FEATURES[number % len(FEATURES)], "page": str(number)}
    metadata: Mapping[str, Any] = {"tags": tags} if number % 5 else {"page": number}
    if keys and number % 4:
        metadata = with_key(metadata, keys[number % 4 % 2])
    await ledger.record(
        dice.choice(USERS), dice.choice(SERVICES), parse(json.dumps(answer).encode()), metadata=metadata
    )


async def page_of(page: Page, address: str = "/", **asked: str) -> Node:
    """Open an address in a browser, and read what stands in the page once its scripts have run."""
    place = urlsplit(page.url)
    path = address.removeprefix("/dashboard") + (f"?{urlencode(asked)}" if asked else "")
    answer = await page.goto(f"{place.scheme}://{place.netloc}/dashboard{path}")
    assert answer is not None
    assert answer.status == 200, await page.content()
    return read(await page.content())


class Meant:
    """The records that a page is of, asked of the database itself."""

    def __init__(
        self, book: asyncpg.Connection, zone: str = "UTC", first: date = FIRST, last: date = LAST, *,
        model: str | None = None, service: str | None = None, user: str | None = None,
    ) -> None:  # fmt: skip
        self._book = book
        self._asked = (zone, first, last, model, service, user)

    async def sums(self, by: str = "1") -> dict[Any, dict[str, int]]:
        """Give calls, tokens and cost by an expression."""
        columns = ", ".join(f"sum({sql})::bigint AS {name}" for name, sql in COUNTED.items())
        rows = await self._book.fetch(
            f"{RECORDS} SELECT {by} AS part, min(at) AS since, {columns} FROM meant GROUP BY 1 ORDER BY 2", *self._asked
        )
        parts = (tuple(row["part"]) if isinstance(row["part"], list) else row["part"] for row in rows)
        return {part: {name: row[name] for name in COUNTED} for part, row in zip(parts, rows, strict=True)}

    async def total(self) -> dict[str, int]:
        return next(iter((await self.sums()).values()), EMPTY)


def written(metric: str, value: int) -> str:
    formats = Formats("en", "UTC")
    return formats.money(value) if metric == "cost" else formats.number(value)


def told(metric: str, sums: dict[str, int]) -> str:
    """Give what the table beside a chart says of sums."""
    return costed(sums) if metric == "cost" else written(metric, sums[metric])


def exactly(total: dict[str, int]) -> dict[str, str]:
    """Give what the tiles say of a total."""
    formats = Formats("en", "UTC")
    return {
        "Tokens": formats.number(total["tokens"]),
        "Cost": costed_exactly(total, total["cost"]),
        "Calls": formats.number(total["calls"]),
    }


def tiles_of(page: Node) -> dict[str, str]:
    return {name: page.tiles[name] for name in ("Tokens", "Cost", "Calls")}


def costed(sums: dict[str, int], named: str = "cost") -> str:
    """Give what calls cost as tables say it: at least so much where some have no price."""
    return as_known(sums, written("cost", sums[named]))


def costed_exactly(sums: dict[str, int], nano: int) -> str:
    """Give a sum of money over calls as it is told to the last nano-USD."""
    return as_known(sums, Formats("en", "UTC").money_exact(nano))


def as_known(sums: dict[str, int], money: str) -> str:
    if sums["unpriced"] == sums["calls"] > 0:
        return "–"
    return f"≥ {money}" if sums["unpriced"] else money


def added(cells: Iterable[str]) -> str:
    return f"{sum(int(cell.replace(',', '')) for cell in cells):,}"
