"""Calls on a ledger whose database can be taken away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, Receipt, Settle, TakeHold
from jangbu.domain.ledger import account_id
from jangbu.domain.usage import Usage
from jangbu.metering.evidence import restated
from jangbu.metering.meter import Metering
from jangbu.metering.verify import Verification
from jangbu.providers.gemini import parse
from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRow
from jangbu.wiring import open_metering

FLASH = "gemini-2.5-flash"
GRANT = 10_000_000


@asynccontextmanager
async def opened(settings: Settings, *users: str) -> AsyncIterator[Metering]:
    async with open_metering(settings) as metering:
        for user in users:
            await metering.accounts.create(user)
            await metering.accounts.grant(user, GRANT, key="first")
        yield metering


def answer(number: int, tokens: int = 450, model: str = FLASH) -> Usage:
    body = (
        f'{{"usageMetadata":{{"promptTokenCount":{tokens - 300},"candidatesTokenCount":300,'
        f'"totalTokenCount":{tokens}}},"modelVersion":"{model}","responseId":"answer-{number}"}}'
    )
    return parse(body.encode())


def new_call(user: str) -> Call:
    return Call(new_id(SystemClock()), user, "text_generation", FLASH, Bounds(0, 0, output_chosen=True))


async def hold(metering: Metering, call: Call) -> None:
    assert await metering.execute(TakeHold(call, 0, 1000, 1000)) == Held(1000)


async def settle(metering: Metering, call: Call, usage: Usage) -> Receipt:
    receipt = await metering.execute(Settle(call, usage))
    assert isinstance(receipt, Receipt)
    return receipt


async def recorded(metering: Metering) -> dict[UUID, int]:
    rows = await fetch(
        metering.database,
        "SELECT u.id, u.total FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id) WHERE a.project = $1",
        metering.accounts._project,
    )
    return {row["id"]: row["total"] for row in rows}


async def fetch(database: Database, query: str, *arguments: Any) -> list[Any]:
    async with database.connection() as connection:
        return list(await connection.fetch(query, *arguments))


async def is_drained(metering: Metering) -> bool:
    assert metering.spooling is not None
    return (await metering.spooling.backlog()).waiting == 0


async def check_book(metering: Metering, project: str) -> None:
    report = await Verification(metering.database, project).run(recompute=metering.pricing.reprice, restate=restated)
    assert report.mismatches == ()


async def settle_held(metering: Metering, usage: Usage) -> Receipt:
    call = new_call("kim")
    await hold(metering, call)
    return await settle(metering, call, usage)


def spooled_row(project: str, user: str, usage_id: UUID) -> UsageRow:
    """Give a row as it lies in a spool: 450 tokens, its names without numbers, and no price."""
    return UsageRow(
        account_id=account_id(project, user),
        id=usage_id,
        service_id=0,
        model_id=0,
        surface="generate_content",
        platform="gemini_api",
        tier=None,
        source="reported",
        prompt=150,
        candidates=300,
        thoughts=0,
        tool=0,
        cached=0,
        total=450,
        cost_nano=None,
        input_cost_nano=None,
        charge_nano=None,
        price_version=None,
        was_held=False,
        response_id=None,
        anomalies=None,
        raw='{"usage":[{"promptTokenCount":150,"candidatesTokenCount":300,"totalTokenCount":450}]}',
        metadata=None,
    )
