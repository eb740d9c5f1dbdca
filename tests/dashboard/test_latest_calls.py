"""The page of everybody's latest calls: what came in just now, and the records that stand behind a figure of all."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import expect

from jangbu.dashboard.formats import Formats
from jangbu.dashboard.texts import texts_of
from jangbu.domain.ledger import erased_name
from jangbu.metering.erasing import erase
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens, site_of
from tests.dashboard.raw import Visitor, asked_of, signed_in
from tests.dashboard.reading import ask
from tests.dashboard.shown import Node, read
from tests.dashboard.site import MODELS, OWNER, USERS, VIEWER, Site
from tests.dashboard.test_nothing_yet import fill as nothing
from tests.metering.telling import answer

FORMATS = Formats("en", "UTC")
STORED = """
    SELECT u.id::text, a.user_id, jangbu.uuid7_time(u.id), m.name, u.total, u.cost_nano, u.charge_nano
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    ORDER BY u.id DESC
"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def viewer(site: Site) -> Visitor:
    return await asyncio.to_thread(signed_in, site, VIEWER)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def unused(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visitor]:
    folder: Path = tmp_path_factory.mktemp("unused")
    async with site_of(server, migrated, folder, nothing) as site:
        yield await asyncio.to_thread(signed_in, site, OWNER)


async def page_of(visitor: Visitor, address: str, language: str = "en") -> Node:
    page = await asyncio.to_thread(visitor.get, address, accept_language=language)
    assert page.status == 200
    return read(page.text)


def part_of(page: Node) -> Node:
    [section] = page.all("section", aria_labelledby="calls")
    return section


async def test_everybodys_calls_are_listed_newest_first_page_by_page(viewer: Visitor, site: Site) -> None:
    """Who may only read sees each, with a way to it and to its user."""
    stored = await ask(site, STORED)
    page, rows = await page_of(viewer, "/calls/latest?range=90d"), []
    while True:
        rows += list(part_of(page).one("tbody").all("tr"))
        onward = [each.attributes["href"] for each in part_of(page).all("a", rel="next")]
        if not onward:
            break
        page = await page_of(viewer, onward[0].removeprefix("/dashboard"))
    assert len(rows) == len(stored)
    for row, (call, user, at, model, total, cost, charge) in zip(rows, stored, strict=True):
        first, theirs, _, named, *figures = (each for each in row.inside if isinstance(each, Node))
        assert first.text.split() == FORMATS.moment(at).split()
        assert asked_of(first.one("a").attributes["href"]).items() >= {("call", call), ("user", user)}
        assert (theirs.text, asked_of(theirs.one("a").attributes["href"])["user"]) == (user, user)
        assert [named.text, *(each.text for each in figures)] == [
            model, f"{total:,}", FORMATS.money(cost), FORMATS.money(charge)
        ]  # fmt: skip


async def test_what_came_in_during_the_last_minutes_is_asked_for_by_its_time(own_site: Site, ledger: Metering) -> None:
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    call = (await ledger.record(USERS[0], "chat", answer(20))).id
    now = datetime.now(UTC)
    edges = {
        "from": f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M}",
        "to": f"{now + timedelta(minutes=1):%Y-%m-%dT%H:%M}",
    }
    page = await page_of(owner, f"/calls/latest?{urlencode(edges)}")
    assert str(call) in next(part_of(page).one("tbody").all("a")).attributes["href"]


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_each_kind_of_nothing_is_told_apart(viewer: Visitor, unused: Visitor, language: str) -> None:
    t, gone = texts_of("ko" if language == "ko" else "en"), erased_name(UUID(int=7))
    for visitor, asked, said in (
        (unused, "", t("nothing.ever")),
        (viewer, "from=2020-01-01&to=2020-01-02", t("nothing.in_period")),
        (viewer, "user=nobody", t("nothing.matches")),
        (viewer, f"user={gone}", t("wrong.erased", user=gone)),
        (viewer, "model=gemini-unheard-of", t("nothing.matches")),
        (viewer, "after=00000000-0000-7000-8000-000000000000", t("calls.latest.no_more")),
    ):
        section = part_of(await page_of(visitor, f"/calls/latest?{asked}", language))
        assert said in section.text, asked
        assert not list(section.all("table"))


async def test_a_place_that_is_none_is_refused_in_words(viewer: Visitor) -> None:
    page = await asyncio.to_thread(viewer.get, "/calls/latest?after=the-last")
    assert page.status == 400
    assert "is the id of nothing" in page.text
    for highest in ("ffffffff-ffff-ffff-ffff-ffffffffffff", "ffffffffffffffffffffffffffffffff"):
        assert (await asyncio.to_thread(viewer.get, f"/calls/latest?after={highest}")).status == 200


async def test_an_erased_users_calls_stay_listed_and_name_nobody(own_site: Site, ledger: Metering) -> None:
    await ledger.accounts.create("gone")
    await ledger.accounts.grant("gone", 1_000, key="first")
    call = (await ledger.record("gone", "chat", answer(20))).id
    await erase(ledger, "default", "gone")
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    row = next(part_of(await page_of(owner, "/calls/latest?range=1h")).one("tbody").all("tr"))
    [link] = row.all("a")
    assert asked_of(link.attributes["href"]).items() >= {("call", str(call))}
    assert "user" not in asked_of(link.attributes["href"])
    assert texts_of("en")("noted.erased") in row.text


async def test_a_bar_of_a_model_leads_to_its_calls_by_keyboard(opens: Opens, site: Site) -> None:
    """From the table of a chart to a day, from there to its calls, and on to one of them."""
    tab = await opens(f"/?model={MODELS[0]}&range=30d&zone=Asia/Seoul")
    chart = tab.locator("figure", has=tab.locator("#by-model-title"))
    await chart.locator("summary").focus()
    await tab.keyboard.press("Enter")
    [tokens, *_] = [
        each for each in await chart.locator("tbody tr").all()
        if (await each.locator("td").last.inner_text()) != "0"
    ]  # fmt: skip
    total = await tokens.locator("td").last.inner_text()
    await tokens.locator("th a").focus()
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**from=**")
    edges = {name: asked_of(tab.url)[name] for name in ("from", "to", "zone", "model")}
    await tab.get_by_role("link", name="These calls, newest first").focus()
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**/calls/latest?**")
    assert asked_of(tab.url) == edges
    await expect(tab.locator("h1")).to_have_text("Latest calls")
    await expect(tab.locator(".menu [aria-current=page]")).to_have_text("Latest calls")
    figures = await tab.locator("section[aria-labelledby=calls] tbody td:nth-child(5)").all_inner_texts()
    assert f"{sum(int(each.replace(',', '')) for each in figures):,}" == total
    await tab.locator("section[aria-labelledby=calls] tbody th a").first.focus()
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**/dashboard/call?**")
    await expect(tab.locator("h1")).to_contain_text("Call")
