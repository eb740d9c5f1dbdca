"""Grants by a file: pasted or read, looked at line by line, and granted once, as it was shown."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from jangbu.config import Settings
from jangbu.dashboard.texts import LANGUAGES, Language, texts_of
from jangbu.domain.grant_files import LINES_MAX
from jangbu.domain.grant_flaws import Flaw
from jangbu.domain.windows import zone_named
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.raw import Answer, Visitor, asked_of, signed_in
from tests.dashboard.reading import ask, audited, facts, rows
from tests.dashboard.shown import Node, read
from tests.dashboard.site import DEVELOPER, FINANCE, OWNER, USERS, VIEWER, Site
from tests.dashboard.test_every_page import found_by_axe

KIM, LEE, SEOYEON = USERS[0], USERS[1], USERS[5]
GIVEN = 1_000_000_000
"""What everybody was granted when the ledger was filled."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def granted(site: Site, *users: str) -> list[int]:
    """Give what users were granted beyond what they had at first."""
    found = dict(await ask(site, "SELECT a.user_id, b.granted FROM jangbu.balances AS b"
                                 " JOIN jangbu.accounts AS a USING (account_id) WHERE b.asset = 1"))  # fmt: skip
    return [found[user] - GIVEN for user in users]


async def visiting(site: Site, name: str) -> Visitor:
    return await asyncio.to_thread(signed_in, site, name)


def checked(visitor: Visitor, text: str, key: str, **more: str) -> Node:
    answer = visitor.send("/users/grant/check", {"csv": text, "key": key, **more})
    assert answer.status == 200, answer.text
    return read(answer.text)


def grant_form(page: Node) -> dict[str, str]:
    """Give what the form sends that grants a file which was looked at."""
    [form] = page.all("form", action="/dashboard/users/grant/grant")
    fields = [each.attributes for each in form.all("input")]
    return {each["name"]: each["value"] for each in fields if each["name"] != "csrf"}


def put(visitor: Visitor, text: str, key: str, **more: str) -> Answer:
    return visitor.send("/users/grant/grant", grant_form(checked(visitor, text, key, **more)))


async def looked_at(page: Page) -> None:
    await page.get_by_label("Name of the file").fill("looked at")
    await page.get_by_role("button", name="Dry run").click()
    await expect(page.locator("#trial")).to_be_focused()


async def test_a_file_is_pasted_looked_at_and_granted_by_keyboard(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own("/users", member=FINANCE)
    link = page.get_by_role("link", name="Grant by a file")
    await link.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/users/grant*")
    await page.get_by_label("Lines, as a CSV").focus()
    await page.keyboard.insert_text(
        f"user\ttokens\texpires\tsource\n{KIM}\t1,000\t2099-12-31\tgift\n{SEOYEON}\t500\t\t"
    )
    await page.keyboard.press("Tab")
    await page.keyboard.insert_text("first of june")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#trial")).to_be_focused()
    assert await found_by_axe(page) == []
    first, second = await rows(page, "trial")
    assert [*first[:3], *first[4:6]] == ["2", KIM, "1,000", "0", "gift"]
    assert first[3].startswith("Dec 31, 2099, 12:00:00")
    assert second[:6] == ["3", SEOYEON, "500", "Never", "0", "purchase"]
    assert int(second[7].replace(",", "")) - int(second[6].replace(",", "")) == 500
    assert await granted(own_site, KIM, SEOYEON) == [0, 0], "a dry run grants nothing"
    button = page.get_by_role("button", name="Grant 1,500 tokens to 2 users")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice")).to_be_visible()
    await expect(page.get_by_role("status")).to_contain_text("All of the file was granted.")
    assert await granted(own_site, KIM, SEOYEON) == [1_000, 500]
    done = await facts(page.locator("section[aria-labelledby=done]"))
    assert (done["Users"], done["Tokens"], done["Who"]) == ("2", "1,500", FINANCE)
    await page.reload()
    assert await granted(own_site, KIM, SEOYEON) == [1_000, 500], "what is shown after it may be loaded again"
    assert (FINANCE, "grants:first of june") in await audited(own_site, "account.grant_file")
    assert {(FINANCE, f"account:{user}") for user in (KIM, SEOYEON)} <= set(await audited(own_site, "account.grant"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949", "utf-16"])
async def test_a_file_is_read_into_the_form_as_excel_writes_it(opens_own: Opens, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "grants.csv"
    path.write_text(f"user;tokens;source\r\n{SEOYEON};7;선물용\r\n", encoding=encoding)
    page = await opens_own("/users/grant")
    await page.get_by_label("Read a file").set_input_files(path)
    await expect(page.get_by_label("Lines, as a CSV")).to_have_value(f"user;tokens;source\n{SEOYEON};7;선물용\n")
    await looked_at(page)
    [line] = await rows(page, "trial")
    assert (line[1], line[2], line[5]) == (SEOYEON, "7", "선물용")


async def test_a_file_that_cannot_be_read_leaves_nothing_and_the_latest_choice_holds(
    opens_own: Opens, tmp_path: Path
) -> None:
    for name in ("early", "late"):
        (tmp_path / name).write_text(f"user,tokens\n{name},7\n")
    page = await opens_own("/users/grant")
    field, choice = page.get_by_label("Lines, as a CSV"), page.get_by_label("Read a file")
    await field.fill("user,tokens\nold,5\n")
    await page.evaluate(
        "() => { const read = File.prototype.arrayBuffer; window.open_early = new Promise((go) => { window.go = go; });"
        " File.prototype.arrayBuffer = async function () {"
        " if (this.name === 'early') await window.open_early; return read.call(this); }; }"
    )
    await choice.set_input_files(tmp_path / "early")
    await expect(field).to_have_value("")
    await choice.set_input_files(tmp_path / "late")
    await expect(field).to_have_value("user,tokens\nlate,7\n")
    await page.evaluate("async () => { window.go(); await new Promise((done) => setTimeout(done, 200)); }")
    await expect(field).to_have_value("user,tokens\nlate,7\n")


async def test_all_that_is_wrong_is_named_by_its_line_and_nothing_can_be_granted(
    opens_own: Opens, own_site: Site
) -> None:
    page = await opens_own("/users/grant")
    text = f"user,tokens,expires\n{KIM},0,\n{LEE},5,2020-01-01\nnobody,5,\n{SEOYEON},1,x\n{SEOYEON},2,\n"
    await page.get_by_label("Lines, as a CSV").fill(text)
    await looked_at(page)
    await expect(page.get_by_role("alert")).to_contain_text("5 lines are wrong, so nothing can be granted.")
    found = await rows(page, "trial")
    assert [line for line, _ in found] == ["2", "3", "4", "5", "6"]
    assert found[2][1] == "There is no user “nobody”. Check the id, or open the account first."
    await expect(page.get_by_label("Lines, as a CSV")).to_have_value(text.strip())
    assert await page.locator("form[action$='/users/grant/grant']").count() == 0
    assert await found_by_axe(page) == []


@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "dark", 390), ("ko", "light", 1280)])
async def test_a_dry_run_is_right_however_it_is_looked_at(
    opens_own: Opens, language: str, scheme: str, width: int
) -> None:
    page = await opens_own("/users/grant", language=language, scheme=scheme, width=width)
    for text in (f"user,tokens\n{KIM},5\n{SEOYEON},1000", f"user,tokens\n{KIM},0\nnobody,5"):
        await page.locator("#csv").fill(text)
        await page.locator("input[name=key]:not([type=hidden])").fill("june")
        await page.locator("form[action$='/check'] button").click()
        await expect(page.locator("#csv")).to_have_value(text)
        await expect(page.locator("#trial")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is too wide"
        assert await found_by_axe(page) == []
        main = await page.locator("main").inner_text()
        assert "{" not in main
        assert language == "en" or "Dry run" not in main


async def test_it_works_without_scripts_and_offers_nothing_that_needs_them(own_site: Site) -> None:
    finance = await visiting(own_site, FINANCE)
    page = read(finance.get("/users/grant").text)
    [chooser] = [each for each in page.all("label") if list(each.all("input", type="file"))]
    assert "hidden" in chooser.attributes
    before = await granted(own_site, KIM)
    answer = put(finance, f"user,tokens\n{KIM},5", key="no script")
    assert (answer.status, asked_of(answer.leads_to)) == (303, {"file": "no script", "notice": "granted_file"})
    assert await granted(own_site, KIM) == [before[0] + 5]


async def test_a_file_that_is_sent_twice_is_granted_once_and_another_than_was_shown_is_not(own_site: Site) -> None:
    owner = await visiting(own_site, OWNER)
    before = await granted(own_site, KIM, LEE)
    form = grant_form(checked(owner, f"user,tokens\n{KIM},11", "eleven"))
    for changed in ({"csv": f"user,tokens\n{KIM},12"}, {"confirmation": "0" * 64}, {"key": ""}):
        answer = owner.send("/users/grant/grant", form | changed)
        assert answer.status == 400
        assert "This form cannot be sent as it is." in answer.text
    for _ in range(2):
        assert owner.send("/users/grant/grant", form).status == 303
    again = checked(owner, f"{form['csv']}\n", "eleven")
    assert "All of this was granted before under this name." in again.text
    assert not list(again.all("form", action="/dashboard/users/grant/grant"))
    other = owner.send("/users/grant/check", {"csv": f"user,tokens\n{LEE},11", "key": form["key"]})
    assert (other.status, "only the lines that are new into a file under a new name" in other.text) == (409, True)
    assert await granted(own_site, KIM, LEE) == [before[0] + 11, before[1]]
    assert put(owner, form["csv"], key="once more").status == 303
    assert await granted(own_site, KIM) == [before[0] + 22]


async def test_what_time_did_not_suffice_for_is_gone_on_with(own_site: Site, ledger: Metering) -> None:
    text = "user,tokens\n" + "".join(f"bulk-{number},1\n" for number in range(120))
    for number in range(120):
        await ledger.accounts.create(f"bulk-{number}")
    bulk = ledger.accounts.in_bulk
    form = grant_form(checked(await visiting(own_site, OWNER), text, "in parts"))
    found = await bulk.check(text, zone_named("UTC"), key="in parts")

    def broken_off(done: int, total: int) -> None:
        raise KeyError(done)

    with pytest.raises(KeyError):
        await bulk.grant(found, tell=broken_off)
    page = checked(await visiting(own_site, OWNER), text, "in parts")
    assert "Grant 70 tokens to 70 users" in page.text
    assert (await visiting(own_site, FINANCE)).send("/users/grant/grant", form).status == 303
    counts = await ask(own_site, "SELECT count(*), sum(amount) FROM jangbu.grants AS g JOIN jangbu.accounts AS a"
                                 " USING (account_id) WHERE a.user_id LIKE 'bulk-%'")  # fmt: skip
    assert counts == [(120, 120)]


async def test_those_who_may_not_grant_are_not_led_to_it(own_site: Site) -> None:
    for name, status in ((OWNER, 200), (FINANCE, 200), (DEVELOPER, 403), (VIEWER, 403)):
        visitor = await visiting(own_site, name)
        assert visitor.get("/users/grant").status == status
        assert ("/dashboard/users/grant" in visitor.get("/users").text) is (status == 200)


async def test_a_large_file_is_taken_of_those_who_are_signed_in_and_a_larger_one_of_nobody(own_site: Site) -> None:
    owner = await visiting(own_site, OWNER)
    text = "user,tokens\n" + "".join(f"아무개-{number},1\n" for number in range(LINES_MAX))
    page = checked(owner, text, "large")
    assert "10,000 lines are wrong" in page.text
    assert len(next(each for each in page.tables).rows) == 100, "only the first are shown"
    refused = owner.send("/users/grant/check", {"csv": "x" * 1_000_001, "key": "large"})
    assert (refused.status, "too large" in refused.text) == (413, True)
    assert owner.send("/users/grant/check", b"csv=" + b"x" * 3_100_000).status == 413
    assert owner.send("/user/grant", b"csv=" + b"x" * 70_000).status == 413
    viewer = await visiting(own_site, VIEWER)
    assert viewer.send("/users/grant/check", b"csv=" + b"x" * 3_100_000).status == 403, "nor is it read of others"
    assert Visitor(own_site, "x" * 43).send("/users/grant/check", {"csv": text}).status == 303


async def test_a_key_that_is_none_and_a_file_that_nobody_granted_are_told(own_site: Site) -> None:
    owner = await visiting(own_site, OWNER)
    for key in ("x" * 201, "a\u202eb"):
        answer = owner.send("/users/grant/check", {"csv": "user,tokens\nkim,5", "key": key})
        assert (answer.status, "This is no name of a file." in answer.text) == (400, True)
    unnamed = owner.send("/users/grant/check", {"csv": "user,tokens\nkim,5", "key": " "})
    assert (unnamed.status, "a new month, a new name" in unnamed.text) == (400, True)
    assert owner.send("/users/grant/check", {"csv": "", "key": "june"}).status == 400
    for path in ("/users/grant?file=nothing", "/users/grant?file=" + "x" * 300, "/users/grant?file=%00"):
        assert owner.get(path).status == 400


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_flaw_has_its_words(language: Language) -> None:
    assert all(texts_of(language).has(f"bulk.wrong.{flaw.value}") for flaw in Flaw)


async def test_days_are_those_of_the_pages_zone(own_site: Site) -> None:
    owner = await visiting(own_site, OWNER)
    text = f"user,tokens,expires\n{LEE},3,2099-06-01"
    answer = put(owner, text, key="zoned", zone="Asia/Seoul")
    assert answer.status == 303
    [(expires_at,)] = await ask(own_site, "SELECT expires_at::text FROM jangbu.grants WHERE expires_at IS NOT NULL"
                                          " AND amount = 3")  # fmt: skip
    assert expires_at.startswith("2099-05-31 15:00:00")
    assert Settings.load(database_url=own_site.database_url).time_zone == "UTC"


async def test_how_far_a_file_came_that_breaks_off_is_said_in_korean(own_site: Site, ledger: Metering) -> None:
    for user in ("odd-0", "odd-1"):
        await ledger.accounts.create(user)
    owner = await visiting(own_site, OWNER)
    form = grant_form(checked(owner, "user,tokens\nodd-0,5\nodd-1,7777", "odd"))
    await ask(own_site, "ALTER TABLE jangbu.grants ADD CONSTRAINT odd CHECK (amount <> 7777)")
    try:
        answer = owner.send("/users/grant/grant", form, accept_language="ko")
    finally:
        await ask(own_site, "ALTER TABLE jangbu.grants DROP CONSTRAINT odd")
    assert (answer.status, "2줄 중 0줄을 지급했습니다." in answer.text) == (400, True)
    assert "lines are granted" not in answer.text


@pytest.mark.parametrize("path", ["/users/grant", "/prices/change"])
async def test_a_file_is_chosen_on_a_small_screen_without_moving_the_page_sideways(opens: Opens, path: str) -> None:
    page = await opens(path, language="ko", width=320)
    await expect(page.locator("input[type=file]")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 320
