"""When the prices of a book hold, and what changes later."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jangbu.domain.price_book import Meter, Modality, Price, PriceBook
from jangbu.domain.price_dates import Standing, Turn, held, priced_models, standing, turns
from jangbu.domain.usage import Platform, Tier

AT = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROW = Price(model="kite", meter=Meter.INPUT, price_nano=1, source="a price list")
LATER = replace(ROW, price_nano=2, valid_from=AT + DAY)


def test_a_row_stands_as_its_dates_and_its_rivals_have_it() -> None:
    over = replace(ROW, price_nano=3, valid_from=AT - DAY, valid_to=AT)
    book = PriceBook((ROW, over, LATER))
    assert [standing(book, row, AT) for row in book.rows] == [Standing.HOLDS, Standing.OVER, Standing.LATER]
    assert [standing(book, row, AT - DAY) for row in book.rows] == [Standing.OUTDONE, Standing.HOLDS, Standing.LATER]
    assert [standing(book, row, AT + DAY) for row in book.rows] == [Standing.OUTDONE, Standing.OVER, Standing.HOLDS]


def test_an_own_price_outdoes_the_one_of_the_book() -> None:
    book = PriceBook((ROW,)).with_overrides([replace(ROW, price_nano=5)])
    assert [standing(book, row, AT) for row in book.rows] == [Standing.OUTDONE, Standing.HOLDS]


def test_a_row_for_both_platforms_holds_as_long_as_it_does_on_one() -> None:
    gemini = replace(ROW, price_nano=2, platform=Platform.GEMINI_API)
    vertex = replace(ROW, price_nano=3, platform=Platform.VERTEX)
    assert standing(PriceBook((ROW, gemini)), ROW, AT) is Standing.HOLDS
    assert standing(PriceBook((ROW, gemini, vertex)), ROW, AT) is Standing.OUTDONE


def test_a_row_of_a_band_is_asked_for_by_a_prompt_of_that_band() -> None:
    band = replace(ROW, price_nano=2, above_prompt_tokens=200_000)
    book = PriceBook((ROW, band))
    assert [standing(book, row, AT) for row in book.rows] == [Standing.HOLDS, Standing.HOLDS]
    assert [held(book, row, AT) for row in book.rows] == [ROW, band]


def test_what_changes_later_is_told_once_and_in_order() -> None:
    ends = replace(ROW, model="swift", valid_to=AT + 2 * DAY)
    audio = replace(ROW, price_nano=7, modality=Modality.AUDIO, valid_to=AT + 3 * DAY)
    book = PriceBook((ROW, ends, audio, LATER, replace(LATER, tier=Tier.BATCH)))
    assert turns(book, AT) == (
        Turn(AT + DAY, replace(LATER, tier=Tier.BATCH), None, replace(LATER, tier=Tier.BATCH)),
        Turn(AT + DAY, LATER, ROW, LATER),
        Turn(AT + 2 * DAY, ends, ends, None),
        Turn(AT + 3 * DAY, audio, audio, LATER),
    )
    assert turns(book, AT + DAY)[0].at == AT + 2 * DAY
    assert turns(book, AT + 3 * DAY) == ()


def test_a_date_after_which_the_same_row_holds_is_no_change() -> None:
    own = replace(ROW, price_nano=5)
    assert turns(PriceBook((ROW, LATER)).with_overrides([own]), AT) == ()


def test_models_with_a_price_are_those_of_whose_names_a_row_holds() -> None:
    begins, ended = replace(LATER, model="later"), replace(ROW, model="over", valid_from=AT - DAY, valid_to=AT)
    pattern = replace(ROW, model="kite-*")
    book = PriceBook((ROW, LATER, begins, ended, pattern))
    assert priced_models(book, AT) == ("kite",)
    assert priced_models(book, AT - DAY) == ("kite", "over")
    assert priced_models(book, AT + DAY) == ("kite", "later")
