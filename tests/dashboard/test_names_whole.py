"""Names in lists are read at a glance: one of usual length is not broken at its hyphens into as many lines."""

import pytest

from tests.dashboard.conftest import Opens
from tests.dashboard.site import USERS

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
