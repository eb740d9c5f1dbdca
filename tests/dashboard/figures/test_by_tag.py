"""What was used by the values of a tag is what the raw records say, and each value leads to its calls."""

import csv
import io
import json
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from jangbu.dashboard.formats import Formats
from tests.dashboard.conftest import opening
from tests.dashboard.figures.shop import (
    EMPTY,
    FEATURES,
    FIRST,
    KEYS,
    KOLKATA,
    LAST,
    LORD_HOWE,
    NEW_YORK,
    USERS,
    Meant,
    as_known,
    costed,
    page_of,
    written,
)
from tests.dashboard.raw import asked_of
from tests.dashboard.reading import rows
from tests.dashboard.shown import Node
from tests.dashboard.site import VIEWER, Site

FEATURE = "metadata #>> '{tags,feature}'"
SHOWN = {None: "without this tag", "": "(empty)"}
FORMATS = Formats("en", "UTC")
FILED = ("calls", "total_tokens", "cost_nano", "charge_nano", "unpriced")
DAYS = {"from": str(FIRST), "to": str(LAST)}

pytestmark = pytest.mark.asyncio(loop_scope="session")


def cells_of(sums: dict[str, int]) -> tuple[str, ...]:
    more = sums["charge"] - sums["cost"]
    return (
        written("calls", sums["calls"]), written("tokens", sums["tokens"]), costed(sums), costed(sums, "charge"),
        as_known(sums, written("cost", more)), FORMATS.percent(more, sums["cost"]),
    )  # fmt: skip


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA, LORD_HOWE])
@pytest.mark.parametrize("filters", [{}, {"user": USERS[0]}, {"model": "gemini-2.5-pro", "service": "search"}], ids=str)
async def test_each_value_used_and_cost_what_its_records_say(
    owner: Page, book: asyncpg.Connection, zone: str, filters: dict[str, str]
) -> None:
    page = await page_of(owner, "/cost", zone=zone, tag="feature", **DAYS, **filters)
    table = page.table_of("cost-tags")
    meant = Meant(book, zone, model=filters.get("model"), service=filters.get("service"), user=filters.get("user"))
    parts = await meant.sums(FEATURE)
    assert {row.name: row.cells for row in table.rows} == {
        SHOWN.get(value, value): cells_of(sums) for value, sums in parts.items()
    }
    assert len(parts) == len(FEATURES) + 1
    assert table.total == cells_of(await meant.total())


@pytest.mark.parametrize(
    ("zone", "day", "bucket"),
    [(NEW_YORK, date(2026, 11, 1), "hour"), (LORD_HOWE, date(2026, 10, 4), "hour"), (KOLKATA, None, "day")],
    ids=str,
)
async def test_the_chart_shows_when_each_value_cost_what_its_records_say(
    owner: Page, book: asyncpg.Connection, zone: str, day: date | None, bucket: str
) -> None:
    first, last = (day, day) if day else (FIRST, LAST)
    asked = {"zone": zone, "bucket": bucket, "from": str(first), "to": str(last)}
    page = await page_of(owner, "/cost", tag="feature", **asked)
    table = page.table_of("by-tag-title")
    spent = await Meant(book, zone, first, last).sums(
        f"ARRAY[date_trunc('{bucket}', clock)::text, (clock - at AT TIME ZONE 'UTC')::text, {FEATURE}]"
    )
    for value in (*FEATURES, None):
        shown = table.column(SHOWN.get(value, value or "")).values()
        costs = [costed(sums) for part, sums in spent.items() if part[2] == value]
        nothing = costed(EMPTY)
        assert [cell for cell in shown if cell != nothing] == [cost for cost in costs if cost != nothing]
    assert table.total[-1] == costed(await Meant(book, zone, first, last).total())
    assert page.one("figcaption", id="by-tag-title").text.startswith("Cost by feature")


async def test_a_value_that_is_chosen_is_drawn_alone_and_more_values_than_can_be_told_apart_as_one(
    owner: Page, book: asyncpg.Connection
) -> None:
    page = await page_of(owner, "/cost", tag="feature", tag_value=FEATURES[1], **DAYS)
    parts = await Meant(book).sums(FEATURE)
    alone = page.table_of("by-tag-title")
    assert alone.total == (costed(parts[FEATURES[1]]),) * 2
    assert page.one("figcaption", id="by-tag-title").text.startswith(f"Cost of feature = {FEATURES[1]}")

    page = await page_of(owner, "/cost", tag="page", **DAYS)
    pages = await Meant(book).sums("metadata #>> '{tags,page}'")
    many = page.table_of("by-tag-title")
    assert len(many.total) == 5 + 1 + 1
    assert many.total[-1] == costed(await Meant(book).total())
    [drawn] = [json.loads(each.one("script").text) for each in page.all("figure", aria_labelledby="by-tag-title")]
    assert [each["name"] for each in drawn["series"]][-1] == f"{len(pages) - 5} more"

    page = await page_of(owner, "/cost", by_key="all", **DAYS)
    heads = page.table_of("by-tag-title").heads
    assert all(any(head.startswith(f"{name} (an app, made ") for head in heads) for name in KEYS)
    nothing = await page_of(owner, "/cost", tag="feature", tag_value="nothing", **DAYS)
    assert not list(nothing.all("figure", aria_labelledby="by-tag-title"))


async def test_a_value_leads_to_its_calls_and_each_of_them_to_what_is_known_of_it(
    owner: Page, book: asyncpg.Connection
) -> None:
    page = await page_of(owner, "/cost", tag="feature", **DAYS)
    links = {row.name: row.link for row in page.table_of("cost-tags").rows}
    assert {name for name, link in links.items() if link} == {each for each in FEATURES if each}
    for value in filter(None, FEATURES):
        found = (await page_of(owner, links[value].partition("#")[0])).table_of("tagged")
        stored = await book.fetch(
            "SELECT u.id::text, u.total, u.cost_nano FROM jangbu.usage AS u"
            " WHERE u.metadata #>> '{tags,feature}' = $1"
            " AND (jangbu.uuid7_time(u.id) AT TIME ZONE 'UTC')::date BETWEEN $2 AND $3 ORDER BY u.id DESC LIMIT 50",
            value, FIRST, LAST,
        )  # fmt: skip
        assert [(row.cells[3], row.cells[4]) for row in found.rows] == [
            (written("tokens", row["total"]), FORMATS.money(row["cost_nano"])) for row in stored
        ]
        assert [row["id"] in row_of.link for row, row_of in zip(stored, found.rows, strict=True)] == [True] * 50
    call = await page_of(owner, found.rows[0].link)
    assert call.one("h1").text == "Call"


async def test_each_key_used_what_its_records_say_and_leads_to_its_calls_which_lead_back(
    owner: Page, book: asyncpg.Connection
) -> None:
    page = await page_of(owner, "/cost", **DAYS)
    [link] = [each.attributes["href"] for each in page.all("a") if each.text == "By API key"]
    page = await page_of(owner, link.partition("#")[0])
    parts = await Meant(book).sums("metadata ->> 'jangbu_key'")
    named = {str(row["key_id"]): row["name"] for row in await book.fetch("SELECT key_id, name FROM jangbu.api_keys")}
    assert sorted(named.values()) == sorted(KEYS)
    table = page.table_of("cost-tags")
    shown = {asked_of(row.link).get("by_key") if row.link else None: row for row in table.rows}
    assert {key: row.cells for key, row in shown.items()} == {key: cells_of(sums) for key, sums in parts.items()}
    for key, row in shown.items():
        name = named.get(key or "")
        assert row.name == "without a key" if name is None else row.name.startswith(f"{name} an app, made ")
        assert row.name.endswith("revoked") == (name == KEYS[1])
    assert (len(shown), table.total) == (3, cells_of(await Meant(book).total()))
    lines = await filed(owner, page, "/cost/keys.csv")
    for key, sums in parts.items():
        own = [line for line in lines if (line["key"] or None) == key]
        assert {line["name"] for line in own} == {named.get(key or "", "")}
        assert sum(int(line["calls"]) for line in own) == sums["calls"]
    [link] = [row.link for row in table.rows if row.name.startswith(f"{KEYS[1]} ")]
    there = await page_of(owner, link.partition("#")[0])
    assert there.one("h2", id="tagged").text == f"Latest calls with API key = {KEYS[1]}"
    call = await page_of(owner, there.table_of("tagged").rows[0].link)
    [back] = [each.attributes["href"] for each in call.all("a") if each.text == KEYS[1]]
    assert asked_of(back)["by_key"] == asked_of(link)["by_key"] in named
    assert (await page_of(owner, back.partition("#")[0])).table_of("tagged").rows == there.table_of("tagged").rows


async def filed(owner: Page, page: Node, path: str) -> list[dict[str, Any]]:
    """Give the lines of a file that a page leads to."""
    place = urlsplit(owner.url)
    [link, *_] = [each.attributes["href"] for each in page.all("a") if path in each.attributes["href"]]
    answer = await owner.request.get(f"{place.scheme}://{place.netloc}{link}")
    assert answer.status == 200, await answer.text()
    return list(csv.DictReader(io.StringIO(await answer.text())))


async def test_more_values_than_fit_are_summed_in_one_line_and_all_are_in_the_file(
    owner: Page, book: asyncpg.Connection
) -> None:
    page = await page_of(owner, "/cost", tag="page", user=USERS[1], **DAYS)
    parts = await Meant(book, user=USERS[1]).sums("metadata #>> '{tags,page}'")
    table = page.table_of("cost-tags")
    assert [row.name for row in table.rows][-1] == f"{len(parts) - 100} more"
    assert len(table.rows) == 101
    whole = sum(int(row.cells[1].replace(",", "")) for row in table.rows)
    assert (
        written("tokens", whole) == table.total[1] == written("tokens", sum(each["tokens"] for each in parts.values()))
    )
    found: dict[str | None, tuple[int, ...]] = {}
    for line in await filed(owner, page, "/cost/tags.csv"):
        value = line["value"] if line["has_tag"] == "1" else None
        found[value] = tuple(map(sum, zip(found.get(value, (0,) * len(FILED)), sums_of(line), strict=True)))
    assert found == {
        value: tuple(each[name] for name in ("calls", "tokens", "cost", "charge", "unpriced"))
        for value, each in parts.items()
    }


def sums_of(line: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(line[name] or 0) for name in FILED)


async def test_a_tag_is_chosen_among_those_of_the_latest_calls_and_its_address_shows_the_same_to_others(
    shop: Site, browser: Browser
) -> None:
    async with opening(browser, shop) as opens:
        page = await opens(f"/cost?from={FIRST}&to={LAST}&zone={KOLKATA}")
        await page.locator("[aria-labelledby=cost-tags]").get_by_role("link", name="feature", exact=True).click()
        await page.wait_for_url("**tag=feature*")
        await page.get_by_role("link", name=FEATURES[1], exact=True).click()
        await page.wait_for_url("**tag_value=*")
        await page.locator(".filters [name=service]").select_option("chat")
        await page.wait_for_url("**service=chat*")
        shown = [await rows(page, each) for each in ("cost-tags", "tagged")]
        assert all(shown)
        assert {line[2] for line in shown[1]} == {"chat"}
        other = await opens(page.url.removeprefix(f"{shop.url}/dashboard"), member=VIEWER, zone="America/Los_Angeles")
        assert [await rows(other, each) for each in ("cost-tags", "tagged")] == shown
        await other.locator("input[name=tag]:not([type=hidden])").fill("page")
        await other.get_by_role("button", name="Show", exact=True).click()
        await other.wait_for_url("**tag=page*")
        assert "tag_value" not in other.url
        await expect(other.locator("[aria-labelledby=tagged]")).to_have_count(0)


async def test_where_there_is_nothing_by_tag_it_says_why(owner: Page) -> None:
    early = {"from": "2001-01-01", "to": "2001-01-31"}
    for asked, said in (
        (early, "The latest calls of this period bear no tags."),
        ({"tag": "feature", **early}, "Nothing in this period."),
        ({"tag": "feature", "service": "painting", **DAYS}, "Nothing matches these filters."),
        ({"tag": "unheard-of", **DAYS}, "without this tag"),
    ):
        page = await page_of(owner, "/cost", **asked)
        assert said in page.one("section", aria_labelledby="cost-tags").text
    for chosen in ({"tag": "feature", "tag_value": "nothing"}, {"by_key": "0192f3a0-0000-7000-8000-000000000001"}):
        page = await page_of(owner, "/cost", **chosen, **DAYS)
        assert "Nothing matches these filters." in page.one("section", aria_labelledby="tagged").text
    place = urlsplit(owner.url)
    for address, said in (("/cost/tags.csv", "Choose a tag."), ("/cost?tag=%00", ""), ("/cost?by_key=x", "x")):
        answer = await owner.request.get(f"{place.scheme}://{place.netloc}/dashboard{address}")
        assert answer.status == 400, await answer.text()
        assert said in await answer.text()
