"""Sixteen answers whose cost was worked out by hand from the published prices, and what the shipped book says."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from jangbu.domain.pricing import cost
from jangbu.domain.usage import Anomaly, Breakdown, ByModality, Counts, Source, Surface, Tier, Usage
from jangbu.prices import shipped
from jangbu.prices.files import to_nano

AT = datetime(2026, 11, 24, tzinfo=UTC)
MILLION = 1_000_000


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    counts: Counts
    usd: str
    split: ByModality | None = None
    tier: Tier | None = None


CASES = (
    Case("text and thoughts", "gemini-2.5-flash", Counts(prompt=1000, candidates=500, thoughts=2000), "0.00655"),
    Case("cached text", "gemini-2.5-flash", Counts(prompt=10_000, candidates=100, cached=8000), "0.00109"),
    Case(
        "audio in",
        "gemini-2.5-flash",
        Counts(prompt=2000, candidates=100),
        "0.00155",
        ByModality(prompt=Breakdown(text=1000, audio=1000)),
    ),
    Case("above 200k", "gemini-2.5-pro", Counts(prompt=200_001, candidates=1000), "0.5150025"),
    Case("exactly 200k", "gemini-2.5-pro", Counts(prompt=200_000, candidates=1000), "0.26"),
    Case(
        "image out of 2.5, with a text remainder",
        "gemini-2.5-flash-image",
        Counts(prompt=100, candidates=1336),
        "0.038845",
        ByModality(candidates=Breakdown(text=46, image=1290)),
    ),
    Case(
        "image out of 3 Pro, with a text remainder and thoughts",
        "gemini-3-pro-image-preview",
        Counts(prompt=100, candidates=1216, thoughts=300),
        "0.139352",
        ByModality(candidates=Breakdown(text=96, image=1120)),
    ),
    Case("no candidates", "gemini-2.5-flash", Counts(prompt=1000, thoughts=400), "0.0013"),
    Case("batch", "gemini-3.6-flash", Counts(prompt=MILLION, candidates=MILLION), "2.25", tier=Tier.BATCH),
    Case(
        "cached audio",
        "gemini-2.5-flash",
        Counts(prompt=5000, candidates=240, cached=4000),
        "0.0013",
        ByModality(prompt=Breakdown(text=1000, audio=4000), cached=Breakdown(audio=4000)),
    ),
    Case(
        "tool-use prompt", "gemini-2.5-flash", Counts(prompt=135, candidates=600, thoughts=152, tool=1285), "0.002306"
    ),
    Case(
        "details smaller than the prompt: the remainder is text",
        "gemini-3-flash-preview",
        Counts(prompt=257, candidates=100),
        "0.0004285",
        ByModality(prompt=Breakdown(text=196)),
    ),
    Case(
        "details larger than the prompt: capped to it",
        "gemini-2.5-pro",
        Counts(prompt=33, candidates=54),
        "0.00058125",
        ByModality(prompt=Breakdown(text=155)),
    ),
    Case("flex", "gemini-2.5-flash", Counts(prompt=MILLION, candidates=MILLION), "1.40", tier=Tier.FLEX),
    Case("priority", "gemini-3.6-flash", Counts(prompt=MILLION, candidates=MILLION), "8.10", tier=Tier.PRIORITY),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_shipped_book_agrees_with_the_price_list(case: Case) -> None:
    usage = Usage(
        Surface.GENERATE_CONTENT,
        counts=case.counts,
        source=Source.REPORTED,
        model=case.model,
        tier=case.tier,
        by_modality=case.split or ByModality(),
    )
    assert cost(shipped(), usage, AT).amount_nano == to_nano(case.usd)


def test_an_answer_without_counts_has_no_known_cost() -> None:
    usage = Usage(Surface.GENERATE_CONTENT, model="gemini-2.5-flash", anomalies=(Anomaly.USAGE_MISSING,))
    assert cost(shipped(), usage, AT).amount_nano is None


@pytest.mark.parametrize(
    ("model", "day", "usd"),
    [
        ("gemini-4-argon", datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), "12"),
        ("gemini-4-argon", datetime(2026, 12, 1, tzinfo=UTC), "24"),
        ("gemini-3.8-flash", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "4.5"),
        ("gemini-3.8-flash", datetime(2027, 1, 1, tzinfo=UTC), "9"),
    ],
)
def test_a_dated_price_changes_at_midnight_utc(model: str, day: datetime, usd: str) -> None:
    usage = Usage(Surface.GENERATE_CONTENT, counts=Counts(MILLION, MILLION), source=Source.REPORTED, model=model)
    assert cost(shipped(), usage, day).amount_nano == to_nano(usd)
