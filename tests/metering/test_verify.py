"""Verification: an honest book gives nothing, and each kind of damage is found as what it is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from jangbu.domain.ledger import Asset
from jangbu.domain.usage import Anomaly, Usage
from jangbu.errors import NotFound
from jangbu.metering.editions import Priced
from jangbu.metering.verify import Invariant, Mismatch, Report, Verification
from jangbu.storage import usage
from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRecord
from jangbu.storage.verification import PAGE_ROWS
from tests.metering.damage import A_CALL, COLUMNS, DAMAGE, DAMAGE_OF, KEYS, OF_KIM, of_a_call
from tests.metering.traffic import KIM, LEE, PROJECT, Shop, leave_a_hold_open, open_shop, recompute, restate, trade


@pytest.fixture
def template(traded: str) -> str:
    return traded


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def verify(shop: Shop) -> Report:
    return await Verification(shop.database, PROJECT, spools=()).run(recompute=recompute, restate=restate)


def broken(report: Report) -> set[Invariant]:
    return {mismatch.invariant for mismatch in report.mismatches}


async def test_an_honest_book_has_no_mismatch(shop: Shop) -> None:
    report = await verify(shop)

    assert report.mismatches == ()
    assert report.is_clean
    assert report.checked == tuple(Invariant)
    assert report.accounts == 3
    assert [(report.records,)] == await shop.rows("SELECT count(*) FROM jangbu.usage")


async def test_calls_that_come_in_meanwhile_are_no_mismatch(shop: Shop) -> None:
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            held = await shop.hold(KIM, 50)
            await shop.record([shop.row(KIM, call=held, held=True), shop.row(LEE), shop.row(KIM)])

    writers = [asyncio.create_task(write()) for _ in range(3)]
    try:
        reports = [await verify(shop) for _ in range(5)]
    finally:
        done.set()
        await asyncio.gather(*writers)

    assert [report.mismatches for report in reports] == [()] * 5
    assert reports[-1].records > reports[0].records


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_found_as_what_it_is_and_nothing_else(shop: Shop, damage: str) -> None:
    invariant, command = DAMAGE[damage]
    await shop.execute(command)

    found = {invariant, Invariant.CHAIN} if "UPDATE jangbu.entries" in command else {invariant}
    assert broken(await verify(shop)) == found


async def test_an_entry_that_is_written_anew_with_its_hash_breaks_the_chain_after_it(shop: Shop) -> None:
    """Whoever changes an entry has to write all later ones anew, too: what a signed export shows."""
    await shop.execute(
        "UPDATE jangbu.entries AS e SET reason = 'a gift', hash = jangbu.entry_hash(p.hash, e.account_id, e.asset,"
        " e.seq, e.kind::text, e.delta, e.balance_after, e.posting, e.reference, 'a gift', e.created_at)"
        " FROM jangbu.entries AS p WHERE p.account_id = e.account_id AND p.asset = e.asset AND p.seq = e.seq - 1"
        f" AND e.{OF_KIM} AND e.kind = 'refund'"
    )
    ((seq,),) = await shop.rows(f"SELECT seq FROM jangbu.entries WHERE {OF_KIM} AND kind = 'refund'")

    report = await verify(shop)

    assert [(m.invariant, m.what) for m in report.mismatches] == [(Invariant.CHAIN, f"tokens: hash of entry {seq + 1}")]


@pytest.mark.parametrize("table", KEYS)
async def test_every_column_of_every_rollup_is_compared(shop: Shop, table: str) -> None:
    moved = ", ".join(f"{column} = r.{column} + {number}" for number, column in enumerate(COLUMNS, 1))
    await shop.execute(f"UPDATE jangbu.{table} AS r SET {moved} {of_a_call(table)}")

    report = await verify(shop)

    assert broken(report) == DAMAGE_OF[table]
    found = {(m.what.split(" of ")[0], abs(int(m.found or 0) - int(m.expected or 0))) for m in report.mismatches}
    assert found == {(column, number) for number, column in enumerate(COLUMNS, 1)}


@pytest.mark.parametrize("table", KEYS)
async def test_a_rollup_that_is_gone_is_missed(shop: Shop, table: str) -> None:
    await shop.execute(f"DELETE FROM jangbu.{table}")

    assert broken(await verify(shop)) == DAMAGE_OF[table]


async def test_a_held_amount_below_zero_is_a_mismatch_even_where_the_holds_agree(shop: Shop) -> None:
    await shop.execute(
        "ALTER TABLE jangbu.balances DROP CONSTRAINT balances_held_check;"
        "ALTER TABLE jangbu.holds DROP CONSTRAINT holds_amount_check;"
        f"UPDATE jangbu.holds SET amount = -5 WHERE {OF_KIM} AND state IN ('open', 'unknown');"
        f"UPDATE jangbu.balances SET held = (SELECT sum(amount) FROM jangbu.holds WHERE {OF_KIM}"
        f" AND state IN ('open', 'unknown')) WHERE {OF_KIM} AND asset = 1"
    )

    assert broken(await verify(shop)) == {Invariant.HELD}


async def test_a_record_that_was_changed_is_found_wherever_it_was_summed(shop: Shop) -> None:
    await shop.execute(f"UPDATE jangbu.usage SET total = total + 1 WHERE {A_CALL}")

    assert broken(await verify(shop)) == {
        Invariant.BALANCES,
        Invariant.POSTINGS,
        Invariant.TOTALS,
        Invariant.DAILY,
        Invariant.HOURLY,
        Invariant.COUNTS,
    }


async def test_a_record_that_is_gone_is_found_wherever_it_was_summed(shop: Shop) -> None:
    await shop.execute(f"DELETE FROM jangbu.usage WHERE {A_CALL}")

    assert broken(await verify(shop)) == {
        Invariant.BALANCES,
        Invariant.POSTINGS,
        Invariant.TOTALS,
        Invariant.DAILY,
        Invariant.HOURLY,
    }


async def test_prices_that_were_filled_in_later_are_no_mismatch_and_only_who_had_money_by_then_pays(shop: Shop) -> None:
    calls = [shop.row(user, model="gemini-99") for user in (KIM, LEE)]
    await shop.record(calls)
    await shop.accounts.grant(LEE, 10**9, key="late money", asset=Asset.MONEY)
    calls.append(shop.row(LEE, model="gemini-99"))
    await shop.record(calls[2:])
    filled = [(call.account_id, call.id, 700, 100, 900 + n, 1) for n, call in enumerate(calls)]
    assert await usage.write_prices(shop.database, filled, PROJECT, 0) == 3

    report = await Verification(shop.database, PROJECT).run(restate=restate)

    assert report.mismatches == ()
    spent = await shop.rows(
        "SELECT a.user_id, e.delta FROM jangbu.entries AS e JOIN jangbu.accounts AS a USING (account_id)"
        " WHERE e.asset = 2 AND e.reason IS NOT NULL AND e.delta < 0 ORDER BY a.user_id"
    )
    assert spent == [(KIM, -900), (LEE, -902)], "nothing is taken of money for what was recorded before there was any"


async def test_what_no_tokens_were_used_for_is_paid_for_by_when_it_was_recorded_alone(shop: Shop) -> None:
    """It moved no balance, so that no entry tells when it was."""
    before = shop.row(LEE, model="gemini-99", prompt=0, candidates=0)
    await shop.record([before])
    await shop.accounts.grant(LEE, 10**9, key="late money", asset=Asset.MONEY)
    after = shop.row(LEE, model="gemini-99", prompt=0, candidates=0)
    await shop.record([after])
    await shop.record([shop.row(LEE)])
    filled = [(call.account_id, call.id, 700, 0, 900 + n, 1) for n, call in enumerate((before, after))]
    assert await usage.write_prices(shop.database, filled, PROJECT, 0) == 2

    assert (await Verification(shop.database, PROJECT).run(restate=restate)).mismatches == ()
    spent = await shop.rows("SELECT delta FROM jangbu.entries WHERE asset = 2 AND reason IS NOT NULL AND delta < 0")
    assert spent == [(-901,)]


async def test_money_is_verified_to_the_nano_also_where_it_was_filled_in_later(shop: Shop) -> None:
    call = shop.row(KIM, model="gemini-99")
    await shop.record([call])
    await usage.write_prices(shop.database, [(call.account_id, call.id, 700, 100, 900, 1)], PROJECT, 0)
    await shop.execute(
        "UPDATE jangbu.entries SET delta = delta + 1, balance_after = balance_after + 1 WHERE reason LIKE 'priced%';"
        f"UPDATE jangbu.balances SET used = used - 1 WHERE {OF_KIM} AND asset = 2"
    )

    assert broken(await Verification(shop.database, PROJECT).run()) == {Invariant.POSTINGS, Invariant.CHAIN}


async def test_evidence_that_cannot_be_read_ends_no_verification(shop: Shop) -> None:
    await shop.execute("UPDATE jangbu.usage SET raw = 'null' WHERE source = 'none'")

    report = await verify(shop)

    assert broken(report) == {Invariant.COUNTS, Invariant.COST}
    assert {mismatch.user for mismatch in report.mismatches} == {"park"}


async def test_a_flag_that_the_evidence_deserves_is_missed(shop: Shop) -> None:
    def flag(record: UsageRecord) -> Usage:
        return replace(restate(record), anomalies=(Anomaly.TOTAL_MISMATCH,))

    report = await Verification(shop.database, PROJECT).run(restate=flag, limit=1)

    assert report.mismatches[0].what.startswith("anomalies of call ")
    assert (report.mismatches[0].expected, report.mismatches[0].found) == ("total_mismatch", "")


async def test_a_price_that_cannot_be_found_again_is_a_mismatch_of_cost(shop: Shop) -> None:
    async def forget(record: UsageRecord) -> Priced:
        raise NotFound(f"price version {record.price_version} is not in the book")

    report = await Verification(shop.database, PROJECT).run(recompute=forget, limit=3)

    assert broken(report) == {Invariant.COST}
    assert len(report.mismatches) == 3
    assert report.cut == {Invariant.COST}


async def test_a_mismatch_names_the_user_and_both_figures(shop: Shop) -> None:
    ((held,),) = await shop.rows(f"SELECT held FROM jangbu.balances WHERE {OF_KIM} AND asset = 1")
    await shop.execute(f"UPDATE jangbu.balances SET held = held + 5 WHERE {OF_KIM} AND asset = 1")

    report = await verify(shop)

    assert report.mismatches == (
        Mismatch(Invariant.HELD, shop.accounts.id_of(KIM), KIM, "tokens held", held, held + 5),
    )


async def test_another_projects_damage_is_its_own_business(shop: Shop, database: Database) -> None:
    async with open_shop(database, "another") as other:
        await trade(other)
        await other.execute(
            "UPDATE jangbu.balances SET used = used + 1, held = held + 1, version = version + 1 WHERE asset = 1"
            " AND account_id IN (SELECT account_id FROM jangbu.accounts WHERE project = 'another')"
        )

    assert (await verify(shop)).mismatches == ()
    theirs = await Verification(database, "another").run()
    assert broken(theirs) == {Invariant.BALANCES, Invariant.HELD, Invariant.ENTRIES}


async def test_each_project_has_its_own_hourly_figures(shop: Shop, database: Database) -> None:
    async with open_shop(database, "another") as other:
        unpriced = other.row(KIM, model="gemini-99")
        await other.record([unpriced, other.row(LEE)])
        await usage.write_prices(database, [(unpriced.account_id, unpriced.id, 7, 1, 9, 1)], "another", 0)
        assert (await Verification(database, "another").run()).mismatches == ()
        assert (await verify(shop)).mismatches == ()
        await other.execute("UPDATE jangbu.project_recent SET total = total + 1 WHERE project = 'another'")

    assert (await verify(shop)).mismatches == ()
    assert broken(await Verification(database, "another").run()) == {Invariant.HOURLY}


async def test_an_overdue_hold_has_its_grace(shop: Shop) -> None:
    await leave_a_hold_open(shop, KIM, seconds_ago=100)
    verification = Verification(shop.database, PROJECT)

    assert (await verification.run(grace_seconds=200)).mismatches == ()
    assert broken(await verification.run(grace_seconds=50)) == {Invariant.OVERDUE}


async def test_progress_is_told_step_by_step(shop: Shop) -> None:
    told: list[tuple[str, int, int]] = []

    report = await Verification(shop.database, PROJECT).run(
        restate=restate, progress=lambda step, done, total: told.append((step, done, total))
    )

    left_out = {Invariant.COST, Invariant.SPOOL}
    assert report.checked == tuple(invariant for invariant in Invariant if invariant not in left_out)
    assert list(dict.fromkeys(step for step, _, _ in told)) == ["accounts", "records"]
    assert [each for each in told if each[0] == "accounts"][-1] == ("accounts", 3, 3)
    assert [each for each in told if each[0] == "records"][-1] == ("records", report.records, report.records)


async def test_records_are_read_page_after_page(shop: Shop) -> None:
    for _ in range(4):
        await shop.record([shop.row(KIM, prompt=n) for n in range(300)])
    seen: list[str] = []

    def look(record: UsageRecord) -> Usage:
        seen.append(str(record.id))
        return restate(record)

    report = await Verification(shop.database, PROJECT).run(restate=look)

    assert report.mismatches == ()
    assert report.records > PAGE_ROWS
    assert sorted(seen) == sorted(str(call) for (call,) in await shop.rows("SELECT id FROM jangbu.usage"))
