"""A user's page draws their 30 days and tells how long the balance lasts, as the raw records say."""

import re
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from playwright.async_api import Page, expect

from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.figures.shop import USERS, ZONES, Meant, page_of, tiles_of, written
from tests.dashboard.site import USERS as BUSY
from tests.dashboard.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("zone", ZONES)
async def test_thirty_days_are_drawn_and_each_leads_to_its_calls(
    owner: Page, book: asyncpg.Connection, zone: str
) -> None:
    first, last = await book.fetchrow("SELECT (now() AT TIME ZONE $1)::date - 29, (now() AT TIME ZONE $1)::date", zone)
    found = await Meant(book, zone, first, last, user="kim").sums("clock::date")
    rows = (await page_of(owner, "/user", user="kim", zone=zone)).table_of("by-day-title").rows
    assert len(rows) == 30
    assert {row.name: row.cells[-1] for row in rows if row.cells[-1] != "0"} == {
        f"{day:%b} {day.day}": written("tokens", sums["tokens"]) for day, sums in found.items()
    }
    busiest = max(rows, key=lambda row: int(row.cells[-1].replace(",", "")))
    assert tiles_of(await page_of(owner, busiest.link))["Tokens"] == busiest.cells[-1]


@pytest.mark.parametrize("user", USERS)
async def test_who_did_not_use_anything_lately_is_told_so_and_no_number(owner: Page, user: str) -> None:
    page = await page_of(owner, "/user", user=user, zone="UTC")
    assert "not used in the 7 days before today" in page.text


@pytest.mark.parametrize("zone", ZONES)
async def test_the_days_are_those_that_the_seven_before_today_fit_into_what_is_left(
    opens_own: Opens, own_site: Site, ledger: Metering, zone: str
) -> None:
    await ledger.accounts.adjust(BUSY[0], -998_000_000, reason="so that it does not last for ever", key="less")
    page = await opens_own(f"/user?user={BUSY[0]}&zone={zone}")
    shown = await page_of(page, "/user", user=BUSY[0], zone=zone)
    connection = await asyncpg.connect(own_site.database_url)
    today: date = await connection.fetchval("SELECT (now() AT TIME ZONE $1)::date", zone)
    lately = Meant(connection, zone, today - timedelta(days=7), today - timedelta(days=1), user=BUSY[0])
    used = (await lately.total())["tokens"]
    await connection.close()
    days = int(shown.tiles["Tokens left"].replace(",", "")) * 7 // used
    assert f"lasts {days:,} more days at the pace of the 7 days before today" in shown.text


async def test_tokens_last_no_longer_than_they_are_there(opens_own: Opens, ledger: Metering) -> None:
    balance = await ledger.accounts.balance(BUSY[0])
    await ledger.accounts.adjust(BUSY[0], -balance.available, reason="to begin anew", key="none")
    await ledger.accounts.grant(BUSY[0], 10**9, key="month", expires_at=datetime.now(UTC) + timedelta(days=3, hours=1))
    page = await opens_own(f"/user?user={BUSY[0]}&zone=UTC")
    tile = page.locator(".tile").first
    await expect(tile).to_contain_text("lasts 3 more days at the pace of the 7 days before today")
    lost = re.findall(r"([0-9,]+) of these tokens expire before they are used", await tile.inner_text())
    assert 10**8 < int(lost[0].replace(",", "")) < 10**9
    korean = await opens_own(f"/user?user={BUSY[0]}&zone=UTC", language="ko")
    await expect(korean.locator(".tile").first).to_contain_text(f"그중 {lost[0]}토큰은 쓰기 전에 만료됨")


async def test_who_used_nothing_lately_is_told_what_expires_soon(opens_own: Opens, ledger: Metering) -> None:
    await ledger.accounts.create("idle")
    await ledger.accounts.grant("idle", 500, key="for ever")
    for days in (1, 4, 8):
        at = datetime.now(UTC).replace(hour=9, minute=30) + timedelta(days=days)
        await ledger.accounts.grant("idle", 1_000, key=f"in-{days}", expires_at=at)
    page = await opens_own("/user?user=idle&zone=UTC")
    said = await page.locator("p.hint", has_text="unless they are used before").inner_text()
    assert re.fullmatch(
        r"2,000 tokens expire by .+ 9:30.AM unless they are used before, the first of them on .+ 9:30.AM\.", said
    )
    korean = await opens_own("/user?user=idle&zone=UTC", language="ko")
    await expect(korean.locator("p.hint", has_text="쓰지 않으면 만료되며")).to_contain_text("2,000토큰은")


async def test_what_lasts_longer_than_anybody_can_tell_is_said_to(opens: Opens) -> None:
    page = await opens(f"/user?user={BUSY[0]}")
    assert "lasts more than 10 years" in (await page_of(page, "/user", user=BUSY[0])).text
    korean = await opens(f"/user?user={BUSY[0]}", language="ko")
    await expect(korean.locator(".tile").first).to_contain_text("최근 7일 사용량 기준 10년 이상 남음")
