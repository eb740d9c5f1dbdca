"""Mutes: what is raised meanwhile is kept and never sent, on any machine, also while the database is away."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.domain.mutes import MUTABLE, longest
from jangbu.errors import InvalidInput
from jangbu.metering.alert_facts import alert_state
from jangbu.metering.meter import Metering
from jangbu.metering.mutes import Mutes, MuteTooLong
from jangbu.storage import alerts as outbox
from jangbu.storage.database import Database
from jangbu.wiring import open_metering
from tests.alerts.receiver import Receiver, until

pytestmark = pytest.mark.usefixtures("soon")


def mutes_of(ledger: Metering) -> Mutes:
    return Mutes(ledger.database, ledger.clock, project="default")


async def for_minutes(mutes: Mutes, condition: Condition, minutes: int) -> None:
    await mutes.mute(condition, timedelta(minutes=minutes), reason="maintenance")


async def raised(ledger: Metering, holds: int) -> UUID:
    """Put an alert into the outbox that all nodes share."""
    key = Condition.HOLD_LEAK.value
    made = new_id(ledger.clock), "default", Condition.HOLD_LEAK, Phase.BEGAN, key, "gateway-1"
    alert = Alert(*made, await ledger.database.now(), {"holds": holds, "tokens": 10})
    assert await outbox.raise_(ledger.database, alert, told_as=str(alert.id), repeat_ms=0)
    return alert.id


async def state_of(ledger: Metering, condition: Condition) -> list[str]:
    found = await ledger.alerts.page(only_undelivered=False, limit=10)
    return [alert_state(row, has_channels=True) for row in found if row.alert.condition is condition]


async def test_what_is_muted_is_kept_and_another_condition_is_sent(
    chosen: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(chosen()) as ledger:
        await for_minutes(mutes_of(ledger), Condition.RECORDING_SPOOLED, 30)
        ledger.alerts.raise_(Condition.RECORDING_SPOOLED)
        heard = ledger.alerts.raise_(Condition.VERIFY_MISMATCH, {"mismatches": 1, "invariants": "balance"})
        assert heard is not None
        await receiver.until(1)

        async def is_muted() -> bool:
            return await state_of(ledger, Condition.RECORDING_SPOOLED) == ["muted"]

        await until(is_muted)
        assert receiver.ids == [str(heard.id)]

        async def is_nothing_missed() -> bool:
            return not await ledger.alerts.page(only_undelivered=True, limit=10)

        await until(is_nothing_missed)


async def test_what_was_muted_stays_unsent_when_the_mute_is_ended(
    chosen: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(chosen(alert_repeat_seconds=60), delivers=False) as ledger:
        await for_minutes(mutes_of(ledger), Condition.RECORDING_SPOOLED, 30)
        ledger.alerts.raise_(Condition.RECORDING_SPOOLED)
        assert await mutes_of(ledger).unmute(Condition.RECORDING_SPOOLED) == (1, False)
        assert await mutes_of(ledger).now() == {}
        assert [each.ended_at is None for each in await mutes_of(ledger).lately()] == [False]
    async with open_metering(chosen()) as ledger:
        heard = ledger.alerts.raise_(Condition.VERIFY_MISMATCH, {"mismatches": 1, "invariants": "balance"})
        assert heard is not None
        await receiver.until(1)

        async def is_muted() -> bool:
            return await state_of(ledger, Condition.RECORDING_SPOOLED) == ["muted"]

        await until(is_muted)
        assert receiver.ids == [str(heard.id)]


async def test_a_mute_ends_by_itself_and_what_is_raised_then_is_sent(
    chosen: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(chosen(), delivers=False) as ledger:
        made, _ = await mutes_of(ledger).mute(Condition.HOLD_LEAK, timedelta(seconds=3), reason="a new disk")
        muted = await raised(ledger, 3)
        assert set(await mutes_of(ledger).now()) == {Condition.HOLD_LEAK}

        async def is_over() -> bool:
            return await ledger.database.now() > made.until

        await until(is_over)
        assert await mutes_of(ledger).now() == {}
        heard = await raised(ledger, 4)
    async with open_metering(chosen()) as ledger:
        await receiver.until(1)

        async def are_told_apart() -> bool:
            return await state_of(ledger, Condition.HOLD_LEAK) == ["delivered", "muted"]

        await until(are_told_apart)
    assert receiver.ids == [str(heard)]
    assert muted != heard


async def test_a_mute_holds_while_the_database_is_away(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    await for_minutes(Mutes(database, SystemClock(), project="default"), Condition.RECORDING_SPOOLED, 30)
    async with open_metering(chosen()) as ledger:
        # The process hears of mutes each time before it looks what is due.
        first = ledger.alerts.raise_(Condition.VERIFY_MISMATCH, {"mismatches": 1, "invariants": "balance"})
        assert first is not None
        await receiver.until(1)
        await ledger.database.close()
        ledger.alerts.raise_(Condition.RECORDING_SPOOLED)
        heard = ledger.alerts.raise_(Condition.HOLD_LEAK, {"holds": 1, "tokens": 10})
        assert heard is not None
        await receiver.until(2)
        assert receiver.ids == [str(first.id), str(heard.id)]


async def test_recording_is_muted_for_an_hour_at_most_and_a_test_never(database: Database) -> None:
    mutes = Mutes(database, SystemClock(), project="default")
    now = await database.now()
    for condition in MUTABLE:
        with pytest.raises(MuteTooLong):
            await mutes.mute(condition, now + longest(condition) + timedelta(minutes=1), reason="r")
    with pytest.raises(MuteTooLong):
        await mutes.mute(Condition.UNPRICED, datetime(2001, 1, 1, tzinfo=UTC), reason="r")
    with pytest.raises(InvalidInput):
        await mutes.mute(Condition.TEST, now + timedelta(minutes=1), reason="r")
    with pytest.raises(InvalidInput):
        await mutes.mute(Condition.UNPRICED, now + timedelta(minutes=1), reason=" ")
    assert longest(Condition.RECORDING_FAILED) == timedelta(hours=1)
    assert await mutes.lately() == []
