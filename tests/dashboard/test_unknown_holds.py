"""Calls whose outcome nobody knows, where there are many: each user's can be ended, and that there are more is said."""

import json

import pytest
from playwright.async_api import expect

from jangbu.api.rest.bodies import VALUES_MOST
from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, MarkUnknown, Release, TakeHold
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.reading import ask, form_of, rows, send
from tests.dashboard.site import USERS, Site

KIM, LEE = USERS[:2]
SHOWN = 50

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def unknown(ledger: Metering, user: str) -> Call:
    call = Call(new_id(ledger.clock), user, "chat", "gemini-2.5-flash", Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 100, 100))
    await ledger.execute(MarkUnknown(call, "the line broke"))
    return call


async def test_a_users_are_ended_though_many_others_are_older(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    for user in [KIM] * (SHOWN + 1) + [LEE]:
        await unknown(ledger, user)

    page = await opens_own("/alerts")
    held = page.locator("article h3")
    await expect(held).to_have_count(SHOWN)
    assert {text.split(" ")[0] for text in await held.all_inner_texts()} == {KIM}
    await expect(page.get_by_text(f"These are the {SHOWN} oldest.")).to_be_visible()

    await page.get_by_role("link", name="All of them").click()
    await page.wait_for_url("**/ledger/holds?state=unknown")
    await page.locator("a[rel=next]").click()
    await page.wait_for_url("**after=*")
    assert [cells[1] for cells in await rows(page, "holds")] == [KIM, LEE]
    await page.locator("tbody tr").last.get_by_role("link", name="outcome unknown").click()

    await page.wait_for_url(f"**/alerts?user={LEE}")
    await expect(held).to_have_text([f"{LEE} · 100 tokens held"])
    await expect(page.get_by_text("oldest")).to_have_count(0)
    await page.locator("article summary").last.click()
    form = form_of(page, "release")
    await form.locator("[name=reason]").fill("there was no answer")
    await form.get_by_role("button").click()
    await expect(page.get_by_text("Every call has an outcome.")).to_be_visible()
    await expect(page).to_have_url(f"{own_site.url}/dashboard/alerts?user={LEE}")


PICTURE = {
    "candidates": [
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0K+/AA" * 250_000}}]}}
    ],
    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 1_290, "totalTokenCount": 1_310},
    "modelVersion": "gemini-2.5-flash-image",
    "responseId": "answer-with-a-picture",
}


async def test_an_answer_with_a_picture_is_charged_as_it_came(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    await unknown(ledger, LEE)
    page = await opens_own(f"/alerts?user={LEE}")
    await page.locator("article summary").first.click()
    form = form_of(page, "charge")

    await form.locator("textarea").fill(json.dumps(PICTURE))
    await form.get_by_role("button").click()

    await expect(page.get_by_text("Every call has an outcome.")).to_be_visible()
    charged = "SELECT total FROM jangbu.usage WHERE response_id = 'answer-with-a-picture'"
    assert await ask(own_site, charged) == [(1_310,)]


SAID = {"en": "This answer was charged before, as that of call", "ko": "이 응답은 다른 호출"}


@pytest.mark.parametrize("language", SAID)
async def test_the_answer_of_another_held_call_is_refused(opens_own: Opens, ledger: Metering, language: str) -> None:
    first, second = await unknown(ledger, LEE), await unknown(ledger, LEE)
    answer = json.dumps({**PICTURE, "candidates": [], "responseId": f"answer-{language}"})
    page = await opens_own(f"/alerts?user={LEE}", language=language)
    for left in (2, 1):
        await expect(page.locator("article h3")).to_have_count(left)
        await page.locator("article summary").first.click()
        form = form_of(page, "charge").first
        await form.locator("textarea").fill(answer)
        await form.get_by_role("button").click()
    await expect(page.get_by_text(f"{SAID[language]} {first.id}")).to_be_visible()
    await ledger.execute(Release(second, "it had no answer"))


async def test_an_answer_of_too_many_values_is_refused(opens_own: Opens, ledger: Metering) -> None:
    await unknown(ledger, LEE)
    page = await opens_own(f"/alerts?user={LEE}")
    await page.locator("article summary").first.click()
    answer = '{"embedding": {"values": [' + "0," * VALUES_MOST + "0]}}"

    refused = await send(page, form_of(page, "charge"), answer=answer)

    assert refused.status == 413


@pytest.mark.parametrize("user", ["nobody", "erased:4b9ee2a2-3d0f-5f7e-8f6d-0d4c2f4e9a11", "a%E2%80%8Db"])
async def test_who_is_no_user_has_none(opens_own: Opens, ledger: Metering, user: str) -> None:
    await unknown(ledger, KIM)

    page = await opens_own(f"/alerts?user={user}")

    await expect(page.locator("article")).to_have_count(0)
    await expect(page.get_by_text("Every call has an outcome.")).to_be_visible()


REASONS = {
    "en": (
        "the answer took too long",
        "Gemini did not answer: ReadTimeout",
        "its time was up",
        "asked them on the phone",
    ),
    "ko": ("응답이 너무 오래 걸림", "Gemini가 응답하지 않음: ReadTimeout", "시한이 지남", "asked them on the phone"),
}


@pytest.mark.parametrize(("language", "held"), [("en", "1,000 tokens held"), ("ko", "1,000토큰 예약")])
async def test_the_list_of_findings_tells_why_in_its_own_language(
    opens_own: Opens, ledger: Metering, language: str, held: str
) -> None:
    user = f"why-{language}"
    await ledger.accounts.create(user)
    await ledger.accounts.grant(user, 10_000, key="first")
    for reason in (REASONS["en"][0], "sent, and no answer came: ReadTimeout", None, REASONS["en"][3]):
        call = Call(new_id(ledger.clock), user, "chat", "gemini-2.5-flash", Bounds(10, 10, True))
        await ledger.execute(TakeHold(call, 10, 1_000, 1_000))
        if reason is not None:
            await ledger.execute(MarkUnknown(call, reason))
            continue
        async with ledger.database.connection() as connection:
            await connection.execute("UPDATE jangbu.holds SET expires_at = now() WHERE id = $1", call.id)
        await ledger.holds.expire()

    page = await opens_own(f"/alerts?user={user}", language=language)

    found = [(cells[3], cells[5]) for cells in await rows(page, "open")]
    assert [sum(why.endswith(f" {said}") for why, _ in found) for said in REASONS[language]] == [1, 1, 1, 1]
    assert {observed for _, observed in found} == {held}
