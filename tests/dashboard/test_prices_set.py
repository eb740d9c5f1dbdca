"""Prices that a setting names: the page says so, and changes none of what the next start would undo."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jangbu.config import Settings
from jangbu.wiring import open_metering
from tests.dashboard.raw import Visitor, signed_in
from tests.dashboard.site import let_in_members, serving

BOOK = {"entries": [{"models": ["gemini-99-dream"], "usd": {"input": "0.1"}, "source": "the price page"}]}


@pytest.fixture
async def members(database_url: str) -> None:
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        await let_in_members(ledger)


@pytest.fixture
def finance(database_url: str, members: None, tmp_path: Path) -> Iterator[Visitor]:
    del members
    (tmp_path / "set.json").write_text(json.dumps(BOOK))
    with serving(database_url, tmp_path, JANGBU_PRICE_BOOK="set.json") as site:
        yield signed_in(site, "finance")


def test_what_the_shipped_book_knows_more_is_not_taken_over(finance: Visitor) -> None:
    for language, words in (("en", "would undo this at the next start"), ("ko", "다음 시작 때 되돌아갑니다")):
        tried = finance.get("/prices/change?do=shipped", accept_language=language)
        assert words in tried.text
    file = {"do": "file", "book": json.dumps(BOOK).replace("0.1", "0.2")}
    assert "JANGBU_PRICE_BOOK" in finance.send("/prices/change/try-file", file).text
    own = "/prices/change?do=price&price_model=gemini-99-dream&meter=input&usd=0.3&source=contract"
    assert "JANGBU_PRICE_BOOK" not in finance.get(own).text
