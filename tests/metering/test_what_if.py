"""The same usage at another model's prices: what the list says for it, call by call, and what it does not say."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jangbu.config import Settings
from jangbu.domain.pricing import Meter, Modality, Reason
from jangbu.domain.usage import Counts, Surface, Tier
from jangbu.domain.windows import Preset, Window, zone_named
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import marked_up
from jangbu.metering.snapshots import EVERYTHING, Filters
from jangbu.metering.stretches import Meant
from jangbu.metering.what_if import Compared, Lack, WhatIf, what_if
from jangbu.providers.gemini.parse import parse
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering

FLASH, PRO, LITE, EMBEDDING = "gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash-lite", "gemini-embedding-001"
NOW = datetime.now(UTC)


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Metering]:
    clock = SettableClock(NOW)
    settings = Settings.load(database_url=database_url, spool_after_seconds=20)
    async with open_metering(settings, clock=clock, delivers=False) as opened:
        for user in ("kim", "lee"):
            await opened.accounts.create(user)
        yield opened


async def recorded(
    ledger: Metering, prompt: int, output: int = 0, *, user: str = "kim", model: str = FLASH, **more: Any
) -> None:
    counts: Mapping[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output,
        "totalTokenCount": prompt + output,
        **more,
    }
    answer = {"usageMetadata": counts, "modelVersion": model, "candidates": [{}]}
    receipt = await ledger.record(user, "chat", parse(json.dumps(answer).encode()))
    assert receipt.available is not None, "the record is in the book, and does not wait in the spool"


async def asked(ledger: Metering, model: str, filters: Filters = EVERYTHING, **bounds: Any) -> WhatIf:
    window = Window.preset(Preset.MONTH, NOW + timedelta(minutes=1), zone_named("Asia/Kathmandu"), None)
    meant = Meant(ledger.database, "default", window, filters, await ledger.database.now())
    return await what_if(meant, ledger.pricing.in_force, model, **bounds)


async def test_each_call_is_priced_with_its_own_modalities_and_the_size_of_its_own_prompt(ledger: Metering) -> None:
    await recorded(ledger, 1_001, 13)
    await recorded(ledger, 200_000, 1)
    await recorded(ledger, 200_001, 1, user="lee")
    await recorded(ledger, 500, 0, promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 400}])
    await recorded(ledger, 700, 0, cachedContentTokenCount=600)

    found = await asked(ledger, PRO)

    then = [1_001 * 300 + 13 * 2_500, 200_000 * 300 + 2_500, 200_001 * 300 + 2_500, 400 * 1_000 + 100 * 300,
            100 * 300 + 600 * 30]  # fmt: skip
    there = [1_001 * 1_250 + 13 * 10_000, 200_000 * 1_250 + 10_000, 200_001 * 2_500 + 15_000, 500 * 1_250,
             100 * 1_250 + 600 * 125]  # fmt: skip
    assert found.lines == ((FLASH, Compared(5, sum(then), sum(then), sum(there), sum(there))),)
    assert (found.total, found.lacks, found.is_whole) == (found.lines[0][1], (), True)
    assert found.total.difference_nano == sum(there) - sum(then)
    same = await asked(ledger, FLASH)
    assert (same.total.other_cost_nano, same.total.difference_nano) == (sum(then), 0)


async def test_what_has_no_price_on_one_side_is_counted_and_adds_to_neither(ledger: Metering) -> None:
    await recorded(ledger, 1_000)
    await recorded(ledger, 2_000, 10)
    await recorded(ledger, 3_000, 0, serviceTier="flex")
    await recorded(ledger, 4_000, model="gemini-9-unpriced")
    await recorded(ledger, 5_000, 5, model="gemini-9-unpriced")

    found = await asked(ledger, EMBEDDING)

    assert dict(found.lines) == {
        FLASH: Compared(3, 1_000 * 300, 1_000 * 300, 1_000 * 150, 1_000 * 150, unpriced_there=2),
        "gemini-9-unpriced": Compared(2, unpriced_there=1, unpriced_then=1),
    }
    assert (found.total.calls, found.total.compared) == (5, 1)
    assert dict(found.lacks) == {
        Lack(Reason.METER_UNPRICED, Meter.OUTPUT, Modality.TEXT): 2,
        Lack(Reason.TIER_UNPRICED, None, None): 1,
    }


async def test_the_answers_of_a_batch_are_priced_one_by_one_in_the_tier_of_the_whole(ledger: Metering) -> None:
    prompts = (200_001, 1_000)
    counts = [{"promptTokenCount": prompt, "totalTokenCount": prompt} for prompt in prompts]
    members = [
        parse(json.dumps({"usageMetadata": each, "modelVersion": FLASH, "candidates": [{}]}).encode())
        for each in counts
    ]
    whole = replace(
        members[0], surface=Surface.BATCH, tier=Tier.BATCH, counts=Counts(prompt=sum(prompts), total=sum(prompts)),
        members=tuple(members),
    )  # fmt: skip
    await ledger.record("kim", "chat", whole)

    found = await asked(ledger, PRO)

    assert (found.total.calls, found.total.cost_nano) == (1, 201_001 * 150)
    assert found.total.other_cost_nano == 200_001 * 1_250 + 1_000 * 625


async def test_charges_are_those_of_their_time_and_there_by_the_mark_up_in_force(ledger: Metering) -> None:
    await recorded(ledger, 1_000)
    await ledger.pricing.change(marked_up(500_000), "half on top")
    await recorded(ledger, 1_000)

    found = await asked(ledger, LITE)

    assert found.total == Compared(2, 600_000, 300_000 + 450_000, 150_000, 225_000)


async def test_filters_choose_the_calls_and_models_are_told_apart(ledger: Metering) -> None:
    await recorded(ledger, 10, user="lee")
    await recorded(ledger, 20)
    await recorded(ledger, 40, model=PRO)

    assert (await asked(ledger, LITE, Filters("lee"))).total == Compared(1, 3_000, 3_000, 750, 750)
    assert (await asked(ledger, LITE, Filters(models=(PRO,)))).lines == (
        (PRO, Compared(1, 50_000, 50_000, 3_000, 3_000)),
    )
    assert [model for model, _ in (await asked(ledger, LITE)).lines] == [PRO, FLASH]
    nothing = await asked(ledger, LITE, Filters(services=("draw",)))
    assert (nothing.lines, nothing.total, nothing.is_whole) == ((), Compared(), True)


async def test_what_there_is_no_time_for_is_told_and_never_guessed(ledger: Metering) -> None:
    for prompt in range(1, 40):
        await recorded(ledger, prompt)
    none = await asked(ledger, PRO, seconds=0)
    assert (none.total, none.is_whole) == (Compared(), False)
    whole = await asked(ledger, PRO, seconds=None)
    assert (whole.total.calls, whole.total.other_cost_nano, whole.is_whole) == (39, 780 * 1_250, True)
