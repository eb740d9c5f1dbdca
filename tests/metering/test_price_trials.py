"""A change of prices that is tried: what it would have cost, and that nothing else than it is put in force."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jangbu.config import Settings
from jangbu.domain.price_book import Meter, Price
from jangbu.domain.pricing import Reason
from jangbu.domain.windows import Preset, Window, zone_named
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import marked_up, with_own
from jangbu.metering.price_trials import BookMoved, Sums, as_tried, compared, tried
from jangbu.providers.gemini.parse import parse
from jangbu.wiring import open_metering

FLASH = "gemini-2.5-flash"
ROW = Price(model=FLASH, meter=Meter.INPUT, price_nano=500_000_000, source="our contract")
DEARER = replace(ROW, price_nano=900_000_000)


async def recorded(ledger: Metering, *prompts: int, model: str = FLASH) -> None:
    await ledger.accounts.create("kim")
    for prompt in prompts:
        answer = {"usageMetadata": {"promptTokenCount": prompt, "totalTokenCount": prompt}, "modelVersion": model}
        await ledger.record("kim", "chat", parse(json.dumps({**answer, "candidates": [{}]}).encode()))


def days(ledger: Metering) -> Window:
    return Window.preset(Preset.MONTH, ledger.clock.now(), zone_named("UTC"), None)


async def test_the_same_calls_are_priced_by_both_books(database_url: str) -> None:
    settings = Settings.load(database_url=database_url)
    async with open_metering(settings, delivers=False) as ledger:
        await recorded(ledger, 10, 20, 30)
        await recorded(ledger, 40, model="gemini-9-unpriced")
        trial = await tried(ledger.pricing, with_own(ROW), ledger.clock.now())
        found = await compared(ledger.database, settings.project, days(ledger), (FLASH,), trial, None)
        assert (found.calls, found.is_whole) == (3, True)
        assert found.recorded == found.before == Sums(60 * 300, 60 * 300)
        assert found.after == Sums(60 * 500, 60 * 500)
        everything = await compared(ledger.database, settings.project, days(ledger), None, trial, None)
        assert (everything.calls, everything.after) == (4, Sums(60 * 500, 60 * 500, 1))
        by_pattern = await compared(ledger.database, settings.project, days(ledger), ("gemini-9-*",), trial, None)
        assert (by_pattern.calls, by_pattern.recorded) == (1, Sums(unpriced=1))


async def test_the_difference_is_of_the_calls_that_have_a_price_on_both_sides(database_url: str) -> None:
    settings = Settings.load(database_url=database_url)
    async with open_metering(settings, delivers=False) as ledger:
        await recorded(ledger, 10, 20)
        await recorded(ledger, 40, model="gemini-9-bare")
        await recorded(ledger, 80, model="gemini-9-new")
        await ledger.pricing.change(with_own(ROW), "dearer")
        await ledger.pricing.change(with_own(replace(ROW, model="gemini-9-new")), "another model")
        trial = await tried(ledger.pricing, marked_up(500_000), ledger.clock.now())
        found = await compared(ledger.database, settings.project, days(ledger), None, trial, None)
        assert found.recorded == Sums(30 * 300, 30 * 300, 2)
        assert found.after == Sums(110 * 500, 110 * 750, 1)
        assert found.difference == Sums(30 * 200, 30 * 450, 2), "neither call that lacks a price on a side is in it"
        [(lack, calls)] = found.lacks
        assert (lack.reason, lack.meter, calls) == (Reason.MODEL_UNPRICED, None, 1)


async def test_another_project_and_another_time_are_no_part_of_it(database_url: str) -> None:
    settings = Settings.load(database_url=database_url)
    async with open_metering(settings, delivers=False) as ledger:
        await recorded(ledger, 10)
        trial = await tried(ledger.pricing, with_own(ROW), ledger.clock.now())
        assert (await compared(ledger.database, "another", days(ledger), None, trial, None)).calls == 0
        past = replace(days(ledger), end=datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1))
        assert (await compared(ledger.database, settings.project, past, None, trial, None)).calls == 0


async def test_pages_add_up_and_what_there_is_no_time_for_is_told(database_url: str) -> None:
    settings = Settings.load(database_url=database_url)
    async with open_metering(settings, delivers=False) as ledger:
        await recorded(ledger, *range(1, 48))
        trial = await tried(ledger.pricing, with_own(ROW), ledger.clock.now())
        found = await compared(ledger.database, settings.project, days(ledger), None, trial, None)
        assert (found.calls, found.after.cost_nano, found.is_whole) == (47, 1_128 * 500, True)
        none = await compared(ledger.database, settings.project, days(ledger), None, trial, None, seconds=0)
        assert (none.calls, none.is_whole) == (0, False)


async def test_only_what_was_tried_is_put_in_force_on_the_book_that_it_was_tried_on(database_url: str) -> None:
    settings = Settings.load(database_url=database_url)
    async with (
        open_metering(settings, delivers=False) as ledger,
        open_metering(settings, delivers=False) as other,
    ):
        trial = await tried(ledger.pricing, with_own(ROW), ledger.clock.now())
        with pytest.raises(BookMoved):
            await ledger.pricing.change(as_tried(with_own(DEARER), trial.confirmation), "dearer than was shown")
        moved = await other.pricing.change(marked_up(1), "meanwhile, elsewhere")
        with pytest.raises(BookMoved) as refused:
            await ledger.pricing.change(as_tried(with_own(ROW), trial.confirmation), "as tried")
        assert refused.value.version == moved.version
        again = await tried(ledger.pricing, with_own(ROW), ledger.clock.now())
        changed = await ledger.pricing.change(as_tried(with_own(ROW), again.confirmation), "as tried again")
        assert changed.version == moved.version + 1
        terms = ledger.pricing.in_force.terms
        assert (terms.markup_parts_per_million, terms.overrides) == (1, (ROW,))


async def test_trying_changes_nothing(database_url: str) -> None:
    settings = Settings.load(database_url=database_url)
    async with open_metering(settings, delivers=False) as ledger:
        before = ledger.pricing.in_force
        trial = await tried(ledger.pricing, with_own(ROW), ledger.clock.now())
        assert ledger.pricing.in_force is before is trial.before
        assert len(await ledger.pricing.history(10)) == 1
        [line] = trial.lines
        assert (line.before is not None and line.before.price_nano, line.row) == (300_000_000, ROW)
        assert line.after is not None
        assert line.after.price_nano == ROW.price_nano
        same = await tried(ledger.pricing, marked_up(0), ledger.clock.now())
        assert (same.is_new, same.lines) == (False, ())
