"""Retention: old records go with their month, and the book that they were part of still adds up to the token."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from jangbu.config import Settings
from jangbu.domain.ledger import Asset
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput, JangbuError, NotFound
from jangbu.metering import tops
from jangbu.metering.audit import Audit
from jangbu.metering.reports import Reports
from jangbu.metering.retention import Partition, Retention, month_start
from jangbu.metering.rollups import Rollups
from jangbu.metering.snapshots import EVERYTHING, snapshot
from jangbu.metering.stretches import Meant
from jangbu.metering.tags import by_tag
from jangbu.metering.verify import Invariant, Report, Verification
from jangbu.storage import usage
from jangbu.storage.database import Database
from jangbu.testing.clock import SettableClock
from jangbu.wiring import open_metering
from tests.metering.traffic import FLASH, IMAGE, KIM, LEE, PRO, PROJECT, TEXT, Shop, open_shop, recompute, restate

MONTHS_OF_TRAFFIC = (5, 4, 3, 1, 0)
"""How many months ago there was traffic; nobody called two months ago."""

DAMAGE = {
    "what is left of a dropped hour is changed": (
        {Invariant.BALANCES, Invariant.TOTALS, Invariant.DAILY, Invariant.HOURLY},
        "UPDATE jangbu.usage_sealed SET total = total + 1 WHERE ctid = (SELECT min(ctid) FROM jangbu.usage_sealed)",
    ),
    "what is left of a dropped posting is changed": (
        {Invariant.POSTINGS},
        ("UPDATE jangbu.postings_sealed SET amount = amount + 1"
        " WHERE ctid = (SELECT min(ctid) FROM jangbu.postings_sealed WHERE asset = 2)"),
    ),
    "the debit of dropped records is of another posting": (
        {Invariant.POSTINGS, Invariant.CHAIN},
        ("UPDATE jangbu.entries SET posting = posting + 1000 WHERE asset = 1 AND (account_id, posting) ="
        " (SELECT account_id, min(posting) FROM jangbu.postings_sealed WHERE asset = 1 GROUP BY account_id LIMIT 1)"),
    ),
    "a total that dropped records are part of is changed": (
        {Invariant.TOTALS},
        ("UPDATE jangbu.usage_lifetime SET prompt = prompt + 1"
         " WHERE ctid = (SELECT min(ctid) FROM jangbu.usage_lifetime)"),
    ),
    "an hour of a dropped month is gone": (
        {Invariant.HOURLY},
        "DELETE FROM jangbu.project_quarters WHERE at = (SELECT min(at) FROM jangbu.usage_sealed)",
    ),
    "a balance is changed": (
        {Invariant.BALANCES},
        "UPDATE jangbu.balances SET used = used + 1 WHERE asset = 1 AND used > 0",
    ),
    "a record that stands is changed": (
        {Invariant.TOTALS, Invariant.DAILY, Invariant.HOURLY, Invariant.COUNTS},
        "UPDATE jangbu.usage SET thoughts = thoughts + 1 WHERE id = (SELECT max(id::text)::uuid FROM jangbu.usage)",
    ),
}  # fmt: skip


def middle_of(months_ago: int) -> datetime:
    """Give a moment of a month that lies some months back; of this month, one that has passed."""
    start = month_start(datetime.now(UTC), -months_ago)
    return start + timedelta(days=14, hours=3) if months_ago else max(start, datetime.now(UTC) - timedelta(seconds=1))


def name_of(months_ago: int) -> str:
    return f"usage_{month_start(datetime.now(UTC), -months_ago):%Y%m}"


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Give a book with traffic of five months, in tokens and money."""
    async with open_shop(database) as opened:
        for user in (KIM, LEE):
            await opened.accounts.grant(user, 10**6, key=f"purchase-{user}")
        await opened.accounts.grant(KIM, 10**12, key="money", asset=Asset.MONEY)
        for ago in MONTHS_OF_TRAFFIC:
            await trade_in_month(opened, ago)
        month = month_start(datetime.now(UTC), 0)
        await Rollups(database).carry_before(month, month)
        yield opened


async def trade_in_month(shop: Shop, months_ago: int) -> None:
    shop.clock.set(middle_of(months_ago))
    rows = [
        shop.row(user, service=service, model=model, prompt=number, thoughts=number % 3)
        for number in range(1, 6)
        for user in (KIM, LEE)
        for service in (TEXT, IMAGE)
        for model in (FLASH, PRO)
    ]
    await shop.record(rows)
    await shop.record([shop.image_row(KIM, 2)])
    await shop.record([shop.image_row(KIM, 3), shop.silent_row(LEE)])
    covered, exceeded = await shop.hold(KIM, 100), await shop.hold(KIM, 100)
    await shop.record([shop.row(KIM, call=covered, held=True), shop.row(KIM, call=exceeded, held=True, prompt=300)])


async def verify(shop: Shop) -> Report:
    return await Verification(shop.database, shop.project).run(recompute=recompute, restate=restate)


def broken(report: Report) -> set[Invariant]:
    return {mismatch.invariant for mismatch in report.mismatches}


def retention_of(shop: Shop) -> Retention:
    return Retention(shop.database, Audit(shop.database, shop.clock, project=shop.project))


async def retain(shop: Shop, months: int) -> int:
    retention = retention_of(shop)
    return sum([await retention.drop(partition) for partition in await retention.due(months)])


async def months_there(shop: Shop) -> set[str]:
    rows = await shop.rows("SELECT DISTINCT tableoid::regclass::text FROM jangbu.usage")
    return {str(name).removeprefix("jangbu.") for (name,) in rows}


async def count_of(shop: Shop, before: datetime) -> int:
    ((count,),) = await shop.rows("SELECT count(*) FROM jangbu.usage WHERE id < jangbu.uuid7_floor($1)", before)
    return int(count)


async def figures(shop: Shop) -> list[object]:
    """Give everything that must stay as it is: reports, balances and entries."""
    reports = Reports(shop.database, PROJECT)
    return [
        [(await reports.totals(user), await reports.daily(user, 300)) for user in (KIM, LEE, None)],
        await shop.rows("SELECT account_id, asset, granted, used, held, version FROM jangbu.balances ORDER BY 1, 2"),
        await shop.rows("SELECT account_id, asset, seq, delta, posting FROM jangbu.entries ORDER BY 1, 2, 3"),
    ]


async def test_what_is_read_from_single_calls_is_of_those_that_are_kept_and_sums_still_count_the_others(
    shop: Shop,
) -> None:
    window = Window.days((datetime.now(UTC) - timedelta(days=200)).date(), datetime.now(UTC).date(), ZoneInfo("UTC"))
    old = await count_of(shop, month_start(datetime.now(UTC), -1))

    async def read() -> tuple[int, bool]:
        meant = Meant(shop.database, shop.project, window, EVERYTHING, await shop.database.now())
        found = await by_tag(meant, "feature")
        return found.total.calls, found.is_whole

    whole, _ = await read()
    await retain(shop, 1)

    assert await read() == (whole - old, True)
    async with snapshot(shop.database, shop.project) as look:
        assert (await tops.breakdown(look, window)).total.calls == whole > whole - old > 0


async def test_a_book_that_lost_its_old_records_still_adds_up(shop: Shop) -> None:
    before, old = await figures(shop), await count_of(shop, month_start(datetime.now(UTC), -2))

    assert await retain(shop, 2) == old > 0

    assert await months_there(shop) == {name_of(1), name_of(0)}
    report = await verify(shop)
    assert report.mismatches == ()
    assert [(report.records,)] == await shop.rows("SELECT count(*) FROM jangbu.usage")
    assert await figures(shop) == before


async def test_what_would_go_is_shown_before_it_goes(shop: Shop) -> None:
    due = await retention_of(shop).due(3)

    assert [(partition.name, partition.records) for partition in due] == [(name_of(5), 45), (name_of(4), 45)]
    assert all(partition.bytes > 0 for partition in due)
    assert due[0].month == month_start(datetime.now(UTC), -5).date()
    assert await months_there(shop) == {name_of(ago) for ago in MONTHS_OF_TRAFFIC}


async def test_so_many_full_months_are_kept_and_the_month_under_way(shop: Shop) -> None:
    retention = retention_of(shop)

    for months, oldest_that_stays in ((5, 5), (4, 4), (1, 1)):
        assert {partition.name for partition in await retention.due(months)} == {
            name_of(ago) for ago in MONTHS_OF_TRAFFIC if ago > oldest_that_stays
        }
    for refused in (0, -1, 10**6):
        with pytest.raises(InvalidInput):
            await retention.due(refused)


async def test_a_second_run_does_nothing(shop: Shop) -> None:
    first = await retention_of(shop).due(1)
    assert await retain(shop, 1) > 0
    sealed = await shop.rows("SELECT sum(calls), sum(total) FROM jangbu.usage_sealed")

    assert await retain(shop, 1) == 0
    with pytest.raises(JangbuError, match="changed meanwhile"):
        await retention_of(shop).drop(first[0])

    assert await shop.rows("SELECT sum(calls), sum(total) FROM jangbu.usage_sealed") == sealed
    assert (await verify(shop)).mismatches == ()


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_still_found_as_what_it_is(shop: Shop, damage: str) -> None:
    invariants, command = DAMAGE[damage]
    await retain(shop, 1)

    await shop.execute(command)

    assert broken(await verify(shop)) == invariants


async def test_damage_from_before_is_not_sealed_away(shop: Shop) -> None:
    await shop.execute(
        "UPDATE jangbu.usage SET total = total + 7"
        " WHERE id = (SELECT min(id::text)::uuid FROM jangbu.usage WHERE total > 0)"
    )
    before = [mismatch for mismatch in (await verify(shop)).mismatches if mismatch.invariant is not Invariant.COUNTS]

    await retain(shop, 1)

    assert (await verify(shop)).mismatches == tuple(before) != ()


async def test_a_record_of_a_dropped_month_may_still_arrive_and_go_later(shop: Shop) -> None:
    await retain(shop, 1)
    shop.clock.set(middle_of(4))
    late = [shop.row(KIM, prompt=77), shop.row(KIM, prompt=78), shop.row(LEE)]

    assert all(flushed.is_new for flushed in await shop.record(late))

    assert await months_there(shop) == {name_of(4), name_of(1), name_of(0)}
    assert (await verify(shop)).mismatches == ()
    assert (await Reports(shop.database, PROJECT).explain(late[0].id)).record.prompt == 77
    before = await figures(shop)
    assert await retain(shop, 1) == 3
    assert (await verify(shop)).mismatches == ()
    assert await figures(shop) == before


async def test_a_call_that_was_dropped_is_said_to_be_so(shop: Shop) -> None:
    ((call,),) = await shop.rows(
        "SELECT id FROM jangbu.usage WHERE id = (SELECT min(id::text)::uuid FROM jangbu.usage)"
    )
    ((owner,),) = await shop.rows(
        "SELECT user_id FROM jangbu.usage JOIN jangbu.accounts USING (account_id) WHERE id = $1", call
    )
    reports = Reports(shop.database, PROJECT)
    await retain(shop, 1)
    said = f"retention dropped those of {month_start(datetime.now(UTC), -5):%Y-%m}"

    with pytest.raises(NotFound, match=said):
        await reports.explain(call)
    with pytest.raises(NotFound, match=said):
        await reports.explain(call, user=owner)
    with pytest.raises(NotFound, match=said):
        await shop.accounts.void(owner, call, reason="too late")
    never = UUID(int=call.int + (3_600_000 << 80))
    for project, unknown in ((PROJECT, never), ("another", call)):
        with pytest.raises(NotFound, match="there is no record") as refused:
            await Reports(shop.database, project).explain(unknown)
        assert "retention" not in str(refused.value)


async def test_an_answer_that_comes_again_after_its_record_was_dropped_is_not_charged_again(database_url: str) -> None:
    raw = {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450}
    answer = Usage(Surface.GENERATE_CONTENT, Counts(150, 300, total=450), Source.REPORTED, FLASH, raw=(raw,))
    clock = SettableClock(middle_of(4))
    async with open_metering(Settings.load(database_url=database_url), clock=clock) as metering:
        await metering.accounts.create(KIM)
        await metering.record(KIM, TEXT, answer, call_key="job-1")
        [partition] = await Retention(metering.database, metering.audit).due(1)
        await Retention(metering.database, metering.audit).drop(partition)
        clock.set(middle_of(0))

        with pytest.raises(NotFound, match="retention dropped"):
            await metering.record(KIM, TEXT, answer, call_key="job-1")

        assert (await metering.accounts.balance(KIM)).used == 450


async def test_a_month_with_a_call_that_has_no_price_is_kept_until_it_has_one(shop: Shop) -> None:
    shop.clock.set(middle_of(4))
    call = shop.row(KIM, model="gemini-99")
    await shop.record([call])

    await refused(shop, 4, f"{name_of(4)} is kept: 1 call without a price")

    await usage.write_prices(shop.database, [(call.account_id, call.id, 700, 100, 900, 1)], PROJECT, 0)
    assert await retain(shop, 1) == 3 * 45 + 1
    assert (await Verification(shop.database, PROJECT).run(restate=restate)).mismatches == ()


async def test_a_month_with_a_call_that_is_not_finished_is_kept(shop: Shop) -> None:
    shop.clock.set(middle_of(4))
    lost, under_way = await shop.hold(KIM, 10), await shop.hold(LEE, 10)
    await shop.holds.mark_unknown(shop.accounts.id_of(KIM), lost, "the connection broke")

    await refused(shop, 4, f"{name_of(4)} is kept: 2 calls with tokens on hold")

    await shop.holds.release(shop.accounts.id_of(KIM), lost, "it never arrived")
    await shop.holds.release(shop.accounts.id_of(LEE), under_way, "it failed")
    assert await retain(shop, 1) == 3 * 45
    assert (await verify(shop)).mismatches == ()


async def refused(shop: Shop, months_ago: int, reason: str) -> None:
    """Expect a partition to be kept for a reason, also where the caller has not heard of it yet."""
    retention = retention_of(shop)
    [partition] = [each for each in await retention.due(1) if each.name == name_of(months_ago)]
    with pytest.raises(JangbuError, match=reason):
        await retention.drop(partition)
    unaware = Partition(partition.name, partition.month, partition.records, partition.bytes, 0, 0, 0)
    with pytest.raises(JangbuError, match="changed meanwhile"):
        await retention.drop(unaware)
    assert name_of(months_ago) in await months_there(shop)


async def test_others_at_work_are_never_disturbed_and_the_drop_may_be_tried_again(shop: Shop) -> None:
    """A writer that came first, then wants the very partition that is being dropped, would be a deadlock."""
    retention = retention_of(shop)
    due = await retention.due(1)
    async with shop.database.connection() as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("LOCK TABLE ONLY jangbu.usage IN ROW EXCLUSIVE MODE")
        drop = asyncio.create_task(retention.drop(due[0]))
        await until_it_waits(shop, drop)
        await writer.execute(f"LOCK TABLE ONLY jangbu.{due[0].name} IN ROW EXCLUSIVE MODE")
        with pytest.raises(JangbuError, match="in use just now") as refusal:
            await drop
        await transaction.rollback()

    assert refusal.value.hint == "try again"
    assert await shop.rows("SELECT count(*) FROM jangbu.usage_sealed") == [(0,)]
    assert (await verify(shop)).mismatches == ()
    assert await retain(shop, 1) == 3 * 45


async def until_it_waits(shop: Shop, drop: "asyncio.Task[int]") -> None:
    """Wait until a drop has sealed its records and wants the table itself."""
    wanted = "SELECT FROM pg_locks WHERE relation = 'jangbu.usage'::regclass AND mode = 'AccessExclusiveLock'"
    while not drop.done():
        if await shop.rows(wanted):
            return
        await asyncio.sleep(0.01)


async def test_calls_are_recorded_while_old_ones_are_dropped(shop: Shop) -> None:
    done = asyncio.Event()
    recorded = 0

    async def write(months_ago: int) -> None:
        nonlocal recorded
        while not done.is_set():
            shop.clock.set(middle_of(months_ago))
            recorded += len(await shop.record([shop.row(KIM), shop.row(LEE)]))

    writers = [asyncio.create_task(write(ago)) for ago in (0, 0, 1)]
    dropped, hints = 0, set()
    try:
        while partitions := await retention_of(shop).due(1):
            try:
                dropped += await retention_of(shop).drop(partitions[0])
            except JangbuError as error:
                hints.add(error.hint)
    finally:
        done.set()
        await asyncio.gather(*writers)

    assert dropped == 3 * 45
    assert recorded > 0
    assert hints <= {"try again"}
    assert (await verify(shop)).mismatches == ()


async def test_projects_that_share_a_database_are_sealed_apart(shop: Shop, database: Database) -> None:
    async with open_shop(database, "another") as other:
        other.clock.set(middle_of(4))
        await other.record([other.row(KIM, prompt=5)])
        await retain(shop, 1)

        assert (await verify(shop)).mismatches == ()
        assert (await verify(other)).mismatches == ()
        await other.execute("UPDATE jangbu.project_recent SET calls = calls + 1 WHERE project = 'another'")
        assert broken(await verify(other)) == {Invariant.HOURLY}
        assert (await verify(shop)).mismatches == ()
