"""What is a figure in English is the same one in Korean: of every tile, table and fact of every page.

Other tests hold the English figures to the raw records, so these hold the Korean ones to them, too.
"""

import re
from decimal import Decimal

import pytest

from jangbu.dashboard.page import Page
from jangbu.dashboard.pages.all import PAGES
from tests.dashboard.conftest import Opens
from tests.dashboard.drilling import Reader, figures_of
from tests.dashboard.shown import read
from tests.dashboard.site import MODELS, SERVICES, Site
from tests.dashboard.varied import KIM

NUMBER = re.compile(r"([0-9]+(?:[.,][0-9]+)*)([만억KMB]?)")
SHORT = {"": 1, "K": 10**3, "만": 10**4, "M": 10**6, "억": 10**8, "B": 10**9}
WINDOW = "zone=Asia/Seoul&range=90d"
AT = {
    "overview": (f"/?{WINDOW}", f"/?{WINDOW}&service={SERVICES[0]}&by_user=1"),
    "user": (f"/user?user={KIM}&{WINDOW}",),
    "ledger": (f"/ledger?user={KIM}&entry=3", f"/ledger?user={KIM}&asset=money"),
    "models": (f"/models?model={MODELS[0]}&{WINDOW}", f"/models?service={SERVICES[0]}&range=24h"),
    "cost": (f"/cost?{WINDOW}&by_key=all", f"/cost?{WINDOW}&whatif={MODELS[1]}", f"/cost?{WINDOW}&compare=1"),
}

pytestmark = pytest.mark.asyncio(loop_scope="session")


def numbers_of(text: str) -> list[list[Decimal]]:
    """Give the numbers of each figure in turn; within one, languages put them in another order."""
    return [
        sorted(Decimal(digits.replace(",", "")) * SHORT[unit] for digits, unit in NUMBER.findall(figure.said))
        for figure in figures_of(read(text))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_the_figures_are_the_same_in_both_languages(opens_varied: Opens, varied: Site, page: Page) -> None:
    browser = await opens_varied("/")
    addresses = AT.get(page.name, (page.path,))
    if page.name == "call":
        addresses = (f"/call?call={varied.call}&user={KIM}",)
    for address in addresses:
        reader = await Reader.of(browser)
        link = f"/dashboard{address}{'&' if '?' in address else '?'}lang="
        english = await reader.beside(f"{link}en")
        korean = await reader.beside(f"{link}ko")
        assert '<html lang="en"' in english
        assert '<html lang="ko"' in korean
        figures = numbers_of(english)
        assert figures or page.name not in AT
        assert numbers_of(korean) == figures, address
