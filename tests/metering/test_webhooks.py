"""Webhooks to the app: what happens to users is told once, whatever dies or is away meanwhile, and nothing besides."""

import asyncio
import base64
import hashlib
import hmac
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from jangbu import telemetry
from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Refused, Settle, TakeHold
from jangbu.domain.usage import Usage
from jangbu.domain.webhooks import EventKind
from jangbu.errors import InvalidSettings, NotFound
from jangbu.metering import alert_delivery, webhooks
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse_object
from jangbu.storage.database import Database
from jangbu.storage.webhooks import EventRow
from jangbu.wiring import open_metering
from tests.alerts.receiver import SECRET, Receiver, receiving, until

UNPRICED = "gemini-0-nobody-prices"
RECORD_AND_DIE = """
import asyncio, os, signal
from jangbu.config import Settings
from jangbu.providers.gemini import parse_object
from jangbu.wiring import open_metering

COUNTS = {"promptTokenCount": 10, "candidatesTokenCount": 9490, "totalTokenCount": 9500}
ANSWER = {"usageMetadata": COUNTS, "modelVersion": "gemini-0-nobody-prices", "responseId": "the-last"}

async def main():
    async with open_metering(Settings.load()) as ledger:
        await ledger.record("kim", "text", parse_object({"candidates": [], **ANSWER}))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
DELIVER = """
import asyncio
from jangbu.config import Settings
from jangbu.wiring import open_metering

async def main():
    async with open_metering(Settings.load()):
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def telling(chosen: Callable[..., Settings], receiver: Receiver) -> Callable[..., Settings]:
    """Give what makes settings whose app is told; a balance is low below 1,000 tokens, and no more from 1,100 on."""

    def choose(**given: Any) -> Settings:
        usual: dict[str, Any] = {
            "alert_webhook_url": None,
            "alert_webhook_secret": None,
            "webhook_url": receiver.url,
            "webhook_secret": SECRET,
            "low_balance_tokens": 1_000,
        }
        return chosen(**(usual | given))

    return choose


@pytest.fixture
def apart(environment: dict[str, str], receiver: Receiver) -> dict[str, str]:
    """Give the same as variables, for a process of its own."""
    usual = {name: value for name, value in environment.items() if "ALERT_WEBHOOK" not in name}
    return usual | {
        "JANGBU_WEBHOOK_URL": receiver.url,
        "JANGBU_WEBHOOK_SECRET": SECRET,
        "JANGBU_LOW_BALANCE_TOKENS": "1000",
    }


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what failed tried again soon."""
    monkeypatch.setattr(alert_delivery, "_FIRST_WAIT_MS", 200)
    monkeypatch.setattr(webhooks, "_LOOK_SECONDS", 1)


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


async def test_a_receiver_can_verify_what_it_gets_and_finds_no_content_in_it(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling()) as ledger:
        await open_account(ledger, 10_000)
        await ledger.record("kim", "text", answer(9_500, UNPRICED), metadata={"note": "canary-of-content"})
        await refuse(ledger)
        await receiver.until(3)
        await until(lambda: all_delivered(ledger))
        rows = {str(row.event.id): row for row in await ledger.webhooks.page()}
    for each in receiver.received:
        id_, timestamp = each.headers["webhook-id"], each.headers["webhook-timestamp"]
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        signed = hmac.new(key, f"{id_}.{timestamp}.".encode() + each.body, hashlib.sha256).digest()
        assert each.headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"
        assert list(each.json) == ["type", "id", "timestamp", "project", "data"]
        assert (each.json["id"], each.json["project"]) == (id_, "default")
        assert each.json["type"] == rows[id_].event.kind
        for secret in ("canary", "answer-", SECRET, "modelVersion", "token=a-secret"):
            assert secret not in each.body.decode()


async def test_many_processes_tell_each_event_once(telling: Callable[..., Settings], receiver: Receiver) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_metering(telling())) for _ in range(4)]
        users = [f"user-{number}" for number in range(30)]
        for user in users:
            await open_account(nodes[0], 10_000, user)

        async def spend(node: Metering, user: str) -> None:
            await use(node, 9_500, UNPRICED, user)
            await refuse(node, user)

        await asyncio.gather(*(spend(nodes[number % 4], user) for number, user in enumerate(users)))
        await asyncio.gather(*(use(node, 10, user=users[0]) for node in nodes for _ in range(5)))
        await receiver.until(90)
        await quiet(nodes[0])
        await until(lambda: all_delivered(nodes[0]))
    assert len(receiver.ids) == len(set(receiver.ids)) == 90
    for kind in ("balance.low", "call.refused", "call.anomaly"):
        assert sorted(each["user"] for each in told(receiver, kind)) == sorted(users)


async def test_an_event_outlives_the_process_that_recorded_its_call(
    telling: Callable[..., Settings], receiver: Receiver, database: Database, apart: dict[str, str]
) -> None:
    """The call is recorded by a process that is killed in the same breath, and told by another one."""
    async with open_metering(telling(), delivers=False) as ledger:
        await open_account(ledger, 10_000)
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", RECORD_AND_DIE, env=apart)
    assert await dying.wait() == -signal.SIGKILL
    assert receiver.received == []
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.webhook_walks SET due_at = clock_timestamp()")
    async with open_metering(telling()) as ledger:
        await receiver.until(2)
        await quiet(ledger)
    assert sorted(each.json["type"] for each in receiver.received) == ["balance.low", "call.anomaly"]


async def test_a_process_that_is_killed_while_it_sends_leaves_the_event_to_another(
    telling: Callable[..., Settings], receiver: Receiver, database: Database, apart: dict[str, str]
) -> None:
    async with open_metering(telling(), delivers=False) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 100, UNPRICED)
    receiver.is_silent = True
    sending = await asyncio.create_subprocess_exec(sys.executable, "-c", DELIVER, env=apart)
    await receiver.until(1)
    sending.kill()
    await sending.wait()
    receiver.is_silent = False
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.webhook_events SET due_at = clock_timestamp()")
    async with open_metering(telling()) as ledger:
        await receiver.until(2)
        await until(lambda: all_delivered(ledger))
        [row] = await ledger.webhooks.page()
    assert receiver.ids[0] == receiver.ids[1]
    assert row.attempts == 2


async def test_what_no_process_with_a_webhook_saw_is_found_by_looking_at_all_balances(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling(), delivers=False) as app:
        await open_account(app, 10_000)
        await use(app, 9_500)
    async with open_metering(telling()):
        await receiver.until(1)
    assert told(receiver, "balance.low")[0]["available"] == 500


async def test_nobody_is_told_of_the_past_once_a_webhook_is_set(
    telling: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    async with open_metering(telling(), delivers=False) as app:
        await open_account(app, 10_000)
        await use(app, 9_500, UNPRICED)
    async with database.connection() as connection:
        for table, column in (("balances", "updated_at"), ("findings", "created_at")):
            await connection.execute(f"UPDATE jangbu.{table} SET {column} = {column} - interval '25 hours'")
    async with open_metering(telling()) as ledger:
        await quiet(ledger)
    assert receiver.received == []


async def test_an_event_waits_until_the_receiver_is_back(telling: Callable[..., Settings]) -> None:
    async with receiving() as gone:
        port = gone.port
    async with open_metering(telling(webhook_url=gone.url, low_balance_tokens=0)) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 100, UNPRICED)

        async def tried() -> bool:
            return any(row.attempts >= 2 for row in await ledger.webhooks.page())

        await until(tried)
        [row] = await ledger.webhooks.page(only_undelivered=True)
        assert row.error == "the receiver cannot be reached: nobody listens there"
        async with receiving(port) as back:
            await back.until(1)
            await until(lambda: all_delivered(ledger))
    assert back.ids == [str(row.event.id)]


@pytest.mark.parametrize("status", [500, 503, 429, 404])
async def test_a_refusal_of_the_receiver_is_tried_again(
    telling: Callable[..., Settings], receiver: Receiver, status: int
) -> None:
    receiver.status = status
    async with open_metering(telling(low_balance_tokens=0)) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 100, UNPRICED)
        await receiver.until(2)
        receiver.status = 204
        await until(lambda: all_delivered(ledger))
        [row] = await ledger.webhooks.page()
    assert set(receiver.ids) == {str(row.event.id)}
    assert (row.error, row.given_up_at) == (None, None)


async def test_a_receiver_that_is_gone_is_not_asked_again(telling: Callable[..., Settings], receiver: Receiver) -> None:
    receiver.status = 410
    async with open_metering(telling(low_balance_tokens=0)) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 100, UNPRICED)

        async def given_up() -> bool:
            return any(row.given_up_at for row in await ledger.webhooks.page())

        await until(given_up)
        await quiet(ledger)
        [row] = await ledger.webhooks.page(only_undelivered=True)
    assert (row.attempts, row.error, len(receiver.received)) == (1, "the receiver answered 410", 1)


async def test_an_event_is_given_up_after_a_day(
    telling: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    receiver.status = 500
    async with open_metering(telling(low_balance_tokens=0)) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 100, UNPRICED)
        await receiver.until(1)
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.webhook_events SET gives_up_at = gives_up_at - interval '1 day'")

        async def given_up() -> bool:
            return any(row.given_up_at for row in await ledger.webhooks.page(only_undelivered=True))

        await until(given_up)


async def test_an_event_is_sent_again_when_somebody_wants_it(
    telling: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(telling(low_balance_tokens=0)) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 100, UNPRICED)
        await receiver.until(1)
        await until(lambda: all_delivered(ledger))
        [row] = await ledger.webhooks.page()
        again = await ledger.webhooks.send_again(row.event.id, key="once")
        assert again is not None
        assert again.delivered_at is None
        assert await ledger.webhooks.send_again(row.event.id, key="once") is None
        await receiver.until(2)
        await until(lambda: all_delivered(ledger))
        with pytest.raises(NotFound, match="there is no event"):
            await ledger.webhooks.send_again(uuid4())
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_events_are_listed_by_kind_and_page_by_page_and_forgotten_after_a_month(
    telling: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    async with open_metering(telling()) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 9_500, UNPRICED)
        await refuse(ledger)
        await receiver.until(3)
        whole = await ledger.webhooks.page()
        paged: list[EventRow] = []
        before = None
        while page := await ledger.webhooks.page(limit=1, before=before):
            paged += page
            before = (page[-1].event.created_at, page[-1].event.id)
        assert [row.event.id for row in paged] == [row.event.id for row in whole]
        [low] = await ledger.webhooks.page(kinds=[EventKind.BALANCE_LOW])
        assert low.event.kind == "balance.low"
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.webhook_events SET created_at = created_at - interval '31 days'")
    async with open_metering(telling()) as ledger:

        async def forgotten() -> bool:
            return not await ledger.webhooks.page()

        await until(forgotten)


async def test_without_a_webhook_nothing_is_written_and_no_event_is_made(
    telling: Callable[..., Settings], database: Database
) -> None:
    async with open_metering(telling(webhook_url=None, webhook_secret=None)) as ledger:
        await open_account(ledger, 10_000)
        await use(ledger, 9_900, UNPRICED)
        await refuse(ledger)
        assert ledger.webhooks.watch is None
        assert await ledger.webhooks.page() == []
    async with database.connection() as connection:
        for table in ("webhook_events", "low_balances", "refused_calls", "webhook_walks"):
            assert await connection.fetchval(f"SELECT count(*) FROM jangbu.{table}") == 0
