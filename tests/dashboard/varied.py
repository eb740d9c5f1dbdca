"""A ledger with something of each kind that a page lists: what every filter narrows, and every figure leads to."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4

import asyncpg

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.domain.flow import Bounds, Call, MarkUnknown, Refused, Release, Settle, TakeHold
from jangbu.domain.ledger import Asset
from jangbu.domain.price_book import Meter, Price
from jangbu.domain.pricing import Terms
from jangbu.domain.webhooks import EventKind
from jangbu.metering.inbox import FindingKind, Inbox
from jangbu.metering.keyed import with_key
from jangbu.metering.meter import Metering
from jangbu.storage import alerts as outbox
from jangbu.wiring import open_metering
from tests.dashboard.site import MODELS, SERVICES, USERS, fill
from tests.metering.telling import answer

KIM, LEE = USERS[:2]
CALM = USERS[-1]
"""A user of whom nothing is left to look at."""
MARKUP = 250_000
HELD = 100
RETIRED = "gemini-0-retired"
"""A model that was called for and never answered."""
ALERTS = (
    "UPDATE jangbu.alerts SET due_at = clock_timestamp() + interval '1 day',"
    " delivered_at = CASE WHEN condition = $1 THEN clock_timestamp() END"
)
"""Nobody delivers what is not due."""
EVENTS = (
    (EventKind.CALL_REFUSED, KIM, "given_up"),
    (EventKind.BALANCE_LOW, KIM, "delivered"),
    (EventKind.CALL_REFUSED, LEE, "waiting"),
)


AGO = datetime.now(UTC).date() - timedelta(days=20)
"""The day on which what was held for one model, and some calls that were refused, were so."""
HELD_AGO = "UPDATE jangbu.holds SET taken_at = $2 WHERE model = $1"
REFUSED_AGO = """INSERT INTO jangbu.refused_minutes (project, at, account_id, calls)
    SELECT 'default', h.taken_at, h.account_id, 5 FROM jangbu.holds AS h WHERE h.model = $1"""
CALMED = """UPDATE jangbu.findings SET resolved_at = clock_timestamp()
    WHERE account_id = (SELECT a.account_id FROM jangbu.accounts AS a WHERE a.user_id = $1)"""


async def fill_varied(database_url: str) -> str:
    """Record what `fill` records, and then of everything else something. Give the first user's latest call.

    That one was held for, and part of it was given back; it costs money, which the user has an account of.
    """
    await fill(database_url)
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        terms = Terms(MARKUP, (Price(MODELS[0], Meter.INPUT, 290_000_000, "our contract"),))
        await ledger.pricing.change(lambda newest: (newest.base, terms), "our own prices")
        await ledger.accounts.grant(KIM, 2_000_000_000, key="money", asset=Asset.MONEY)
        await ledger.accounts.adjust(KIM, -7, reason="counted twice", key="adjusted")
        for user in (KIM, LEE, LEE):
            call = await _overrun(ledger, user)
        await _looked_into(ledger, call)
        await ledger.accounts.refund(KIM, (latest := await _overrun(ledger, KIM)), 50, reason="it stopped", key="back")
        await _unknown(ledger)
        await _undeducted(ledger)
        await _keys(ledger)
        await _alerts(ledger)
    connection = await asyncpg.connect(database_url)
    await connection.execute(ALERTS, Condition.UNPRICED.value)
    await connection.execute(HELD_AGO, MODELS[1], datetime.combine(AGO, time(12), UTC))
    await connection.execute(REFUSED_AGO, MODELS[1])
    await connection.execute(CALMED, CALM)
    for kind, user, state in EVENTS:
        await _event(connection, kind, user, state)
    await connection.close()
    return str(latest)


async def _overrun(ledger: Metering, user: str) -> UUID:
    call = Call(new_id(ledger.clock), user, "chat", MODELS[0], Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, HELD, HELD))
    await ledger.execute(Settle(call, answer(250, MODELS[0])))
    return call.id


async def _looked_into(ledger: Metering, call: UUID) -> None:
    inbox = Inbox(ledger.database, ledger.accounts, project="default")
    await inbox.resolve(LEE, call, FindingKind.OVERRUN, reason="it was told to think longer")


async def _unknown(ledger: Metering) -> None:
    call = Call(new_id(ledger.clock), LEE, "chat", MODELS[0], Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, HELD, HELD))
    await ledger.execute(MarkUnknown(call, "the line broke"))


async def _undeducted(ledger: Metering) -> None:
    """Hold tokens for calls that go on, end two without a deduction, and have some refused for balance."""
    calls = [
        Call(new_id(ledger.clock), user, service, model, Bounds(10, 10, True))
        for user, service, model in ((KIM, SERVICES[0], MODELS[1]), (LEE, "chat", MODELS[0]), (KIM, "chat", MODELS[0]),
                                     (LEE, SERVICES[2], MODELS[0]))
    ]  # fmt: skip
    for call in calls:
        await ledger.execute(TakeHold(call, 10, HELD, HELD))
    for call in calls[:2]:
        await ledger.holds.extend(ledger.accounts.id_of(call.user), call.id)
    calls.append(Call(new_id(ledger.clock), LEE, "chat", RETIRED, Bounds(10, 10, True)))
    await ledger.execute(TakeHold(calls[-1], 10, HELD, HELD))
    for call in calls[2:]:
        await ledger.execute(Release(call, "the provider answered 503"))
    for user in (KIM, KIM, LEE):
        call = Call(new_id(ledger.clock), user, "chat", MODELS[0], Bounds(10, 10, True))
        assert isinstance(await ledger.execute(TakeHold(call, 10, 10**15, 10**15)), Refused)


async def _keys(ledger: Metering) -> None:
    await ledger.keys.create_for_app("shop")
    own, _ = await ledger.keys.create_for_user(KIM, name="browser")
    await ledger.record(KIM, "chat", answer(20, MODELS[0]), metadata=with_key({}, own.id))


async def _alerts(ledger: Metering) -> None:
    for condition in (Condition.UNPRICED, Condition.HOLD_LEAK):
        made = new_id(ledger.clock), "default", condition, Phase.BEGAN
        alert = Alert(*made, condition.value, "gateway-1", await ledger.database.now(), {})
        assert await outbox.raise_(ledger.database, alert, told_as=str(alert.id), repeat_ms=0)


async def _event(connection: asyncpg.Connection, kind: EventKind, user: str, state: str) -> None:
    await connection.execute(
        "INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts, attempts, error, due_at, given_up_at,"
        " delivered_at) VALUES ($1, 'default', $2, $3, '{\"available\": 5}', 3, NULL, clock_timestamp() + $4,"
        " CASE WHEN $5 = 'given_up' THEN clock_timestamp() END, CASE WHEN $5 = 'delivered' THEN clock_timestamp() END)",
        uuid4(), kind.value, user, timedelta(days=1), state,
    )  # fmt: skip
