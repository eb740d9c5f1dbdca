"""What is chosen on a page: all of it follows, the keyboard stays where it was, and the latest choice holds."""

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.dashboard.conftest import Opens

pytestmark = pytest.mark.asyncio(loop_scope="session")

OVERVIEW = "**/dashboard/?*"
RENEWED = """() => new Promise(done => {
    document.addEventListener("htmx:after:swap", () => setTimeout(done, 100), { once: true });
    document.querySelector("#page").dispatchEvent(new Event("renew"));
})"""
"""Has a page update itself, and waits until it did."""


async def choose(page: Page, name: str, value: str) -> None:
    await page.locator(f"form.filters [name={name}]").select_option(value)


async def test_addresses_in_the_head_follow_what_is_chosen(opens: Opens) -> None:
    page = await opens("/")
    await choose(page, "range", "7d")
    await page.wait_for_url("**range=7d**")
    await page.get_by_role("link", name="한국어").click()
    await expect(page.locator("html")).to_have_attribute("lang", "ko")
    assert "range=7d" in page.url, "another language shows the same"
    await page.locator("#menu a[href*='/users']").click()
    await page.wait_for_url("**/users?**")
    assert "range=7d" in page.url, "and so does another page"
    await choose(page, "range", "24h")
    await page.wait_for_url("**range=24h**")
    for name in ("a.brand", "a.viewer"):
        await expect(page.locator(name)).to_have_attribute("href", re.compile("range=24h"))


async def test_a_search_in_the_head_goes_on_in_the_zone_that_was_chosen(opens: Opens) -> None:
    page = await opens("/")
    search = page.get_by_role("search").get_by_role("searchbox")
    await search.fill("of-nothing")
    await choose(page, "zone", "Asia/Kolkata")
    await page.wait_for_url("**zone=Asia%2FKolkata**")
    await expect(search).to_have_value("of-nothing")
    await search.press("Enter")
    await page.wait_for_url("**/dashboard/calls?zone=Asia%2FKolkata&find=of-nothing")


async def test_the_focus_stays_in_the_field_that_was_chosen_in(opens: Opens) -> None:
    page = await opens("/")
    await page.locator("[name=range]").focus()
    await page.keyboard.press("ArrowUp")
    await page.wait_for_url("**range=7d**")
    await expect(page.locator("[name=range]")).to_be_focused()
    await page.locator("[name=user]").focus()
    await page.keyboard.type("kim")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**user=kim**")
    await expect(page.locator("[name=user]")).to_be_focused()


async def test_going_back_shows_what_was_chosen_then(opens: Opens) -> None:
    page = await opens("/")
    await choose(page, "range", "7d")
    await page.wait_for_url("**range=7d**")
    await page.locator("[name=user]").fill("kim")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**user=kim**")
    await page.go_back()
    await expect(page.locator("[name=user]")).to_have_value("")
    await expect(page.locator("[name=range]")).to_have_value("7d")
    await page.go_back()
    await expect(page.locator("[name=range]")).to_have_value("30d")
    await page.go_forward()
    await expect(page.locator("[name=range]")).to_have_value("7d")


async def test_of_choices_that_overtake_each_other_the_latest_holds(opens: Opens) -> None:
    page = await opens("/")

    async def late(route: Route) -> None:
        await asyncio.sleep(1)
        await route.continue_()

    await page.route(OVERVIEW, late)
    for value in ("7d", "24h", "1h", "90d"):
        await choose(page, "range", value)
    await page.wait_for_url("**range=90d**")
    await expect(page.locator("#menu a[href*='/users']")).to_have_attribute(
        "href", "/dashboard/users?range=90d&zone=UTC"
    )
    await expect(page.locator("[name=range]")).to_have_value("90d")


async def test_the_browsers_own_time_zone_is_chosen_by_a_button(opens: Opens) -> None:
    page = await opens("/users", zone="Asia/Tokyo", language="ko")
    assert await page.locator("#page select[name=zone]").input_value() == "UTC", "what the ledger begins with holds"
    button = page.get_by_role("button", name="이 브라우저의 시간대로")
    await button.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**zone=Asia%2FTokyo**")
    await expect(page.locator("#page select[name=zone]")).to_have_value("Asia/Tokyo")
    await expect(page.locator("#page")).to_contain_text("Asia/Tokyo 기준")
    await expect(button, "the keyboard stays where it was").to_be_focused()
    await page.goto(page.url.split("/users")[0] + "/prices/change")
    await page.get_by_role("button", name="이 브라우저의 시간대로").first.click()
    await expect(page.locator("#page select[name=zone]").first).to_have_value("Asia/Tokyo")
    assert "zone" not in page.url, "a form that waits for its button still does"


async def test_the_button_for_it_stays_where_a_page_updates_itself(opens: Opens) -> None:
    page = await opens("/?live=1")
    button = page.get_by_role("button", name="This browser’s time zone")
    await button.focus()
    await page.evaluate(RENEWED)
    await expect(button).to_be_visible(timeout=1)
    await expect(button).to_be_focused(timeout=1)


async def test_what_cannot_be_chosen_is_said_where_another_choice_can_be_made(opens: Opens) -> None:
    page = await opens("/?range=90d", language="ko")
    shown = await page.locator(".tiles").inner_text()
    await choose(page, "bucket", "minute")
    said = page.locator("form.filters [role=alert]")
    await expect(said).to_contain_text("더 긴 단위나 더 짧은 기간을 골라 주세요")
    assert await page.locator(".tiles").inner_text() == shown
    assert "bucket=minute" not in page.url
    await choose(page, "range", "1h")
    await page.wait_for_url("**range=1h**bucket=minute**")
    await expect(said).not_to_be_attached()


@pytest.mark.parametrize(
    ("path", "begun"),
    [
        ("/?range=90d&bucket=minute", "/dashboard/"),
        ("/cost?from=2026-13-01", "/dashboard/cost"),
        ("/user?user=kim&range=ever", "/dashboard/user?user=kim"),
    ],
)
async def test_an_address_that_cannot_be_shown_leads_to_the_page_as_it_begins(
    opens: Opens, path: str, begun: str
) -> None:
    page = await opens("/")
    await page.goto(f"{page.url.removesuffix('/')}{path}")
    await expect(page.get_by_role("alert")).to_be_visible()
    link = page.get_by_role("link", name="Show this page without any choices")
    assert await link.get_attribute("href") == begun
    await link.click()
    await expect(page.locator("form.filters").first).to_be_visible()


async def test_a_user_who_is_not_there_leads_to_those_who_are(opens: Opens) -> None:
    page = await opens("/")
    await page.goto(f"{page.url.removesuffix('/')}/user?user=nobody")
    assert await page.locator("#page a").evaluate_all("all => all.map(each => each.getAttribute('href'))") == [
        "/dashboard/users"
    ]
