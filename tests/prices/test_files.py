"""The price files: what is shipped, and what is refused."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jangbu.domain.price_book import Meter, Modality, PriceBook
from jangbu.domain.usage import Platform, Tier
from jangbu.errors import InvalidInput
from jangbu.prices import GUIDE, load, parsed, read, shipped
from jangbu.prices.files import to_nano, to_usd

AT = datetime(2026, 11, 24, tzinfo=UTC)
ENTRY = {"models": ["kite"], "usd": {"input": "0.075"}, "source": "a price list"}


def written(path: Path, *entries: object) -> Path:
    file = path / "book.json"
    file.write_text(json.dumps({"entries": entries}), encoding="utf-8")
    return file


def nano(book: PriceBook, model: str, meter: Meter, platform: Platform = Platform.GEMINI_API) -> int | None:
    found = book.plan(model, Tier.STANDARD, platform, AT, 1).price(meter)
    return None if found is None else found.price_nano


class TestShipped:
    def test_every_row_says_where_it_was_read(self) -> None:
        assert len(shipped().rows) > 900
        assert all(row.source.strip() for row in shipped().rows)

    def test_the_only_pattern_is_that_of_provisioned_throughput(self) -> None:
        patterns = {(row.model, row.tier, row.price_nano) for row in shipped().rows if "*" in row.model}
        assert patterns == {("*", Tier.PROVISIONED, 0)}

    @pytest.mark.parametrize("model", ["gemini-3.8-flash-xyz", "gemini-2.5-flash-002", "gemini-flash-latest", "gemini"])
    def test_a_model_that_nobody_listed_is_not_priced(self, model: str) -> None:
        assert nano(shipped(), model, Meter.INPUT) is None

    @pytest.mark.parametrize("tier", Tier)
    def test_priced_models_have_whole_price_lists(self, tier: Tier) -> None:
        book = shipped()
        for model in {row.model for row in book.rows if row.meter is Meter.OUTPUT and row.tier is tier}:
            platforms = [each for each in Platform if not book.plan(model, tier, each, AT, 1).empty]
            for platform in platforms:
                plan = book.plan(model, tier, platform, AT, 1)
                assert plan.price(Meter.INPUT) or plan.price(Meter.INPUT, Modality.TEXT), (model, tier, platform)

    def test_a_listed_alias_costs_what_its_model_costs(self) -> None:
        for platform, price in ((Platform.GEMINI_API, 100_000_000), (Platform.VERTEX, 150_000_000)):
            assert nano(shipped(), "gemini-2.0-flash-001", Meter.INPUT, platform) == price

    def test_an_image_and_a_second_of_video_are_priced_one_by_one(self) -> None:
        assert nano(shipped(), "imagen-4.0-generate-001", Meter.IMAGE) == 40_000_000
        assert nano(shipped(), "veo-3.0-generate-001", Meter.VIDEO_SECOND, Platform.VERTEX) == 400_000_000


def test_the_guide_has_its_own_two_prices() -> None:
    book = load(GUIDE)
    assert nano(book, "gemini-2.0-flash-exp", Meter.INPUT) == 75_000_000
    assert nano(book, "gemini-2.0-flash-exp", Meter.OUTPUT) == 300_000_000
    assert nano(book, "gemini-2-5-flash-image-preview", Meter.INPUT) == 2_500_000_000
    assert nano(book, "gemini-2-5-flash-image-preview", Meter.OUTPUT) == 10_000_000_000


class TestDecimals:
    @pytest.mark.parametrize(
        ("usd", "price"),
        [("0.075", 75_000_000), ("0", 0), ("120", 120 * 10**9), ("0.000000001", 1), ("2.50", 25 * 10**8)],
    )
    def test_a_price_is_read_exactly(self, usd: str, price: int) -> None:
        assert to_nano(usd) == price
        assert to_nano(to_usd(price)) == price

    @pytest.mark.parametrize(
        "usd", ["-1", "1e-3", ".5", "1.", "0.0000000001", "", "NaN", "1234567", "１", "٣.٥", 0.075, 1, None]
    )
    def test_anything_else_is_no_price(self, usd: object) -> None:
        with pytest.raises(ValueError, match="is no price"):
            to_nano(usd)


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"usd": {"input": 0.075}}, "0.075 is no price"),
            ({"usd": {"inptu": "1"}}, "'inptu' is not a valid Meter"),
            ({"usd": {"input.smell": "1"}}, "'smell' is not a valid Modality"),
            ({"usd": None}, "usd names at least one meter"),
            ({"tier": "cheap"}, "'cheap' is not a valid Tier"),
            ({"models": "kite"}, "models is a list of names"),
            ({"models": []}, "models is a list of names"),
            ({"source": ""}, "a price needs its source"),
            ({"from": "2026-13-01"}, "is no day: write it like"),
            ({"from": 2026}, "is no day: write it like"),
            ({"from": "0001-01-01"}, "it begins outside of the years 2000 to 8999"),
            ({"from": "1999-12-31"}, "it begins outside of the years"),
            ({"to": "9999-12-31"}, "it ends outside of the years"),
            ({"models": ["ki\ud800te"]}, "a model's name is text of at most 200 printable characters"),
            ({"models": ["kite", "k" * 201]}, "a model's name is text of at most 200 printable characters"),
            ({"source": "a\x00b"}, "source is text of at most 500 printable characters"),
            ({"source": "s" * 501}, "source is text of at most 500"),
            ({"source": ["a list"]}, "source is text"),
            ({"note": "\udc00"}, "note is text of at most 500"),
            ({"note": "two\nlines"}, "note is text of at most 500"),
            ({"models": ["swift"], "same_as": "kite", "source": "\x00"}, "source is text"),
            ({"priority": 1_000}, "priority is below 1,000"),
            ({"pirority": 3}, "'pirority' is no field"),
            ({"same_as": "swift"}, "no entry before this one prices"),
        ],
    )
    def test_an_error_is_one_line_with_file_and_entry(
        self, tmp_path: Path, change: dict[str, object], says: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            load(written(tmp_path, ENTRY, {**ENTRY, **change}))
        assert str(refused.value).startswith("book.json: entry 2")
        assert says in str(refused.value)
        assert "\n" not in str(refused.value)
        assert str(refused.value).isprintable()

    def test_sources_of_prices_that_are_the_same_as_others_do_not_grow_without_end(self) -> None:
        chain = [{**ENTRY, "models": ["m0"]}]
        for number in range(1, 50):
            chain.append({"models": [f"m{number}"], "same_as": f"m{number - 1}", "source": "s" * 50})
        assert len(read(chain[:10], "JSON", rows_most=100).rows) == 10
        with pytest.raises(InvalidInput, match="source, with the origin's, is text of at most 2,000"):
            read(chain, "JSON", rows_most=100)

    @pytest.mark.parametrize(
        ("usd", "others", "says"),
        [
            ({"input": "1", "input.any": "2"}, [], "entry 1 (kite): 'input.any' and 'input' of entry 1 both"),
            ({"input": "1"}, [{"usd": {"input.any": "2"}}], "entry 2 (kite): 'input.any' and 'input' of entry 1 both"),
            ({"input": "1"}, [{"to": "2027-01-01"}], "entry 2 (kite): 'input' and 'input' of entry 1 both"),
            (
                {"input": "1"},
                [{"models": ["swift"], "usd": {"input": "2"}}, {"models": ["swift"], "same_as": "kite"}],
                "entry 3 (swift): same_as and 'input' of entry 2 both",
            ),
        ],
    )
    def test_two_prices_for_the_same_are_both_named(
        self, tmp_path: Path, usd: dict[str, str], others: list[dict[str, object]], says: str
    ) -> None:
        entry = {**ENTRY, "usd": usd}
        with pytest.raises(InvalidInput) as refused:
            load(written(tmp_path, entry, *({**entry, **each} for each in others)))
        assert says in str(refused.value)
        assert "price input.any of" in str(refused.value)

    def test_the_same_price_twice_and_a_later_one_are_no_contradiction(self, tmp_path: Path) -> None:
        file = written(tmp_path, ENTRY, ENTRY, {**ENTRY, "usd": {"input": "1"}, "from": "2026-01-01"})
        assert nano(load(file), "kite", Meter.INPUT) == 10**9

    @pytest.mark.parametrize("day", ["2027-01-31T00:00:00Z", "tomorrow", "2027-02-30", 20270131, True])
    def test_what_is_no_day_is_told_how_one_is_written(self, tmp_path: Path, day: object) -> None:
        for field in ("from", "to"):
            with pytest.raises(InvalidInput, match=r"is no day: write it like '2027-01-31'"):
                load(written(tmp_path, {**ENTRY, field: day}))

    @pytest.mark.parametrize("entry", [3, None, [], {}, {"models": ["kite"], "source": "x"}])
    def test_what_is_no_entry_is_named(self, tmp_path: Path, entry: object) -> None:
        with pytest.raises(InvalidInput, match=r"^book\.json: entry 1"):
            load(written(tmp_path, entry))

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"entries": {}}', "\udcff"])
    def test_what_is_no_price_file_is_named(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "book.json"
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(InvalidInput, match=r"^book\.json: "):
            load(file)

    def test_what_stands_twice_is_named_however_many_names_there_are(self) -> None:
        names = "".join(f'"{number}": 0, ' for number in range(100_000))
        start = time.process_time()
        with pytest.raises(InvalidInput, match="'99999' stands twice in one object"):
            parsed("{" + names + '"99999": 1}', "JSON", rows_most=1)
        assert time.process_time() - start < 5, "one pass, where one for each name takes minutes"

    def test_what_a_price_is_the_same_as_is_looked_up_and_not_looked_for_in_all_rows(self) -> None:
        compared = 0

        class Counting(str):
            __slots__ = ()
            __hash__ = str.__hash__

            def __eq__(self, other: object) -> bool:
                nonlocal compared
                compared += 1
                return str.__eq__(self, other)

        more = [{"models": [f"m{each}"], "same_as": Counting("kite"), "source": "s"} for each in range(500)]
        book = read([ENTRY, *more], "pasted", rows_most=1_000)
        assert (len(book.rows), compared <= 1_000) == (501, True)

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=r"book\.json: cannot be read"):
            load(tmp_path / "book.json")
