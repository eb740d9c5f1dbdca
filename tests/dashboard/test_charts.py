"""What charts tell without their colours, and that what stands in them can be read."""

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opens

# Where names do not fit they are turned over, and are cut off under the number that says where one is.
OVERLAPPING = r"""() => {
    const shown = [...document.querySelectorAll("figure[data-chart] svg")].flatMap((svg) => {
        const boxes = [...svg.querySelectorAll("text")].map((each) => [each.textContent, each.getBoundingClientRect()])
            .filter(([text, box]) => text && box.width && !/^[0-9]+\/[0-9]+$/.test(text));
        return boxes.flatMap(([text, box], number) => boxes.slice(number + 1).filter(([, other]) =>
            Math.min(box.right, other.right) - Math.max(box.left, other.left) > 1
            && Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 3
        ).map(([other]) => `${text} | ${other}`));
    });
    return [...new Set(shown)];
}"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 1280), ("ko", 390)])
async def test_parts_differ_by_patterns_and_no_name_lies_on_another(opens: Opens, language: str, width: int) -> None:
    page = await opens("/?range=90d", language=language, width=width)
    chart = page.locator("figure[data-chart]", has=page.locator("#by-model-title"))
    await expect(chart.locator("svg path").first).to_be_attached()
    assert await chart.locator("svg pattern").count() >= 3, "each model has a pattern of its own"
    assert await page.evaluate(OVERLAPPING) == []
