"""The overview's figures are those of the records: of every bar, part and total, in any zone, whatever is chosen."""

import json
from datetime import date, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import pytest
from playwright.async_api import Page

from tests.dashboard.drilling import Reader, calls_listed, follow
from tests.dashboard.figures.shop import (
    EMPTY,
    FIRST,
    KOLKATA,
    LAST,
    LORD_HOWE,
    METRICS,
    MODELS,
    NEW_YORK,
    ZONES,
    Meant,
    costed,
    exactly,
    page_of,
    tiles_of,
    told,
    written,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("metric", METRICS)
async def test_every_day_part_and_total_is_that_of_the_records(
    owner: Page, book: asyncpg.Connection, zone: str, metric: str
) -> None:
    page = await page_of(owner, zone=zone, metric=metric, bucket="day", **{"from": str(FIRST), "to": str(LAST)})
    meant = Meant(book, zone)
    days, cells = await meant.sums("clock::date"), await meant.sums("ARRAY[clock::date::text, model]")
    models, services = await meant.sums("model"), await meant.sums("service")
    table = page.table_of("by-model-title")
    assert set(table.heads[1:-1]) == set(models)
    every = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    assert len(table.rows) == len(every)
    for day, row in zip(every, table.rows, strict=True):
        assert row.name == f"{day:%b} {day.day}"
        expected = [cells.get((str(day), model), EMPTY) for model in table.heads[1:-1]]
        assert row.cells == tuple(told(metric, sums) for sums in (*expected, days.get(day, EMPTY)))
    total = await meant.total()
    assert table.total == tuple(told(metric, sums) for sums in (*(models[name] for name in table.heads[1:-1]), total))
    assert tiles_of(page) == exactly(total)
    by_service = page.table_of("services")
    assert by_service.column("Calls") == {name: written("calls", sums["calls"]) for name, sums in services.items()}
    assert by_service.column("Tokens") == {name: written("tokens", sums["tokens"]) for name, sums in services.items()}
    assert by_service.column("Cost") == {name: costed(sums) for name, sums in services.items()}
    kinds = page.table_of("by-kind-title")
    assert kinds.total == tuple(written("tokens", value) for value in of_kinds(total))
    for day, row in zip(every, kinds.rows, strict=True):
        assert row.cells == tuple(written("tokens", value) for value in of_kinds(days.get(day, EMPTY)))
    users = await meant.sums("user_id")
    top = page.table_of("top-users")
    assert top.column("Calls") == {name: written("calls", sums["calls"]) for name, sums in users.items()}
    assert top.column("Tokens") == {name: written("tokens", sums["tokens"]) for name, sums in users.items()}
    assert top.column("Cost") == {name: costed(sums) for name, sums in users.items()}
    assert [row.name for row in top.rows] == sorted(users, key=lambda name: -users[name][metric])


def of_kinds(sums: dict[str, int]) -> tuple[int, ...]:
    """Give tokens by what they are, what Google does not tell apart, and Google's total."""
    parts = (sums["input"] - sums["cached"], sums["cached"], sums["output"], sums["thinking"])
    return (*parts, sums["tokens"] - sum(parts), sums["tokens"])


@pytest.mark.parametrize(
    ("language", "untold"), [("en", "Not told apart by Google"), ("ko", "Google이 구분하지 않은 토큰")]
)
async def test_what_google_does_not_tell_apart_is_a_part_of_its_own_and_may_be_less_than_nothing(
    owner: Page, language: str, untold: str
) -> None:
    asked = {"lang": language, "bucket": "day", "from": str(FIRST), "to": str(LAST)}
    page = await page_of(owner, **asked, model=MODELS[1])
    [chart] = page.all("figure", aria_labelledby="by-kind-title")
    kinds, models = page.table_of("by-kind-title"), page.table_of("by-model-title")
    place = kinds.heads.index(untold) - 1
    assert [row.cells[-1] for row in kinds.rows] == [row.cells[-1] for row in models.rows]
    values = [int(row.cells[place].replace(",", "")) for row in kinds.rows]
    assert min(values) < 0 < max(values)
    [drawn] = [each for each in json.loads(chart.one("script").text)["series"] if each["name"] == untold]
    assert drawn["values"] == values
    assert untold in chart.one("p", class_="hint").text, "a bar below zero is said to be one"
    others = await page_of(owner, **asked, model=MODELS[0])
    assert untold not in others.text, "where the parts are the total there is no such part"
    await page_of(owner, lang="en")


@pytest.mark.parametrize(
    ("zone", "day", "bars"),
    [
        (NEW_YORK, date(2026, 11, 1), 25), (NEW_YORK, date(2026, 3, 8), 23), (KOLKATA, date(2026, 11, 1), 24),
        (LORD_HOWE, date(2026, 10, 4), 24), (LORD_HOWE, date(2026, 4, 5), 25), ("UTC", date(2026, 11, 1), 24),
    ],
    ids=str,
)  # fmt: skip
async def test_a_day_has_the_hours_that_its_clock_has(
    owner: Page, book: asyncpg.Connection, zone: str, day: date, bars: int
) -> None:
    page = await page_of(owner, zone=zone, bucket="hour", **{"from": str(day), "to": str(day)})
    meant = Meant(book, zone, day, day)
    hours = await meant.sums("ARRAY[date_trunc('hour', clock)::text, (clock - at AT TIME ZONE 'UTC')::text]")
    table = page.table_of("by-model-title")
    assert len(table.rows) == bars
    assert len({row.name for row in table.rows}) == bars, "an hour that comes twice is told apart"
    filled = [row.cells[-1] for row in table.rows if row.cells[-1] != "0"]
    assert filled == [written("tokens", sums["tokens"]) for sums in hours.values()]
    assert len(filled) > 12
    assert tiles_of(page) == exactly(await meant.total())


@pytest.mark.parametrize(
    ("zone", "day"), [(NEW_YORK, date(2026, 11, 1)), (LORD_HOWE, date(2026, 4, 5)), (KOLKATA, date(2026, 11, 1))]
)
async def test_a_day_leads_to_its_hours_each_hour_to_its_minutes_and_these_to_the_calls(
    owner: Page, zone: str, day: date
) -> None:
    page = await page_of(owner, zone=zone, user="kim", bucket="hour", **{"from": str(day), "to": str(day)})
    hours = [row for row in page.table_of("by-model-title").rows if row.cells[-1] != "0"]
    assert len(hours) > 8
    reader = await Reader.of(owner)
    for hour in hours:
        there = await follow(reader, hour.link)
        minutes = there.table_of("by-model-title")
        assert there.tiles["Tokens"] == minutes.total[-1] == hour.cells[-1]
        assert len(minutes.rows) in ({60, 30} if zone == LORD_HOWE else {60})
        minute = next(row for row in minutes.rows if row.cells[-1] != "0")
        last = await follow(reader, minute.link)
        [alone] = last.table_of("by-model-title").rows
        assert alone.cells[-1] == minute.cells[-1]
        [behind] = [each for each in last.all("a") if each.text == "The calls that these figures sum"]
        calls, tokens = await calls_listed(reader, behind.attributes["href"])
        assert calls > 0
        assert written("tokens", tokens) == minute.cells[-1]


async def test_times_of_a_day_are_a_period_as_days_are(owner: Page) -> None:
    whole = await page_of(owner, zone=NEW_YORK, bucket="hour", **{"from": "2026-11-01", "to": "2026-11-01"})
    cells = [row.cells[-1] for row in whole.table_of("by-model-title").rows]
    for between, hours in (
        (("2026-11-01", "2026-11-01T01:00"), slice(0, 1)),
        (("2026-11-01T01:00", "2026-11-01T01:00-05:00"), slice(1, 2)),
        (("2026-11-01T01:00-05:00", "2026-11-01T02:00"), slice(2, 3)),
        (("2026-11-01T02:00", "2026-11-01"), slice(3, None)),
    ):
        page = await page_of(owner, zone=NEW_YORK, bucket="hour", **dict(zip(("from", "to"), between, strict=True)))
        assert [row.cells[-1] for row in page.table_of("by-model-title").rows] == cells[hours]
        for name, said in zip(("from", "to"), between, strict=True):
            field = owner.locator(f"form.filters [name={name}]")
            assert await field.input_value() == said
        async with owner.expect_navigation():
            await owner.locator("form.filters button.main").click()
        assert between == tuple(parse_qs(urlsplit(owner.url).query)[name][0] for name in ("from", "to"))


@pytest.mark.parametrize(
    ("between", "said"),
    [
        (("2026-11-01T01:00:30", "2026-11-02"), "is no whole minute between 2000 and 8999"),
        (("2026-11-01T25:00", "2026-11-02"), "is no date and time"),
        (("1999-11-01T01:00", "2026-11-02"), "is no whole minute between 2000 and 8999"),
        (("9999-12-31T23:59-14:00", "2026-11-02"), "is no whole minute between 2000 and 8999"),
        (("2026-11-01T05:00", "2026-11-01T05:00"), "which is not before its end"),
        (("2026-11-02", "2026-11-01T05:00"), "which is not before its end"),
        (("2026-11-02", "2026-11-01"), "is after the last one"),
    ],
)
async def test_times_that_make_no_period_are_told_with_what_to_write(
    owner: Page, between: tuple[str, str], said: str
) -> None:
    place = urlsplit(owner.url)
    asked = urlencode(dict(zip(("from", "to"), between, strict=True)))
    answer = await owner.goto(f"{place.scheme}://{place.netloc}/dashboard/?{asked}")
    assert answer is not None
    assert answer.status == 400
    assert said in await owner.inner_text("main")


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA])
@pytest.mark.parametrize("bucket", ["week", "month"])
async def test_weeks_and_months_are_those_of_the_zone(
    owner: Page, book: asyncpg.Connection, zone: str, bucket: str
) -> None:
    page = await page_of(owner, zone=zone, bucket=bucket, **{"from": str(FIRST), "to": str(LAST)})
    parts = await Meant(book, zone).sums(f"date_trunc('{bucket}', clock)")
    cells = [row.cells[-1] for row in page.table_of("by-model-title").rows]
    assert cells == [written("tokens", sums["tokens"]) for sums in parts.values()]


@pytest.mark.parametrize(
    "filters",
    [
        {"model": MODELS[0]}, {"service": "chat"}, {"user": "kim"}, {"model": MODELS[1], "service": "search"},
        {"user": "lee", "model": MODELS[0], "service": "chat"}, {"user": "kim", "model": "gemini-none"},
    ],
    ids=str,
)  # fmt: skip
async def test_filters_leave_what_they_name(owner: Page, book: asyncpg.Connection, filters: dict[str, str]) -> None:
    asked = {"zone": NEW_YORK, "bucket": "day", "from": str(FIRST), "to": str(LAST)}
    page = await page_of(owner, **asked, **filters)
    meant = Meant(book, NEW_YORK, model=filters.get("model"), service=filters.get("service"), user=filters.get("user"))
    days = await meant.sums("clock::date")
    total = await meant.total()
    assert tiles_of(page) == exactly(total)
    shown = {row.name: row.cells[-1] for row in page.table_of("by-model-title").rows}
    for day, sums in days.items():
        assert shown.pop(f"{day:%b} {day.day}") == written("tokens", sums["tokens"])
    assert set(shown.values()) <= {"0"}, "a day without calls is there, and empty"
    if not total["calls"]:
        assert "Nothing matches these filters." in page.text


async def test_what_is_compared_with_is_the_period_before(owner: Page, book: asyncpg.Connection) -> None:
    page = await page_of(owner, zone=NEW_YORK, compare="1", **{"from": "2026-11-01", "to": "2026-11-04"})
    before = await Meant(book, NEW_YORK, date(2026, 10, 28), date(2026, 10, 31)).total()
    [tile] = [each for each in page.all("div", class_="tile") if each.one("dt").text == "Calls"]
    assert tile.one("small").text == f"before: {before['calls']}"


@pytest.mark.parametrize("zone", [NEW_YORK, LORD_HOWE])
async def test_a_bar_leads_to_its_days_and_a_service_to_its_calls(owner: Page, zone: str) -> None:
    for bucket in ("day", "week", "month"):
        asked = {"zone": zone, "bucket": bucket, "from": str(FIRST), "to": str(LAST)}
        page = await page_of(owner, **asked)
        rows = page.table_of("by-model-title").rows
        [drawn] = [json.loads(each.one("script").text) for each in page.all("figure", aria_labelledby="by-model-title")]
        assert drawn["links"] == [row.link for row in rows], "the chart leads where its table does"
        for row in (*rows[:3], *rows[-12:]):
            assert tiles_of(await page_of(owner, row.link))["Tokens"] == row.cells[-1], row.name
        for row in page.table_of("services").rows:
            narrowed = tiles_of(await page_of(owner, row.link))
            assert (narrowed["Calls"], narrowed["Tokens"]) == row.cells[:2]
