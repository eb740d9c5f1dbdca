"""The end of a mute, by itself or by hand: what goes on is told at the next round, and only that, and only once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.alerts import Condition, Fact
from jangbu.domain.flow import Bounds, Call, TakeHold
from jangbu.metering.inbox import FindingKind, Inbox
from jangbu.metering.meter import Metering
from jangbu.metering.mutes import Mutes
from jangbu.storage.database import Database
from jangbu.wiring import alert_delivery, open_metering
from tests.alerts.receiver import Receiver, until
from tests.metering.test_alert_causes import answer

NOBODYS = "gemini-0-nobody-prices"


def mutes_of(ledger: Metering) -> Mutes:
    return Mutes(ledger.database, ledger.clock, project="default")


@asynccontextmanager
async def muted(ledger: Metering, condition: Condition, *, by_hand: bool) -> AsyncIterator[None]:
    """Mute a condition for what is done inside; afterwards the mute is over."""
    made, _ = await mutes_of(ledger).mute(condition, timedelta(seconds=3_000 if by_hand else 3), reason="a repair")
    yield
    if by_hand:
        await mutes_of(ledger).unmute(condition)

    async def is_over() -> bool:
        return by_hand or await ledger.database.now() > made.until

    await until(is_over)


async def a_round(ledger: Metering, settings: Settings) -> None:
    """Look for what is wrong and deliver what is due, as a node does that has just come up."""
    delivery = alert_delivery(settings, ledger.clock, ledger.database)
    await delivery.deliver_shared()
    delivery.close()


@pytest.fixture(params=[False, True], ids=["by itself", "by hand"])
def by_hand(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_holds_that_nobody_ends_are_told_when_the_mute_is_over(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database, by_hand: bool
) -> None:
    async with open_metering(chosen(), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await ledger.accounts.grant("kim", 10_000, key="first")
        call = Call(new_id(ledger.clock), "kim", "text", "gemini-2.5-flash", Bounds(10, 10, True))
        await ledger.execute(TakeHold(call, base=10, least=20, most=20, take_all=False))
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.holds SET expires_at = clock_timestamp() - interval '6 minutes'")
        async with muted(ledger, Condition.HOLD_LEAK, by_hand=by_hand):
            await a_round(ledger, chosen())
            await a_round(ledger, chosen())
            assert len(await ledger.alerts.page(only_undelivered=False, limit=10)) == 1, "kept once in its interval"
        assert receiver.received == []
        for _ in range(3):
            await a_round(ledger, chosen())
    assert [each.json["condition"] for each in receiver.received] == ["hold_leak"]


async def test_a_trouble_that_ended_within_the_mute_is_not_told(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database, by_hand: bool
) -> None:
    async with open_metering(chosen(), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        async with muted(ledger, Condition.UNPRICED, by_hand=by_hand):
            await ledger.record("kim", "text", answer(1, model=NOBODYS))
            await a_round(ledger, chosen())
            async with database.connection() as connection:
                await connection.execute("UPDATE jangbu.findings SET resolved_at = clock_timestamp()")
        await a_round(ledger, chosen())
        assert receiver.received == []
        await ledger.record("kim", "text", answer(2, model=NOBODYS))
        await a_round(ledger, chosen())
    assert [each.json["facts"]["findings"] for each in receiver.received] == [1], "it waits for no interval"


async def test_findings_that_a_mute_kept_are_told_when_it_is_over_but_for_those_that_somebody_looks_into(
    chosen: Callable[..., Settings], receiver: Receiver, by_hand: bool
) -> None:
    async with open_metering(chosen(), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await ledger.record("kim", "text", answer(1, model=NOBODYS))
        await a_round(ledger, chosen(alert_repeat_seconds=60))
        assert len(receiver.received) == 1, "what was told before the mute is not told again after it"
        async with ledger.database.connection() as connection:
            await connection.execute("UPDATE jangbu.alert_keys SET told_at = told_at - interval '2 hours'")
        async with muted(ledger, Condition.UNPRICED, by_hand=by_hand):
            kept = [await ledger.record("kim", "text", answer(number, model=NOBODYS)) for number in (2, 3, 4)]
            await a_round(ledger, chosen())
            await ledger.record("kim", "text", answer(5, model=NOBODYS))
            await a_round(ledger, chosen())
            inbox = Inbox(ledger.database, ledger.accounts, project="default")
            await inbox.acknowledge("kim", kept[0].id, FindingKind.UNPRICED)
        assert len(receiver.received) == 1
        for _ in range(3):
            await a_round(ledger, chosen())
        assert [each.json["facts"]["findings"] for each in receiver.received[1:]] == [3]
        await ledger.record("kim", "text", answer(6, model=NOBODYS))
        await a_round(ledger, chosen())
        assert len(receiver.received) == 2, "what comes next waits for its interval, as ever"


async def test_a_book_that_does_not_add_up_is_told_by_the_next_verification_after_the_mute(
    chosen: Callable[..., Settings], receiver: Receiver, by_hand: bool
) -> None:
    async with open_metering(chosen()) as ledger:
        facts: dict[str, Fact] = {"mismatches": 1, "invariants": "balance"}
        async with muted(ledger, Condition.VERIFY_MISMATCH, by_hand=by_hand):
            kept = ledger.alerts.raise_(Condition.VERIFY_MISMATCH, facts)
            assert kept is not None
            assert ledger.alerts.raise_(Condition.VERIFY_MISMATCH, facts) is None

            async def is_kept() -> bool:
                found = await ledger.alerts.page(only_undelivered=False, limit=10)
                return [row.muted_at is not None for row in found] == [True]

            await until(is_kept)

        def is_told() -> bool:
            # A process hears within seconds of a mute that was ended by hand.
            return ledger.alerts.raise_(Condition.VERIFY_MISMATCH, facts) is not None

        await until(is_told)
        await receiver.until(1)
        assert ledger.alerts.raise_(Condition.VERIFY_MISMATCH, facts) is None
    assert len(receiver.received) == 1
    assert receiver.ids != [str(kept.id)]
