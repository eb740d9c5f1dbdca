"""What happens to users, and what their app was told of it."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, Refused, TakeHold
from jangbu.domain.usage import Usage
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse_object
from tests.alerts.receiver import Receiver, until

UNPRICED = "gemini-0-nobody-prices"


def answer(total: int, model: str = "gemini-2.5-flash") -> Usage:
    counts = {"promptTokenCount": 10, "candidatesTokenCount": total - 10, "totalTokenCount": total}
    return parse_object(
        {"candidates": [], "usageMetadata": counts, "modelVersion": model, "responseId": f"answer-{uuid4()}"}
    )


async def open_account(ledger: Metering, tokens: int, user: str = "kim") -> None:
    await ledger.accounts.create(user)
    await ledger.accounts.grant(user, tokens, key="first")


async def use(ledger: Metering, total: int, model: str = "gemini-2.5-flash", user: str = "kim") -> UUID:
    return (await ledger.record(user, "text", answer(total, model))).id


async def refuse(ledger: Metering, user: str = "kim") -> None:
    call = Call(new_id(ledger.clock), user, "text", "gemini-2.5-flash", Bounds(10, 10, True))
    assert isinstance(await ledger.execute(TakeHold(call, 10, 10_000_000, 10_000_000)), Refused)


async def quiet(ledger: Metering) -> None:
    """Wait until a full look at all balances, and another at what this process saw, told nothing more."""
    async with ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.webhook_walks SET due_at = clock_timestamp()")
        ask = "SELECT bool_and(due_at > clock_timestamp() + interval '10 seconds') FROM jangbu.webhook_walks"
        await until(lambda: connection.fetchval(ask))
    await asyncio.sleep(2.5)


def told(receiver: Receiver, kind: str) -> list[dict[str, Any]]:
    return [each.json["data"] for each in receiver.received if each.json["type"] == kind]


async def all_delivered(ledger: Metering) -> bool:
    return not await ledger.webhooks.page(only_undelivered=True)
