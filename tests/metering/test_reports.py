"""Reports: what they say is what the records sum to, and a call is explained down to its debit."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.amounts import average
from jangbu.domain.ledger import Asset, EntryKind
from jangbu.domain.pricing import Cost
from jangbu.errors import InvalidInput, NotFound
from jangbu.metering.reports import Figures, Reports
from jangbu.metering.reports import summed as totalled
from jangbu.storage import usage
from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRecord
from tests.metering.traffic import IMAGE, KIM, LEE, PARK, PROJECT, TEXT, Shop, open_shop

USERS = (KIM, None)


@pytest.fixture
def template(traded: str) -> str:
    return traded


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        yield opened


@pytest.fixture
def reports(shop: Shop) -> Reports:
    return Reports(shop.database, PROJECT)


async def summed(shop: Shop, user: str | None, *keys: str) -> dict[tuple[Any, ...], Figures]:
    """Sum the records themselves, call by call and by the keys."""
    records = await shop.rows(
        "SELECT a.user_id AS user, s.name AS service, m.name AS model,"
        " (jangbu.uuid7_time(u.id) AT TIME ZONE 'UTC')::date AS day, u.prompt + u.tool, u.candidates + u.thoughts,"
        " u.cached, u.total, u.cost_nano, u.input_cost_nano, u.charge_nano"
        " FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id)"
        " JOIN jangbu.services AS s USING (service_id) JOIN jangbu.models AS m USING (model_id)"
    )
    names = ("user", "service", "model", "day")
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for record in records:
        if user is None or record[0] == user:
            groups[tuple(record[names.index(key)] for key in keys)].append(record[4:])
    return {key: figures_of(rows) for key, rows in groups.items()}


def figures_of(rows: list[tuple[Any, ...]]) -> Figures:
    prompt, completion, cached, total, cost, input_cost, charge = (
        sum(value or 0 for value in column) for column in zip(*rows, strict=True)
    )
    return Figures(
        calls=len(rows),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        total_tokens=total,
        average_tokens=round(Fraction(total, len(rows))),
        cost_nano=cost,
        input_cost_nano=input_cost,
        output_cost_nano=cost - input_cost,
        charge_nano=charge,
        unpriced=sum(row[4] is None for row in rows),
    )


@pytest.mark.parametrize("user", USERS)
async def test_totals_are_the_sums_of_the_records(shop: Shop, reports: Reports, user: str | None) -> None:
    lines = await reports.totals(user)

    assert {(line.service, line.model): line.figures for line in lines} == await summed(shop, user, "service", "model")
    used = [line.figures.total_tokens for line in lines]
    assert used == sorted(used, reverse=True)


@pytest.mark.parametrize("user", USERS)
async def test_days_are_the_sums_of_their_records(shop: Shop, reports: Reports, user: str | None) -> None:
    lines = await reports.daily(user, 30)

    assert {(line.day, line.service): line.figures for line in lines} == await summed(shop, user, "day", "service")
    assert [line.day for line in lines] == sorted((line.day for line in lines), reverse=True)


@pytest.mark.parametrize("user", USERS)
async def test_days_without_calls_are_filled_with_zeros_on_request(
    shop: Shop, reports: Reports, user: str | None
) -> None:
    last = datetime.now(UTC).date() + timedelta(days=1)

    lines = await reports.daily(user, 10, last=last, zero_filled=True)

    assert list(dict.fromkeys(line.day for line in lines)) == [last - timedelta(days=ago) for ago in range(10)]
    assert (lines[0].day, lines[0].service, lines[0].figures) == (last, None, Figures.of([]))
    assert tuple(line for line in lines if line.service) == await reports.daily(user, 10, last=last)


async def test_a_window_of_days_holds_its_first_and_its_last_day(shop: Shop, reports: Reports) -> None:
    days = sorted({day for (day,) in await summed(shop, None, "day")})

    lines = await reports.daily(None, 2, last=days[1])

    assert {line.day for line in lines} == {days[0], days[1]}
    assert await reports.daily(KIM, 1, last=date(2020, 1, 1)) == ()


@pytest.mark.parametrize("by", ["model", "service", "user"])
@pytest.mark.parametrize("user", USERS)
async def test_costs_are_split_by_what_is_asked(shop: Shop, reports: Reports, user: str | None, by: Any) -> None:
    found = await reports.cost(user, by)
    lines = found.lines

    expected = {key: figures for (key,), figures in (await summed(shop, user, by)).items()}
    assert {line.name: line.figures for line in lines} == expected
    costs = [line.figures.cost_nano for line in lines]
    assert costs == sorted(costs, reverse=True)
    assert sum(line.figures.unpriced for line in lines) == (3 if user is None else 0)
    assert found.total == totalled([line.figures for line in lines])
    (dearest,) = (await reports.cost(user, by, limit=1)).lines
    assert (dearest, (await reports.cost(user, by, limit=1)).total) == (lines[0], found.total)


async def test_the_users_who_used_most_come_first_and_those_of_other_projects_not_at_all(
    shop: Shop, reports: Reports, database: Database
) -> None:
    expected = {user: figures for (user,), figures in (await summed(shop, None, "user")).items()}
    async with open_shop(database, "another") as other:
        await other.record([other.row("park", prompt=10**9)])

    lines = await reports.top_users()

    assert {line.user: line.figures for line in lines} == expected
    assert [line.user for line in lines] == sorted(expected, key=lambda user: -expected[user].total_tokens)
    assert await reports.top_users(1) == lines[:1]


async def test_everybody_is_everybody_in_the_project(shop: Shop, reports: Reports, database: Database) -> None:
    before = (await reports.totals(), await reports.daily(None, 30), await reports.cost())
    async with open_shop(database, "another") as other:
        await other.record([other.row(KIM, prompt=7, candidates=3), other.row(KIM, model="gemini-99", candidates=1)])
    others = Reports(database, "another")

    assert before == (await reports.totals(), await reports.daily(None, 30), await reports.cost())
    assert [line.figures.total_tokens for line in await others.totals()] == [11, 10]
    assert [line.figures.total_tokens for line in await others.daily(None, 30)] == [21]


async def test_a_report_of_everybody_can_be_bounded_to_the_last_days(shop: Shop, reports: Reports) -> None:
    assert await reports.cost(days=1000) == await reports.cost()
    last_day = {
        service: figures
        for (day, service), figures in (await summed(shop, None, "day", "service")).items()
        if day == datetime.now(UTC).date()
    }

    assert {line.name: line.figures for line in (await reports.cost(by="service", days=1)).lines} == last_day


async def test_open_findings_are_counted_and_listed_newest_first(shop: Shop, reports: Reports) -> None:
    found = await reports.findings(limit=2)

    rows = await shop.rows("SELECT kind::text, count(*) FROM jangbu.findings WHERE resolved_at IS NULL GROUP BY kind")
    assert found.counts == dict(rows)
    assert found.counts["overrun"] == found.counts["late"] == found.counts["unknown_outcome"] == 3
    newest = await shop.rows("SELECT max(created_at) FROM jangbu.findings")
    assert [(finding.created_at,) for finding in found.newest[:1]] == newest
    assert len(found.newest) == 2

    await shop.execute("UPDATE jangbu.findings SET resolved_at = now()")
    assert (await reports.findings()).counts == {}
    assert (await reports.findings()).newest == ()


async def test_a_call_is_explained_from_the_providers_words_to_the_debit(shop: Shop, reports: Reports) -> None:
    held = await shop.hold(KIM, 100)
    row = shop.row(KIM, prompt=10, candidates=100, thoughts=5, tool=1, call=held, held=True)
    await shop.record([row])
    before = await shop.accounts.balance(KIM)
    await shop.accounts.refund(KIM, row.id, 30, reason="half of it was useless", key="half")
    price = Cost(row.cost_nano, (), 1)

    async def price_lines(record: UsageRecord) -> Cost:
        assert record.id == row.id
        return price

    explained = await reports.explain(row.id, price_lines)

    assert explained == await reports.explain(row.id, price_lines, user=KIM)
    assert explained.record.user == KIM
    assert explained.evidence == json.loads(row.raw)
    assert explained.sum_text == "prompt 10 + candidates 100 + thoughts 5 + tool 1 = 116, charged 116"
    assert explained.price is price
    assert (explained.hold_amount, explained.overrun) == (100, 16)
    assert explained.entry is not None
    assert (explained.entry.kind, explained.entry.delta) == (EntryKind.OVERRUN, -116)
    assert explained.balance_after == before.posted
    assert explained.money_entry is not None
    assert explained.money_entry.delta == -(row.charge_nano or 0)
    assert [(entry.kind, entry.delta, entry.reason) for entry in explained.returns] == [
        (EntryKind.REFUND, 30, "half of it was useless")
    ]
    assert explained.net_tokens == 86


async def test_every_call_finds_its_debit_and_a_call_without_tokens_has_none(shop: Shop, reports: Reports) -> None:
    calls = await shop.rows("SELECT u.id, u.total FROM jangbu.usage AS u")

    for call, total in calls:
        explained = await reports.explain(call)
        assert (explained.entry is None) == (total == 0)
        if explained.entry is not None:
            assert -explained.entry.delta >= total
            assert explained.balance_after == explained.entry.balance_after
            assert explained.entry.posting == explained.record.posting


async def test_a_call_is_found_by_its_id_alone_whatever_became_of_its_figures(shop: Shop) -> None:
    calls = await shop.rows("SELECT u.id, u.account_id FROM jangbu.usage AS u")
    assert len(calls) > 10
    stranger = uuid4()
    for gone in ((), ("usage_recent",), ("usage_quarters",)):
        for table in gone:
            await shop.execute(f"DELETE FROM jangbu.{table}")
        found = [await usage.find_account(shop.database, PROJECT, call) for call, _ in calls]
        assert found == [account for _, account in calls]
        assert await usage.find_account(shop.database, "another", calls[0][0]) is None
        assert await usage.find_account(shop.database, PROJECT, stranger) is None
        quickly = [await usage.find_account(shop.database, PROJECT, call, by_figures=True) for call, _ in calls]
        assert (quickly == found) == (not gone)


async def test_every_call_finds_its_own_money_debit(shop: Shop, reports: Reports) -> None:
    """Calls without tokens leave the token balance's version as it is, and each has a money debit of its own."""
    await shop.accounts.grant(PARK, 10**12, key="money", asset=Asset.MONEY)
    calls = [shop.image_row(PARK, number) for number in (1, 2, 3)]
    later = shop.image_row(PARK, 4)._replace(cost_nano=None, input_cost_nano=None, charge_nano=None, price_version=None)
    for call in (calls[0], later, *calls[1:]):
        await shop.record([call])
    unpriced = await reports.explain(later.id)
    await usage.write_prices(shop.database, [(later.account_id, later.id, 700, 100, 900, 1)], PROJECT, 0)

    found = [await reports.explain(call.id) for call in (*calls, later)]

    assert len({explained.record.posting for explained in found}) == 1
    assert unpriced.money_entry is None
    assert [explained.entry for explained in found] == [None] * 4
    assert [explained.money_entry and -explained.money_entry.delta for explained in found] == [
        *(call.charge_nano for call in calls),
        900,
    ]
    reasons = [explained.money_entry and explained.money_entry.reason for explained in found]
    assert reasons == [None, None, None, "priced after it was recorded"]


async def test_a_call_from_before_there_was_money_has_no_money_debit(shop: Shop, reports: Reports) -> None:
    before, after = shop.image_row(PARK, 1), shop.image_row(PARK, 2)
    await shop.record([before])
    await shop.accounts.grant(PARK, 10**12, key="money", asset=Asset.MONEY)
    await shop.record([after])

    assert (await reports.explain(before.id)).money_entry is None
    entry = (await reports.explain(after.id)).money_entry
    assert entry is not None
    assert -entry.delta == after.charge_nano


async def test_the_money_of_a_call_without_tokens_is_given_back_and_told(shop: Shop, reports: Reports) -> None:
    await shop.accounts.grant(PARK, 10**12, key="money", asset=Asset.MONEY)
    await shop.record([call := shop.image_row(PARK, 4)])
    await shop.accounts.void(PARK, call.id, reason="the picture was empty")

    explained = await reports.explain(call.id)

    assert explained.returns == ()
    assert [(each.delta, each.reason) for each in explained.money_returns] == [
        (call.charge_nano, "the picture was empty")
    ]
    assert (await shop.accounts.balance(PARK, Asset.MONEY)).posted == 10**12


async def test_a_total_that_is_not_its_sum_is_said_to_be_so(shop: Shop, reports: Reports) -> None:
    row = shop.row(LEE)
    await shop.record([row])
    await shop.execute(f"UPDATE jangbu.usage SET total = 31, anomalies = '{{total_mismatch}}' WHERE id = '{row.id}'")

    explained = await reports.explain(row.id)

    assert explained.sum_text == (
        "prompt 10 + candidates 20 + thoughts 0 + tool 0 = 30, but charged 31 as reported (total_mismatch)"
    )


async def test_what_does_not_exist_is_not_found(shop: Shop, reports: Reports, database: Database) -> None:
    ((call,),) = await shop.rows("SELECT id FROM jangbu.usage WHERE total > 0 LIMIT 1")

    with pytest.raises(NotFound):
        await reports.explain(uuid4())
    with pytest.raises(NotFound):
        await reports.explain(call, user=PARK)
    with pytest.raises(NotFound):
        await Reports(database, "another").explain(call)
    for ask in (reports.totals, reports.daily, reports.cost):
        with pytest.raises(NotFound):
            await ask("nobody")


async def test_what_cannot_be_listed_is_refused(reports: Reports) -> None:
    with pytest.raises(InvalidInput):
        await reports.daily(days=0)
    with pytest.raises(InvalidInput):
        await reports.daily(days=10**6)
    with pytest.raises(InvalidInput):
        await reports.top_users(0)
    with pytest.raises(InvalidInput):
        await reports.findings(10**9)


async def test_an_account_that_was_never_used_has_reports_without_lines(shop: Shop, reports: Reports) -> None:
    await shop.accounts.create("new")

    assert await reports.totals("new") == ()
    assert await reports.daily("new") == ()


async def test_services_keep_their_names(reports: Reports) -> None:
    assert {line.service for line in await reports.totals(KIM)} == {TEXT, IMAGE}


@given(st.integers(0, 10**15), st.integers(1, 10**9))
def test_an_average_is_rounded_half_to_even(total: int, number: int) -> None:
    assert average(total, number) == round(Fraction(total, number))
    assert average(total, 0) == 0
