"""What is taken from genai-prices, how it is compared and how a book grows by it."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jangbu.domain.price_book import Meter, Price, PriceBook
from jangbu.domain.usage import Platform, Tier
from jangbu.errors import InvalidInput
from jangbu.prices import GOOGLE, Change, ChangeKind, append, diff, importer, load
from jangbu.prices.files import write

AT = datetime(2026, 11, 24, tzinfo=UTC)
ROW = Price(model="kite", meter=Meter.INPUT, price_nano=1, source="a price list")
OUTPUT = replace(ROW, meter=Meter.OUTPUT)


def changes(old: PriceBook, new: PriceBook) -> list[Change]:
    return [change for change in diff(old, new) if change.kind is not ChangeKind.UNCHANGED]


class TestReading:
    def test_what_is_shipped_is_what_the_pinned_release_says(self) -> None:
        assert changes(load(GOOGLE), importer.read()) == []

    def test_entries_say_the_same_as_the_rows(self, tmp_path: Path) -> None:
        book = importer.read()
        write(tmp_path / "book.json", importer.entries(book))
        assert changes(book, load(tmp_path / "book.json")) == []

    def test_a_prefix_and_a_moving_name_price_nothing(self) -> None:
        models = importer.read().models
        assert "gemini-3.6-flash" in models
        assert not importer.MOVING_NAMES & set(models)
        assert not [model for model in models if "*" in model or model.startswith("claude")]

    def test_a_partial_variant_is_laid_over_the_standard_prices(self) -> None:
        plan = importer.read().plan("gemini-2.5-flash", Tier.BATCH, Platform.GEMINI_API, AT, 1)
        halved, whole = plan.price(Meter.INPUT), plan.price(Meter.CACHED_INPUT)
        assert halved is not None
        assert whole is not None
        assert (halved.price_nano, whole.price_nano) == (150_000_000, 30_000_000)

    def test_grounding_is_counted_by_request_until_gemini_2_and_by_query_since(self) -> None:
        for model, meter in (("gemini-2.5-pro", Meter.GROUNDING_REQUEST), ("gemini-3.6-flash", Meter.GROUNDING_QUERY)):
            plan = importer.read().plan(model, Tier.STANDARD, Platform.GEMINI_API, AT, 1)
            assert {each for each in Meter if "grounding" in each and plan.price(each)} == {meter}

    def test_without_the_package_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "genai_prices.data", None)
        with pytest.raises(InvalidInput, match="pip install genai-prices"):
            importer.read()


class TestDiff:
    def test_it_names_what_is_new_changed_gone_and_the_same(self) -> None:
        old = PriceBook((ROW, OUTPUT, replace(ROW, model="swift")))
        new = PriceBook((ROW, replace(OUTPUT, price_nano=2), replace(ROW, tier=Tier.BATCH)))
        assert {(change.row.model, change.row.meter, change.row.tier): change.kind for change in diff(old, new)} == {
            ("kite", Meter.INPUT, Tier.STANDARD): ChangeKind.UNCHANGED,
            ("kite", Meter.OUTPUT, Tier.STANDARD): ChangeKind.CHANGED,
            ("kite", Meter.INPUT, Tier.BATCH): ChangeKind.ADDED,
            ("swift", Meter.INPUT, Tier.STANDARD): ChangeKind.REMOVED,
        }

    def test_a_change_reads_as_one_line(self) -> None:
        (change,) = diff(PriceBook((ROW,)), PriceBook((replace(ROW, price_nano=2000),)))
        assert str(change) == "changed kite input.any standard: 1 -> 2,000 nano-USD"


class TestAppend:
    NEW = PriceBook((replace(ROW, price_nano=2), OUTPUT))

    def test_history_stays_and_a_changed_price_begins_now(self) -> None:
        grown = append(PriceBook((ROW,)), self.NEW, AT)
        assert grown.rows == (ROW, replace(ROW, price_nano=2, valid_from=AT), OUTPUT)

    def test_appending_again_changes_nothing(self) -> None:
        once = append(PriceBook((ROW,)), self.NEW, AT)
        assert append(once, self.NEW, datetime(2027, 1, 1, tzinfo=UTC)) == once

    def test_nothing_is_taken_away(self) -> None:
        assert append(PriceBook((ROW,)), PriceBook(), AT) == PriceBook((ROW,))

    def test_a_price_that_comes_back_holds_again_from_now_on(self) -> None:
        book = PriceBook((ROW,))
        for day, price in enumerate((2, 3, 2, 1, 2), start=1):
            new, at = PriceBook((replace(ROW, price_nano=price),)), AT.replace(day=day)
            book = append(book, new, at)
            assert append(book, new, at.replace(hour=1)) == book
            assert price_at(book, at) == price
        assert [price_at(book, AT.replace(month=10)), price_at(book, AT.replace(day=2))] == [1, 3], "history stays"

    def test_a_price_to_come_that_is_corrected_begins_when_it_was_to(self) -> None:
        then = datetime(2027, 1, 1, tzinfo=UTC)
        book = PriceBook((ROW, replace(ROW, price_nano=9, valid_from=then)))
        corrected = PriceBook((ROW, replace(ROW, price_nano=8, valid_from=then)))
        grown = append(book, corrected, AT)
        assert [price_at(grown, at) for at in (AT, then)] == [1, 8]
        assert append(grown, corrected, AT) == grown

    def test_what_is_over_is_corrected_for_nobody(self) -> None:
        over = replace(ROW, valid_to=datetime(2026, 1, 1, tzinfo=UTC))
        book = PriceBook((over, replace(ROW, price_nano=2, valid_from=over.valid_to)))
        assert append(book, PriceBook((replace(over, price_nano=5),)), AT) == book

    def test_a_price_that_began_before_holds_from_now_on_where_another_was_learnt_since(self) -> None:
        book = append(PriceBook((ROW,)), self.NEW, AT)
        dated = replace(ROW, price_nano=7, valid_from=datetime(2026, 5, 1, tzinfo=UTC))
        grown = append(book, PriceBook((ROW, dated)), AT.replace(day=25))
        assert [price_at(grown, AT.replace(day=day)) for day in (24, 25)] == [2, 7]
        assert price_at(grown, AT.replace(month=6)) == 7

    def test_a_price_that_lasts_longer_than_was_known_does_so_and_one_that_ends_earlier_is_left_alone(self) -> None:
        short, long = (replace(ROW, valid_to=datetime(2027, month, 1, tzinfo=UTC)) for month in (1, 3))
        grown = append(PriceBook((short,)), PriceBook((long,)), AT)
        assert price_at(grown, datetime(2027, 2, 1, tzinfo=UTC)) == 1
        assert append(PriceBook((long,)), PriceBook((short,)), AT) == PriceBook((long,))


def price_at(book: PriceBook, at: datetime) -> int | None:
    found = book.plan(ROW.model, Tier.STANDARD, Platform.GEMINI_API, at, 1).price(ROW.meter)
    return None if found is None else found.price_nano
