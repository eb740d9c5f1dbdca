"""What Jangbu notes where people give a reason, in Korean: none of it stands in English there."""

from datetime import timedelta

import pytest
from playwright.async_api import expect

from jangbu.domain.ledger import Asset, erased_name
from jangbu.metering.erasing import erase
from jangbu.metering.meter import Metering
from jangbu.storage import usage
from tests.dashboard.conftest import Opens
from tests.dashboard.reading import rows
from tests.dashboard.site import USERS, Site
from tests.metering.later import end_grants
from tests.metering.telling import UNPRICED, answer, use

KIM, LEE = USERS[:2]
LATER, GONE = "기록한 뒤에 가격을 적용함", "사용자 정보가 삭제됨"
REASON = 5

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_was_priced_later_is_said_on_each_page_of_its_entry(opens_own: Opens, ledger: Metering) -> None:
    await ledger.accounts.grant(KIM, 10**12, key="money", asset=Asset.MONEY)
    call = await use(ledger, 30, UNPRICED, KIM)
    account = ledger.accounts.id_of(KIM)
    assert await usage.write_prices(ledger.database, [(account, call, 700, 100, 900, 1)], "default", 0) == 1

    page = await opens_own(f"/ledger?user={KIM}&asset=money", language="ko")
    assert [cells[REASON] for cells in await rows(page, "entries")] == [LATER, ""]
    await page.locator("section[aria-labelledby=entries] tbody th a").first.click()
    await expect(page.locator("section[aria-labelledby=entry] dd", has_text=LATER)).to_be_visible()
    page = await opens_own(f"/call?user={KIM}&call={call}", language="ko")
    await expect(page.get_by_role("cell", name=LATER)).to_be_visible()


async def test_of_an_expiry_its_kind_says_all(opens_own: Opens, ledger: Metering) -> None:
    soon = await ledger.database.now() + timedelta(hours=1)
    await ledger.accounts.grant(LEE, 700, key="soon", expires_at=soon)
    await end_grants(ledger.database)
    await ledger.accounts.grants(LEE)

    page = await opens_own(f"/ledger?user={LEE}&kind=expiry", language="ko")

    [cells] = await rows(page, "entries")
    assert (cells[2], cells[REASON]) == ("만료", "")


async def test_a_finding_that_ended_with_its_user_says_so(opens_own: Opens, own_site: Site, ledger: Metering) -> None:
    await ledger.accounts.create("gone")
    call = (await ledger.record("gone", "chat", answer(30))).id
    late = "INSERT INTO jangbu.findings (account_id, usage_id, kind, detail) VALUES ($1, $2, 'late', '')"
    async with ledger.database.connection() as connection:
        await connection.execute(late, ledger.accounts.id_of("gone"), call)
    await erase(ledger, "default", "gone")

    page = await opens_own("/alerts?state=resolved", language="ko")

    await expect(page.get_by_text(f"해결 사유: {GONE}")).to_be_visible()
    name = erased_name(ledger.accounts.id_of("gone"))
    await page.goto(f"{own_site.url}/dashboard/user?user={name}")
    await expect(page.get_by_text(f"“{name}”의 사용자 정보는 삭제되었습니다.")).to_be_visible()
