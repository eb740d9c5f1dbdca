"""Which row of a price book holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.price_book import Meter, Modality, Price, PriceBook
from jangbu.domain.usage import Platform, Tier
from jangbu.errors import InvalidInput

AT = datetime(2026, 6, 1, tzinfo=UTC)
ROW = Price(model="kite", meter=Meter.INPUT, price_nano=1, source="a price list")


def price(
    book: PriceBook, *, platform: Platform = Platform.GEMINI_API, prompt: int = 1, at: datetime = AT
) -> int | None:
    found = book.plan("kite", Tier.STANDARD, platform, at, prompt).price(Meter.INPUT, Modality.AUDIO)
    return None if found is None else found.price_nano


@pytest.mark.parametrize(
    "better",
    [
        replace(ROW, price_nano=2, priority=1),
        replace(ROW, price_nano=2, platform=Platform.GEMINI_API),
        replace(ROW, price_nano=2, modality=Modality.AUDIO),
        replace(ROW, price_nano=2, valid_from=AT),
        replace(ROW, price_nano=2, above_prompt_tokens=5),
    ],
)
def test_the_more_specific_row_wins_in_either_order(better: Price) -> None:
    assert price(PriceBook((ROW, better)), prompt=6) == 2
    assert price(PriceBook((better, ROW)), prompt=6) == 2


def test_of_equal_rows_the_later_one_wins() -> None:
    assert price(PriceBook((ROW, replace(ROW, price_nano=2)))) == 2


def test_a_row_of_one_platform_says_nothing_of_the_other() -> None:
    book = PriceBook((replace(ROW, platform=Platform.VERTEX),))
    assert price(book, platform=Platform.VERTEX) == 1
    assert price(book) is None


def test_a_plan_is_found_anew_when_the_date_or_the_band_changes() -> None:
    rows = (ROW, replace(ROW, price_nano=2, valid_from=AT), replace(ROW, price_nano=3, above_prompt_tokens=10))
    book = PriceBook(rows)
    before = AT - timedelta(seconds=1)
    assert [price(book, at=before), price(book), price(book, prompt=11), price(book, at=before)] == [1, 2, 3, 1]


def test_overrides_win_over_rows_of_any_priority() -> None:
    book = PriceBook((replace(ROW, priority=999),), version=3).with_overrides([replace(ROW, price_nano=2)])
    assert (price(book), book.version) == (2, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"model": ""},
        {"model": "ki*te"},
        {"source": " "},
        {"price_nano": -1},
        {"price_nano": 10**15 + 1},
        {"price_nano": 0.5},
        {"price_nano": True},
        {"unit_size": 0},
        {"above_prompt_tokens": -1},
        {"valid_from": datetime(2026, 6, 1)},  # noqa: DTZ001
        {"valid_from": AT, "valid_to": AT},
    ],
)
def test_a_row_that_cannot_be_meant_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(ROW, **change)  # type: ignore[arg-type]


ROWS = st.builds(
    Price,
    model=st.sampled_from(["kite", "swift", "kite*"]),
    meter=st.sampled_from(Meter),
    price_nano=st.integers(0, 10**15),
    source=st.just("a price list"),
    modality=st.sampled_from(Modality),
    tier=st.sampled_from(Tier),
    platform=st.none() | st.sampled_from(Platform),
    above_prompt_tokens=st.integers(0, 10**9),
    valid_from=st.none() | st.just(AT).map(lambda day: day.astimezone(timezone(timedelta(hours=9)))),
    priority=st.integers(0, 999),
    note=st.text(max_size=9),
)


@given(st.lists(ROWS, max_size=5))
def test_rows_survive_their_plain_form_and_keep_their_digest(rows: list[Price]) -> None:
    book = PriceBook(tuple(rows), version=4)
    again = PriceBook.from_rows(book.to_rows(), version=4)
    assert again == book
    assert again.digest() == book.digest()


def test_another_price_gives_another_digest() -> None:
    assert PriceBook((ROW,)).digest() != PriceBook((replace(ROW, price_nano=2),)).digest()


@pytest.mark.parametrize(
    "change", [{"meter": "kite"}, {"tier": 7}, {"valid_from": 3}, {"unknown": 1}, {"platform": ""}]
)
def test_a_plain_row_that_cannot_be_read_is_named(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="row 2: price of kite"):
        PriceBook.from_rows([ROW.to_row(), {**ROW.to_row(), **change}])
