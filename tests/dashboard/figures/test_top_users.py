"""Who used most of a model or service is what the raw records say, found when asked for, and leads to the same."""

import asyncio
from collections.abc import Mapping, MutableMapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from jangbu.config import Settings
from jangbu.dashboard.app import Dashboard
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.frame import COOKIE
from jangbu.metering import tops
from jangbu.wiring import open_metering
from tests.dashboard.conftest import opening
from tests.dashboard.figures.shop import (
    FIRST,
    KOLKATA,
    LAST,
    LORD_HOWE,
    METRICS,
    MODELS,
    NEW_YORK,
    Meant,
    as_known,
    costed,
    page_of,
    written,
)
from tests.dashboard.raw import asked_of, signed_in
from tests.dashboard.shown import read
from tests.dashboard.site import VIEWER, Site

FORMATS = Formats("en", "UTC")
DAYS = {"from": str(FIRST), "to": str(LAST)}
CALLS_SHOWN = 50
"""How many calls the page of a user shows at once; how many there are depends on the day that the shop is filled on."""
PARTS: tuple[dict[str, str], ...] = (
    {"model": MODELS[1]}, {"service": "search"}, {"model": MODELS[2], "service": "chat"}
)  # fmt: skip

pytestmark = pytest.mark.asyncio(loop_scope="session")


def of_part(book: asyncpg.Connection, zone: str, part: Mapping[str, str]) -> Meant:
    return Meant(book, zone, model=part.get("model"), service=part.get("service"))


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA, LORD_HOWE])
@pytest.mark.parametrize("part", PARTS, ids=str)
async def test_who_used_most_of_a_part_used_what_their_records_of_it_say(
    owner: Page, book: asyncpg.Connection, zone: str, part: dict[str, str]
) -> None:
    for metric in METRICS:
        page = await page_of(owner, zone=zone, metric=metric, by_user="1", **DAYS, **part)
        users = await of_part(book, zone, part).sums("user_id")
        table = page.table_of("top-users")
        assert {row.name: row.cells for row in table.rows} == {
            name: (written("calls", sums["calls"]), written("tokens", sums["tokens"]), costed(sums))
            for name, sums in users.items()
        }
        sizes = [users[row.name][metric] for row in table.rows]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA])
@pytest.mark.parametrize("part", PARTS[:2], ids=str)
async def test_who_cost_most_of_a_part_cost_what_their_records_of_it_say(
    owner: Page, book: asyncpg.Connection, zone: str, part: dict[str, str]
) -> None:
    page = await page_of(owner, "/cost", zone=zone, by_user="1", **DAYS, **part)
    assert {row.name: row.cells for row in page.table_of("cost-users").rows} == {
        name: (
            written("calls", sums["calls"]), costed(sums), costed(sums, "charge"),
            as_known(sums, written("cost", sums["charge"] - sums["cost"])),
            FORMATS.percent(sums["charge"] - sums["cost"], sums["cost"]),
        )
        for name, sums in (await of_part(book, zone, part).sums("user_id")).items()
    }  # fmt: skip


async def test_of_minutes_that_cut_a_quarter_of_an_hour_the_users_add_up_to_the_page(owner: Page) -> None:
    for start, end in (("2026-10-31T21:07", "2026-11-01T08:22"), ("2026-10-31T11:53", "2026-11-01T01:41")):
        page = await page_of(owner, zone=NEW_YORK, by_user="1", model=MODELS[0], **{"from": start, "to": end})
        found = page.table_of("top-users")
        for name in ("Calls", "Tokens"):
            assert sum(int(cell.replace(",", "")) for cell in found.column(name).values()) == int(
                page.tiles[name].replace(",", "")
            )


@pytest.mark.parametrize(("path", "place"), [("/", "top-users"), ("/cost", "cost-users")])
@pytest.mark.parametrize(
    ("language", "named", "live"),
    [("en", "Find these users", "Update by itself"), ("ko", "사용자 찾기", "자동 새로고침")],
)
async def test_they_are_found_when_asked_for_by_keyboard_and_lead_to_what_they_used(
    browser: Browser, shop: Site, path: str, place: str, language: str, named: str, live: str
) -> None:
    async with opening(browser, shop) as opens:
        page = await opens(path, member=VIEWER)
        asked = {"model": MODELS[0], "service": "search", "zone": KOLKATA, **DAYS}
        shown = await page_of(page, path, lang=language, **asked)
        assert live in shown.text
        section = page.locator(f"section[aria-labelledby={place}]")
        assert await section.locator("table").count() == 0
        await section.get_by_role("link", name=named).focus()
        await page.keyboard.press("Enter")
        table = section.locator("table")
        await expect(table.locator("caption")).to_contain_text(MODELS[0])
        assert asked_of(page.url).items() >= {"by_user": "1", **asked}.items()
        assert live not in await page.inner_text("main"), "what takes its time is looked at once"
        calls = await table.locator("tbody tr").first.locator("td").first.inner_text()
        await section.locator("[tabindex='0']").focus()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/user?*")
        user = asked_of(page.url)
        assert user.items() >= asked.items()
        listed = page.locator("section[aria-labelledby=calls] tbody tr")
        await expect(listed).to_have_count(min(int(calls), CALLS_SHOWN))
        await page.go_back()
        await page.locator("form.filters select[name=service]").select_option("chat")
        await page.wait_for_url("**service=chat**")
        assert asked_of(page.url)["by_user"] == "1", "it is asked of another part, too"
        await expect(section.locator("table tbody tr")).to_have_count(2)


async def answered(dashboard: Dashboard, path: str, asked: str, cookie: str) -> str:
    """Give a page of a dashboard of this process."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    head = [(b"host", b"localhost"), (b"cookie", cookie.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": asked.encode(), "headers": head}
    await dashboard(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent).decode()
    assert sent[0]["status"] == 200, body
    return body


@pytest.mark.parametrize(("path", "place"), [("/", "top-users"), ("/cost", "cost-users")])
@pytest.mark.parametrize(("language", "said"), [("en", "so nobody is named"), ("ko", "아무도 표시하지 않습니다")])
async def test_where_there_is_no_time_nobody_is_named_and_all_else_is_told(
    shop: Site,
    book: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    place: str,
    language: str,
    said: str,
) -> None:
    monkeypatch.setattr(tops, "PART_SECONDS", 0)
    visitor = await asyncio.to_thread(signed_in, shop, VIEWER)
    settings = Settings.load(database_url=shop.database_url)
    asked = urlencode({"lang": language, "zone": NEW_YORK, "by_user": "1", "model": MODELS[0], **DAYS})
    async with open_metering(settings, delivers=False) as ledger:
        page = read(
            await answered(Dashboard(settings, ledger), f"/dashboard{path}", asked, f"{COOKIE}={visitor.token}")
        )
    [section] = page.all("section", aria_labelledby=place)
    assert said in section.text
    assert not list(section.all("table"))
    calls = (await Meant(book, NEW_YORK, model=MODELS[0]).total())["calls"]
    by_part = page.table_of("services" if path == "/" else "cost-services").rows
    assert sum(int(row.cells[0]) for row in by_part) == calls


async def test_of_one_user_nobody_is_first_and_of_nothing_nobody(owner: Page) -> None:
    for path, place in (("/", "top-users"), ("/cost", "cost-users")):
        of_one = await page_of(owner, path, by_user="1", user="kim", model=MODELS[0], **DAYS)
        assert not list(of_one.all("section", aria_labelledby=place))
        for asked in ({}, {"by_user": "1"}):
            nothing = await page_of(owner, path, model="gemini-none", **asked, **DAYS)
            [section] = nothing.all("section", aria_labelledby=place)
            assert "Nothing matches these filters." in section.text
        day = str(date(2025, 1, 1))
        unfiltered = await page_of(owner, path, **{"from": day, "to": day})
        [section] = unfiltered.all("section", aria_labelledby=place)
        assert "Find these users" not in section.text
