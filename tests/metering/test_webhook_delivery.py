"""Webhooks to the app arrive, whatever dies or is away meanwhile: signed, once, and again when somebody wants it."""

import asyncio
import base64
import hashlib
import hmac
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from jangbu.alerts.app_webhook import AppWebhook
from jangbu.alerts.egress import Target
from jangbu.alerts.signed import SignedPost
from jangbu.config import Settings
from jangbu.domain.webhooks import EventKind
from jangbu.errors import NotFound
from jangbu.metering.meter import Metering
from jangbu.metering.webhook_delivery import WebhookDelivery
from jangbu.storage.database import Database
from jangbu.storage.webhooks import EventRow
from jangbu.wiring import open_metering
from tests.alerts.receiver import SECRET, Receiver, receiving, until
from tests.metering.telling import UNPRICED, all_delivered, answer, open_account, quiet, refuse, told, use

pytestmark = pytest.mark.usefixtures("soon")

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
        again, replayed = await ledger.webhooks.send_again(row.event.id, key="once")
        assert (again.event, replayed) == (row.event, False)
        assert (await ledger.webhooks.send_again(row.event.id, key="once"))[1]
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


async def test_however_many_events_are_old_they_are_all_forgotten_in_one_round(database: Database) -> None:
    # Were it a part of them a minute, an app of many users would be told more than is ever forgotten.
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts, created_at)"
            " SELECT gen_random_uuid(), 'default', 'call.refused', 'kim', '{}',"
            " clock_timestamp() - (CASE WHEN number > 1200 THEN 1 ELSE 31 END) * interval '1 day'"
            " FROM generate_series(1, 1203) AS number"
        )
        key, here = b"k" * 32, Target.read("https://app.example/events", "webhook_url")
        webhook = AppWebhook(SignedPost(here, key, allows_private=False))
        await WebhookDelivery(database, webhook, project="default").tidy()
        assert await connection.fetchval("SELECT count(*) FROM jangbu.webhook_events") == 3
