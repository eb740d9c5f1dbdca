"""A month's budget: when calls have cost most of it, and all of it, somebody is told, once."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from jangbu.config import Settings
from jangbu.metering.meter import Metering
from jangbu.metering.months import spent_of
from jangbu.metering.snapshots import snapshot
from jangbu.providers.gemini import parse_object
from jangbu.storage.database import Database
from jangbu.wiring import alert_delivery, open_metering
from tests.alerts.receiver import Receiver

OUTPUT_NANO = 2_500
"""What the shipped book has for a token of this model's output: $2.50 for a million."""


async def called(ledger: Metering, number: int, tokens: int) -> None:
    """Record a call of kim's that cost so many tokens of output."""
    counts = {"promptTokenCount": 0, "candidatesTokenCount": tokens, "totalTokenCount": tokens}
    body = {"candidates": [], "usageMetadata": counts, "modelVersion": "gemini-2.5-flash", "responseId": f"{number}"}
    await ledger.record("kim", "text", parse_object(body))


async def looked(settings: Settings, ledger: Metering) -> None:
    """Do what each process does once a minute: as one that has just begun."""
    await alert_delivery(settings, ledger.clock, ledger.database).deliver_shared()


async def test_somebody_is_told_at_four_fifths_and_when_all_is_gone_once_each(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    settings = chosen(monthly_budget_usd=Decimal("2.50"), time_zone="Asia/Seoul")
    async with open_metering(settings, delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await called(ledger, 1, 799_999)
        await looked(settings, ledger)
        assert receiver.received == []
        for number, tokens in ((2, 1), (3, 199_999), (4, 1)):
            await called(ledger, number, tokens)
            for _ in range(2):
                await looked(settings, ledger)
        async with snapshot(database, settings.project) as book:
            assert settings.monthly_budget_nano is not None
            assert ledger.alerts.budget is not None
            spent = await spent_of(book, ledger.alerts.budget)
    told = [(each.json["condition"], each.json["severity"], each.json["facts"]) for each in receiver.received]
    of = {"month": f"{spent.first:%Y-%m}", "days": spent.today.day, "budget_nano": 2_500_000_000, "unpriced": 0}
    assert told == [
        ("budget_near", "warning", {**of, "per_cent": 80, "cost_nano": 800_000 * OUTPUT_NANO}),
        ("budget_spent", "critical", {**of, "per_cent": 100, "cost_nano": 1_000_000 * OUTPUT_NANO}),
    ]


async def test_another_budget_is_told_of_anew_and_a_month_by_which_it_was_told_is_over(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    settings = chosen(monthly_budget_usd=Decimal("0.01"))
    larger = chosen(monthly_budget_usd=Decimal("0.02"))
    async with open_metering(settings, delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await called(ledger, 1, 10_000)
        for each in (settings, larger, larger):
            await looked(each, ledger)
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.alert_keys SET told_at = told_at - interval '31 days'")
        await looked(larger, ledger)
    assert [each.json["facts"]["budget_nano"] for each in receiver.received] == [10_000_000, 20_000_000]


async def test_calls_without_a_price_are_told_beside_what_the_others_cost(
    chosen: Callable[..., Settings], receiver: Receiver
) -> None:
    settings = chosen(monthly_budget_usd=Decimal("0.01"))
    async with open_metering(settings, delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await called(ledger, 1, 3_200)
        counts = {"promptTokenCount": 1, "totalTokenCount": 1}
        await ledger.record("kim", "text", parse_object({"usageMetadata": counts, "modelVersion": "gemini-0-nobody"}))
        await looked(settings, ledger)
    told = {each.json["condition"]: each.json for each in receiver.received}
    assert told["budget_near"]["facts"]["unpriced"] == 1


@pytest.mark.parametrize("budget", [None, Decimal(1_000)])
async def test_nobody_is_told_where_there_is_no_budget_or_much_is_left(
    chosen: Callable[..., Settings], receiver: Receiver, budget: Decimal | None
) -> None:
    settings = chosen(monthly_budget_usd=budget)
    async with open_metering(settings, delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await called(ledger, 1, 10_000)
        await looked(settings, ledger)
    assert receiver.received == []
