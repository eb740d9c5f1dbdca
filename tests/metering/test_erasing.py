"""Erasing: nothing that is kept leads to who the user was, and every figure is what it was before."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, MarkUnknown, Refused, Release, Settle, TakeHold
from jangbu.domain.ledger import erased_name, is_erased
from jangbu.domain.members import Actor, ActorKind
from jangbu.domain.price_book import Meter, Price
from jangbu.domain.windows import Preset, Window
from jangbu.errors import IdempotencyConflict, NoAccount, NotPermitted, StillRunning
from jangbu.metering import erasing
from jangbu.metering.audit import acting_as
from jangbu.metering.erasing import erase
from jangbu.metering.evidence import restated
from jangbu.metering.keyed import with_key
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import with_own
from jangbu.metering.resolving import release_hold
from jangbu.metering.resources import ResourceKind
from jangbu.metering.series import of
from jangbu.metering.snapshots import Filters, snapshot
from jangbu.metering.verify import Verification
from jangbu.providers.gemini import parse_object
from jangbu.wiring import open_metering
from tests.metering.telling import UNPRICED, answer

CANARY = "canary-7f3a@users.example"
GIVEN, CHARGED = 1_000_000, 250
FLASH = "gemini-2.5-flash"
TABLES = """
SELECT c.relname::text FROM pg_class AS c
WHERE c.relnamespace = 'jangbu'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
"""
EVENT = (
    "INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts)"
    " VALUES (gen_random_uuid(), 'default', 'call.refused', $1, '{\"calls\": 3}')"
)
RUN = (
    "INSERT INTO jangbu.verification_runs (id, project, is_full, runs_until, ended_at, mismatches)"
    " VALUES (gen_random_uuid(), 'default', true, clock_timestamp(), clock_timestamp(), jsonb_build_array("
    "jsonb_build_object('account_id', 'another', 'user', 'another'),"
    " jsonb_build_object('account_id', $1::text, 'user', $2::text, 'what', 'balance')))"
)


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as opened:
        yield opened


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close()


async def lived(ledger: Metering, connection: "asyncpg.Connection[Any]", user: str = CANARY) -> None:
    """Leave a trace of a user wherever there is a place for one."""
    accounts = ledger.accounts
    await accounts.create(user, key=f"open {user}")
    await accounts.grant(user, GIVEN, key=f"first of {user}")
    await accounts.block(user)
    await accounts.block(user, False, key=f"back {user}")
    for number in range(5):
        tags = {"tags": {"of": user, "number": str(number)}}
        await ledger.record(user, "chat", answer(CHARGED), call_key=f"{user} {number}", metadata=tags)
    key, _ = await ledger.keys.create_for_user(user, name=f"{user}'s laptop")
    with acting_as(Actor(ActorKind.KEY, key.id, key.name, "request-1")):
        await accounts.adjust(user, -1, reason="counted twice", key=f"fix {user}")
    await ledger.resources.claim(accounts.id_of(user), f"files/{user}", ResourceKind.FILE)
    refused = Call(new_id(ledger.clock), user, "chat", FLASH, Bounds(10, 10, True))
    assert isinstance(await ledger.execute(TakeHold(refused, 10, 10**15, 10**15)), Refused)
    held = Call(new_id(ledger.clock), user, "chat", FLASH, Bounds(10, 10, True))
    await ledger.execute(TakeHold(held, 10, 100, 100))
    await ledger.execute(Release(held, "the provider answered 503"))
    await ledger.record(user, "chat", answer(CHARGED, "gemini-99-dream"))
    await connection.execute(EVENT, user)
    await connection.execute(RUN, str(accounts.id_of(user)), user)


async def traces(connection: "asyncpg.Connection[Any]", word: str) -> dict[str, int]:
    """Count the rows of each table that hold a word anywhere."""
    counted = {
        name: await connection.fetchval(f"SELECT count(*) FROM jangbu.{name} AS t WHERE strpos(t::text, $1) > 0", word)
        for (name,) in await connection.fetch(TABLES)
    }
    return {name: number for name, number in counted.items() if number}


async def test_nothing_that_is_kept_names_who_was_erased(
    ledger: Metering, connection: "asyncpg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_AT_ONCE", 2)
    await lived(ledger, connection)
    await lived(ledger, connection, "lee")
    await connection.execute(
        "INSERT INTO jangbu.directory SELECT account_id, project, user_id, 0, 0, 0 FROM jangbu.accounts"
        " ON CONFLICT DO NOTHING"
    )
    before, of_lee = await traces(connection, CANARY), await traces(connection, "lee")
    places = (
        "accounts api_keys audit directory entries idempotency_keys resources usage verification_runs webhook_events"
    )
    assert before.keys() >= set(places.split())
    erased = await erase(ledger, "default", CANARY)
    assert await traces(connection, CANARY) == {}
    assert await traces(connection, "lee") == of_lee
    assert erased.is_new
    assert erased.name == erased_name(ledger.accounts.id_of(CANARY))
    (line, *_) = await ledger.audit.page()
    assert (line.action, line.target) == ("account.erase", f"account:{erased.name}")


async def test_every_figure_is_what_it_was_and_the_book_adds_up(
    ledger: Metering, connection: "asyncpg.Connection[Any]"
) -> None:
    await lived(ledger, connection)

    async def figures() -> tuple[object, ...]:
        async with snapshot(ledger.database, "default") as book:
            window = Window.preset(Preset.LAST_DAY, book.as_of, ZoneInfo("Asia/Seoul"))
            return (await of(book, window, Filters(), "model")).lines

    before, balance = await figures(), await ledger.accounts.balance(CANARY)
    entries = await ledger.accounts.history(CANARY)
    await erase(ledger, "default", CANARY)
    assert await figures() == before
    assert await ledger.accounts.balance(CANARY) == balance
    # The keys that callers chose may hold a name, and go.
    assert await ledger.accounts.history(CANARY) == [replace(entry, key=None) for entry in entries]
    report = await Verification(ledger.database, "default", spools=()).run(
        recompute=ledger.pricing.reprice, restate=restated
    )
    assert (report.records, report.mismatches) == (6, ())


async def test_who_was_erased_makes_no_call_and_is_let_in_by_nobody(
    ledger: Metering, connection: "asyncpg.Connection[Any]"
) -> None:
    await lived(ledger, connection)
    (key,) = [each for each in await ledger.keys.list() if each.user == CANARY]
    await erase(ledger, "default", CANARY)
    call = Call(new_id(ledger.clock), CANARY, "chat", FLASH, Bounds(10, 10, True))
    with pytest.raises(NotPermitted):
        await ledger.execute(TakeHold(call, 10, 100, 100))
    with pytest.raises(NotPermitted, match="was erased"):
        await ledger.accounts.block(CANARY, False)
    assert await ledger.keys.active(key.id) is None
    with pytest.raises(NoAccount):
        await ledger.keys.create_for_user(CANARY, name="again")
    with pytest.raises(NotPermitted, match="was erased"):
        await ledger.accounts.grant(CANARY, GIVEN, key=f"first of {CANARY}")
    with pytest.raises(NotPermitted, match="was erased"):
        await ledger.accounts.adjust(CANARY, -1, reason="counted twice", key=f"fix {CANARY}")
    assert not await ledger.accounts.create(CANARY)
    assert is_erased((await ledger.accounts.find(CANARY)).user)


async def test_what_an_erased_account_is_listed_as_leads_nowhere(
    ledger: Metering, connection: "asyncpg.Connection[Any]"
) -> None:
    await lived(ledger, connection)
    erased = await erase(ledger, "default", CANARY)
    assert [each.user for each in await ledger.accounts.page()] == [erased.name]
    with pytest.raises(NoAccount, match="was erased"):
        await ledger.accounts.balance(erased.name)
    with pytest.raises(NoAccount, match="was erased"):
        await ledger.accounts.create(erased.name)


async def test_nobody_is_erased_while_calls_hold_tokens(ledger: Metering) -> None:
    await ledger.accounts.create(CANARY)
    await ledger.accounts.grant(CANARY, GIVEN, key="first")
    call = Call(new_id(ledger.clock), CANARY, "chat", FLASH, Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 100, 100))
    with pytest.raises(StillRunning, match="100 tokens are held"):
        await erase(ledger, "default", CANARY)
    account = await ledger.accounts.find(CANARY)
    assert (account.user, account.state) == (CANARY, "active")
    await ledger.execute(Settle(call, answer(CHARGED)))
    assert (await erase(ledger, "default", CANARY)).is_new


async def test_erasing_again_forgets_what_came_late(ledger: Metering, connection: "asyncpg.Connection[Any]") -> None:
    await ledger.accounts.create(CANARY)
    first = await erase(ledger, "default", CANARY)
    late = await ledger.record(CANARY, "chat", answer(CHARGED), call_key=CANARY, metadata={"tags": {"of": CANARY}})
    assert late.charged_tokens == CHARGED
    assert (await ledger.accounts.balance(CANARY)).used == CHARGED
    again = await erase(ledger, "default", CANARY)
    assert again == replace(first, is_new=False)
    assert await traces(connection, CANARY) == {}
    assert [line.action for line in await ledger.audit.page()].count("account.erase") == 1


async def test_the_key_of_an_erasure_is_forgotten_with_all_others_and_stands_for_no_other_write(
    ledger: Metering, connection: "asyncpg.Connection[Any]"
) -> None:
    await ledger.accounts.create(CANARY)
    await ledger.accounts.grant(CANARY, GIVEN, key="order-1")
    await ledger.accounts.block(CANARY, key="stop-1")
    for used in ("order-1", "stop-1"):
        with pytest.raises(IdempotencyConflict, match=used):
            await erase(ledger, "default", CANARY, key=used)
    assert (await ledger.accounts.find(CANARY)).user == CANARY
    first = await erase(ledger, "default", CANARY, key=f"erase-{CANARY}")
    assert first.is_new
    assert await traces(connection, CANARY) == {}
    again = await erase(ledger, "default", CANARY, key=f"erase-{CANARY}")
    assert again == replace(first, is_new=False)
    assert await traces(connection, CANARY) == {}


async def test_by_which_key_calls_came_stays(ledger: Metering, connection: "asyncpg.Connection[Any]") -> None:
    await ledger.accounts.create(CANARY)
    key, _ = await ledger.keys.create_for_app("shop")
    attached = with_key({"tags": {"of": CANARY}}, key.id)
    await ledger.record(CANARY, "chat", answer(CHARGED), metadata=attached)
    await erase(ledger, "default", CANARY)
    kept = await connection.fetchval("SELECT metadata::text FROM jangbu.usage")
    assert json.loads(kept) == {"jangbu_key": str(key.id)}


async def test_a_hold_that_was_taken_meanwhile_is_given_back_by_hand(
    ledger: Metering, connection: "asyncpg.Connection[Any]"
) -> None:
    await ledger.accounts.create(CANARY)
    await ledger.accounts.grant(CANARY, GIVEN, key="first")
    await erase(ledger, "default", CANARY)
    await connection.execute("UPDATE jangbu.accounts SET state = 'active'")
    call = Call(new_id(ledger.clock), CANARY, "chat", FLASH, Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 100, 100))
    with pytest.raises(StillRunning):
        await erase(ledger, "default", CANARY)
    await ledger.execute(MarkUnknown(call, "the line broke"))
    assert await release_hold(ledger, call.id, "nobody waits for it") == (True, False)
    assert not (await erase(ledger, "default", CANARY)).is_new


async def test_somebody_without_an_account_is_not_erased(ledger: Metering) -> None:
    with pytest.raises(NoAccount):
        await erase(ledger, "default", "nobody")


async def test_a_call_without_a_price_gets_one_also_when_its_user_was_erased(
    ledger: Metering, connection: "asyncpg.Connection[Any]"
) -> None:
    await ledger.accounts.create(CANARY)
    await ledger.record(CANARY, "chat", parse_object({"candidates": [{}]}))
    await ledger.record(CANARY, "chat", answer(CHARGED, UNPRICED))
    await erase(ledger, "default", CANARY)
    kinds = "SELECT kind FROM jangbu.findings WHERE resolved_at IS NULL AND told_at IS NOT NULL"
    assert [row["kind"] for row in await connection.fetch(kinds)] == ["unpriced"]
    for meter in (Meter.INPUT, Meter.OUTPUT):
        await ledger.pricing.change(with_own(Price(UNPRICED, meter, 1_000, "contract")), "known by now")
    assert await ledger.pricing.backfill() == 1
    assert await connection.fetch(kinds) == []
    assert await connection.fetchval("SELECT count(*) FROM jangbu.usage WHERE cost_nano IS NULL") == 0
    report = await Verification(ledger.database, "default", spools=()).run(
        recompute=ledger.pricing.reprice, restate=restated
    )
    assert report.mismatches == ()
