"""``<token-meter>`` in a page of an app, at another origin and under a policy that allows next to nothing."""

import gzip
import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from jangbu.dashboard.assets import FOLDER
from jangbu.dashboard.texts import texts_of
from tests.dashboard.test_every_page import LOOKS, PICTURES, found_by_axe
from tests.dashboard.view.conftest import Looks
from tests.dashboard.view.stand import BROKE, BUSY, LOW, MARK, NAUGHTY, NEW, OTHER, TOP_UP, Stand

BYTES_MAX = 60_000
KO, EN = texts_of("ko"), texts_of("en")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def shown(stand: Stand, looks: Looks, user: str, attributes: str = "", **more: Any) -> Page:
    """Give the page of an app that shows a user's tokens."""
    url = stand.host.put(f"/{user[:5].encode().hex()}", f'<token-meter token="{await stand.token(user)}" {attributes}>')
    page = await looks(url, **more)
    await expect(page.locator("token-meter .facts")).to_be_visible()
    return page


async def left(page: Page) -> int:
    """Give the tokens that are shown as left."""
    text = await page.locator("token-meter .facts .main dd").inner_text()
    return int(text.replace(",", ""))


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS, ids=str)
async def test_it_is_right_however_it_is_looked_at(
    stand: Stand, looks: Looks, language: str, scheme: str, width: int
) -> None:
    page = await shown(stand, looks, BUSY, language=language, scheme=scheme, width=width)
    # The page is English; without a word of its own the component speaks what the page does.
    assert await page.locator("token-meter section").get_attribute("lang") == "en"
    await page.locator("token-meter").evaluate("(each, language) => { each.lang = language }", language)
    texts = texts_of("ko" if language == "ko" else "en")
    section = page.locator("token-meter section")
    assert (await section.get_attribute("lang"), await section.get_attribute("aria-label")) == (
        language,
        texts("view.title"),
    )
    await expect(page.locator("token-meter dt").first).to_have_text(texts("balance.available"))
    await expect(page.locator("token-meter caption").last).to_have_text(texts("view.latest"))
    assert await left(page) == (await stand.ledger.accounts.balance(BUSY)).available
    assert await page.locator("token-meter rect").count() == 30
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"token-meter-{language}-{scheme}-{width}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window"
    await page.locator("token-meter summary").click()
    await expect(page.locator("token-meter details tbody tr")).to_have_count(30)
    assert await found_by_axe(page) == []


async def test_it_goes_where_the_page_lets_no_text_become_html(stand: Stand, looks: Looks) -> None:
    policy = "require-trusted-types-for 'script'; trusted-types"
    head = f'<meta http-equiv="content-security-policy" content="{policy}">'
    content = f'<token-meter token="{await stand.token(BUSY)}"></token-meter>'
    page = await looks(stand.host.put("/typed", content, head=head))
    await expect(page.locator("token-meter rect")).to_have_count(30)


async def test_it_is_small(stand: Stand) -> None:
    script = stand.ask("/dashboard/view/token-meter.js")
    assert script.headers["content-type"].startswith("text/javascript")
    page = stand.ask(f"/dashboard/view?token={await stand.token(BUSY)}").text
    assert len(gzip.compress(script.text.encode())) < 20_000
    everything = script.text + page + (FOLDER / "view.css").read_text() + stand.view(await stand.token(BUSY)).text
    assert len(gzip.compress(everything.encode())) < BYTES_MAX
    assert not re.search(r"\bimport\b(?!\.meta)", script.text), "it needs nothing else"
    again = stand.ask("/dashboard/view/token-meter.js", **{"if-none-match": script.headers["etag"]})
    assert (again.status, again.text) == (304, "")


async def test_a_call_that_is_recorded_is_soon_shown(stand: Stand, looks: Looks) -> None:
    page = await shown(stand, looks, OTHER, 'refresh="2"')
    before = await left(page)
    await page.locator("token-meter summary").click()
    await stand.record(OTHER, 4_321, model="gemini-2.5-pro")
    await expect(page.locator("token-meter .facts .main dd")).to_have_text(f"{before - 4_321:,}")
    await expect(page.locator("token-meter td", has_text="gemini-2.5-pro")).to_have_count(1)
    assert await page.locator("token-meter details").get_attribute("open") is not None, "what was opened stays open"


async def test_it_asks_again_only_when_it_is_told_to(stand: Stand, looks: Looks) -> None:
    page = await shown(stand, looks, OTHER, 'refresh="0"')
    before = await left(page)
    await stand.record(OTHER, 10)
    await page.wait_for_timeout(2_500)
    assert await left(page) == before
    await page.locator("token-meter button").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("token-meter [role=status]")).to_have_text(EN("view.refreshed"))
    assert await left(page) == before - 10
    await expect(page.locator("token-meter button")).to_be_focused()


async def test_it_is_gone_through_by_keyboard(stand: Stand, looks: Looks) -> None:
    page = await shown(stand, looks, BUSY)
    seen = []
    for _ in range(8):
        await page.keyboard.press("Tab")
        seen.append(
            await page.evaluate(
                "(() => { const at = document.querySelector('token-meter').shadowRoot.activeElement;"
                " return at && (getComputedStyle(at).outlineStyle === 'none' ? 'unseen' : at.localName) })()"
            )
        )
    assert seen[:6] == ["a", "summary", "div", "div", "div", "button"]


async def test_it_says_that_it_loads_and_then_what_there_is(stand: Stand, looks: Looks) -> None:
    token = await stand.token(BUSY)
    page = await looks(stand.host.put("/slow", '<token-meter lang="ko"></token-meter>'))
    section = page.locator("token-meter section")
    await expect(section).to_have_attribute("aria-busy", "true")
    await expect(page.locator("token-meter .skeleton .unseen")).to_have_text(KO("view.loading"))
    assert await found_by_axe(page) == []
    await page.locator("token-meter").evaluate("(each, token) => { each.token = token }", token)
    await expect(section).to_have_attribute("aria-busy", "false")
    await expect(page.locator("token-meter .facts")).to_be_visible()
    assert token not in await page.content(), "a token that is given as a property stays out of the document"


async def test_who_used_nothing_is_told_so(stand: Stand, looks: Looks) -> None:
    page = await shown(stand, looks, NEW, 'lang="ko"')
    await expect(page.locator("token-meter .nothing")).to_have_text(KO("view.nothing"))
    assert await left(page) == 1_000
    assert await page.locator("token-meter rect, token-meter table, token-meter .notice").count() == 0
    assert await found_by_axe(page) == []


@pytest.mark.parametrize(("user", "text", "available"), [(LOW, "view.low", 900), (BROKE, "view.empty", -50)])
async def test_who_has_little_or_nothing_left_is_shown_where_to_get_more(
    stand: Stand, looks: Looks, user: str, text: str, available: int
) -> None:
    page = await shown(stand, looks, user)
    await expect(page.locator("token-meter .notice")).to_have_text(EN(text))
    assert await left(page) == available
    link = page.locator("token-meter a.buy.main")
    assert (await link.get_attribute("href"), await link.inner_text()) == (TOP_UP, EN("view.top_up"))
    assert await found_by_axe(page) == []


async def test_a_token_that_has_expired_is_told_so_and_renewed_where_the_page_can(stand: Stand, looks: Looks) -> None:
    expired = await stand.token(BUSY, 1)
    await stand.ledger.database.probe(5)
    page = await looks(stand.host.put("/expired", "<token-meter></token-meter>"))
    await page.wait_for_timeout(1_500)
    await page.locator("token-meter").evaluate("(each, token) => { each.token = token }", expired)
    await expect(page.locator("token-meter [role=alert]")).to_have_text(EN("view.error.expired"))
    assert await page.locator("token-meter .facts").count() == 0
    assert await found_by_axe(page) == []
    good = await stand.token(BUSY)
    await page.evaluate(
        "([expired, good]) => { const meter = document.querySelector('token-meter'); window.asked = 0;"
        " meter.getToken = async () => (window.asked++ ? good : expired) }",
        [expired, good],
    )
    await expect(page.locator("token-meter .facts")).to_be_visible()
    await expect(page.locator("token-meter [role=alert]")).to_be_hidden()
    assert await page.evaluate("window.asked") == 2


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "jba_" + "x" * 49])
async def test_a_token_that_is_none_is_told_so_and_not_asked_with_again(stand: Stand, looks: Looks, token: str) -> None:
    page = await looks(stand.host.put("/none", '<token-meter lang="ko" refresh="2"></token-meter>'))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    failed = page.evaluate(
        "(token) => new Promise((done) => { const meter = document.querySelector('token-meter');"
        " meter.addEventListener('token-meter-failed', (event) => done(event.detail.code)); meter.token = token })",
        token,
    )
    assert await failed == "unauthenticated"
    await expect(page.locator("token-meter [role=alert]")).to_have_text(KO("view.error.refused"))
    await page.wait_for_timeout(2_500)
    assert len([url for url in asked if "/data" in url]) == 1


async def test_a_server_that_does_not_answer_leaves_what_was_shown(stand: Stand, looks: Looks) -> None:
    page = await shown(stand, looks, BUSY, 'refresh="2"', watches=False)
    before = await left(page)

    async def lost(route: Route) -> None:
        await route.fulfill(status=503, body="{}", headers={"access-control-allow-origin": "*"})

    await page.route("**/view/data*", lost)
    problem = page.locator("token-meter [role=alert]")
    await page.locator("token-meter button").click()
    await expect(problem).to_have_text(EN("view.error.unreachable"))
    assert await left(page) == before
    await page.unroute("**/view/data*")
    await expect(problem).to_be_hidden()


async def test_another_users_token_shows_nothing_of_the_first(stand: Stand, looks: Looks) -> None:
    page = await shown(stand, looks, BUSY, watches=False)
    await page.route("**/view/data*", lambda route: route.abort())
    await page.locator("token-meter").evaluate("(each, token) => { each.token = token }", await stand.token(OTHER))
    await expect(page.locator("token-meter [role=alert]")).to_have_text(EN("view.error.unreachable"))
    assert await page.locator("token-meter .facts, token-meter table").count() == 0
    await page.unroute("**/view/data*")
    await page.locator("token-meter").evaluate("(each) => each.load()")
    assert await left(page) == (await stand.ledger.accounts.balance(OTHER)).available


async def test_names_are_shown_and_never_run(stand: Stand, looks: Looks) -> None:
    page = await shown(stand, looks, NAUGHTY)
    await expect(page.locator("token-meter th", has_text=MARK)).to_have_count(2)
    await expect(page.locator("token-meter td", has_text=MARK)).to_have_count(2)
    assert await page.locator("token-meter img, token-meter script").count() == 0


async def test_the_app_dresses_it(stand: Stand, looks: Looks) -> None:
    content = (
        f'<token-meter token="{await stand.token(BUSY)}" scheme="dark"><h2 slot="title">내 토큰</h2></token-meter>'
    )
    page = await looks(stand.host.put("/dressed", content))
    await expect(page.locator("token-meter .facts")).to_be_visible()
    await expect(page.get_by_role("heading", level=2)).to_have_text("내 토큰")
    ground = (
        "getComputedStyle(document.querySelector('token-meter').shadowRoot.querySelector('section')).backgroundColor"
    )
    assert await page.evaluate(ground) == "rgb(24, 33, 30)"
    await page.locator("token-meter").evaluate(
        "(each) => { each.style.setProperty('--token-meter-ground', '#123456') }"
    )
    assert await page.evaluate(ground) == "rgb(18, 52, 86)"


async def test_a_page_of_an_origin_that_is_not_allowed_gets_no_figures(stand: Stand, looks: Looks) -> None:
    url = stand.stranger.put("/", f'<token-meter token="{await stand.token(BUSY)}"></token-meter>')
    page = await looks(stand.host.put("/before", ""), watches=False)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(url)
    await expect(page.locator("token-meter [role=alert]")).to_have_text(EN("view.error.unreachable"))
    assert await page.locator("token-meter .facts").count() == 0
    assert any("CORS policy" in each for each in said)
