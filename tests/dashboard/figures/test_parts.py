"""What was used by users, models and services, and call by call, is what the records say."""

import calendar
import json
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Page

from jangbu.config import Settings
from jangbu.dashboard.formats import Formats
from jangbu.domain.amounts import average
from jangbu.domain.forecast import month_end
from jangbu.wiring import open_metering
from tests.dashboard.figures.shop import (
    EMPTY,
    FIRST,
    KOLKATA,
    LAST,
    LORD_HOWE,
    MODELS,
    NEW_YORK,
    RECORDS,
    USERS,
    ZONES,
    Meant,
    as_known,
    costed,
    costed_exactly,
    exactly,
    page_of,
    written,
)
from tests.dashboard.shown import Node
from tests.dashboard.site import Site

ALL_TIME = (date(2000, 1, 1), date(2100, 1, 1))
FORMATS = Formats("en", "UTC")
BALANCES = """
    SELECT a.user_id, a.account_id, g.granted, u.used, h.held
    FROM jangbu.accounts AS a
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(e.delta), 0)::bigint AS granted FROM jangbu.entries AS e
        WHERE e.account_id = a.account_id AND e.asset = 1 AND e.kind NOT IN ('usage', 'overrun')
    ) AS g
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(r.total), 0)::bigint AS used FROM jangbu.usage AS r WHERE r.account_id = a.account_id
    ) AS u
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(o.amount), 0)::bigint AS held FROM jangbu.holds AS o
        WHERE o.account_id = a.account_id AND o.state IN ('open', 'unknown')
    ) AS h
"""

LIST = """
    SELECT DISTINCT ON (model, meter) row ->> 'model' AS model, row ->> 'meter' AS meter,
        (row ->> 'price_nano')::bigint AS nano
    FROM (SELECT v.book FROM jangbu.price_versions AS v ORDER BY v.version DESC LIMIT 1) AS newest
    CROSS JOIN LATERAL jsonb_array_elements(newest.book -> 'rows') AS row
    WHERE row ->> 'tier' = 'standard' AND row ->> 'modality' IN ('any', 'text')
        AND row ->> 'above_prompt_tokens' = '0' AND coalesce(row ->> 'platform', 'gemini_api') = 'gemini_api'
        AND coalesce((row ->> 'valid_from')::timestamptz, '-infinity') <= now()
        AND coalesce((row ->> 'valid_to')::timestamptz, 'infinity') > now()
    ORDER BY model, meter, (row ->> 'priority')::integer DESC, row ->> 'valid_from' DESC NULLS LAST
"""
"""What a million tokens of text are listed for."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_users_page_shows_what_the_records_add_up_to_and_lists_every_one(
    owner: Page, book: asyncpg.Connection
) -> None:
    for user in USERS:
        meant = Meant(book, "UTC", *ALL_TIME, user=user)
        parts, total = await meant.sums("ARRAY[service, model]"), await meant.total()
        page = await page_of(owner, "/user", user=user)
        table = page.table_of("by-service")
        shown = {(row.name, row.cells[0]): row.cells[1:3] for row in table.rows}
        assert shown == {
            part: (written("calls", sums["calls"]), written("tokens", sums["tokens"])) for part, sums in parts.items()
        }
        assert table.total[:2] == (written("calls", total["calls"]), written("tokens", total["tokens"]))
        assert page.tiles["Cost"] == exactly(total)["Cost"]
        assert page.tiles["Used"] == written("tokens", total["tokens"])
        listed = await listed_calls(owner, page)
        assert len(listed) == total["calls"] == len(set(listed))
        assert sum(listed.values()) == total["tokens"]


async def listed_calls(owner: Page, page: Node) -> dict[str, int]:
    """Give the tokens of each call that a user's page lists, on all of its pages."""
    listed: dict[str, int] = {}
    while True:
        for row in page.table_of("calls").rows:
            listed[row.link] = int(row.cells[4].replace(",", ""))
        onward = [each.attributes["href"] for each in page.all("a", rel="next")]
        if not onward:
            return listed
        page = await page_of(owner, onward[0])


async def test_a_call_leads_to_its_answer_its_price_and_its_entry(owner: Page, book: asyncpg.Connection) -> None:
    page = await page_of(owner, "/user", user="kim")
    for row in page.table_of("calls").rows[:10]:
        call = await page_of(owner, row.link)
        assert call.table_of("why").total == (row.cells[4],)
        raw = [json.loads(each.text) for each in call.all("code") if each.text.startswith("{")]
        assert int(row.cells[4].replace(",", "")) in values_of(raw)
        identity = next(each.text for each in call.all("code"))
        kept = await book.fetchrow(
            "SELECT cost_nano, total, posting, account_id FROM jangbu.usage WHERE id = $1", identity
        )
        assert kept["total"] == int(row.cells[4].replace(",", ""))
        if kept["cost_nano"] is not None:
            lines = call.table_of("price")
            assert lines.total == (Formats("en", "UTC").money_exact(kept["cost_nano"]),)
        entries = call.table_of("ledger")
        assert any(int(entry.name) in (kept["posting"] + 1, kept["posting"] + 2) for entry in entries.rows)


def values_of(value: Any) -> set[Any]:
    if isinstance(value, dict):
        return set().union(*(values_of(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(values_of(each) for each in value))
    return {value}


def balance_of(page: Node) -> list[str]:
    return [page.tiles[name] for name in ("Granted, net", "Used", "Held for calls", "Tokens left")]


async def test_balances_are_what_entries_records_and_holds_add_up_to(owner: Page, book: asyncpg.Connection) -> None:
    found = await book.fetch(BALANCES)
    listed = (await page_of(owner, "/users")).table_of("users")
    assert {row.name for row in listed.rows} == {row["user_id"] for row in found} == set(USERS)
    for row in found:
        left = row["granted"] - row["used"] - row["held"]
        expected = [written("tokens", value) for value in (row["granted"], row["used"], row["held"], left)]
        assert balance_of(await page_of(owner, "/user", user=row["user_id"])) == expected
        assert balance_of(await page_of(owner, "/ledger", user=row["user_id"])) == expected
        assert listed.column("Tokens left")[row["user_id"]] == expected[-1]
        grants = await book.fetch("SELECT amount FROM jangbu.grants WHERE account_id = $1", row["account_id"])
        shown = (await page_of(owner, "/user", user=row["user_id"])).table_of("grants")
        assert [each.cells[1] for each in shown.rows] == [written("tokens", each["amount"]) for each in grants]
        assert sum(int(each.cells[2].replace(",", "")) for each in shown.rows) == row["granted"] - row["used"]


async def test_every_entry_is_listed_with_the_balance_that_the_entries_up_to_it_make(
    owner: Page, book: asyncpg.Connection
) -> None:
    stored = await book.fetch(
        "SELECT e.seq, e.delta, sum(e.delta) OVER (ORDER BY e.seq)::bigint AS after FROM jangbu.entries AS e"
        " JOIN jangbu.accounts AS a ON a.account_id = e.account_id WHERE a.user_id = 'kim' AND e.asset = 1"
        " ORDER BY e.seq DESC"
    )
    page, shown = await page_of(owner, "/ledger", user="kim"), []
    while True:
        table = page.table_of("entries")
        changes, afters = table.column("Change"), table.column("Balance after")
        shown += [(number, changes[number], afters[number]) for number in changes]
        onward = [each.attributes["href"] for each in page.all("a", rel="next")]
        if not onward:
            break
        page = await page_of(owner, onward[0])
    assert shown == [tuple(written("tokens", value) for value in row) for row in stored]


@pytest.mark.parametrize("zone", ZONES)
async def test_users_used_in_the_period_and_in_all_what_their_records_say(
    owner: Page, book: asyncpg.Connection, zone: str
) -> None:
    page = await page_of(owner, "/users", zone=zone, **{"from": "2026-10-30", "to": "2026-11-04"})
    table = page.table_of("users")
    period = await Meant(book, zone, date(2026, 10, 30), date(2026, 11, 4)).sums("user_id")
    lifetime = await Meant(book, zone, *ALL_TIME).sums("user_id")
    for when, found in (("the period", period), ("all", lifetime)):
        for head, named in (("Used", "tokens"), ("Calls", "calls")):
            shown = {name: written(named, sums[named]) for name, sums in found.items()}
            assert table.column(f"{head} in {when}") == shown
        assert table.column(f"Cost in {when}") == {name: costed(sums) for name, sums in found.items()}
        assert table.column(f"Average of a call in {when}") == {
            name: written("tokens", average(sums["tokens"], sums["calls"])) for name, sums in found.items()
        }
    assert period.keys() == lifetime.keys()
    assert all(period[name] != lifetime[name] for name in period)


SIZES = """
    SELECT
        model, percentile_disc(0.5) WITHIN GROUP (ORDER BY total) AS half,
        percentile_disc(0.95) WITHIN GROUP (ORDER BY total) AS most
    FROM meant GROUP BY model
"""


@pytest.mark.parametrize("zone", ZONES)
async def test_models_used_and_cost_what_their_records_say(owner: Page, book: asyncpg.Connection, zone: str) -> None:
    page = await page_of(owner, "/models", zone=zone, **{"from": str(FIRST), "to": str(LAST)})
    meant = Meant(book, zone)
    models, total = await meant.sums("model"), await meant.total()
    listed = {(row["model"], row["meter"]): written("cost", row["nano"]) for row in await book.fetch(LIST)}
    rows = await book.fetch(f"{RECORDS} {SIZES}", zone, FIRST, LAST, None, None, None)
    sizes = {row["model"]: f"{row['half']:,} / {row['most']:,}" for row in rows}
    table = page.table_of("models")
    shown = {next(name for name in models if row.name.startswith(name)): row.cells for row in table.rows}
    assert shown == {
        name: (
            written("calls", sums["calls"]),
            written("tokens", sums["tokens"]),
            written("tokens", average(sums["tokens"], sums["calls"])),
            sizes[name],
            FORMATS.percent(sums["cached"], sums["input"]),
            FORMATS.percent(sums["thinking"], sums["tokens"]),
            "0.0%",
            costed(sums),
            as_known(sums, written("cost", cost_of_a_call(sums))),
            "–" if sums["unpriced"] else written("cost", average(sums["cost"] * 1_000_000, sums["tokens"])),
            list_price(
                *(listed.get((name, meter), "–") for meter in ("input", "output")), is_of_short=name == MODELS[1]
            ),
        )
        for name, sums in models.items()
    }
    assert shown[MODELS[2]][8] == "≥ $0.00", "one call of it cost nothing, and nobody knows of the others"
    assert table.total[:2] == (written("calls", total["calls"]), written("tokens", total["tokens"]))
    assert table.total[7] == costed(total)


def cost_of_a_call(sums: dict[str, int]) -> int:
    """Give what a call cost on average, and at least where some have no price."""
    return sums["cost"] // sums["calls"] if sums["unpriced"] else average(sums["cost"], sums["calls"])


def list_price(of_input: str, of_output: str, *, is_of_short: bool) -> str:
    return "–" if of_input == "–" else f"{of_input} / {of_output}" + (" prompts to 200K" if is_of_short else "")


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA, LORD_HOWE])
async def test_cost_is_that_of_the_records_by_model_service_and_user(
    owner: Page, book: asyncpg.Connection, zone: str
) -> None:
    page = await page_of(owner, "/cost", zone=zone, bucket="day", **{"from": str(FIRST), "to": str(LAST)})
    meant = Meant(book, zone)
    total, days = await meant.total(), await meant.sums("clock::date")
    of_output = total["cost"] - total["input_cost"]
    for name, value in (
        ("Google's price", total["cost"]), ("Charged to users", total["charge"]),
        ("Of it for input", total["input_cost"]), ("Of it for output", of_output),
        ("Mark-up", total["charge"] - total["cost"]),
    ):  # fmt: skip
        assert page.tiles[name] == costed_exactly(total, value)
    for named, by in (("cost-models", "model"), ("cost-services", "service"), ("cost-users", "user_id")):
        table, parts = page.table_of(named), await meant.sums(by)
        assert table.column("Calls") == {name: written("calls", sums["calls"]) for name, sums in parts.items()}
        assert table.column("Google's price") == {name: costed(sums) for name, sums in parts.items()}
        assert table.column("Charged to users") == {name: costed(sums, "charge") for name, sums in parts.items()}
        on_top = {name: sums["charge"] - sums["cost"] for name, sums in parts.items()}
        assert table.column("Mark-up") == {
            name: as_known(sums, written("cost", on_top[name])) for name, sums in parts.items()
        }
        assert table.column("Mark-up in %") == {
            name: FORMATS.percent(on_top[name], sums["cost"]) for name, sums in parts.items()
        }
    assert any(total["charge"] != total["cost"] for total in (await meant.sums("model")).values()), "there is a mark-up"
    bars = [row.cells[-1] for row in page.table_of("by-service-title").rows]
    spent = [costed(sums) for sums in days.values()]
    assert [each for each in bars if each != costed(EMPTY)] == [each for each in spent if each != costed(EMPTY)]
    assert any(each.startswith("≥ ") for each in spent), "some days have calls without a price"


@pytest.mark.parametrize("zone", ZONES)
async def test_the_month_ends_as_the_records_of_its_days_and_of_the_weeks_before_say(
    owner: Page, book: asyncpg.Connection, zone: str
) -> None:
    page = await page_of(owner, "/cost", zone=zone)
    today: date = await book.fetchval("SELECT (now() AT TIME ZONE $1)::date", zone)
    first, day = today.replace(day=1), timedelta(days=1)
    to_come = calendar.monthrange(today.year, today.month)[1] - today.day + 1
    found = await Meant(book, zone, min(first, today - 28 * day), today).sums("clock::date")
    rows = {row.name: row.cells for row in page.table_of("cost-month").rows}
    for name, amount in (("Google's price", "cost"), ("Charged to users", "charge")):
        days = {each: sums[amount] for each, sums in found.items()}
        so_far = sum(value for each, value in days.items() if each >= first)
        lately = [days.get(today - number * day, 0) for number in range(28, 0, -1)]
        ahead = month_end(lately, so_far - days.get(today, 0), days.get(today, 0), to_come)
        assert ahead is not None, "there were calls in the last weeks"
        counted = {each: sum(sums[each] for sums in found.values()) for each in ("calls", "unpriced")}
        assert 0 < counted["unpriced"] < counted["calls"], "some of the calls have no price, so it comes to more"
        told = (as_known(counted, written("cost", each)) for each in (ahead.expected, ahead.least, ahead.most))
        month = [sums for each, sums in found.items() if each >= first]
        total = {each: sum(sums[each] for sums in month) for each in (amount, "calls", "unpriced")}
        assert rows[name] == (costed(total, amount) if month else written("cost", 0), *told)
    assert "comes on top of each figure with ≥" in page.text


async def test_the_budget_is_of_everybodys_calls_of_the_month_by_the_days_of_the_setting(
    owner: Page, book: asyncpg.Connection
) -> None:
    page = await page_of(owner, "/cost", zone=KOLKATA)
    today: date = await book.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    found = await Meant(book, "UTC", today.replace(day=1), today).total()
    share = FORMATS.percent(found["cost"], 1_000 * 10**9)
    spent = f"all calls cost {costed(found)} of the budget of $1,000.00: {share} (days of UTC)"
    assert f"Since {FORMATS.day(today.replace(day=1))}, {spent}." in page.text
    assert "of the budget" not in (await page_of(owner, "/cost", zone=KOLKATA, user=USERS[0])).text


@pytest.mark.parametrize("zone", ZONES)
async def test_users_see_of_themselves_what_their_records_say(
    shop: Site, owner: Page, book: asyncpg.Connection, zone: str
) -> None:
    async with open_metering(Settings.load(database_url=shop.database_url), delivers=False) as ledger:
        token = (await ledger.view_tokens.make("kim")).text
    page = await page_of(owner, "/view", token=token, zone=zone, lang="en")
    first, last = await book.fetchrow("SELECT (now() AT TIME ZONE $1)::date - 29, (now() AT TIME ZONE $1)::date", zone)
    meant = Meant(book, zone, first, last, user="kim")
    total = await meant.total()
    facts = dict(zip((each.text for each in page.all("dt")), (each.text for each in page.all("dd")), strict=True))
    assert facts["Used in 30 days"] == written("tokens", total["tokens"])
    assert facts["Calls in 30 days"] == written("calls", total["calls"])
    days, services, models, *_ = page.tables
    found = await meant.sums("clock::date")
    assert len(days.rows) == 30
    assert [row.cells for row in days.rows if row.cells[-1] != "0"] == [
        (written("calls", sums["calls"]), written("tokens", sums["tokens"])) for sums in reversed(found.values())
    ]
    for table, by in ((services, "service"), (models, "model")):
        parts = await meant.sums(by)
        assert {row.name: row.cells for row in table.rows} == {
            name: (written("calls", sums["calls"]), written("tokens", sums["tokens"])) for name, sums in parts.items()
        }
