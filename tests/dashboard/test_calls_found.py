"""The search in the head of every page: a call's name leads to its page, and what names none is said to."""

import asyncio
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

import pytest
from playwright.async_api import expect

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.look import Look
from jangbu.dashboard.pages.call import PAGE as CALL
from jangbu.dashboard.texts import texts_of
from jangbu.domain.flow import Bounds, Call, MarkUnknown, Release, Settle, TakeHold
from jangbu.domain.members import Session
from jangbu.metering.erasing import erase
from jangbu.metering.holds import Holds
from jangbu.metering.meter import Metering
from jangbu.storage.holds import HoldRow
from tests.dashboard.conftest import Opens
from tests.dashboard.raw import Visitor, asked_of, signed_in
from tests.dashboard.reading import facts
from tests.dashboard.site import OWNER, USERS, VIEWER, Site
from tests.metering.telling import answer

KIM, LEE = USERS[:2]

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def asked(visitor: Visitor, text: str, language: str = "en") -> tuple[str, str]:
    """Give where looking for a name leads to, and else what is shown."""
    path = f"/calls?{urlencode({'find': text})}"
    found = await asyncio.to_thread(visitor.get, path, accept_language=language)
    return found.leads_to, found.text


async def held(ledger: Metering, user: str = KIM) -> Call:
    call = Call(new_id(ledger.clock), user, "chat", "gemini-2.5-flash", Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 100, 100))
    return call


@pytest.mark.parametrize("width", [1280, 390])
async def test_what_is_pasted_on_any_page_leads_to_its_call(
    opens_own: Opens, own_site: Site, ledger: Metering, width: int
) -> None:
    used = answer(20)
    call = (await ledger.record(KIM, "chat", used, call_key=f"order-{width}")).id
    page = await opens_own("/prices?zone=Asia/Kolkata", member=VIEWER, width=width)
    for text in (f"x-jangbu-call-id: {call}", used.response_id, f"order-{width}"):
        await page.get_by_role("search").get_by_role("searchbox").fill(str(text))
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/dashboard/call?*")
        assert asked_of(page.url) == {"call": str(call), "user": KIM, "zone": "Asia/Kolkata"}
        await expect(page.locator("#facts ~ dl code").first).to_have_text(str(call))


async def test_a_call_that_was_not_recorded_has_a_page_in_every_state(opens_own: Opens, ledger: Metering) -> None:
    calls = {state: await held(ledger) for state in ("open", "unknown", "released")}
    await ledger.execute(MarkUnknown(calls["unknown"], "the answer took too long"))
    await ledger.execute(Release(calls["released"], "the provider answered 503"))
    page = await opens_own("/ledger/holds", member=VIEWER, language="ko")
    said = {
        "open": "진행 중인 호출입니다.",
        "unknown": "결과를 알 수 없습니다.",
        "released": "100토큰은 돌려주었습니다.",
    }
    for state, call in calls.items():
        await page.get_by_role("search").get_by_role("searchbox").fill(str(call.id))
        await page.get_by_role("button", name="찾기").click()
        await page.wait_for_url(f"**/dashboard/call?call={call.id}&user={KIM}")
        await expect(page.get_by_text(said[state])).to_be_visible()
        shown = await facts(page.locator("main"))
        assert (shown["호출 ID"], shown["모델"]) == (str(call.id), "gemini-2.5-flash")
    await page.goto(page.url.replace(str(calls["released"].id), str(calls["unknown"].id)))
    await page.get_by_role("link", name="결과를 알 수 없는 호출").click()
    await page.wait_for_url(f"**/dashboard/alerts?user={KIM}")


async def test_a_call_that_is_recorded_while_its_page_is_made_is_explained(
    own_site: Site, ledger: Metering, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, show = await held(ledger), Holds.show

    async def shown_late(holds: Holds, hold: UUID) -> HoldRow | None:
        await ledger.execute(Settle(call, answer(20)))
        return await show(holds, hold)

    monkeypatch.setattr(Holds, "show", shown_late)
    member, now = await ledger.members.find(VIEWER), ledger.clock.now()
    session = Session(new_id(ledger.clock), member, b"secret", now, now, now)
    look = Look(
        ledger, cast(Any, None), Settings.load(database_url=own_site.database_url), session, "/dashboard/call",
        {"call": str(call.id), "user": KIM}, texts_of("en"), Formats("en", "UTC"), now,
    )  # fmt: skip
    page = await CALL.show(look)
    assert isinstance(page, dict)
    assert page["record"].id == call.id


async def test_a_hold_in_the_list_leads_to_its_call(opens_own: Opens, ledger: Metering) -> None:
    call = await held(ledger, LEE)
    page = await opens_own(f"/ledger/holds?state=open&user={LEE}")
    await page.get_by_role("link", name=str(call.id)).click()
    await expect(page.locator("h1")).to_contain_text("call under way")


async def test_a_key_of_several_users_has_all_their_calls_to_choose_from(own_site: Site, ledger: Metering) -> None:
    calls = {user: (await ledger.record(user, "chat", answer(20), call_key="many")).id for user in (KIM, LEE)}
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    leads_to, text = await asked(owner, "many")
    assert (leads_to, "the name of several calls" in text) == ("", True)
    assert all(f"call={call}&amp;user={user}" in text for user, call in calls.items())


async def test_a_key_is_looked_for_with_the_blanks_that_it_was_recorded_with(own_site: Site, ledger: Metering) -> None:
    call = (await ledger.record(KIM, "chat", answer(20), call_key=" order 7 ")).id
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    assert asked_of((await asked(owner, " order 7 "))[0]) == {"call": str(call), "user": KIM}


async def test_a_text_with_several_ids_has_all_their_calls_to_choose_from(own_site: Site, ledger: Metering) -> None:
    first, second = [(await ledger.record(KIM, "chat", answer(20))).id for _ in range(2)]
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    _, text = await asked(owner, f"not {str(first).upper()}, but {second}")
    assert ("Several ids stand in it." in text, "Keys are chosen" in text) == (True, False)
    assert text.index(f"call={second}&amp;") < text.index(f"call={first}&amp;"), "the latest first"


async def test_what_was_looked_for_is_said_where_nothing_is_found(own_site: Site) -> None:
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    for text in ("order-404", "01a22c8a-f8c2-790a-bec6-b9ac3e809967", "<script>alert(1)</script>", "\x00"):
        leads_to, shown = await asked(owner, text)
        assert (leads_to, "There is no call “" in shown, "<script>alert" in shown) == ("", True, False)
    assert "“order-404” 호출이 없습니다." in (await asked(owner, "order-404", "ko"))[1]
    assert "A call is found by any of these" in (await asked(owner, "  "))[1]


async def test_an_erased_users_call_is_led_to_without_a_name(own_site: Site, ledger: Metering) -> None:
    await ledger.accounts.create("gone")
    call = (await ledger.record("gone", "chat", answer(20))).id
    await erase(ledger, "default", "gone")
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    leads_to, _ = await asked(owner, str(call))
    assert asked_of(leads_to) == {"call": str(call)}
    assert (await asyncio.to_thread(owner.get, leads_to.removeprefix("/dashboard"))).status == 200


async def test_another_users_held_call_is_not_shown_as_ones_own(own_site: Site, ledger: Metering) -> None:
    call = await held(ledger, LEE)
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    assert (await asyncio.to_thread(owner.get, f"/call?call={call.id}&user={KIM}")).status == 404


async def test_nobody_looks_for_calls_without_signing_in(own_site: Site) -> None:
    leads_to, _ = await asked(Visitor(own_site), "order-404")
    assert leads_to.startswith("/dashboard/sign-in?next=")
