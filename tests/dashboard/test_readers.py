"""Who may only read is offered nothing to do: no column for it that is empty, and no link that promises it."""

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opens
from tests.dashboard.site import DEVELOPER, FINANCE, VIEWER
from tests.dashboard.varied import KIM

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(("member", "heads"), [(VIEWER, 0), (DEVELOPER, 1), (FINANCE, 1)])
async def test_findings_have_a_column_of_what_can_be_done_for_who_may_do_it(
    opens_varied: Opens, member: str, heads: int
) -> None:
    page = await opens_varied("/alerts", member=member)
    table = page.locator("#open ~ .wide table")
    await expect(table.get_by_role("columnheader", name="What can be done")).to_have_count(heads)
    columns = await table.locator("thead th").count()
    assert await table.locator("tbody tr").first.locator("th, td").count() == columns


@pytest.mark.parametrize(
    ("member", "said"), [(VIEWER, "What this user has and used"), (FINANCE, "Grant tokens or correct the balance")]
)
async def test_a_ledger_leads_to_its_user_for_what_can_be_done_there(
    opens_varied: Opens, member: str, said: str
) -> None:
    page = await opens_varied(f"/ledger?user={KIM}", member=member)
    await page.get_by_role("link", name=said).click()
    await page.wait_for_url(f"**/dashboard/user?user={KIM}")
