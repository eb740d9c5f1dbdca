"""A verification goes on where the last one ended: what it covers then, and what only a full one sees."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from jangbu.domain.ledger import Asset
from jangbu.metering.rollups import Rollups
from jangbu.metering.verify import Invariant, Mismatch, Report, Verification
from jangbu.storage import usage, verifications
from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRecord
from tests.metering.damage import DAMAGE, DAMAGE_OF, KEYS, LASTING, OF_KIM
from tests.metering.traffic import KIM, LEE, PARK, PROJECT, Shop, open_shop, recompute, restate, trade

NOW = timedelta(0)
HOUR = timedelta(hours=1)
OF_OLD_RECORDS = {Invariant.COST, Invariant.COUNTS}
"""The calls of the book are days old: what only a record itself shows is not looked for in them."""
REWRITE = f"""
    WITH RECURSIVE anew AS (
        SELECT e.account_id, e.asset, e.seq, 'forged' AS reason, jangbu.entry_hash(
            ''::bytea, e.account_id, e.asset, e.seq, e.kind::text, e.delta, e.balance_after, e.posting, e.reference,
            'forged', e.created_at
        ) AS hash
        FROM jangbu.entries AS e WHERE e.{OF_KIM} AND e.asset = 1 AND e.seq = 1
        UNION ALL
        SELECT e.account_id, e.asset, e.seq, e.reason, jangbu.entry_hash(
            a.hash, e.account_id, e.asset, e.seq, e.kind::text, e.delta, e.balance_after, e.posting, e.reference,
            e.reason, e.created_at
        )
        FROM anew AS a
        JOIN jangbu.entries AS e ON e.account_id = a.account_id AND e.asset = a.asset AND e.seq = a.seq + 1
    ),
    written AS (
        UPDATE jangbu.entries AS e SET hash = a.hash, reason = a.reason FROM anew AS a
        WHERE e.account_id = a.account_id AND e.asset = a.asset AND e.seq = a.seq
    )
    UPDATE jangbu.balances AS b SET head = a.hash FROM anew AS a
    WHERE b.account_id = a.account_id AND b.asset = a.asset AND b.version = a.seq
"""


@pytest.fixture
def template(traded: str) -> str:
    return traded


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


async def verify(shop: Shop, *, full: bool = False, overlap: timedelta = HOUR, limit: int = 100) -> Report:
    verification = Verification(shop.database, PROJECT, overlap=overlap)
    return await verification.run(full=full, recompute=recompute, restate=restate, limit=limit)


def broken(report: Report) -> set[Invariant]:
    return {mismatch.invariant for mismatch in report.mismatches}


def to_the_present(shop: Shop) -> None:
    """Have the calls that follow be made now."""
    shop.clock.advance(datetime.now(UTC) - shop.clock.now())


async def checkpoints(shop: Shop) -> dict[tuple[str, int], tuple[int, int]]:
    """Give the number of the last entry and of the last one that was verified, by user and asset."""
    rows = await shop.rows(
        "SELECT a.user_id, b.asset, b.version, v.seq FROM jangbu.accounts AS a JOIN jangbu.balances AS b"
        " USING (account_id) LEFT JOIN jangbu.verified_balances AS v USING (account_id, asset)"
        f" WHERE a.project = '{PROJECT}'"
    )
    return {(user, asset): (version, seq) for user, asset, version, seq in rows}


async def test_the_first_verification_looks_at_everything_and_the_next_at_what_moved(shop: Shop) -> None:
    first = await verify(shop, overlap=NOW)
    assert (first.since, first.mismatches, first.accounts) == (None, (), 3)
    assert [(first.records,)] == await shop.rows("SELECT count(*) FROM jangbu.usage")
    assert all(version == seq for version, seq in (await checkpoints(shop)).values())

    to_the_present(shop)
    await shop.record([shop.row(KIM), shop.row(KIM), shop.row(LEE)])
    second = await verify(shop, overlap=NOW)
    assert second.since is not None
    assert (second.mismatches, second.accounts, second.records) == ((), 3, 3)
    third = await verify(shop, overlap=NOW)
    assert third.since is not None
    assert third.since > second.since
    assert (third.mismatches, third.records) == ((), 0)


async def test_what_is_younger_than_an_hour_is_verified_again(shop: Shop) -> None:
    to_the_present(shop)
    await shop.record([shop.row(KIM)])
    await verify(shop)
    assert {seq for _, seq in (await checkpoints(shop)).values()} == {0}
    again = await verify(shop)
    young = "SELECT count(*) FROM jangbu.usage WHERE jangbu.uuid7_time(id) > now() - interval '1 hour'"
    assert (again.mismatches, [(again.records,)]) == ((), await shop.rows(young))


@pytest.mark.parametrize("damage", [name for name, (found, _) in DAMAGE.items() if found not in OF_OLD_RECORDS])
async def test_damage_to_what_moved_is_found_as_a_full_verification_finds_it(shop: Shop, damage: str) -> None:
    assert (await verify(shop)).is_clean
    invariant, command = DAMAGE[damage]
    await shop.execute(command)
    found = {invariant, Invariant.CHAIN} if "UPDATE jangbu.entries" in command else {invariant}
    assert broken(await verify(shop)) == found


@pytest.mark.parametrize("table", KEYS)
async def test_a_rollup_of_these_hours_is_compared_with_the_records(shop: Shop, table: str) -> None:
    to_the_present(shop)
    await shop.record([shop.row(KIM), shop.row(LEE)])
    if table in LASTING:
        soon = datetime.now(UTC) + HOUR
        await Rollups(shop.database).carry_before(soon, soon)
    assert (await verify(shop)).is_clean
    since = {
        "usage_lifetime": "TRUE",
        "usage_days": "day >= (now() AT TIME ZONE 'UTC')::date",
        "usage_six_hours": "at >= date_bin('6 hours', now(), '2000-01-01Z')",
        "project_six_hours": "at >= date_bin('6 hours', now(), '2000-01-01Z')",
        "project_days": "at >= date_trunc('day', now(), 'UTC')",
    }.get(table, "at >= date_trunc('hour', now()) - interval '1 hour'")
    await shop.execute(f"UPDATE jangbu.{table} SET total = total + 1 WHERE {since}")
    found = broken(await verify(shop))
    # Totals are compared with the figures by hours and with the balances; these figures are with the records.
    assert found - {Invariant.TOTALS, Invariant.BALANCES} == DAMAGE_OF[table] - {Invariant.TOTALS}
    assert (Invariant.TOTALS in found) == (table in {"usage_lifetime", "usage_hours"})
    assert (Invariant.BALANCES in found) == (table in {"usage_lifetime", "usage_recent"})


async def test_a_record_of_these_hours_is_read_again(shop: Shop) -> None:
    to_the_present(shop)
    call = shop.row(PARK)
    await shop.record([call])
    assert (await verify(shop)).is_clean
    await shop.execute(f"UPDATE jangbu.usage SET raw = '{{\"usage\": []}}' WHERE id = '{call.id}'")
    assert {m.what for m in (await verify(shop)).mismatches if m.invariant is Invariant.COUNTS} >= {
        f"prompt of call {call.id}"
    }


async def test_a_call_without_tokens_counts_as_a_move(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    to_the_present(shop)
    await shop.record([shop.silent_row(PARK)])
    report = await verify(shop, overlap=NOW)
    assert (report.mismatches, report.records) == ((), 1)


async def test_an_old_entry_that_was_changed_is_seen_by_a_full_verification_alone(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    await shop.execute(f"UPDATE jangbu.entries SET reason = 'forged' WHERE {OF_KIM} AND asset = 1 AND seq = 2")
    await shop.record([shop.row(KIM)])
    assert (await verify(shop, overlap=NOW)).is_clean
    assert broken(await verify(shop, full=True, overlap=NOW)) == {Invariant.CHAIN}


async def test_a_history_that_was_written_anew_with_all_its_hashes_is_seen_at_the_checkpoint(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    ((version,),) = await shop.rows(f"SELECT version FROM jangbu.balances WHERE {OF_KIM} AND asset = 1")
    await shop.execute(REWRITE)
    found = await verify(shop, overlap=NOW)
    assert [m.what for m in found.mismatches] == [
        f"tokens: hash of entry {version}, when it was verified",
        "tokens: latest hash",
    ]
    # With nothing that was kept from before, it cannot be told from another history: exports are there for that.
    assert (await verify(shop, full=True, overlap=NOW)).is_clean


async def test_a_balance_that_moved_without_an_entry_is_seen_in_an_account_at_rest(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    await shop.execute(
        f"UPDATE jangbu.balances SET used = used + 1, granted = granted + 1 WHERE {OF_KIM} AND asset = 1"
    )
    await shop.execute(f"UPDATE jangbu.balances SET held = held + 1 WHERE {OF_KIM} AND asset = 1")
    assert broken(await verify(shop, overlap=NOW)) == {Invariant.BALANCES, Invariant.HELD}


async def test_a_record_that_comes_days_after_its_call_is_no_mismatch(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    await shop.record([shop.row(KIM, prompt=n) for n in range(5)] + [shop.row(LEE)])
    held = await shop.hold(KIM, 10)
    await shop.record([shop.row(KIM, call=held, held=True, candidates=900)])
    late = await verify(shop, overlap=NOW)
    assert (late.mismatches, late.records) == ((), 0)
    assert (await verify(shop, full=True)).is_clean


async def test_a_mismatch_is_found_again_until_it_is_mended(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    before = await checkpoints(shop)
    await shop.record([shop.row(KIM), shop.row(LEE)])
    await shop.execute(f"UPDATE jangbu.balances SET used = used + 1 WHERE {OF_KIM} AND asset = 1")
    first, second = await verify(shop, overlap=NOW), await verify(shop, overlap=NOW)
    assert first.mismatches == second.mismatches != ()
    assert first.since == second.since
    after = await checkpoints(shop)
    assert after[KIM, 1][1] == before[KIM, 1][1]
    assert after[LEE, 1][0] == after[LEE, 1][1] > before[LEE, 1][1]
    await shop.execute(f"UPDATE jangbu.balances SET used = used - 1 WHERE {OF_KIM} AND asset = 1")
    assert (await verify(shop, overlap=NOW)).is_clean
    assert all(version == seq for version, seq in (await checkpoints(shop)).values())


async def test_more_mismatches_than_are_listed_leave_every_checkpoint_where_it_is(shop: Shop) -> None:
    await shop.execute("UPDATE jangbu.balances SET used = used + 1 WHERE asset = 1")
    report = await verify(shop, overlap=NOW, limit=2)
    assert report.cut == {Invariant.BALANCES}
    assert {seq for _, seq in (await checkpoints(shop)).values()} == {None}


async def test_a_verification_that_reads_no_records_notes_nothing(shop: Shop) -> None:
    await Verification(shop.database, PROJECT).run(restate=restate)
    assert await verifications.find(shop.database, PROJECT) is None
    assert {seq for _, seq in (await checkpoints(shop)).values()} == {None}


async def test_what_a_full_verification_found_is_forgotten_by_a_full_one_alone(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    spoil = f"UPDATE jangbu.entries SET hash = sha256(hash) WHERE {OF_KIM} AND asset = 1 AND seq = 2"
    kept = await shop.rows(f"SELECT hash FROM jangbu.entries WHERE {OF_KIM} AND asset = 1 AND seq = 2")
    await shop.execute(spoil)
    found = len((await verify(shop, full=True, overlap=NOW)).mismatches)
    assert (await verify(shop, overlap=NOW)).is_clean
    noted = await verifications.find(shop.database, PROJECT)
    assert noted is not None
    assert (noted.mismatches, noted.known_mismatches, noted.is_full) == (0, found, False)
    mend = f"UPDATE jangbu.entries SET hash = '\\x{kept[0][0].hex()}' WHERE {OF_KIM} AND asset = 1 AND seq = 2"
    await shop.execute(mend)
    await verify(shop, full=True, overlap=NOW)
    noted = await verifications.find(shop.database, PROJECT)
    assert noted is not None
    assert (noted.known_mismatches, noted.is_full) == (0, True)


async def test_calls_that_come_in_meanwhile_are_no_mismatch(shop: Shop) -> None:
    await verify(shop, overlap=NOW)
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            to_the_present(shop)
            held = await shop.hold(KIM, 50)
            await shop.record([shop.row(KIM, call=held, held=True), shop.row(LEE), shop.image_row(PARK, 1)])

    writers = [asyncio.create_task(write()) for _ in range(3)]
    try:
        reports = [await verify(shop, overlap=overlap) for overlap in (NOW, HOUR, NOW, HOUR, NOW)]
    finally:
        done.set()
        await asyncio.gather(*writers)
    assert [report.mismatches for report in reports] == [()] * 5
    assert (await verify(shop, overlap=NOW)).is_clean
    assert (await verify(shop, full=True)).is_clean


async def test_two_verifications_at_once_agree(shop: Shop) -> None:
    await shop.record([shop.row(KIM)])
    reports = await asyncio.gather(*(verify(shop, full=full, overlap=NOW) for full in (True, False, False, True)))
    assert all(report.is_clean for report in reports)
    assert all(version == seq for version, seq in (await checkpoints(shop)).values())


async def test_each_mismatch_is_told_as_it_is_found(shop: Shop) -> None:
    await shop.execute(f"UPDATE jangbu.balances SET held = held + 1 WHERE {OF_KIM} AND asset = 1")
    told: list[Mismatch] = []
    seen: list[int] = []

    def look(record: UsageRecord) -> object:
        seen.append(len(told))
        return restate(record)

    report = await Verification(shop.database, PROJECT).run(restate=look, told=told.append)  # type: ignore[arg-type]
    assert tuple(told) == report.mismatches
    assert seen[-1] == 1


async def test_another_project_has_a_checkpoint_of_its_own(shop: Shop, database: Database) -> None:
    await verify(shop, overlap=NOW)
    async with open_shop(database, "another") as other:
        await trade(other)
        assert await verifications.find(database, "another") is None
        await other.accounts.grant(KIM, 5, key="more", asset=Asset.TOKENS)
        report = await Verification(database, "another").run(full=False, recompute=recompute, restate=restate)
    assert (report.since, report.mismatches) == (None, ())


async def test_prices_that_are_filled_in_for_the_calls_of_these_hours_are_no_mismatch(shop: Shop) -> None:
    to_the_present(shop)
    calls: Sequence[usage.UsageRow] = [shop.row(user, model="gemini-99") for user in (KIM, PARK)]
    await shop.record(calls)
    await verify(shop, overlap=NOW)
    filled = [(call.account_id, call.id, 700, 100, 900, 1) for call in calls]
    assert await usage.write_prices(shop.database, filled, PROJECT, 0) == 2
    report = await Verification(shop.database, PROJECT, overlap=HOUR).run(full=False, restate=restate)
    assert report.mismatches == ()
