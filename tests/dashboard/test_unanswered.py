"""A form that nobody answers, or whose session has ended: it says so, and nothing that was typed is lost."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, expect

from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens, sign_in
from tests.dashboard.site import FINANCE, OWNER, PASSWORD, USERS, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

USER = f"/user?user={USERS[0]}"
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
KEEPS_NOTHING = "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('no'); } })"
DELTA, REASON = "-77", "a call that was counted twice"


@pytest_asyncio.fixture(loop_scope="session")
async def opens_unanswered(browser: Browser, site: Site) -> AsyncIterator[Opens]:
    """Open a page of which nobody watches what is not answered."""

    async def open_page(path: str, *, language: str = "en") -> Page:
        page = await browser.new_page(locale="ko-KR" if language == "ko" else "en-US")
        opened.append(page)
        await sign_in(page, site, OWNER, path)
        return page

    opened: list[Page] = []
    yield open_page
    for page in opened:
        await page.close()


async def bad_gateway(route: Route) -> None:
    await route.fulfill(status=502, content_type="text/html", body=BAD_GATEWAY)


async def not_permitted(route: Route) -> None:
    await route.fulfill(status=403, content_type="text/html", body='<p role="alert">not permitted</p>')


async def lost(route: Route) -> None:
    """Have it done, and lose the answer."""
    await route.fetch()
    await bad_gateway(route)


async def adjusting(page: Page) -> Locator:
    """Give the form of an adjustment, filled in."""
    form = page.locator("form[action$='/user/adjust']")
    await page.locator("details", has=form).locator("summary").click()
    await form.locator("[name=delta]").fill(DELTA)
    await form.locator("[name=reason]").fill(REASON)
    return form


async def expect_typed(form: Locator) -> None:
    await expect(form.locator("[name=delta]")).to_have_value(DELTA)
    await expect(form.locator("[name=reason]")).to_have_value(REASON)


async def signed_out(page: Page, site: Site) -> None:
    """Sign out in another tab."""
    other = await page.context.new_page()
    await other.goto(f"{site.url}/dashboard/profile")
    await other.get_by_role("button", name="Sign out", exact=True).first.click()
    await other.wait_for_url("**/sign-in**")
    await other.close()


async def sign_in_again(page: Page, member: str) -> None:
    """Sign in where a form led to the door, which leads to the page that it stood on."""
    await page.wait_for_url("**/sign-in**")
    await page.locator("#name").fill(member)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("button.main").click()
    await page.wait_for_url(f"**{USER}")


async def test_a_choice_that_a_proxy_answers_leaves_the_page_and_says_so(opens_unanswered: Opens) -> None:
    page = await opens_unanswered("/cost")
    shown = await page.locator(".tiles").inner_text()
    await page.route("**/dashboard/cost?*", bad_gateway)
    await page.locator("form.filters [name=range]").select_option("7d")
    await expect(page.locator("form.filters [role=alert]")).to_contain_text("still of the choice before")
    assert await page.locator(".tiles").inner_text() == shown
    assert await page.title() == "Cost · Jangbu"
    assert "range=7d" not in page.url
    await page.unroute("**/dashboard/cost?*")
    await page.get_by_role("button", name="Apply").click()
    await page.wait_for_url("**range=7d**")
    await expect(page.locator("form.filters [role=alert]")).not_to_be_attached()


async def test_a_choice_that_nobody_answers_says_so(opens_unanswered: Opens) -> None:
    page = await opens_unanswered("/cost")
    await page.route("**/dashboard/cost?*", lambda route: route.abort())
    await page.locator("form.filters [name=range]").select_option("7d")
    await expect(page.locator("form.filters [role=alert]")).to_be_visible()


async def test_a_trial_that_nobody_answers_is_only_tried_again(opens_unanswered: Opens) -> None:
    page = await opens_unanswered("/prices/change")
    form = page.locator("form", has=page.locator("[name=do][value=markup]"))
    await form.locator("[name=markup]").fill("20%")
    await page.route("**/prices/change?*", bad_gateway)
    await form.locator("button.main").click()
    await expect(form.get_by_role("alert")).to_contain_text("Try again in a moment")
    await expect(form.locator("[name=markup]")).to_have_value("20%")


@pytest.mark.parametrize("is_away", [True, False])
async def test_a_form_that_nobody_answers_says_so_and_keeps_what_was_typed(
    opens_unanswered: Opens, is_away: bool
) -> None:
    page = await opens_unanswered(USER, language="ko")
    form = await adjusting(page)
    await form.locator("[name=delta]").fill("x")
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text("정수가 아닙니다")
    await form.locator("[name=delta]").fill(DELTA)
    await page.route("**/user/adjust", (lambda route: route.abort()) if is_away else bad_gateway)
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text("처리되었는지 알 수 없습니다")
    await expect(form.get_by_role("alert"), "what was said before is over").not_to_contain_text("정수")
    await expect_typed(form)


async def test_what_was_typed_is_there_again_after_signing_in_anew(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own(USER)
    form = await adjusting(page)
    await signed_out(page, own_site)
    await form.get_by_role("button").click()
    await sign_in_again(page, OWNER)
    await expect_typed(form)
    await expect(form.get_by_role("status")).to_contain_text("was not sent")
    await form.get_by_role("button").click()
    await page.wait_for_url("**/user?**")
    await expect(page.locator("#page > [role=status]")).to_be_visible()
    await page.reload()
    await expect(form.locator("[name=delta]"), "it is given back once").to_have_value("")


async def test_what_was_typed_is_there_again_where_another_tab_signed_in(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own(USER)
    form = await adjusting(page)
    await signed_out(page, own_site)
    other = await page.context.new_page()
    await sign_in(other, own_site, OWNER)
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_be_visible()
    await page.reload()
    await expect_typed(form)


async def test_what_was_done_unanswered_is_done_once_after_signing_in_anew(
    browser: Browser, own_site: Site, ledger: Metering
) -> None:
    context = await browser.new_context(locale="en-US")
    page = await context.new_page()
    await sign_in(page, own_site, OWNER, USER)
    before = (await ledger.accounts.balance(USERS[0])).available
    form = await adjusting(page)
    await page.route("**/user/adjust", lost)
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_be_visible()
    await page.unroute("**/user/adjust")
    await signed_out(page, own_site)
    await form.get_by_role("button").click()
    await sign_in_again(page, OWNER)
    await expect_typed(form)
    await form.get_by_role("button").click()
    await expect(page.locator("#page > [role=status]")).to_be_visible()
    assert (await ledger.accounts.balance(USERS[0])).available == before + int(DELTA)
    await context.close()


async def test_a_browser_that_keeps_nothing_shows_its_pages(opens_own: Opens) -> None:
    page = await opens_own(USER)
    await page.add_init_script(KEEPS_NOTHING)
    await page.reload()
    await expect(page.locator("form[action$='/user/adjust']")).to_be_attached()
    await page.wait_for_function("document.querySelector('[data-here]').checkVisibility()")


async def test_what_was_refused_for_another_reason_is_not_said_to_be_of_signing_in(opens_own: Opens) -> None:
    page = await opens_own(USER)
    form = await adjusting(page)
    await page.route("**/user/adjust", not_permitted)
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text("not permitted")
    await page.unroute("**/user/adjust")
    await form.get_by_role("button").click()
    await expect(page.locator("#page > [role=status]")).to_be_visible()
    await expect(form.locator("[name=delta]"), "it was sent after all").to_have_value("")
    await expect(form.get_by_role("status")).not_to_be_attached()


async def test_nobody_else_is_given_what_was_typed(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own(USER)
    form = await adjusting(page)
    await signed_out(page, own_site)
    await form.get_by_role("button").click()
    await sign_in_again(page, FINANCE)
    await expect(form.locator("[name=reason]")).to_have_value("")
    assert await page.evaluate("sessionStorage.length") == 0
