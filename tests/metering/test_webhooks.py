"""What the app is told of its users: each thing once, and nothing besides."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from jangbu import telemetry
from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Refused, Settle, TakeHold
from jangbu.errors import InvalidSettings
from jangbu.providers.gemini import parse_object
from jangbu.storage.database import Database
from jangbu.wiring import open_metering
from tests.alerts.receiver import Receiver
from tests.metering.telling import UNPRICED, answer, open_account, quiet, refuse, told, use

pytestmark = pytest.mark.usefixtures("soon")


async def test_a_low_balance_is_told_once_and_again_only_after_it_had_more_by_a_margin(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling(webhook_events="balance.low")) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 8_500)
        await use(ledger, 600)
        await receiver.until(1)
        await use(ledger, 100)
        await ledger.accounts.grant("kim", 250, key="to-1050")
        await use(ledger, 100)
        await quiet(ledger)
        assert len(receiver.received) == 1, "within the margin it is the same low balance"
        await ledger.accounts.grant("kim", 200, key="to-1150")
        await use(ledger, 300)
        await receiver.until(2)
        await quiet(ledger)
    first, second = told(receiver, "balance.low")
    assert first == {
        "user": "kim", "balance": 10_000, "used_tokens": 9_100, "held_tokens": 0, "available": 900, "threshold": 1_000,
    }  # fmt: skip
    assert second["available"] == 850


async def test_a_balance_that_never_had_the_threshold_does_not_fall_below_it(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling(webhook_events="balance.low")) as ledger:
        await ledger.accounts.create("lee")
        await open_account(ledger, 500)
        await use(ledger, 100)
        await quiet(ledger)
        assert receiver.received == []
        await ledger.accounts.grant("kim", 2_000, key="more")
        await use(ledger, 2_000)
        await receiver.until(1)
    assert told(receiver, "balance.low")[0]["available"] == 400


async def test_what_calls_under_way_hold_makes_no_balance_low(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling(webhook_events="balance.low")) as ledger:
        await open_account(ledger, 10_000)
        call = Call(new_id(ledger.clock), "kim", "text", "gemini-2.5-flash", Bounds(10, 10, True))
        await ledger.execute(TakeHold(call, 10, 9_500, 9_500))
        await use(ledger, 100)
        await quiet(ledger)
        assert receiver.received == []
        await ledger.execute(Settle(call, answer(9_300)))
        await receiver.until(1)
    assert told(receiver, "balance.low")[0]["available"] == 600


async def test_a_grant_that_is_used_up_is_told_and_one_that_expires_is_not(
    telling: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    async with open_metering(telling(low_balance_tokens=0)) as ledger:
        await ledger.accounts.create("kim")
        first = await ledger.accounts.grant("kim", 1_000, key="first", source="trial", priority=-1)
        second = await ledger.accounts.grant("kim", 5_000, key="second")
        await use(ledger, 900)
        await quiet(ledger)
        assert receiver.received == []
        await use(ledger, 200)
        await receiver.until(1)
        await use(ledger, 1_000)
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.grants SET expires_at = clock_timestamp() WHERE id = $1", second.id)
        assert await ledger.accounts.expire_grants() == 1
        await quiet(ledger)
    assert told(receiver, "grant.used_up") == [
        {"user": "kim", "grant": str(first.id), "amount": 1_000, "source": "trial", "available": 4_900}
    ]


async def test_refused_calls_of_a_user_are_told_once_an_hour_with_how_many(
    telling: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    async with open_metering(telling(low_balance_tokens=0)) as ledger:
        await open_account(ledger, 100)
        await refuse(ledger)
        await receiver.until(1)
        for _ in range(6):
            await refuse(ledger)
        await quiet(ledger)
        assert len(receiver.received) == 1
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.refused_calls SET told_at = told_at - interval '1 hour'")
        await receiver.until(2)
    first, second = told(receiver, "call.refused")
    assert (first["user"], first["calls"], first["available"]) == ("kim", 1, 100)
    assert (second["calls"], second["since"][-1]) == (6, "Z")


async def test_a_hold_for_less_may_follow_a_refusal_which_is_no_refused_call(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling()) as ledger:
        await open_account(ledger, 5_000)
        call = Call(new_id(ledger.clock), "kim", "text", "gemini-2.5-flash", Bounds(10_000, 10, True))
        asked = TakeHold(call, 10_000, 10_010, 10_010, goes_on_with=11)
        assert isinstance(await ledger.execute(asked), Refused)
        await quiet(ledger)
    assert receiver.received == []


async def test_findings_of_a_kind_are_told_together_with_their_calls(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling(low_balance_tokens=0), delivers=False) as ledger:
        await open_account(ledger, 1_000_000)
        await open_account(ledger, 1_000_000, "lee")
        unpriced = [await use(ledger, 100, UNPRICED) for _ in range(3)]
        of_lee = await use(ledger, 100, UNPRICED, "lee")
        large, lost = (
            Call(new_id(ledger.clock), "kim", "text", "gemini-2.5-flash", Bounds(10, 10, True)) for _ in range(2)
        )
        for call in (large, lost):
            await ledger.execute(TakeHold(call, 10, 20, 20))
        await ledger.execute(Settle(large, answer(500)))
        await ledger.holds.mark_unknown(ledger.accounts.id_of("kim"), lost.id, "a secret of the provider's error")
        counts = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 5}
        odd = await ledger.record(
            "kim",
            "text",
            parse_object({"candidates": [], "usageMetadata": counts, "modelVersion": "gemini-2.5-flash"}),
        )
    async with open_metering(telling(low_balance_tokens=0)) as ledger:
        await receiver.until(5)
        await quiet(ledger)
    found = {(each["user"], each["finding"]): each for each in told(receiver, "call.anomaly")}
    assert len(receiver.received) == len(found) == 5
    assert found["kim", "unpriced"]["findings"] == 3
    assert found["kim", "unpriced"]["calls"] == [str(each) for each in unpriced]
    assert found["lee", "unpriced"]["calls"] == [str(of_lee)]
    assert found["kim", "overrun"]["calls"] == [str(large.id)]
    assert found["kim", "unknown_outcome"]["calls"] == [str(lost.id)]
    assert found["kim", "anomaly"]["calls"] == [str(odd.id)]


async def test_a_record_that_fails_is_told_without_what_it_holds(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling()) as ledger:
        await open_account(ledger, 10_000)
        call = uuid4()
        facts = {"usage_id": str(call), "account_id": str(ledger.accounts.id_of("kim")), "total": 321}
        telemetry.emit("recorder.failed", message="a secret", evidence='{"text": "a secret"}', **facts)
        await receiver.until(1)
    assert told(receiver, "record.failed") == [{"user": "kim", "call": str(call), "tokens": 321}]


async def test_a_record_that_fails_as_the_ledger_closes_is_told_by_the_next(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling()) as ledger:
        await open_account(ledger, 10_000)
        facts = {"usage_id": str(uuid4()), "account_id": str(ledger.accounts.id_of("kim")), "total": 321}
        telemetry.emit("recorder.failed", message="a secret", evidence="{}", **facts)
    async with open_metering(telling()):
        await receiver.until(1)
    assert receiver.received[0].json["type"] == "record.failed"


async def test_only_the_events_that_were_chosen_are_told(
    telling: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    async with open_metering(telling(webhook_events=" call.refused , balance.low")) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 9_900, UNPRICED)
        await refuse(ledger)
        await receiver.until(2)
        await quiet(ledger)
    assert {each.json["type"] for each in receiver.received} == {"balance.low", "call.refused"}
    with pytest.raises(InvalidSettings, match=r"'balance\.lost' is no event"):
        async with open_metering(telling(webhook_events="balance.lost")):
            pass
