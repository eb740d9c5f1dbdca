"""Signing in and out in a real browser: who comes in, by what, for how long, and where they are led then."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from jangbu.config import Settings
from jangbu.dashboard.frame import COOKIE
from jangbu.domain.members import Actor, MemberRole
from jangbu.metering.members import SetUpLink
from jangbu.wiring import open_metering
from tests.dashboard.conftest import CHROMIUM, Watched, site_of
from tests.dashboard.raw import Visitor
from tests.dashboard.site import DEVELOPER, FINANCE, OWNER, PASSWORD, USERS, VIEWER, Site, let_in_members, serving

WRONG = "incorrect horse battery"
ROOT = Actor.of_command("test")
Visits = Callable[..., Awaitable[Page]]

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def with_members(database_url: str) -> str:
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        for user in USERS:
            await ledger.accounts.create(user)
        await let_in_members(ledger)
    return ""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def door(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a ledger with a member of each role, and users without calls."""
    async with site_of(server, migrated, tmp_path_factory.mktemp("door"), with_members) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> AsyncIterator[Visits]:
    """Open an address in a browser of its own, in which nobody is signed in."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    async def open_page(site: Site, path: str = "/", *, language: str = "en") -> Page:
        context = await browser.new_context(locale="ko-KR" if language == "ko" else "en-US")
        contexts.append(context)
        page = await context.new_page()
        watched.append(Watched(page, site.url))
        await page.goto(f"{site.url}/dashboard{path}")
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert [each.wrong for each in watched if each.wrong] == []


async def enter(page: Page, name: str, password: str) -> None:
    """Fill in the form that is shown, and send it."""
    if await page.locator("#name").is_editable():
        await page.locator("#name").fill(name)
    await page.locator("#password").fill(password)
    await page.locator("button.main").click()
    await page.wait_for_load_state()


async def change(site: Site, command: str, *arguments: object) -> None:
    connection = await asyncpg.connect(site.database_url)
    try:
        await connection.execute(command, *arguments)
    finally:
        await connection.close()


async def invited(site: Site, name: str, role: MemberRole = MemberRole.VIEWER) -> SetUpLink:
    async with open_metering(Settings.load(database_url=site.database_url), delivers=False) as ledger:
        _, link = await ledger.members.invite(name, role, ROOT)
        return link


async def token_of(page: Page) -> str:
    [cookie] = [each for each in await page.context.cookies() if each["name"] == COOKIE]
    return cookie["value"]


async def gets_in(site: Site, token: str) -> bool:
    return (await asyncio.to_thread(Visitor(site, token).get, "/")).status == 200


async def test_the_first_owner_is_made_by_the_link_that_the_server_wrote_and_by_it_once(
    visit: Visits, database_url: str, tmp_path: Path
) -> None:
    with serving(database_url, tmp_path) as site:
        page = await visit(site)
        await expect(page.get_by_role("heading", name="Nobody can sign in yet")).to_be_visible()
        await expect(page.locator("pre")).to_have_text("jangbu members add NAME --role owner")
        await page.get_by_role("link", name="한국어").click()
        await expect(page.get_by_role("heading", name="아직 로그인할 수 있는 사람이 없습니다")).to_be_visible()

        lines = (tmp_path / "serve.log").read_text().splitlines()
        [link] = [json.loads(line)["link"] for line in lines if '"first_owner"' in line]
        assert link.startswith(f"{site.url}/dashboard/set-up?token=") or "127.0.0.1" in link
        path = link.partition("/dashboard")[2]
        await page.goto(f"{site.url}/dashboard{path}")
        await page.get_by_role("link", name="English").click()
        await page.locator("#name").fill("김 서연")
        await page.locator("#password").fill("password password")
        await page.locator("button.main").click()
        await expect(page.get_by_role("alert")).to_contain_text("too easily guessed")
        assert await page.locator("#name").input_value() == "김 서연", "what was entered stays, but for the password"
        assert await page.locator("#password").input_value() == ""
        await enter(page, "김 서연", PASSWORD)
        await page.wait_for_url(f"{site.url}/dashboard/")
        await expect(page.locator(".viewer")).to_have_text("김 서연 (owner)")

        other = await visit(site, path)
        await expect(other.get_by_role("alert")).to_contain_text("used before")
        assert await other.locator("form").count() == 0
        await other.get_by_role("link", name="Sign in").click()
        assert await other.get_by_role("heading", name="Nobody can sign in yet").count() == 0
        await enter(other, "김 서연", PASSWORD)
        await other.wait_for_url(f"{site.url}/dashboard/")


async def test_a_member_who_is_invited_chooses_a_password_and_nobody_else_by_their_link(
    visit: Visits, door: Site
) -> None:
    link = await invited(door, "lee@shop.example", MemberRole.FINANCE)
    path = link.path.removeprefix("/dashboard")
    answer = await asyncio.to_thread(
        Visitor(door).send, "/set-up", {"token": link.token, "name": OWNER, "password": PASSWORD}
    )
    assert (answer.status, answer.token) == (400, None)
    page = await visit(door, path)
    assert await page.locator("#name").input_value() == "lee@shop.example"
    await enter(page, "", PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard/")
    await expect(page.locator(".viewer")).to_have_text("lee@shop.example (finance)")


async def test_whoever_is_refused_is_told_the_same(visit: Visits, door: Site) -> None:
    await change(door, "UPDATE jangbu.members SET blocked_at = now() WHERE name = $1", DEVELOPER)
    await invited(door, "not-yet")
    tried = ((VIEWER, WRONG), ("nobody", PASSWORD), (DEVELOPER, PASSWORD), ("not-yet", PASSWORD), (VIEWER, "x" * 1_024))
    for language in ("en", "ko"):
        told = set()
        for name, password in tried:
            fields = {"name": name, "password": password}
            answer = await asyncio.to_thread(Visitor(door).send, "/sign-in", fields, accept_language=language)
            assert (answer.status, answer.token) == (401, None)
            told.add(answer.text.replace(f'value="{name}"', "").replace(answer.headers["x-request-id"], ""))
        assert len(told) == 1, told
    page = await visit(door, "/prices")
    await enter(page, VIEWER, WRONG)
    await expect(page.get_by_role("alert")).to_contain_text("The name and the password do not fit.")
    assert await page.locator("#name").input_value() == VIEWER
    assert await page.locator("#password").input_value() == ""
    await change(door, "UPDATE jangbu.members SET blocked_at = NULL")
    await change(door, "DELETE FROM jangbu.sign_in_failures")


async def test_who_guesses_waits_and_is_told_for_how_long(visit: Visits, door: Site) -> None:
    page = await visit(door, "/prices")
    await enter(page, FINANCE, WRONG)
    await change(door, "UPDATE jangbu.sign_in_failures SET failures = 9 WHERE kind = 'name'")
    await enter(page, FINANCE, WRONG)
    await enter(page, FINANCE, PASSWORD)
    await expect(page.get_by_role("alert")).to_contain_text("Try again in 3")
    await page.get_by_role("link", name="한국어").click()
    await enter(page, FINANCE, PASSWORD)
    await expect(page.get_by_role("alert")).to_contain_text("초 뒤에 다시 시도해 주세요")
    refused = await asyncio.to_thread(Visitor(door).send, "/sign-in", {"name": FINANCE, "password": PASSWORD})
    assert refused.status == 429
    assert 20 < int(str(refused.headers["retry-after"])) <= 32

    other = await visit(door)
    await enter(other, VIEWER, PASSWORD)
    await other.wait_for_url(f"{door.url}/dashboard/")
    await change(door, "UPDATE jangbu.sign_in_failures SET locked_until = now()")
    await enter(page, FINANCE, PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard/prices")


async def test_the_cookie_is_for_this_host_alone_and_for_no_script(visit: Visits, door: Site) -> None:
    page = await visit(door)
    await enter(page, OWNER, PASSWORD)
    [cookie] = [each for each in await page.context.cookies() if each["name"] == COOKIE]
    kept = {name: cookie.get(name) for name in ("domain", "path", "expires", "httpOnly", "secure", "sameSite")}
    assert kept == {
        "domain": "localhost", "path": "/", "expires": -1, "httpOnly": True, "secure": True, "sameSite": "Lax",
    }  # fmt: skip
    assert COOKIE.startswith("__Host-")
    assert COOKIE not in await page.evaluate("document.cookie")
    assert cookie["value"] not in await page.content()
    answer = await asyncio.to_thread(Visitor(door).send, "/sign-in", {"name": OWNER, "password": PASSWORD})
    [line] = [line for line in answer.headers.get_all("set-cookie", []) if line.startswith(COOKIE)]
    assert "domain" not in line.lower()


async def test_who_signs_out_is_out_on_the_server_and_nobody_else_is(visit: Visits, door: Site) -> None:
    page, elsewhere = [await visit(door) for _ in range(2)]
    for each in (page, elsewhere):
        await enter(each, OWNER, PASSWORD)
        await each.wait_for_url(f"{door.url}/dashboard/")
    token = await token_of(page)
    assert await gets_in(door, token)
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{door.url}/dashboard/sign-in")
    assert [each for each in await page.context.cookies() if each["name"] == COOKIE] == []
    assert not await gets_in(door, token), "whoever had copied the cookie has nothing of it"
    await page.go_back()
    await page.wait_for_url(f"{door.url}/dashboard/sign-in?**")
    assert await gets_in(door, await token_of(elsewhere))


@pytest.mark.parametrize(
    "ended",
    [
        "UPDATE jangbu.sessions SET last_seen_at = last_seen_at - interval '61 minutes'",
        "UPDATE jangbu.sessions SET expires_at = now()",
    ],
    ids=["nothing was asked for", "its time is over"],
)
async def test_a_session_ends_and_whoever_signs_in_again_goes_on_where_they_were(
    visit: Visits, door: Site, ended: str
) -> None:
    path = f"/user?{user_of('a/b?c=d&e')}&zone=Asia%2FSeoul"
    page = await visit(door, path)
    await enter(page, OWNER, PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard{path}")
    lasts = await asked(door, "SELECT extract(EPOCH FROM max(expires_at - created_at)) FROM jangbu.sessions")
    assert round(lasts) == 12 * 3_600
    await change(door, ended)
    await page.reload()
    await page.wait_for_url(f"{door.url}/dashboard/sign-in?**")
    await enter(page, OWNER, PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard{path}")

    await change(door, ended)
    await page.get_by_text("Block this user", exact=True).first.click()
    await page.get_by_role("button", name="Block this user").click()
    await page.wait_for_url(f"{door.url}/dashboard/sign-in?**")
    assert await asked(door, "SELECT count(*) FROM jangbu.accounts WHERE state <> 'active'") == 0
    await enter(page, OWNER, PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard{path}")


def user_of(user: str) -> str:
    return f"user={quote(user, safe='')}"


async def asked(site: Site, query: str) -> Any:
    connection = await asyncpg.connect(site.database_url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


ELSEWHERE = (
    *("//evil.example", "https://evil.example/", "http:evil.example", "///evil.example", "/\\evil.example"),
    *("\\/evil.example", "/dashboard\\@evil.example", "/dashboard/\\evil.example", "javascript:alert(1)", "data:,x"),
    *("/dashboard@evil.example", "/dashboard.evil.example/", "/dashboard/\r\nlocation: //evil.example"),
    *(
        "/dashboard/\t//evil.example",
        "/api/v1/keys",
        "dashboard/",
        " /dashboard/",
        "/dashboard",
        "\u2028/dashboard/",
        "",
    ),
)
"""What ``next`` may name that is no page of the dashboard."""
STILL_HERE = ("/dashboard//evil.example", "/dashboard/..//evil.example", "/dashboard/%2e%2e//evil.example")
"""What begins like a page, and stays on this host whatever a browser makes of it."""


async def test_a_link_to_the_door_leads_nowhere_else(visit: Visits, door: Site) -> None:
    page = await visit(door, f"/sign-in?next={quote(ELSEWHERE[0], safe='')}")
    assert await page.locator("[name=next]").input_value() == ELSEWHERE[0]
    await enter(page, OWNER, PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard/")
    token = await token_of(page)
    for after in ELSEWHERE:
        answer = await asyncio.to_thread(Visitor(door, token).get, f"/signed-in?next={quote(after, safe='')}")
        assert (answer.status, answer.leads_to) == (303, "/dashboard/"), after
    for after in STILL_HERE:
        await page.goto(f"{door.url}/dashboard/signed-in?next={quote(after, safe='')}")
        assert page.url.startswith(f"{door.url}/"), after


@pytest.mark.parametrize(
    "after",
    ["/?range=7d&zone=Asia%2FSeoul", f"/user?{user_of('이서연')}", f"/user?{user_of('a/b?c=d&e')}"],
)
async def test_who_signs_in_goes_to_the_page_that_was_asked_for_also_at_the_second_attempt(
    visit: Visits, door: Site, after: str
) -> None:
    page = await visit(door, after)
    await enter(page, OWNER, WRONG)
    await page.get_by_role("link", name="한국어").click()
    await enter(page, OWNER, PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard{after}")
    await change(door, "DELETE FROM jangbu.sign_in_failures")


async def test_a_language_that_is_chosen_stays(visit: Visits, door: Site) -> None:
    page = await visit(door)
    language = page.locator("html")
    await page.get_by_role("link", name="한국어").click()
    await enter(page, OWNER, WRONG)
    await expect(page.get_by_role("alert")).to_contain_text("이름 또는 비밀번호가 맞지 않습니다")
    await enter(page, OWNER, PASSWORD)
    await page.wait_for_url(f"{door.url}/dashboard/")
    await expect(language).to_have_attribute("lang", "ko")
    await page.goto(f"{door.url}/dashboard/prices")
    await expect(language).to_have_attribute("lang", "ko")
    await page.get_by_role("link", name="English").click()
    await expect(language).to_have_attribute("lang", "en")
    await page.locator("nav.menu a").first.click()
    await expect(language).to_have_attribute("lang", "en")
    assert "lang=" not in page.url
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await change(door, "DELETE FROM jangbu.sign_in_failures")


async def test_who_comes_over_plain_http_is_told_why_they_are_not_in(door: Site) -> None:
    port = door.url.rpartition(":")[2]
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    async with async_playwright() as playwright:
        rules = "--host-resolver-rules=MAP ledger.example 127.0.0.1"
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", rules])
        page = await browser.new_page(locale="en-US")
        await page.goto(f"http://ledger.example:{port}/dashboard/prices")
        await enter(page, OWNER, PASSWORD)
        await expect(page.get_by_role("heading", name="Your browser did not keep the sign-in")).to_be_visible()
        await expect(page.locator("main")).to_contain_text("over HTTPS")
        await page.get_by_role("link", name="한국어").click()
        await expect(page.locator("main")).to_contain_text("HTTPS")
        await page.get_by_role("link", name="로그인").click()
        await expect(page.locator("#password")).to_be_visible()
        await browser.close()
