"""What a price keeps to that comes from outside."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jangbu.domain.price_book import OVERRIDE_PRIORITY, Meter, Price
from jangbu.domain.price_bounds import bounded, legible
from jangbu.domain.windows import FIRST, LAST
from jangbu.errors import InvalidInput

ROW = Price(model="kite", meter=Meter.INPUT, price_nano=1, source="a price list")
INSTANT = timedelta(microseconds=1)


def test_a_price_within_its_bounds_is_given_as_it_is() -> None:
    row = replace(ROW, valid_from=FIRST, valid_to=LAST, priority=OVERRIDE_PRIORITY - 1)
    assert bounded(row) is row
    assert bounded(ROW) is ROW


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, valid_from=datetime(1, 1, 1, tzinfo=UTC)),
        replace(ROW, valid_from=FIRST - INSTANT),
        replace(ROW, valid_to=LAST + INSTANT),
        replace(ROW, valid_to=datetime.max.replace(tzinfo=UTC)),
        replace(ROW, priority=OVERRIDE_PRIORITY),
    ],
)
def test_a_price_outside_of_them_is_refused_and_read_from_storage_all_the_same(row: Price) -> None:
    with pytest.raises(InvalidInput, match=r"^price of kite: "):
        bounded(row)
    assert Price.from_row(row.to_row()) == row


@pytest.mark.parametrize("text", ["k" * 11, "ki\x00te", "\ud800", "two\nlines", None, 3, ["kite"]])
def test_text_is_short_and_can_be_printed(text: object) -> None:
    with pytest.raises(InvalidInput, match=r"^a name is text of at most 10 printable characters$"):
        legible(text, "a name", 10)
    assert legible("연 kite", "a name", 10) == "연 kite"
