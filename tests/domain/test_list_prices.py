"""What the list says of a model: of all its prices, the one that most calls begin with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jangbu.domain.list_prices import Listed, listed
from jangbu.domain.price_book import Meter, Modality, Price, PriceBook
from jangbu.domain.usage import Platform, Tier

AT = datetime(2026, 6, 1, tzinfo=UTC)
ROW = Price(model="kite", meter=Meter.INPUT, price_nano=1, source="a price list")
OUTPUT = replace(ROW, meter=Meter.OUTPUT, price_nano=9)


def of(*rows: Price) -> Listed | None:
    return listed(PriceBook(rows), "kite", Meter.INPUT, AT)


def test_it_is_the_standard_tier_of_the_day_for_text() -> None:
    others = (
        replace(ROW, tier=Tier.BATCH), replace(ROW, modality=Modality.AUDIO), replace(ROW, model="swift"), OUTPUT,
        replace(ROW, valid_from=AT + timedelta(days=1)), replace(ROW, platform=Platform.VERTEX),
    )  # fmt: skip
    text = replace(ROW, price_nano=3, modality=Modality.TEXT)
    assert of(*others) is None, "there is a dash where nothing is listed"
    assert of(ROW, *others) == Listed(ROW, None)
    assert of(ROW, text, *others) == Listed(text, None)


def test_of_prompts_it_is_the_shortest_and_says_how_long_they_are() -> None:
    longer, longest = (replace(ROW, price_nano=2, above_prompt_tokens=tokens) for tokens in (200, 500))
    elsewhere = replace(OUTPUT, above_prompt_tokens=100)
    assert of(longest, ROW, longer, elsewhere) == Listed(ROW, 200)


def test_an_own_price_and_a_pattern_are_on_the_list_as_calls_are_priced_by_them() -> None:
    pattern, own = replace(ROW, model="ki*"), replace(ROW, price_nano=5)
    book = PriceBook((pattern, replace(ROW, above_prompt_tokens=200)))
    assert listed(book, "kitten", Meter.INPUT, AT) == Listed(pattern, None)
    found = listed(book.with_overrides([own]), "kite", Meter.INPUT, AT)
    assert found is not None
    assert (found.price.price_nano, found.up_to) == (5, None), "it holds for prompts of any length"
