"""A ledger in which nothing was ever recorded: how to begin, and a test record that changes nobody's money."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from jangbu.config import Settings
from jangbu.wiring import open_metering
from tests.dashboard.conftest import Opens, opening, site_of
from tests.dashboard.reading import ask, audited, form_of, send
from tests.dashboard.site import DEVELOPER, FINANCE, VIEWER, Site, let_in_members
from tests.dashboard.test_every_page import found_by_axe

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def fill(database_url: str) -> str:
    """Let members in, and give a user tokens that nobody has used."""
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        await let_in_members(ledger)
        await ledger.accounts.create("kim")
        await ledger.accounts.grant("kim", 1_000, key="first")
    return ""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def unused(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder: Path = tmp_path_factory.mktemp("unused")
    async with site_of(server, migrated, folder, fill) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def opens_unused(browser: Browser, unused: Site) -> AsyncIterator[Opens]:
    async with opening(browser, unused) as open_page:
        yield open_page


@pytest.mark.parametrize("member", [FINANCE, VIEWER])
async def test_who_may_not_record_sees_how_to_begin_and_no_button(opens_unused: Opens, member: str) -> None:
    page = await opens_unused("/", member=member)
    await expect(page.get_by_text("meter.wrap(genai.Client())")).to_be_visible()
    await expect(page.get_by_role("link", name="Make a key")).to_have_count(0)
    await expect(form_of(page, "record-test")).to_have_count(0)


@pytest.mark.parametrize(("language", "width"), [("en", 390), ("ko", 1280)])
async def test_the_beginning_is_accessible(opens_unused: Opens, language: str, width: int) -> None:
    page = await opens_unused("/", language=language, width=width)
    await expect(form_of(page, "record-test")).to_be_visible()
    assert await found_by_axe(page) == []


async def test_a_chart_of_nothing_names_no_day_that_had_most(opens_unused: Opens) -> None:
    page = await opens_unused("/models", language="ko")
    said = await page.locator(".drawn").first.get_attribute("aria-label") or ""
    assert "호출이 없습니다" in said
    assert "가장 많은" not in said
    assert await page.locator("figure caption").first.text_content() == said


async def test_a_test_record_is_seen_as_one_and_changes_nobodys_money(opens_unused: Opens, unused: Site) -> None:
    before = await ask(unused, "SELECT account_id, granted, used, held, version FROM jangbu.balances ORDER BY 1")
    page = await opens_unused("/", member=DEVELOPER)
    form = form_of(page, "record-test")
    again = await send(page, form)
    await form.get_by_role("button").click()
    await expect(page.locator(".notice")).to_contain_text("The test was recorded")
    assert again.status == 303
    assert "jangbu-test" in page.url
    await expect(page.locator("main")).to_contain_text('"test": true')
    records = await ask(unused, "SELECT total, cost_nano, charge_nano FROM jangbu.usage")
    assert records == [(0, 0, 0)], "sent twice it is recorded once"
    assert await ask(unused, "SELECT 1 FROM jangbu.findings") == []
    after = {
        row[0]: row for row in await ask(unused, "SELECT account_id, granted, used, held, version FROM jangbu.balances")
    }
    assert all(after[row[0]] == row for row in before)
    assert sum(row[2] for row in after.values()) == 0
    assert await audited(unused, "test_record.make") == [("developer", "account:jangbu-test")]
    await page.goto(f"{unused.url}/dashboard/")
    await expect(page.get_by_text("Nothing has been recorded yet")).to_have_count(0)
    await expect(page.locator("section").filter(has_text="By service").first).to_contain_text("test")
