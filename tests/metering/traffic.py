"""A book with traffic of every kind in it: what reports and verification are tested on."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from jangbu.clock import SystemClock, new_id
from jangbu.domain.flow import Bounds, Call, Held, TakeHold
from jangbu.domain.ledger import Asset
from jangbu.domain.usage import Platform, Source, Surface, Units, Usage
from jangbu.metering.accounts import Accounts
from jangbu.metering.editions import Priced
from jangbu.metering.holds import Holds
from jangbu.metering.recorder import Named, Recorder
from jangbu.providers.gemini import restate as restate_gemini
from jangbu.storage import holds as stored_holds
from jangbu.storage.database import Database
from jangbu.storage.names import Names
from jangbu.storage.usage import Flushed, UsageRecord, UsageRow
from jangbu.testing.clock import SettableClock

PROJECT = "shop"
KIM, LEE, PARK = "kim", "이서연", "park"
TEXT, IMAGE = "text_generation", "image_generation"
FLASH, PRO = "gemini-2.5-flash", "gemini-2.5-pro"
PRICES = {FLASH: (300, 2_500), PRO: (1_250, 10_000)}
"""Nano-USD for each token of input and of output; other models have no price."""
IMAGE_PRICE = 40_000_000
MARK_UP = 2


def cost_of(model: str, prompt: int, output: int, images: int = 0) -> tuple[int | None, int | None, int | None]:
    if model not in PRICES:
        return None, None, None
    of_input, of_output = PRICES[model]
    cost = prompt * of_input + output * of_output + images * IMAGE_PRICE
    return cost, prompt * of_input, cost * MARK_UP


async def recompute(record: UsageRecord) -> Priced:
    usage = restate(record)
    images = json.loads(record.raw).get("images", 0)
    return Priced(*cost_of(record.model, usage.prompt_tokens, usage.completion_tokens, images), version=1)


def restate(record: UsageRecord) -> Usage:
    raw = json.loads(record.raw)["usage"]
    platform, source = Platform(record.platform), Source(record.source)
    return restate_gemini(Surface(record.surface), raw, platform, record.model, None, Units(), source=source)


@dataclass
class Shop:
    """The parts that keep a book, and how to make a call of a given size."""

    database: Database
    project: str
    clock: SettableClock
    accounts: Accounts
    holds: Holds
    recorder: Recorder
    services: Names
    models: Names
    numbers: "count[int]" = field(default_factory=count)

    def row(
        self,
        user: str,
        *,
        service: str = TEXT,
        model: str = FLASH,
        prompt: int = 10,
        candidates: int = 20,
        thoughts: int = 0,
        tool: int = 0,
        cached: int = 0,
        call: UUID | None = None,
        held: bool = False,
    ) -> UsageRow:
        self.clock.advance(timedelta(milliseconds=1))
        total = prompt + candidates + thoughts + tool
        usage = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": candidates,
            "thoughtsTokenCount": thoughts,
            "toolUsePromptTokenCount": tool,
            "cachedContentTokenCount": cached,
            "totalTokenCount": total,
        }
        cost, input_cost, charge = cost_of(model, prompt + tool, candidates + thoughts)
        return UsageRow(
            account_id=self.accounts.id_of(user),
            id=call or new_id(self.clock),
            service_id=self.services[service],
            model_id=self.models[model],
            surface="generate_content",
            platform="gemini_api",
            tier=None,
            source="reported",
            prompt=prompt,
            candidates=candidates,
            thoughts=thoughts,
            tool=tool,
            cached=cached,
            total=total,
            cost_nano=cost,
            input_cost_nano=input_cost,
            charge_nano=charge,
            price_version=1 if model in PRICES else None,
            was_held=held,
            response_id=f"answer-{next(self.numbers)}",
            anomalies=None,
            raw=json.dumps({"usage": [usage]}),
            metadata=None,
        )

    def silent_row(self, user: str) -> UsageRow:
        """Give the record of an answer that said nothing of usage."""
        row = self.row(user, prompt=0, candidates=0)
        return row._replace(source="none", raw=json.dumps({"usage": []}))

    def image_row(self, user: str, images: int) -> UsageRow:
        """Give the record of images, which cost money and no tokens."""
        row = self.row(user, service=IMAGE, prompt=0, candidates=0)
        cost, input_cost, charge = cost_of(FLASH, 0, 0, images)
        return row._replace(
            surface="predict",
            cost_nano=cost,
            input_cost_nano=input_cost,
            charge_nano=charge,
            raw=json.dumps({"usage": [], "images": images}),
        )

    async def record(self, rows: Sequence[UsageRow]) -> list[Flushed]:
        named = [Named(row, "somebody", TEXT, FLASH) for row in rows]
        outcomes = await asyncio.gather(*(self.recorder.record(each) for each in named))
        return [outcome for outcome in outcomes if isinstance(outcome, Flushed)]

    async def hold(self, user: str, amount: int) -> UUID:
        call = Call(new_id(self.clock), user, TEXT, FLASH, Bounds(0, 0, output_chosen=True))
        held = await self.holds.take(self.accounts.id_of(user), TakeHold(call, 0, amount, amount))
        assert held == Held(amount)
        return call.id

    async def execute(self, commands: str) -> None:
        async with self.database.connection() as connection:
            await connection.execute(commands)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]


@asynccontextmanager
async def open_shop(database: Database, project: str = PROJECT) -> AsyncIterator[Shop]:
    # What is traded ends with a few calls after three days: a minute keeps them out of the future on a fast machine.
    clock = SettableClock(datetime.now(UTC) - timedelta(days=3, minutes=1))
    shop = Shop(
        database,
        project,
        clock,
        Accounts(database, SystemClock(), project=project, retry_seconds=10),
        Holds(database, project=project, lanes=2, hold_seconds=900, retry_seconds=10),
        Recorder(database, project=project),
        Names(database, "service"),
        Names(database, "model"),
    )
    await shop.services.learn([TEXT, IMAGE])
    await shop.models.learn([FLASH, PRO, "gemini-99"])
    for user in (KIM, LEE, PARK):
        await shop.accounts.create(user)
    try:
        yield shop
    finally:
        await shop.recorder.close()
        await shop.holds.close()


async def trade(shop: Shop) -> None:
    """Write everything that a book may hold."""
    for user in (KIM, LEE):
        await shop.accounts.grant(user, 100_000, key=f"purchase-{user}")
    await shop.record([shop.image_row(KIM, 1)])
    await shop.accounts.grant(KIM, 10**12, key="money", asset=Asset.MONEY)
    await shop.record([shop.image_row(KIM, 4)])
    await shop.record([shop.image_row(KIM, 3)])
    await _use_up_a_grant(shop)
    for _ in range(3):
        await _trade_for_a_day(shop)
        shop.clock.advance(timedelta(days=1))
    await _correct(shop)
    # What was corrected burnt the grants down to what was used: they lag behind a balance again.
    await shop.record([shop.image_row(KIM, 1)])


async def _trade_for_a_day(shop: Shop) -> None:
    await shop.record(
        [
            shop.row(user, model=model, prompt=n, thoughts=n % 7)
            for n in range(20)
            for user in (KIM, LEE)
            for model in PRICES
        ]
        + [
            shop.row(KIM, service=IMAGE, tool=30, cached=5),
            shop.row(LEE, model="gemini-99"),
            shop.silent_row(PARK),
            shop.image_row(KIM, 2),
        ]
    )
    covered, exceeded, lost, released, late = [await shop.hold(KIM, 100) for _ in range(5)]
    kim = shop.accounts.id_of(KIM)
    await shop.holds.release(kim, released, "the provider answered 500")
    await shop.holds.release(kim, late, "given up too early")
    await shop.holds.mark_unknown(kim, lost, "the connection broke")
    await shop.record(
        [
            shop.row(KIM, call=covered, held=True),
            shop.row(KIM, call=exceeded, held=True, candidates=500),
            shop.row(KIM, call=late, held=True),
        ]
    )
    await shop.hold(LEE, 77)


async def _use_up_a_grant(shop: Shop) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    await shop.accounts.grant(LEE, 500, key="gift", source="gift", expires_at=soon)
    await shop.execute("UPDATE jangbu.grants SET expires_at = now() - interval '1 hour' WHERE source = 'gift'")
    await shop.accounts.expire_grants()


async def _correct(shop: Shop) -> None:
    refunded, voided = shop.row(KIM, candidates=90), shop.row(KIM)
    await shop.record([refunded, voided])
    await shop.accounts.refund(KIM, refunded.id, 40, reason="the answer was useless", key="refund")
    await shop.accounts.void(KIM, voided.id, reason="sent twice by mistake")
    await shop.accounts.adjust(LEE, -10, reason="a slip", key="adjust")


async def leave_a_hold_open(shop: Shop, user: str, *, seconds_ago: int) -> None:
    """Leave a hold open whose time was up some time ago."""
    call = new_id(SystemClock())
    request = stored_holds.HoldRequest(shop.accounts.id_of(user), call, 0, 5, 5, False, TEXT, FLASH)
    async with shop.database.connection() as connection:
        await stored_holds.take(connection, [request], owner="gone", seconds=-seconds_ago, may_have_left=True)
