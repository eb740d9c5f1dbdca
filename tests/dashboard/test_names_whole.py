"""Names in lists are read at a glance: one of usual length is not broken at its hyphens into as many lines. One that is
longer than a page makes none wider.
"""

import pytest

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, MarkUnknown, TakeHold
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.site import USERS, Site
from tests.metering.telling import answer

LINES = """() => [...document.querySelectorAll("#calls ~ .wide .model")].map((each) => {
    const text = document.createRange();
    text.selectNodeContents(each.firstChild);
    return text.getClientRects().length;
})"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_a_model_in_a_list_of_calls_stands_on_one_line(opens: Opens, language: str, width: int) -> None:
    page = await opens(f"/user?user={USERS[0]}", language=language, width=width)
    lines = await page.evaluate(LINES)
    assert len(lines) > 10
    assert set(lines) == {1}


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_a_name_without_any_break_makes_no_page_wider(
    opens_own: Opens, own_site: Site, ledger: Metering, language: str
) -> None:
    user = language + "x" * 198
    await ledger.accounts.create(user)
    await ledger.accounts.grant(user, 1_000, key="first")
    record = (await ledger.record(user, "chat", answer(20))).id
    call = Call(new_id(ledger.clock), user, "s" * 50, "m" * 100, Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 100, 100))
    await ledger.execute(MarkUnknown(call, "the answer took too long"))
    page = await opens_own("/", width=320, language=language)
    for path in ("/", f"/call?call={record}", f"/call?call={call.id}", "/alerts", f"/calls?find={'x' * 900}"):
        await page.goto(f"{own_site.url}/dashboard{path}")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
