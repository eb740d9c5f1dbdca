"""A call lacks a price where one would tell its cost; where its answer does not say what it used, none would."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jangbu.config import Settings
from jangbu.domain.usage import Anomaly, Counts, Source, Surface, Tier, Units, Usage
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse_object
from jangbu.providers.gemini.batch import sum_members
from jangbu.storage import retention
from jangbu.wiring import open_metering

YEAR = timedelta(days=366)
NO_PRICE, PRICED = "gemini-of-tomorrow", "gemini-2.5-flash"
COUNTED = Usage(
    Surface.GENERATE_CONTENT,
    Counts(prompt=100, candidates=50, total=150),
    Source.REPORTED,
    raw=({"promptTokenCount": 100, "candidatesTokenCount": 50, "totalTokenCount": 150},),
)
SILENT = Usage(Surface.GENERATE_CONTENT, anomalies=(Anomaly.USAGE_MISSING,))
NEGATIVE = replace(SILENT, anomalies=(Anomaly.INVALID_USAGE,), raw=({"promptTokenCount": -5},))
PREDICTED = parse_object(
    {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 10, "truncated": False}}}]},
    surface=Surface.EMBED_CONTENT,
    model="text-embedding-005",
)
UNCOUNTED = parse_object({"embedding": {"values": [0.5]}}, surface=Surface.EMBED_CONTENT)
CACHE = parse_object({"usageMetadata": {"totalTokenCount": 900}}, surface=Surface.CACHED_CONTENTS)


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        await opened.accounts.create("kim")
        yield opened


async def findings(metering: Metering) -> list[str]:
    async with metering.database.connection() as connection:
        rows = await connection.fetch("SELECT kind FROM jangbu.findings WHERE resolved_at IS NULL ORDER BY kind::text")
    return [row["kind"] for row in rows]


def batch(*members: Usage) -> Usage:
    return replace(sum_members(members), model=None)


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        pytest.param(COUNTED, ["unpriced"], id="counted"),
        pytest.param(SILENT, ["anomaly"], id="usage missing"),
        pytest.param(PREDICTED, [], id="embeddings that are paid for by the character"),
        pytest.param(batch(PREDICTED, COUNTED), [], id="such embeddings in a batch"),
        pytest.param(NEGATIVE, ["anomaly"], id="usage invalid"),
        pytest.param(replace(COUNTED, anomalies=(Anomaly.USAGE_INCOMPLETE,)), ["anomaly"], id="prompt not counted"),
        pytest.param(replace(COUNTED, anomalies=(Anomaly.UNKNOWN_MODALITY,)), ["anomaly"], id="unknown modality"),
        pytest.param(replace(COUNTED, anomalies=(Anomaly.UNKNOWN_TIER,)), ["anomaly"], id="unknown tier"),
        pytest.param(
            replace(COUNTED, tier=Tier.FLEX, anomalies=(Anomaly.TOTAL_MISMATCH,)), ["anomaly", "unpriced"], id="flagged"
        ),
        pytest.param(UNCOUNTED, ["anomaly"], id="embedding without a count"),
        pytest.param(batch(COUNTED, SILENT), ["anomaly"], id="batch with a silent answer"),
        pytest.param(batch(COUNTED, UNCOUNTED), ["anomaly"], id="batch with an uncounted embedding"),
        pytest.param(batch(COUNTED, COUNTED), ["unpriced"], id="batch"),
        pytest.param(CACHE, [], id="cache"),
        pytest.param(
            Usage(Surface.PREDICT_LONG_RUNNING, Counts(total=0), Source.REPORTED, units=Units(videos=1)),
            [],
            id="video of unknown length",
        ),
        pytest.param(
            Usage(Surface.PREDICT_LONG_RUNNING, Counts(total=0), Source.REPORTED, units=Units(video_seconds=8)),
            ["unpriced"],
            id="video",
        ),
    ],
)
async def test_a_call_lacks_a_price_where_one_would_tell_its_cost(
    metering: Metering, usage: Usage, found: list[str]
) -> None:
    receipt = await metering.record("kim", "chat", replace(usage, model=NO_PRICE))
    assert receipt.cost_nano is None
    assert await findings(metering) == found
    cost = metering.pricing.in_force.cost(usage, NO_PRICE, datetime.now(UTC))
    assert cost.is_beyond_prices == ("unpriced" not in found), "the statement says the same as the rule"
    assert await metering.pricing.backfill() == 0
    assert await findings(metering) == found, "nothing ends that is still to be done"


@pytest.mark.parametrize("usage", [SILENT, NEGATIVE], ids=["usage missing", "usage invalid"])
async def test_what_was_found_of_a_call_without_counts_ends_when_calls_are_priced(
    metering: Metering, usage: Usage
) -> None:
    """An earlier release found that such a call lacks a price, which kept its month from ever being dropped."""
    call = (await metering.record("kim", "chat", replace(usage, model=PRICED))).id
    lacking = (await metering.record("kim", "chat", replace(COUNTED, model=NO_PRICE))).id
    async with metering.database.connection() as connection:
        await connection.execute(
            "INSERT INTO jangbu.findings (account_id, usage_id, kind, detail) VALUES ($1, $2, 'unpriced', 'no price')",
            metering.accounts.id_of("kim"),
            call,
        )
    assert await unfinished(metering) == 2
    looked_at, priced, _ = await metering.pricing.backfill_page()
    assert (looked_at, priced) == (1, 0), f"only {lacking} lacks a price"
    assert await findings(metering) == ["anomaly", "unpriced"]
    assert await unfinished(metering) == 1


async def unfinished(metering: Metering) -> Any:
    """Give how many calls without a price keep their months from being dropped."""
    months = await retention.partitions(metering.database, datetime.now(UTC) + YEAR, making="")
    return sum(each.unpriced for each in months)
