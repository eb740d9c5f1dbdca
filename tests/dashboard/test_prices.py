"""Prices: what holds since when and what comes later, as a file too, and calls that had no price."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from jangbu.domain.members import MemberRole
from jangbu.domain.price_book import OVERRIDE_PRIORITY, PriceBook
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import marked_up, own_rows
from jangbu.prices import shipped
from tests.dashboard.conftest import Opens
from tests.dashboard.pricing import (
    FLASH,
    OWN,
    UNPRICED,
    costs_without_input,
    path_of,
    put,
    put_form,
    sums_of,
    tried,
    version_of,
    visiting,
)
from tests.dashboard.reading import ask, audited, downloaded, facts, rows
from tests.dashboard.shown import read
from tests.dashboard.site import DEVELOPER, FINANCE, OWNER, Site
from tests.dashboard.test_every_page import found_by_axe

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_calls_without_a_price_are_priced_by_a_job_that_reports(own_site: Site, opens_own: Opens) -> None:
    owner = await visiting(own_site, OWNER)
    for meter, usd in {"input": "1", "output": "2", "cached_input": "0.1"}.items():
        assert put(owner, OWN | {"price_model": f"{UNPRICED}*", "meter": meter, "usd": usd}).status == 303
    [(waiting,)] = await ask(own_site, "SELECT count(*) FROM jangbu.usage WHERE cost_nano IS NULL")
    assert waiting > 50
    await told_where_a_price_is_had(own_site)
    page = await opens_own("/prices", member=FINANCE)
    await page.get_by_role("button", name="Price these calls").click()
    await expect(page.locator("h1")).to_have_text("Calls without a price")
    found = await facts(page.locator("main"))
    assert found == {
        "Calls looked at": str(waiting),
        "Calls that have a price now": str(waiting),
        "Calls that still have none": "0",
    }
    assert await found_by_axe(page) == []
    wrong = await ask(
        own_site,
        "SELECT count(*) FROM jangbu.usage AS u JOIN jangbu.models AS m ON m.model_id = u.model_id"
        " WHERE u.cost_nano IS NULL OR (m.name = $1 AND u.cost_nano"
        " <> (u.prompt - u.cached) * 1000 + u.cached * 100 + (u.candidates + u.thoughts) * 2000)",
        UNPRICED,
    )
    assert wrong == [(0,)]
    assert {who for who, _ in await audited(own_site, "prices.backfill")} == {FINANCE}
    await page.get_by_role("link", name="Back to the prices").click()
    assert (await facts(page.locator("main")))["Calls without a price"] == "0"
    await expect(page.get_by_role("button", name="Price these calls")).to_have_count(0)


async def told_where_a_price_is_had(site: Site) -> None:
    """See that a call without a price, and its finding, lead who may use the button to it, and tell others who may."""
    one = "SELECT u.id::text, a.user_id FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id)"
    [(call, user)] = await ask(site, f"{one} WHERE u.cost_nano IS NULL LIMIT 1")
    for path in (f"/call?{urlencode({'call': call, 'user': user})}", "/alerts?kind=unpriced"):
        for role, may in ((FINANCE, True), (OWNER, True), (DEVELOPER, False)):
            visitor = await visiting(site, role)
            page = read(visitor.get(path).text).one("main")
            links = {each.attributes["href"] for each in page.all("a") if "page of prices" in each.text}
            assert links == ({"/dashboard/prices#stands"} if may else set()), (path, role)
            assert ("`jangbu prices backfill`" in page.text) is not may, (path, role)
            assert "Price these calls" not in page.text
    assert 'id="stands"' in (await visiting(site, FINANCE)).get("/prices").text


async def test_who_may_not_set_prices_sees_them_alone(own_site: Site) -> None:
    form = put_form(tried(await visiting(own_site, OWNER), OWN | {"usd": "0.77"}))
    version = await version_of(own_site)
    for role in (MemberRole.DEVELOPER, MemberRole.VIEWER):
        visitor = await visiting(own_site, role.value)
        shown = visitor.get(f"/prices?price_model={FLASH}").text
        assert FLASH in shown
        assert "/prices/change" not in shown
        assert visitor.get(path_of(OWN)).status == 403
        assert visitor.send("/prices/change/put", form).status == 403
        assert visitor.send("/prices/backfill", {"key": "x"}).status == 403
    assert await version_of(own_site) == version


async def shown_rows(page: Page) -> list[list[str]]:
    return await rows(page, "book")


async def test_the_page_shows_the_rows_of_the_book_and_gives_them_as_a_file(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    owner, far = await visiting(own_site, OWNER), {"starts": "2099-01-01", "zone": "UTC"}
    for number in range(11):
        assert put(owner, OWN | far | {"price_model": f"gemini-{number}-far"}).status == 303
    await ledger.pricing.refresh()
    book = ledger.pricing.in_force.book
    page = await opens_own("/prices", member=DEVELOPER)
    assert len(await shown_rows(page)) == len(book.rows)
    filters = page.locator("form.filters")
    await filters.locator("[name=price_model]").select_option("gemini-2.5-pro")
    await page.wait_for_url("**price_model=gemini-2.5-pro*")
    await filters.locator("[name=unit]").select_option("1K")
    await page.wait_for_url("**unit=1K*")
    await expect(page.locator("[aria-labelledby=book] tbody")).to_contain_text("for 1,000")
    found = await shown_rows(page)
    wanted = [row for row in book.rows if row.model == "gemini-2.5-pro"]
    assert len(found) == len(wanted) > 5
    assert "$0.00125 for 1,000" in {cells[6] for cells in found}
    await page.reload()
    assert await shown_rows(page) == found
    file = await downloaded(page, "All of these prices as a file: CSV")
    assert [(line["meter"], line["tier"], int(line["price_nano"])) for line in file.table] == [
        (row.meter, row.tier, row.price_nano) for row in wanted
    ]
    assert {line["whose"] for line in file.table} == {"book"}
    await page.goto(f"{own_site.url}/dashboard/prices?standing=later")
    later = [row for row in book.rows if row.valid_from is not None and row.valid_from > datetime.now(UTC)]
    assert len(await shown_rows(page)) == len(later) > 10
    lines = (await downloaded(page, "All of these prices as a file: JSON Lines")).lines
    assert [line["model"] for line in lines] == [row.model for row in later]
    own = len(own_rows(ledger.pricing.in_force) & set(later))
    assert sum(line["whose"] == "own" for line in lines) == own
    await page.goto(f"{own_site.url}/dashboard/prices?version=1")
    assert len(await shown_rows(page)) == len(shipped().rows)
    await expect(page.locator("#later")).to_have_count(0)


async def test_a_price_for_a_thousand_tokens_and_from_a_day_on_is_what_the_book_says(
    own_site: Site, ledger: Metering
) -> None:
    owner = await visiting(own_site, OWNER)
    day = (datetime.now(ZoneInfo("Asia/Seoul")) + timedelta(days=40)).date()
    dated = OWN | {"meter": "output", "usd": "0.005", "per": "1K", "starts": day.isoformat(), "zone": "Asia/Seoul"}
    page = tried(owner, dated)
    assert "Each is priced as of" in page.text
    raw = await costs_without_input(own_site, datetime.now(UTC) - timedelta(days=28))
    assert raw, "there was usage that would have cost another price"
    before, after = (sums_of(page)[f"By the {which}"][0] for which in ("prices in force", "new prices"))
    [(written,)] = await ask(
        own_site,
        "SELECT sum(u.candidates + u.thoughts)::bigint FROM jangbu.usage AS u"
        " JOIN jangbu.models AS m ON m.model_id = u.model_id"
        " WHERE m.name = $1 AND jangbu.uuid7_time(u.id) >= $2",
        FLASH,
        datetime.combine(
            datetime.now(ZoneInfo("Asia/Seoul")).date() - timedelta(days=29),
            datetime.min.time(),
            ZoneInfo("Asia/Seoul"),
        ),
    )
    assert after - before == written * (5_000 - 2_500)
    assert owner.send("/prices/change/put", put_form(page)).status == 303
    await ledger.pricing.refresh()
    row = ledger.pricing.in_force.terms.overrides[-1]
    starts = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Seoul"))
    assert (row.price_nano, row.unit_size, row.valid_from) == (5_000_000_000, 1_000_000, starts)
    later = read(owner.get(f"/prices?price_model={FLASH}&zone=Asia/Seoul").text).table_of("later")
    [turn] = [each for each in later.rows if each.cells[1] == "output"]
    assert turn.cells[-2:] == ("$2.50 for 1,000,000", "$5.00 for 1,000,000")


async def test_what_was_stored_with_a_date_that_a_zone_does_not_know_is_shown_and_given_as_a_file(
    own_site: Site, ledger: Metering
) -> None:
    await ledger.pricing.refresh()
    before = ledger.pricing.in_force
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    row = replace(shipped().rows[0], model="gemini-9-old", valid_from=first, valid_to=last)
    later = replace(row, model="gemini-9-late", valid_from=last - timedelta(days=1), valid_to=None)
    await ledger.pricing.put(PriceBook((*before.base.rows, row, later)), before.terms, "as it was taken once")
    owner = await visiting(own_site, OWNER)
    tried(owner, {"do": "shipped"})  # reads the newest book
    for zone in ("America/Los_Angeles", "Asia/Seoul", "UTC"):
        shown = read(owner.get(f"/prices?zone={zone}&price_model=gemini-9-old").text)
        [line] = shown.table_of("book").rows
        assert line.cells[6].startswith("Jan 1, 1")
        assert owner.get(f"/prices?zone={zone}&price_model=gemini-9-late").status == 200
        file = owner.get(f"/prices/prices.csv?zone={zone}")
        assert (file.status, file.text.count("0001-01-01T")) == (200, 1)
    await ledger.pricing.put(before.base, before.terms, "without it")


async def test_a_row_of_the_book_is_not_told_as_an_own_one_for_its_priority(own_site: Site, ledger: Metering) -> None:
    await ledger.pricing.refresh()
    before = ledger.pricing.in_force
    high = replace(shipped().rows[0], model="gemini-9-high", priority=OVERRIDE_PRIORITY)
    terms = replace(before.terms, overrides=(*before.terms.overrides, replace(high, priority=1, price_nano=7)))
    await ledger.pricing.put(PriceBook((*before.base.rows, high)), terms, "as it was taken once")
    owner = await visiting(own_site, OWNER)
    tried(owner, {"do": "shipped"})  # reads the newest book
    shown = read(owner.get("/prices?price_model=gemini-9-high").text).table_of("book")
    assert ["own" in row.cells[8] for row in shown.rows] == [False, True]
    lines = owner.get("/prices/prices.csv?price_model=gemini-9-high").text.splitlines()
    assert [",own," in line for line in lines[1:]] == [False, True]
    await ledger.pricing.put(before.base, before.terms, "without it")


async def test_each_book_before_can_be_chosen_and_stays_chosen(opens_own: Opens, ledger: Metering) -> None:
    for percent in range(51):
        await ledger.pricing.change(marked_up(10_000 * (percent + 1)), "another mark-up")

    page = await opens_own("/prices")
    await page.locator("select[name=version]").select_option("1")
    await page.wait_for_url("**version=1&**")
    await page.locator("select[name=unit]").select_option("1K")
    await page.wait_for_url("**unit=1K")

    assert "version=1" in page.url
    await expect(page.locator("#book")).to_contain_text("version 1")
