"""The page for frames: the same figures without any script, framed by pages of allowed origins and by no others."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from jangbu.dashboard.texts import texts_of
from tests.dashboard.test_every_page import LOOKS, PICTURES, found_by_axe
from tests.dashboard.view.conftest import Looks
from tests.dashboard.view.stand import BROKE, BUSY, LOW, MARK, NAUGHTY, NEW, TOP_UP, Stand

EN = texts_of("en")
# On how many lines each stands.
LINES = """(all) => all.map((each) => {
    const range = document.createRange();
    range.selectNodeContents(each);
    return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
})"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def address(stand: Stand, user: str, query: str = "") -> str:
    return f"{stand.site.url}/dashboard/view?token={await stand.token(user)}{query}"


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS, ids=str)
async def test_it_is_right_however_it_is_looked_at(
    stand: Stand, looks: Looks, language: str, scheme: str, width: int
) -> None:
    page = await looks(await address(stand, BUSY, "&zone=Asia/Seoul"), language=language, scheme=scheme, width=width)
    texts = texts_of("ko" if language == "ko" else "en")
    assert await page.locator("html").get_attribute("lang") == language
    assert await page.locator("h1").inner_text() == texts("view.title")
    available = (await stand.ledger.accounts.balance(BUSY)).available
    assert await page.locator(".facts .main dd").inner_text() == f"{available:,}"
    assert await page.locator("rect").count() == 30
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"view-{language}-{scheme}-{width}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window"
    await page.locator("summary").click()
    assert await page.locator("details tbody tr").count() == 30
    assert await found_by_axe(page) == []


async def test_it_needs_no_script(stand: Stand, looks: Looks) -> None:
    page = await looks(await address(stand, LOW, "&lang=ko&scheme=dark"), script=False)
    await expect(page.locator(".notice")).to_have_text(texts_of("ko")("view.low"))
    await expect(page.locator("html")).to_have_attribute("data-scheme", "dark")
    link = page.locator("a.buy")
    assert [await link.get_attribute(name) for name in ("href", "target", "rel")] == [TOP_UP, "_top", "noreferrer"]
    await page.locator(".foot a").click()
    await expect(page.locator(".facts .main dd")).to_have_text("900")


async def test_it_says_what_the_component_says(stand: Stand, looks: Looks) -> None:
    """The two are written in two languages, and must not drift apart."""
    content = f'<token-meter token="{await stand.token(BUSY)}" zone="Asia/Seoul" refresh="0"></token-meter>'
    component = await looks(stand.host.put("/compared", content))
    await expect(component.locator("token-meter .facts")).to_be_visible()
    page = await looks(await address(stand, BUSY, "&zone=Asia/Seoul&lang=en"))
    for part in (".facts dt", ".facts dd", "caption", "figcaption", "thead th", "th, td", ".ends", "title"):
        there = await component.locator(f"token-meter {part}").all_text_contents()
        here = await page.locator(f".meter {part}").all_text_contents()
        assert [" ".join(each.split()) for each in here] == [" ".join(each.split()) for each in there], part
    shapes = "(all) => all.map((each) => ['x', 'y', 'height', 'class'].map((name) => each.getAttribute(name)))"
    assert await page.locator("rect").evaluate_all(shapes) == await component.locator("rect").evaluate_all(shapes)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("days", [(2,), (2, 5)])
async def test_tokens_that_expire_soon_are_told_to_who_uses_nothing(
    stand: Stand, looks: Looks, language: str, days: tuple[int, ...]
) -> None:
    """By the page and by the component, in the same words but for how each writes a time."""
    user = f"soon-{language}-{len(days)}"
    await stand.ledger.accounts.create(user)
    now = await stand.ledger.database.now()
    for ahead in (*days, 9):
        at = now + timedelta(days=ahead)
        await stand.ledger.accounts.grant(user, 1_000, key=f"in-{ahead}", expires_at=at)
    token = await stand.token(user)
    content = f'<token-meter token="{token}" zone="Asia/Seoul" lang="{language}" refresh="0"></token-meter>'
    component = await looks(stand.host.put(f"/{user}", content))
    page = await looks(await address(stand, user, f"&zone=Asia/Seoul&lang={language}"))
    expected = f"{len(days)},000 tokens expire " if language == "en" else f"{len(days)},000토큰은 "
    seen = []
    for place in (component.locator("token-meter"), page.locator(".meter")):
        await expect(place.locator(".notice")).to_have_count(1)
        seen.append(await place.locator(".notice").inner_text())
        assert expected in seen[-1]
    assert re.findall(r"[0-9]+", seen[0]) == re.findall(r"[0-9]+", seen[1]), "the same figures and times"


async def test_one_token_is_told_in_the_singular(stand: Stand, looks: Looks) -> None:
    await stand.ledger.accounts.create("single")
    at = await stand.ledger.database.now() + timedelta(days=2)
    await stand.ledger.accounts.grant("single", 2, key="gift", expires_at=at)
    await stand.record("single", 1)
    token = await stand.token("single")
    content = f'<token-meter token="{token}" lang="en" refresh="0"></token-meter>'
    component = await looks(stand.host.put("/single", content))
    page = await looks(await address(stand, "single", "&lang=en"))
    for place in (component.locator("token-meter"), page.locator(".meter")):
        expiring = place.locator(".notice", has_text="expires")
        await expect(expiring).to_have_text(re.compile(r"^1 token expires on .+ unless it is used before\.$"))
        await expect(place.locator("svg")).to_have_attribute("aria-label", re.compile("^1 token from "))


@pytest.mark.parametrize("width", [360, 320])
async def test_times_are_not_broken_however_long_names_are(stand: Stand, looks: Looks, width: int) -> None:
    await stand.ledger.accounts.create("narrow")
    await stand.record("narrow", 9, service="x" * 50, model="gemini-" + "unpriced-" * 20)
    content = (
        f'<token-meter token="{await stand.token("narrow")}" zone="Asia/Seoul" lang="ko" refresh="0"></token-meter>'
    )
    component = await looks(stand.host.put("/narrow", content), width=width)
    page = await looks(await address(stand, "narrow", "&zone=Asia/Seoul&lang=ko"), width=width)
    for place in (component, page):
        times = place.locator("table", has_text=texts_of("ko")("view.latest")).locator("tbody th")
        await expect(times.first).to_be_visible()
        assert set(await times.evaluate_all(LINES)) == {1}


async def test_an_allowed_page_frames_it(stand: Stand, looks: Looks) -> None:
    url = stand.host.put("/framing", f'<iframe title="Tokens" src="{await address(stand, BUSY)}"></iframe>')
    page = await looks(url)
    await expect(page.frame_locator("iframe").locator(".facts")).to_be_visible()


async def test_another_page_does_not_frame_it(stand: Stand, looks: Looks) -> None:
    url = stand.stranger.put("/framing", f'<iframe title="Tokens" src="{await address(stand, BUSY)}"></iframe>')
    page = await looks(stand.host.put("/before", ""), watches=False)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(url)
    await page.wait_for_timeout(500)
    assert await page.frame_locator("iframe").locator(".facts").count() == 0
    assert any("frame-ancestors" in each for each in said)


async def test_who_used_nothing_and_who_has_nothing_is_told_so(stand: Stand, looks: Looks) -> None:
    page = await looks(await address(stand, NEW))
    await expect(page.locator(".nothing")).to_have_text(EN("view.nothing"))
    page = await looks(await address(stand, BROKE))
    await expect(page.locator(".notice")).to_have_text(EN("view.empty"))
    await expect(page.locator(".facts .main dd")).to_have_text("-50")


async def test_who_was_never_given_any_is_not_told_to_have_used_all(stand: Stand, looks: Looks) -> None:
    await stand.ledger.accounts.create("bare")
    page = await looks(await address(stand, "bare", "&lang=ko"))
    await expect(page.locator(".notice")).to_have_text("남은 토큰이 없습니다.")


async def test_names_are_shown_and_never_run(stand: Stand, looks: Looks) -> None:
    page = await looks(await address(stand, NAUGHTY, "&lang=" + quote(MARK) + "&scheme=" + quote(MARK)))
    await expect(page.locator("th", has_text=MARK)).to_have_count(2)
    await expect(page.locator("td", has_text=MARK)).to_have_count(2)
    assert await page.locator("img, script").count() == 0


async def test_what_opens_nothing_is_told_so(stand: Stand, looks: Looks) -> None:
    refused = {
        "": "view.error.refused",
        f"?token={quote(MARK)}": "view.error.refused",
        f"?token={await stand.token(BUSY)}x": "view.error.refused",
        f"?token={await stand.token(BUSY)}&zone={quote(MARK)}": "view.error.zone",
    }
    for query, text in refused.items():
        page = await looks(f"{stand.site.url}/dashboard/view{query}")
        await expect(page.locator("[role=alert]")).to_contain_text(EN(text))
        assert await page.locator(".facts").count() == 0
    assert await found_by_axe(page) == []


async def test_its_head_keeps_its_address_and_its_content_to_itself(stand: Stand) -> None:
    for answer in (stand.ask(f"/dashboard/view?token={await stand.token(BUSY)}"), stand.ask("/dashboard/view")):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not {"x-frame-options", "set-cookie"} & {name.lower() for name in answer.headers}
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(f"frame-ancestors https://shop.example {stand.host.url}")
        assert not re.search(r"script|unsafe|\*", policy)


async def test_no_address_is_logged(stand: Stand) -> None:
    token = await stand.token(BUSY)
    assert stand.ask(f"/dashboard/view?token={token}").status == 200
    assert stand.ask(f"/dashboard/view?token={token}&zone=Nowhere").status == 400
    assert stand.ask(f"/dashboard/view?token=x{token}").status == 401
    assert stand.view(token).status == 200
    log = stand.log.read_text()
    assert token.split(".")[2] not in log
    assert "dashboard.view.page" in log
