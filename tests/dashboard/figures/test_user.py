"""A user's page by service, model and day, and the small charts of all users, are what the raw records say."""

from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Page

from jangbu.dashboard.formats import Formats
from jangbu.domain.amounts import average
from tests.dashboard.conftest import Opens
from tests.dashboard.figures.shop import (
    FIRST,
    LAST,
    MODELS,
    RECORDS,
    SERVICES,
    USERS,
    ZONES,
    Meant,
    page_of,
    written,
)
from tests.dashboard.site import USERS as BUSY
from tests.dashboard.site import Site

ALL_TIME = (date(2000, 1, 1), date(2100, 1, 1))
DAYS = (date(2026, 11, 1), date(2026, 10, 4), date(2026, 3, 8))
"""Days of 23, 24½ or 25 hours in some of the zones."""
LARGEST = "percentile_disc(0.95) WITHIN GROUP (ORDER BY total)"
FORMATS = Formats("en", "UTC")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def most_of(book: asyncpg.Connection, zone: str, first: date, last: date, user: str, by: str) -> dict[Any, int]:
    """Give what 95% of the calls used at most, by an expression."""
    rows = await book.fetch(
        f"{RECORDS} SELECT {by} AS part, {LARGEST} AS most FROM meant GROUP BY 1", zone, first, last, None, None, user
    )
    return {tuple(row["part"]) if isinstance(row["part"], list) else row["part"]: row["most"] for row in rows}


def told(sums: dict[str, int], most: int | None) -> str:
    """Give what a cell of the matrix says."""
    calls = f"{sums['calls']:,} call{'s' if sums['calls'] > 1 else ''}"
    whole = f"{sums['tokens']:,} {calls} average {average(sums['tokens'], sums['calls']):,}"
    return whole if most is None else f"{whole} p95 {most:,}"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("first", "last"), [(FIRST, LAST), *((day, day) for day in DAYS)], ids=str)
async def test_the_matrix_is_what_the_records_of_its_days_say(
    owner: Page, book: asyncpg.Connection, zone: str, first: date, last: date
) -> None:
    meant = Meant(book, zone, first, last, user="kim")
    found: dict[Any, str] = {}
    for by in ("ARRAY[service, model]", "service", "model"):
        most = await most_of(book, zone, first, last, "kim", by)
        found |= {part: told(sums, most[part]) for part, sums in (await meant.sums(by)).items()}

    page = await page_of(owner, "/user", user="kim", zone=zone, **{"from": str(first), "to": str(last)})

    table = page.table_of("matrix")
    models = table.heads[1:-1]
    shown: dict[Any, str] = dict(zip(models, table.total, strict=False))
    for row in table.rows:
        shown[row.name] = row.cells[-1]
        shown |= {(row.name, model): cell for model, cell in zip(models, row.cells, strict=False) if cell != "–"}
    assert shown == found
    assert table.total[-1] == told(await meant.total(), None)


async def test_each_cell_of_the_matrix_leads_to_the_calls_that_it_sums(owner: Page, book: asyncpg.Connection) -> None:
    zone = ZONES[1]
    page = await page_of(owner, "/user", user="kim", zone=zone, **{"from": str(DAYS[0]), "to": str(DAYS[0])})
    matrix = next(page.all("section", aria_labelledby="matrix")).one("table")
    links = [(each.text, each.attributes["href"]) for each in matrix.all("a")]
    assert len(links) > len(MODELS) + len(SERVICES)
    for shown, link in links:
        narrowed = await page_of(owner, link.partition("#")[0])
        listed = [int(row.cells[4].replace(",", "")) for row in narrowed.table_of("calls").rows]
        assert len(listed) < 50, "all of them are on one page"
        assert written("tokens", sum(listed)) == shown
        chosen = next(narrowed.all("section", aria_labelledby="matrix")).one("table")
        assert [each.attributes["href"] for each in chosen.all("a", aria_current="true")] == [link]


@pytest.mark.parametrize("zone", ZONES)
async def test_the_year_has_each_day_as_its_records_say(owner: Page, book: asyncpg.Connection, zone: str) -> None:
    today: date = await book.fetchval("SELECT (now() AT TIME ZONE $1)::date", zone)
    first = today - timedelta(days=today.weekday(), weeks=52)
    found = {
        day: sums["tokens"]
        for day, sums in (await Meant(book, zone, first, today, user="lee").sums("clock::date")).items()
    }

    page = await page_of(owner, "/user", user="lee", zone=zone)

    [section] = page.all("section", aria_labelledby="year")
    rows = page.table_of("year").rows
    shown = {
        first + timedelta(weeks=len(rows) - 1 - week, days=number): cell
        for week, row in enumerate(rows)
        for number, cell in enumerate(row.cells[:-1])
        if cell != "–"
    }
    assert sorted(shown) == [first + timedelta(days=number) for number in range((today - first).days + 1)]
    assert {day: cell for day, cell in shown.items() if cell != "0"} == {
        day: written("tokens", tokens) for day, tokens in found.items()
    }
    assert [row.name for row in rows[::-1]] == [FORMATS.day(first + timedelta(weeks=week)) for week in range(53)]
    squares = {each.attributes["data-day"]: each for each in section.all("rect")}
    assert len(squares) == len(shown)
    for day, square in squares.items():
        tokens = found.get(date.fromisoformat(day), 0)
        assert square.text.endswith(f": {tokens:,} tokens")
        level = -(-4 * tokens // max(found.values())) if tokens else 0
        assert square.attributes["class"] == f"level-{level}"


async def test_a_day_of_the_year_leads_to_its_calls_by_mouse_and_by_keyboard(opens: Opens, site: Site) -> None:
    tab = await opens(f"/user?user={BUSY[0]}&zone=Asia/Seoul&model=gemini-2.5-pro")
    square = tab.locator("rect.level-4").first
    day = await square.get_attribute("data-day")
    await square.click()
    await tab.wait_for_url(f"**from={day}&to={day}#calls")
    by_mouse = tab.url
    year = tab.locator("section[aria-labelledby=year]")
    await year.locator("summary").focus()
    await tab.keyboard.press("Enter")
    tokens = (await square.locator("title").text_content() or "").rpartition(": ")[2].removesuffix(" tokens")
    await year.get_by_role("link", name=tokens, exact=True).first.focus()
    await tab.keyboard.press("Enter")
    await tab.wait_for_url(by_mouse)
    listed = await tab.locator("section[aria-labelledby=calls] tbody td:nth-child(6)").all_text_contents()
    assert f"{sum(int(each.replace(',', '')) for each in listed):,}" == tokens


async def test_the_log_tells_of_each_call_what_its_record_says(owner: Page, book: asyncpg.Connection) -> None:
    stored = await book.fetch(
        "SELECT u.id::text, u.price_version, u.response_id FROM jangbu.usage AS u JOIN jangbu.accounts AS a"
        " USING (account_id) WHERE a.user_id = 'kim' ORDER BY u.id DESC LIMIT 50"
    )
    table = (await page_of(owner, "/user", user="kim")).table_of("calls")
    places = [
        table.heads.index(head) - 1 for head in ("Price version", "Status", "Duration", "Request id", "Google's answer")
    ]
    assert [tuple(row.cells[place] for place in places) for row in table.rows] == [
        ("–" if row["price_version"] is None else str(row["price_version"]), "recorded", "–", row["id"],
         row["response_id"])
        for row in stored
    ]  # fmt: skip


async def test_each_user_has_a_small_chart_of_days_and_an_average(opens: Opens, site: Site) -> None:
    connection = await asyncpg.connect(site.database_url)
    last: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    first = last - timedelta(days=29)
    page = await page_of(await opens("/users"), "/users", zone="Pacific/Auckland")
    drawn = {
        next(row.all("th")).text: row.one("svg")
        for row in next(page.all("section", aria_labelledby="users")).one("tbody").all("tr")
    }
    averages = page.table_of("users").column("Average of a call in all")
    assert set(drawn) == set(BUSY)
    for user, picture in drawn.items():
        found = {
            day: sums["tokens"]
            for day, sums in (await Meant(connection, "UTC", first, last, user=user).sums("clock::date")).items()
        }
        most = max(found.values())
        most_at = min(day for day, tokens in found.items() if tokens == most)
        assert picture.attributes["aria-label"] == (
            f"{sum(found.values()):,} tokens from {FORMATS.day(first)} to {FORMATS.day(last)} (UTC); the most on a day"
            f" was {most:,}, on {FORMATS.day(most_at)}"
        )
        strokes = picture.one("path").attributes["d"].split("M")[1:]
        assert [(int(each.split()[0]) - 1) // 3 for each in strokes] == [(day - first).days for day in found]
        whole = await Meant(connection, "UTC", *ALL_TIME, user=user).total()
        assert averages[user] == written("tokens", average(whole["tokens"], whole["calls"]))
    await connection.close()


@pytest.mark.parametrize("user", USERS)
async def test_who_has_no_call_that_is_chosen_is_told_so(owner: Page, user: str) -> None:
    page = await page_of(owner, "/user", user=user, model="gemini-unheard-of")
    [section] = page.all("section", aria_labelledby="calls")
    assert "Nothing matches these filters" in section.text
