"""An owner's first day: from a ledger with nobody in it to the first call that is counted, without leaving the browser
for anything but the app's own code.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from jangbu.metering.erasing import erase
from jangbu.metering.meter import Metering
from jangbu.testing import FakeGemini
from tests.conftest import address, drop_database, execute
from tests.dashboard.conftest import Opens, opening
from tests.dashboard.raw import Answer, Visitor, asked_of, signed_in
from tests.dashboard.reading import ask, audited, form_of
from tests.dashboard.shown import read
from tests.dashboard.site import DEVELOPER, FINANCE, OWNER, USERS, VIEWER, Site, serving
from tests.dashboard.test_every_page import found_by_axe, gone_through
from tests.dashboard.test_unrecorded import fill

GIVEN = "SELECT b.granted FROM jangbu.balances b JOIN jangbu.accounts a USING (account_id) WHERE user_id = $1"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def empty(server: str, migrated: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Serve a ledger in which there are members and nothing else."""
    name = f"empty_{uuid4().hex}"
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    await fill(address(server, name))
    with serving(address(server, name), tmp_path) as served:
        yield served
    await drop_database(server, name)


@pytest_asyncio.fixture(loop_scope="session")
async def opens_empty(browser: Browser, empty: Site) -> AsyncIterator[Opens]:
    async with opening(browser, empty) as open_page:
        yield open_page


async def run(lines: str, site: Site, gemini: FakeGemini, folder: Path) -> None:
    """Run lines as an app would that has the server's settings and calls the fake Gemini."""
    app = folder / "app.py"
    app.write_text(lines)
    given = {
        "JANGBU_DATABASE_URL": site.database_url,
        "JANGBU_SPOOL_DIR": str(folder / "spool"),
        "GEMINI_API_KEY": "key",
        "GOOGLE_GEMINI_BASE_URL": gemini.url,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JANGBU_", "GEMINI_", "GOOGLE_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(app), env=kept | given, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def pressed(page: Page, name: str) -> None:
    link = page.get_by_role("link", name=name)
    await link.focus()
    await page.keyboard.press("Enter")


async def test_from_an_empty_ledger_to_the_first_call_by_what_the_pages_say(
    opens_empty: Opens, empty: Site, fake_gemini: FakeGemini, tmp_path: Path
) -> None:
    page = await opens_empty("/")
    await pressed(page, "Open an account for kim")
    await page.wait_for_url("**/users?*")
    form = form_of(page, "open")
    await expect(form.get_by_label("The app's own user id")).to_have_value("kim")
    await expect(form.get_by_label("First tokens")).to_have_value("100,000")
    await form.get_by_label("First tokens").press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("the tokens were granted")
    assert asked_of(page.url)["user"] == "kim"
    assert await ask(empty, GIVEN, "kim") == [(100_000,)]
    assert await audited(empty, "account.create") == [(OWNER, "account:kim")]
    assert await audited(empty, "account.grant") == [(OWNER, "account:kim")]

    await page.goto(f"{empty.url}/dashboard/")
    await expect(page.get_by_text("Open an account for kim")).to_have_count(0)
    assert empty.url in await page.locator("#begin-gateway").inner_text()
    await run(await page.locator("#begin-sdk").inner_text(), empty, fake_gemini, tmp_path)
    await page.reload()
    tiles = read(await page.content()).tiles
    reported = fake_gemini.answers()[-1].reported
    assert reported is not None
    assert (tiles["Calls"], tiles["Active users"]) == ("1", "1")
    assert int(tiles["Tokens"].replace(",", "")) == reported["totalTokenCount"] > 0


async def test_nobody_without_an_account_can_run_the_lines_to_begin_with(
    opens_empty: Opens, empty: Site, fake_gemini: FakeGemini, tmp_path: Path
) -> None:
    page = await opens_empty("/")
    await expect(page.get_by_text("without it a call is refused")).to_be_visible()
    with pytest.raises(AssertionError, match="NoAccount"):
        await run(await page.locator("#begin-sdk").inner_text(), empty, fake_gemini, tmp_path)


@pytest.mark.parametrize(("language", "width"), [("en", 390), ("ko", 1280)])
async def test_where_nobody_is_the_form_is_there_and_led_to(
    opens_empty: Opens, empty: Site, language: str, width: int
) -> None:
    page = await opens_empty("/users", language=language, width=width)
    await expect(form_of(page, "open")).to_be_visible()
    await expect(page.locator("a[href='#open-account']")).to_be_visible()
    await gone_through(page)
    for path in ("/", "/users?open=kim"):
        await page.goto(f"{empty.url}/dashboard{path}")
        await expect(page.locator("a[href*='open-account']").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await found_by_axe(page) == []


async def test_who_may_not_open_an_account_is_told_who_may(empty: Site) -> None:
    for name, may in ((OWNER, True), (FINANCE, True), (DEVELOPER, False), (VIEWER, False)):
        visitor = await visiting(empty, name)
        for path in ("/users", "/"):
            shown = visitor.get(path).text
            assert ("open-account" in shown) is may, (name, path)
            assert ("An owner or somebody of finance opens accounts" in shown) is not may, (name, path)


async def visiting(site: Site, name: str = OWNER) -> Visitor:
    return await asyncio.to_thread(signed_in, site, name)


def put(visitor: Visitor, user: str, key: str = "", **more: str) -> Answer:
    return visitor.send("/users/open", {"user": user, "key": key or uuid4().hex, **more})


async def test_an_account_is_opened_once_however_often_its_form_is_sent(own_site: Site) -> None:
    finance = await visiting(own_site, FINANCE)
    for _ in range(3):
        answer = put(finance, "park", "the same", amount="1,500", source="gift")
        assert (answer.status, asked_of(answer.leads_to)) == (303, {"user": "park", "notice": "opened_granted"})
    assert await ask(own_site, GIVEN, "park") == [(1_500,)]
    sources = "SELECT g.source FROM jangbu.grants g JOIN jangbu.accounts a USING (account_id) WHERE user_id = 'park'"
    assert await ask(own_site, sources) == [("gift",)]
    assert (await audited(own_site, "account.create")).count((FINANCE, "account:park")) == 1
    answer = put(finance, "choi")
    assert asked_of(answer.leads_to)["notice"] == "opened"
    assert "The account is open." in finance.get(answer.leads_to.removeprefix("/dashboard")).text
    assert await ask(own_site, GIVEN, "choi") == [(0,)]


async def test_who_has_an_account_already_is_named_with_the_way_there_and_given_nothing(own_site: Site) -> None:
    owner = await visiting(own_site)
    before = await ask(own_site, GIVEN, USERS[0])
    answer = put(owner, USERS[0], amount="5")
    assert (answer.status, f"“{USERS[0]}” has an account already" in answer.text) == (400, True)
    [link] = [each for each in read(answer.text).all("a") if each.text == "To the user's page"]
    assert asked_of(link.attributes["href"]) == {"user": USERS[0]}
    assert await ask(own_site, GIVEN, USERS[0]) == before
    korean = owner.send("/users/open", {"user": USERS[0], "key": "k"}, accept_language="ko").text
    assert f"“{USERS[0]}” 사용자의 계정이 이미 있습니다." in korean
    assert "사용자 페이지로 가기" in korean


@pytest.mark.parametrize("user", ["", " ", "x" * 201, " park", "park ", "a\x00b", "a\nb", "a\u202eb"])
async def test_what_is_no_user_id_is_told_in_one_sentence_with_what_would_be(own_site: Site, user: str) -> None:
    owner = await visiting(own_site)
    accounts = await ask(own_site, "SELECT count(*) FROM jangbu.accounts")
    answer = put(owner, user, amount="5")
    assert answer.status == 400
    assert answer.text.count('<p role="alert">') == 1
    assert "is no user id. Use 1 to 200 printable characters" in answer.text
    assert await ask(own_site, "SELECT count(*) FROM jangbu.accounts") == accounts


@pytest.mark.parametrize("amount", ["0", "-5", "1,5", "many"])
async def test_tokens_that_are_no_number_open_nothing(own_site: Site, amount: str) -> None:
    owner = await visiting(own_site)
    answer = put(owner, "jung", amount=amount)
    assert (answer.status, "is no whole number" in answer.text) == (400, True)
    assert await ask(own_site, GIVEN, "jung") == []


async def test_who_was_erased_is_not_let_in_again(own_site: Site, ledger: Metering) -> None:
    await ledger.accounts.create("gone")
    await erase(ledger, "default", "gone")
    answer = put(await visiting(own_site), "gone", amount="5")
    assert (answer.status, "Have the app give them a new id" in answer.text) == (403, True)


async def test_an_account_that_others_open_at_the_same_time_is_one_and_given_once(own_site: Site) -> None:
    owner = await visiting(own_site)
    answers = await asyncio.gather(
        *(asyncio.to_thread(put, owner, "at once", f"form-{each}", amount="10") for each in range(6))
    )
    assert sorted(each.status for each in answers) == [303, 400, 400, 400, 400, 400]
    assert await ask(own_site, GIVEN, "at once") == [(10,)]


async def test_a_file_that_names_somebody_unknown_leads_to_the_form(own_site: Site) -> None:
    finance = await visiting(own_site, FINANCE)
    [link] = [
        each for each in read(finance.get("/users/grant").text).all("a") if "open-account" in each.attributes["href"]
    ]
    address = link.attributes["href"].removeprefix("/dashboard").partition("#")[0]
    details = read(finance.get(address).text).one("details", id="open-account")
    assert "open" in details.attributes
    assert "open" not in read(finance.get("/users").text).one("details", id="open-account").attributes
