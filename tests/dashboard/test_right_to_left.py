"""A user whose id is written from right to left: what stands beside it is read as it is beside any other."""

import pytest

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, MarkUnknown, TakeHold
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens

ARABIC = "مستخدم-عربي"
# Where each number of a text begins on its line, as it is drawn.
PLACES = """(element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), places = [];
    while (walker.nextNode()) for (const found of walker.currentNode.data.matchAll(/[0-9,]+/g)) {
        const range = document.createRange();
        range.setStart(walker.currentNode, found.index);
        range.setEnd(walker.currentNode, found.index + found[0].length);
        places.push(range.getBoundingClientRect().left);
    }
    return places;
}"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_dates_and_numbers_beside_it_are_not_turned_around(opens_own: Opens, ledger: Metering) -> None:
    await ledger.accounts.create(ARABIC)
    await ledger.accounts.grant(ARABIC, 1_000_000, key="first")
    call = Call(new_id(ledger.clock), ARABIC, "chat", "gemini-2.5-flash", Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 12_345, 12_345))
    await ledger.execute(MarkUnknown(call, "the line broke"))

    page = await opens_own("/", language="ko")
    line = page.locator("section[aria-labelledby=open-findings] li", has_text=ARABIC)
    places = await line.evaluate(PLACES)
    assert len(places) == 6, "a day and a time of day"
    assert places == sorted(places)

    page = await opens_own("/alerts", language="ko")
    head = page.locator("h3", has_text=ARABIC)
    [number] = await head.evaluate(PLACES)
    name = await head.locator("a").bounding_box()
    assert name is not None
    assert number > name["x"] + name["width"] - 1
