"""An account's history: found by kind and by time however long it is, and each entry traced to its calls."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from jangbu.config import Settings
from jangbu.domain.ledger import Asset, EntryKind
from jangbu.errors import NotFound
from jangbu.metering import history
from jangbu.metering.history import Statement, Traced
from jangbu.metering.meter import Metering
from jangbu.metering.snapshots import snapshot
from jangbu.providers.gemini.parse import parse
from jangbu.storage import usage
from jangbu.storage.entries import EntryRow
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering

NOW = datetime.now(UTC)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)


@pytest.fixture
async def ledger(database_url: str, clock: SettableClock) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url), clock=clock, delivers=False) as opened:
        await opened.accounts.create("kim")
        await opened.accounts.grant("kim", 1_000_000, key="order-1")
        yield opened


async def record(ledger: Metering, number: int) -> UUID:
    """Record a call of 100 tokens and as many as its number; give its id."""
    counts = {"promptTokenCount": 100, "candidatesTokenCount": number, "totalTokenCount": 100 + number}
    answer = {"usageMetadata": counts, "modelVersion": "gemini-2.5-flash", "responseId": f"answer-{number}"}
    return (await ledger.record("kim", "chat", parse(json.dumps(answer).encode()))).id


async def entries(ledger: Metering, asset: Asset = Asset.TOKENS, **wanted: object) -> list[EntryRow]:
    async with snapshot(ledger.database, "default") as book:
        return [*await history.entries_of(book, "kim", asset, **wanted)]  # type: ignore[arg-type]


async def traced(ledger: Metering, seq: int, asset: Asset = Asset.TOKENS) -> Traced:
    async with snapshot(ledger.database, "default") as book:
        return await history.trace(book, "kim", asset, seq)


async def test_an_entry_tells_the_key_under_which_it_was_made(ledger: Metering) -> None:
    call = await record(ledger, 1)
    await ledger.accounts.adjust("kim", -5, reason="twice", key="fix-1")
    await ledger.accounts.void("kim", call, reason="never shown")
    assert [(each.kind, each.key) for each in await entries(ledger)] == [
        (EntryKind.VOID, f"void:{call}"), (EntryKind.ADJUSTMENT, "key:fix-1"), (EntryKind.USAGE, None),
        (EntryKind.GRANT, "key:order-1"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", EntryKind)
async def test_entries_are_found_by_their_kind_page_by_page(ledger: Metering, kind: EntryKind) -> None:
    calls = [await record(ledger, number) for number in range(1, 6)]
    for number, call in enumerate(calls):
        await ledger.accounts.grant("kim", 1, key=f"g{number}")
        await ledger.accounts.refund("kim", call, 1, reason="r", key=f"r{number}")
    every = await entries(ledger)
    wanted = [each for each in every if each.kind is kind]
    assert await entries(ledger, kind=kind) == wanted
    paged: list[EntryRow] = []
    while page := await entries(ledger, kind=kind, before=paged[-1].seq if paged else None, limit=2):
        paged += page
    assert paged == wanted


async def test_entries_of_a_time_are_those_from_its_beginning_to_before_its_end(ledger: Metering) -> None:
    for number in range(1, 12):
        await record(ledger, number)
    every = [*reversed(await entries(ledger))]
    tick = timedelta(microseconds=1)
    for first in range(len(every)):
        for last in range(first, len(every)):
            between = (every[first].created_at, every[last].created_at)
            assert [*reversed(await entries(ledger, between=between))] == every[first:last]
    assert await entries(ledger, between=(every[0].created_at - tick, every[-1].created_at + tick)) == every[::-1]
    assert await entries(ledger, between=(NOW - timedelta(days=9), NOW - timedelta(days=8))) == []
    assert await entries(ledger, between=(NOW + timedelta(days=8), NOW + timedelta(days=9))) == []
    assert await entries(ledger, asset=Asset.MONEY, between=(NOW - timedelta(days=9), NOW + timedelta(days=9))) == []


async def test_a_statement_has_what_was_there_before_a_time_and_at_its_end(ledger: Metering) -> None:
    for number in range(1, 6):
        await record(ledger, number)
    every = [*reversed(await entries(ledger))]
    moments = [each.created_at for each in every] + [NOW + timedelta(days=8), NOW + timedelta(days=9)]
    before = [0, *(each.balance_after for each in every), every[-1].balance_after]
    async with snapshot(ledger.database, "default") as book:
        for first in range(len(moments)):
            for last in range(first, len(moments)):
                found = await history.statement_of(book, "kim", Asset.TOKENS, (moments[first], moments[last]))
                assert (found.opening, found.closing) == (before[first], before[last])
                assert found.change == sum(each.delta for each in every[first:last])
        nothing = await history.statement_of(book, "kim", Asset.MONEY, (moments[0], moments[-1]))
    assert nothing == Statement(0, 0)


async def test_a_debit_is_traced_to_its_call(ledger: Metering) -> None:
    call = await record(ledger, 7)
    [entry] = await entries(ledger, kind=EntryKind.USAGE)
    found = await traced(ledger, entry.seq)
    assert [(each.call.id, each.call.model, each.amount) for each in found.calls] == [(call, "gemini-2.5-flash", 107)]
    assert (found.missing, len(found.hash or "")) == (0, 64)


async def test_a_debit_in_money_is_traced_by_its_charge(ledger: Metering) -> None:
    await ledger.accounts.grant("kim", 10**12, key="money", asset=Asset.MONEY)
    await record(ledger, 7)
    [entry] = await entries(ledger, asset=Asset.MONEY, kind=EntryKind.USAGE)
    found = await traced(ledger, entry.seq, Asset.MONEY)
    assert [each.amount for each in found.calls] == [-entry.delta]
    assert found.missing == 0


async def test_a_call_that_was_made_long_before_its_record_is_found_all_the_same(
    ledger: Metering, clock: SettableClock
) -> None:
    await usage.make_partitions(ledger.database, [NOW - timedelta(days=40)])
    clock.set(NOW - timedelta(days=40))
    late = await record(ledger, 1)
    clock.set(NOW)
    await record(ledger, 2)
    of_both = [await traced(ledger, each.seq) for each in await entries(ledger, kind=EntryKind.USAGE)]
    assert [each.calls[0].amount for each in of_both] == [102, 101]
    assert of_both[1].calls[0].call.id == late


async def test_what_was_given_back_is_traced_to_the_call_that_it_was_charged_for(ledger: Metering) -> None:
    call = await record(ledger, 50)
    await ledger.accounts.refund("kim", call, 30, reason="r", key="r")
    found = await traced(ledger, 3)
    assert (found.entry.kind, found.entry.delta, found.missing) == (EntryKind.REFUND, 30, 0)
    assert [(each.call.id, each.call.prompt_tokens, each.amount) for each in found.calls] == [(call, 100, 150)]


async def test_an_entry_whose_records_are_kept_no_more_says_how_much_is_missing(ledger: Metering) -> None:
    await record(ledger, 50)
    async with ledger.database.connection() as connection:
        await connection.execute("DELETE FROM jangbu.usage")
    found = await traced(ledger, 2)
    assert (found.calls, found.missing) == ((), 150)


async def test_who_or_what_is_not_there_is_named(ledger: Metering) -> None:
    with pytest.raises(NotFound, match="no entry 9"):
        await traced(ledger, 9)
    async with snapshot(ledger.database, "default") as book:
        with pytest.raises(NotFound, match="nobody"):
            await history.entries_of(book, "nobody", Asset.TOKENS)
        with pytest.raises(NotFound, match="nobody"):
            await history.balances_of(book, "nobody")
