"""What a cost is made of, and when it is not known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.price_book import Meter, Modality, Price, PriceBook
from jangbu.domain.pricing import Cost, PriceLine, Reason, Rules, Terms, charge, cost
from jangbu.domain.usage import (
    Anomaly,
    Breakdown,
    ByModality,
    Counts,
    Source,
    Surface,
    Tier,
    Units,
    Usage,
)
from jangbu.errors import InvalidInput

AT = datetime(2026, 6, 1, tzinfo=UTC)
LATER = AT + timedelta(days=1)


def row(meter: Meter = Meter.INPUT, nano: int = 300_000_000, **changes: object) -> Price:
    price = Price(model="kite", meter=meter, price_nano=nano, source="a price list")
    return replace(price, **changes)  # type: ignore[arg-type]


BOOK = PriceBook(
    (
        row(Meter.INPUT, 300_000_000),
        row(Meter.INPUT, 1_000_000_000, modality=Modality.AUDIO),
        row(Meter.CACHED_INPUT, 30_000_000),
        row(Meter.CACHED_INPUT, 100_000_000, modality=Modality.AUDIO),
        row(Meter.OUTPUT, 2_500_000_000),
        row(Meter.INPUT, 600_000_000, above_prompt_tokens=200_000),
        row(Meter.OUTPUT, 5_000_000_000, above_prompt_tokens=200_000),
        row(Meter.INPUT, 150_000_000, tier=Tier.BATCH),
        row(Meter.OUTPUT, 1_250_000_000, tier=Tier.BATCH),
    ),
    version=7,
)


def usage(prompt: int = 0, candidates: int = 0, **fields: object) -> Usage:
    counts = Counts(
        prompt,
        candidates,
        **{name: fields.pop(name) for name in ("thoughts", "tool", "cached", "total") if name in fields},  # type: ignore[arg-type]
    )
    answer = Usage(Surface.GENERATE_CONTENT, counts=counts, source=Source.REPORTED, model="kite")
    return replace(answer, **fields)  # type: ignore[arg-type]


def reasons(found: Cost) -> list[Reason]:
    assert found.amount_nano is None
    return [each.reason for each in found.unpriced]


def test_a_cost_names_its_lines_and_the_version_of_its_prices() -> None:
    assert cost(BOOK, usage(1000, 200), AT) == Cost(
        800_000,
        (
            PriceLine(Meter.INPUT, Modality.TEXT, 1000, 1_000_000, 300_000_000, 300_000),
            PriceLine(Meter.OUTPUT, Modality.TEXT, 200, 1_000_000, 2_500_000_000, 500_000),
        ),
        price_version=7,
    )


def test_the_part_of_input_holds_prompt_cache_and_tools() -> None:
    found = cost(BOOK, usage(1000, 200, cached=400, tool=100), AT)
    assert found.input_nano == 600 * 300 + 400 * 30 + 100 * 300


class TestFallbacks:
    def test_thoughts_cost_what_output_costs(self) -> None:
        assert cost(BOOK, usage(thoughts=1000), AT).amount_nano == 2_500_000

    def test_thoughts_cost_their_own_price_where_there_is_one(self) -> None:
        book = PriceBook((*BOOK.rows, row(Meter.THOUGHTS, 1_000_000_000)))
        assert cost(book, usage(thoughts=1000), AT).amount_nano == 1_000_000

    def test_tool_input_costs_what_input_of_its_modality_costs(self) -> None:
        split = ByModality(tool=Breakdown(audio=1000))
        assert cost(BOOK, usage(tool=1000, by_modality=split), AT).amount_nano == 1_000_000

    def test_a_document_is_text_unless_it_has_a_price(self) -> None:
        split = ByModality(prompt=Breakdown(document=1000))
        text = PriceBook((row(modality=Modality.TEXT), row(nano=9_000_000_000)))
        own = PriceBook((*text.rows, row(nano=700_000_000, modality=Modality.DOCUMENT)))
        assert cost(text, usage(1000, by_modality=split), AT).amount_nano == 300_000
        assert cost(own, usage(1000, by_modality=split), AT).amount_nano == 700_000

    def test_cached_input_never_costs_what_input_costs(self) -> None:
        assert reasons(cost(PriceBook((row(),)), usage(10, cached=4), AT)) == [Reason.METER_UNPRICED]


class TestCache:
    def test_the_cached_part_is_taken_from_the_prompt_by_modality(self) -> None:
        split = ByModality(prompt=Breakdown(text=600, audio=400), cached=Breakdown(audio=300, text=100))
        found = cost(BOOK, usage(1000, cached=400, by_modality=split), AT)
        assert found.amount_nano == 500 * 300 + 100 * 1000 + 300 * 100 + 100 * 30

    def test_what_the_details_leave_open_comes_off_text(self) -> None:
        split = ByModality(prompt=Breakdown(text=1000), cached=Breakdown(audio=300))
        assert cost(BOOK, usage(1000, cached=300, by_modality=split), AT).amount_nano == 700 * 300 + 300 * 100

    def test_no_more_than_the_prompt_is_priced(self) -> None:
        assert cost(BOOK, usage(100, cached=500), AT).amount_nano == 100 * 30


class TestBand:
    @pytest.mark.parametrize(("prompt", "nano_a_token"), [(199_999, 300), (200_000, 300), (200_001, 600)])
    def test_all_tokens_cost_more_above_the_threshold(self, prompt: int, nano_a_token: int) -> None:
        found = cost(BOOK, usage(prompt, 10), AT)
        assert found.amount_nano == prompt * nano_a_token + 10 * (2500 if nano_a_token == 300 else 5000)

    def test_tool_tokens_do_not_count_unless_the_rules_say_so(self) -> None:
        answer = usage(200_000, tool=1)
        assert cost(BOOK, answer, AT).amount_nano == 200_001 * 300
        assert cost(BOOK, answer, AT, rules=Rules(band_counts_tool=True)).amount_nano == 200_001 * 600


class TestDates:
    BOOK = PriceBook((row(nano=1_000_000), row(nano=2_000_000, valid_from=LATER), row(Meter.OUTPUT, 1, valid_to=LATER)))

    def test_a_price_holds_from_its_first_instant(self) -> None:
        assert cost(self.BOOK, usage(1), LATER - timedelta(microseconds=1)).amount_nano == 1
        assert cost(self.BOOK, usage(1), LATER).amount_nano == 2

    def test_a_price_is_over_at_its_end(self) -> None:
        assert cost(self.BOOK, usage(0, 1), LATER - timedelta(microseconds=1)).amount_nano == 0
        assert reasons(cost(self.BOOK, usage(0, 1), LATER)) == [Reason.METER_UNPRICED]

    def test_a_moment_needs_its_time_zone(self) -> None:
        with pytest.raises(InvalidInput):
            cost(BOOK, usage(1), datetime(2026, 6, 1))  # noqa: DTZ001


class TestUnknown:
    @pytest.mark.parametrize("model", ["kite-2", "kite-001", "kit", "gemini-3.8-flash-xyz"])
    def test_a_name_that_is_not_listed_is_not_priced_as_its_neighbour(self, model: str) -> None:
        assert reasons(cost(BOOK, usage(1, model=model), AT)) == [Reason.MODEL_UNPRICED]

    def test_a_pattern_prices_what_it_spells_out_and_a_name_wins_over_it(self) -> None:
        book = PriceBook((*BOOK.rows, row(nano=1_000_000, model="kite*")))
        assert cost(book, usage(1, model="kite-2"), AT).amount_nano == 1
        assert cost(book, usage(1), AT).amount_nano == 300

    def test_a_resource_name_is_the_model_that_it_names(self) -> None:
        assert cost(BOOK, usage(1, model="models/kite"), AT).amount_nano == 300
        assert cost(BOOK, usage(1, model="tunedModels/kite"), AT).amount_nano is None

    def test_a_tier_without_a_price_is_not_standard(self) -> None:
        assert reasons(cost(BOOK, usage(1, tier=Tier.FLEX), AT)) == [Reason.TIER_UNPRICED]
        assert cost(BOOK, usage(1), AT, tier=Tier.PRIORITY).amount_nano is None

    def test_a_tier_that_nobody_knows_is_not_standard(self) -> None:
        answer = usage(1, anomalies=(Anomaly.UNKNOWN_TIER,))
        assert reasons(cost(BOOK, answer, AT)) == [Reason.TIER_UNKNOWN]
        assert cost(BOOK, answer, AT, tier=Tier.STANDARD).amount_nano == 300

    def test_one_quantity_without_a_price_makes_the_whole_unknown(self) -> None:
        found = cost(BOOK, usage(1, units=Units(images=2)), AT)
        assert reasons(found) == [Reason.METER_UNPRICED]
        assert (found.unpriced[0].meter, found.unpriced[0].quantity) == (Meter.IMAGE, 2)
        assert found.input_nano is None

    def test_an_answer_that_used_nothing_costs_nothing_whatever_its_model(self) -> None:
        assert cost(BOOK, usage(model=None, source=Source.NONE), AT).amount_nano == 0

    def test_an_answer_without_a_model_has_no_price(self) -> None:
        assert reasons(cost(BOOK, usage(1, model=None), AT)) == [Reason.NO_MODEL]

    @pytest.mark.parametrize(
        "anomaly",
        [Anomaly.USAGE_MISSING, Anomaly.USAGE_INCOMPLETE, Anomaly.INVALID_USAGE, Anomaly.UNKNOWN_MODALITY],
    )
    def test_counts_that_are_not_whole_have_no_price(self, anomaly: Anomaly) -> None:
        assert reasons(cost(BOOK, usage(0, 5, anomalies=(anomaly,)), AT)) == [Reason.USAGE_UNKNOWN]

    def test_an_embedding_that_reports_nothing_has_no_known_cost(self) -> None:
        assert reasons(cost(BOOK, usage(surface=Surface.EMBED_CONTENT, source=Source.NONE), AT)) == [
            Reason.USAGE_UNKNOWN
        ]

    def test_what_is_paid_by_time_needs_its_time(self) -> None:
        assert reasons(cost(BOOK, usage(units=Units(videos=1)), AT)) == [Reason.DURATION_UNKNOWN]
        assert reasons(cost(BOOK, usage(units=Units(cache_storage_tokens=9)), AT)) == [Reason.DURATION_UNKNOWN]

    def test_an_amount_that_no_bigint_holds_is_unknown(self) -> None:
        assert reasons(cost(BOOK, usage(2**53 - 1, 2**53 - 1), AT)) == [Reason.AMOUNT_TOO_LARGE]


class TestGrounding:
    SEARCHED = Units(grounding_requests=1, grounding_queries=3)

    @pytest.mark.parametrize(
        ("meter", "nano"), [(Meter.GROUNDING_REQUEST, 35_000_000), (Meter.GROUNDING_QUERY, 3 * 35_000_000)]
    )
    def test_it_is_priced_by_the_meter_that_the_model_has(self, meter: Meter, nano: int) -> None:
        book = PriceBook((row(meter, 35_000_000_000, unit_size=1000),))
        assert cost(book, usage(units=self.SEARCHED), AT).amount_nano == nano

    def test_it_is_unknown_where_the_model_has_neither(self) -> None:
        assert reasons(cost(BOOK, usage(units=self.SEARCHED), AT)) == [Reason.METER_UNPRICED] * 2


class TestLive:
    ANSWER = usage(100, 50, thoughts=30, total=150, surface=Surface.LIVE)

    def test_thoughts_beyond_the_total_are_not_charged(self) -> None:
        assert cost(BOOK, self.ANSWER, AT).amount_nano == 100 * 300 + 50 * 2500

    def test_thoughts_within_the_total_are_charged(self) -> None:
        counts = replace(self.ANSWER.counts, total=180)
        assert cost(BOOK, replace(self.ANSWER, counts=counts), AT).amount_nano == 100 * 300 + 80 * 2500

    def test_the_rules_can_charge_them_all(self) -> None:
        assert cost(BOOK, self.ANSWER, AT, rules=Rules(live_thoughts_charged=True)).amount_nano == 100 * 300 + 80 * 2500


class TestBatch:
    def test_members_are_priced_in_the_tier_of_the_whole(self) -> None:
        member = usage(1000, 100, tier=Tier.STANDARD)
        whole = usage(2000, 200, surface=Surface.BATCH, tier=Tier.BATCH, members=(member, member))
        found = cost(BOOK, whole, AT)
        assert found.amount_nano == 2 * (1000 * 150 + 100 * 1250)
        assert [line.quantity for line in found.lines] == [2000, 200]

    def test_each_member_has_its_own_band(self) -> None:
        small, large = usage(150_000), usage(250_000)
        whole = usage(400_000, surface=Surface.BATCH, members=(small, large))
        assert cost(BOOK, whole, AT).amount_nano == 150_000 * 300 + 250_000 * 600

    def test_one_member_without_a_price_makes_the_whole_unknown(self) -> None:
        whole = usage(2, surface=Surface.BATCH, members=(usage(1), usage(1, model="other")))
        assert reasons(cost(BOOK, whole, AT)) == [Reason.MODEL_UNPRICED]


class TestTerms:
    @pytest.mark.parametrize(
        ("nano", "markup", "charged"),
        [(100, 0, 100), (100, 250_000, 125), (1, 500_000, 2), (3, 500_000, 4), (100, -1_000_000, 0)],
    )
    def test_a_mark_up_is_rounded_half_to_even(self, nano: int, markup: int, charged: int) -> None:
        assert charge(Cost(nano, (), 0), Terms(markup)) == charged

    def test_an_unknown_cost_is_not_charged_as_anything(self) -> None:
        assert charge(Cost(None, (), 0), Terms(250_000)) is None

    def test_own_prices_win_over_every_other(self) -> None:
        book = Terms(overrides=(row(nano=1_000_000),)).book(BOOK)
        assert cost(book, usage(250_000), AT).amount_nano == 250_000
        assert book.version == 0

    def test_a_discount_takes_no_more_than_everything(self) -> None:
        with pytest.raises(InvalidInput):
            Terms(-1_000_001)


def test_storage_is_prorated_by_the_second() -> None:
    book = PriceBook((row(Meter.CACHE_STORAGE_TOKEN_HOUR, 1_000_000_000),))
    half_an_hour = usage(units=Units(cache_storage_tokens=1_000_000, cache_storage_seconds=1800))
    found = cost(book, half_an_hour, AT)
    assert (found.amount_nano, [line.quantity for line in found.lines]) == (500_000_000, [500_000])
    assert reasons(cost(book, replace(half_an_hour, model="other"), AT)) == [Reason.MODEL_UNPRICED]


TOKENS = st.integers(0, 300_000)
SPLITS = st.builds(Breakdown, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS)
USAGES = st.builds(
    lambda prompt, candidates, thoughts, tool, cached, prompts, caches: usage(
        prompt,
        candidates,
        thoughts=thoughts,
        tool=tool,
        cached=min(cached, prompt),
        by_modality=ByModality(prompt=prompts, cached=caches),
    ),
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    SPLITS,
    SPLITS,
)


@given(USAGES)
def test_every_token_is_on_a_line_and_the_lines_are_the_amount(answer: Usage) -> None:
    found = cost(BOOK, answer, AT)
    assert found.amount_nano == sum(line.amount_nano for line in found.lines)
    assert sum(line.quantity for line in found.lines) == answer.counts.summed
    assert all(line.quantity > 0 for line in found.lines)


@given(USAGES, st.integers(0, 10**12))
def test_a_line_is_at_most_half_a_nano_from_the_exact_amount(answer: Usage, nano: int) -> None:
    book = PriceBook(tuple(replace(each, price_nano=nano // (place + 1)) for place, each in enumerate(BOOK.rows)))
    for line in cost(book, answer, AT).lines:
        exact = Fraction(line.quantity * line.unit_price_nano, line.unit_size)
        assert type(line.amount_nano) is int
        assert abs(exact - line.amount_nano) <= Fraction(1, 2)
        if abs(exact - line.amount_nano) == Fraction(1, 2):
            assert line.amount_nano % 2 == 0


@given(st.lists(USAGES, min_size=1, max_size=5))
def test_a_batch_costs_what_its_members_cost(members: list[Usage]) -> None:
    whole = usage(surface=Surface.BATCH, members=tuple(members))
    single = [cost(BOOK, member, AT).amount_nano or 0 for member in members]
    assert cost(BOOK, whole, AT).amount_nano == sum(single)


@given(TOKENS, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(prompt: int, candidates: int, more: int) -> None:
    less = cost(BOOK, usage(prompt, candidates), AT).amount_nano
    assert less is not None
    for larger in (usage(prompt + more, candidates), usage(prompt, candidates + more)):
        amount = cost(BOOK, larger, AT).amount_nano
        assert amount is not None
        assert amount >= less


@given(USAGES, st.text(max_size=30).filter(lambda name: not name.endswith("kite")))
def test_no_other_name_is_ever_priced(answer: Usage, name: str) -> None:
    found = cost(BOOK, replace(answer, model=name), AT)
    assert found.amount_nano is None if answer.counts.summed else found.amount_nano == 0
