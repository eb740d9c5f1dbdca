"""What stands above a page: of which moment its figures are, and what was just done, which is said once."""

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opens
from tests.dashboard.raw import asked_of, signed_in
from tests.dashboard.site import OWNER, Site


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("path", ["/user?user=kim", "/ledger?user=kim"])
async def test_figures_of_a_user_say_of_which_moment_they_are(opens: Opens, path: str) -> None:
    page = await opens(f"{path}&zone=Asia/Seoul")
    await expect(page.locator(".as-of")).to_contain_text("As of ")
    await expect(page.locator(".as-of")).to_contain_text("Asia/Seoul")
    await expect(page.locator(".as-of a")).to_have_text("Update by itself")


@pytest.mark.asyncio(loop_scope="session")
async def test_what_was_done_is_said_once_and_not_by_an_address_that_is_shared(opens: Opens) -> None:
    page = await opens("/profile")
    await page.goto(page.url.replace("/profile", "/user?user=kim&notice=granted&zone=Asia%2FSeoul"))
    await expect(page.locator(".notice")).to_have_text("The tokens were granted.")
    await page.wait_for_url(lambda url: "notice" not in url)
    assert asked_of(page.url) == {"user": "kim", "zone": "Asia/Seoul"}
    await page.reload()
    await expect(page.locator("h1")).to_contain_text("kim")
    await expect(page.locator(".notice")).to_have_count(0)


def test_what_was_done_is_said_without_scripts_too(site: Site) -> None:
    assert 'class="notice"' in signed_in(site, OWNER).get("/user?user=kim&notice=granted").text
