"""A grant by hand that names its order is the app's own: done once for both, and found again by the order's number.

The app's top-up for an order fails, support grants it by hand, and the app tries again.
"""

import asyncio
import itertools

import pytest
from playwright.async_api import expect

from jangbu.domain.ledger import account_id
from jangbu.errors import IdempotencyConflict
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.raw import Answer, Visitor, asked_of, signed_in
from tests.dashboard.reading import ask, rows
from tests.dashboard.site import OWNER, USERS, Site
from tests.dashboard.test_refused import said, told_in_korean

KIM, LEE = USERS[:2]
GRANTS = (
    "SELECT e.key, e.delta FROM jangbu.entries AS e WHERE e.account_id = $1 AND e.kind = 'grant' AND e.key LIKE $2"
    " ORDER BY e.seq"
)
TRIES = itertools.count()

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def granted_by(site: Site, key: str, user: str = KIM) -> list[tuple[str, int]]:
    return [(key, delta) for key, delta in await ask(site, GRANTS, account_id("default", user), key)]


async def by_hand(site: Site, order: str, *, language: str = "en", **changes: str) -> Answer:
    """Send the form of a page that was opened for it, as who shows no page again does."""
    owner: Visitor = await asyncio.to_thread(signed_in, site, OWNER)
    fields = {"user": KIM, "amount": "500", "order": order, "key": f"order-{next(TRIES)}"} | changes
    return await asyncio.to_thread(owner.send, "/user/grant", fields, accept_language=language)


def notice(answer: Answer) -> str:
    assert answer.status == 303, answer.text
    return asked_of(answer.leads_to)["notice"]


async def test_what_support_grants_for_an_order_is_not_granted_again_by_the_app(
    own_site: Site, ledger: Metering
) -> None:
    assert notice(await by_hand(own_site, "order-17")) == "granted"
    again = await ledger.accounts.grant(KIM, 500, key="order-17")
    assert again.replayed, "the app is told that it has what it asked for"
    assert await granted_by(own_site, "key:order-17") == [("key:order-17", 500)]


async def test_an_order_that_the_app_granted_is_told_as_granted_before(own_site: Site, ledger: Metering) -> None:
    await ledger.accounts.grant(KIM, 500, key="order-18")
    for _ in range(2):
        assert notice(await by_hand(own_site, "order-18")) == "granted_before"
    assert await granted_by(own_site, "key:order-18") == [("key:order-18", 500)]


@pytest.mark.parametrize(
    "changes",
    [{"amount": "501"}, {"source": "gift"}, {"priority": "1"}, {"expires_on": "2999-01-01"}],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_number_of_another_grant_is_refused_and_leads_to_where_it_stands(
    own_site: Site, changes: dict[str, str]
) -> None:
    order = f"of-another-{next(iter(changes))}"
    assert notice(await by_hand(own_site, order)) == "granted"
    refused = await by_hand(own_site, order, **changes)
    assert refused.status == 409
    assert f"“{order}” was used before for something else of this user" in said(refused.text)
    assert "Nothing was granted" in said(refused.text)
    assert "이미 다른 내용" in told_in_korean((await by_hand(own_site, order, language="ko", **changes)).text)
    assert await granted_by(own_site, f"key:{order}") == [(f"key:{order}", 500)]


async def test_a_number_of_a_correction_is_none_of_a_grant(own_site: Site, ledger: Metering) -> None:
    await ledger.accounts.adjust(KIM, -5, reason="it was too much", key="correction-1")
    refused = await by_hand(own_site, "correction-1")
    assert refused.status == 409
    assert "or no grant" in said(refused.text)
    assert await granted_by(own_site, "key:correction-1") == []
    with pytest.raises(IdempotencyConflict):
        await ledger.accounts.grant(KIM, 5, key="correction-1")


async def test_an_order_is_of_one_user_and_another_ones_has_its_own(own_site: Site) -> None:
    assert [notice(await by_hand(own_site, "order-19", user=user)) for user in (KIM, LEE)] == ["granted", "granted"]
    assert await granted_by(own_site, "key:order-19", LEE) == [("key:order-19", 500)]


async def test_spaces_around_a_number_are_none_of_it_and_what_it_may_not_be_is_told(own_site: Site) -> None:
    assert notice(await by_hand(own_site, "  order 20 ")) == "granted"
    assert await granted_by(own_site, "key:order 20") == [("key:order 20", 500)]
    for wrong in ("a\tb", "a\nb", "x" * 251):
        refused = await by_hand(own_site, wrong)
        assert refused.status == 400
        assert "at most 250 printable characters" in said(refused.text)
        assert "250자" in told_in_korean((await by_hand(own_site, wrong, language="ko")).text)
    assert notice(await by_hand(own_site, "x" * 250)) == "granted"


async def test_without_a_number_each_page_grants_once_however_often_its_form_is_sent(own_site: Site) -> None:
    for _ in range(2):
        assert notice(await by_hand(own_site, "", key="of-one-page")) == "granted"
    assert notice(await by_hand(own_site, "", key="of-another-page")) == "granted"
    assert len(await granted_by(own_site, "key:dashboard:of-%-page")) == 2


async def test_the_number_is_entered_on_the_users_page_and_stands_in_the_ledger(opens_own: Opens) -> None:
    page = await opens_own(f"/user?user={LEE}")
    for told in ("The tokens were granted.", "The tokens of this order were granted before."):
        await page.get_by_text("Grant tokens", exact=True).click()
        form = page.locator("form[action$='/user/grant']")
        await expect(form.get_by_label("Order or payment number")).to_have_accessible_description(
            "As the app names it, in its idempotency key: however often the app or you send it, it is granted once."
            " May stay empty."
        )
        await form.get_by_label("Tokens").fill("700")
        await form.get_by_label("Order or payment number").fill("pay_21")
        await form.get_by_role("button").click()
        await expect(page.get_by_role("status").first).to_contain_text(told)
    await page.goto(page.url.partition("/user")[0] + f"/ledger?user={LEE}&kind=grant")
    assert next(cells[7] for cells in await rows(page, "entries")) == "pay_21"
