"""The answers of a batch bear ids of their own: what is charged for one of them, alone or in a batch, is so once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jangbu.config import Settings
from jangbu.domain.flow import Receipt
from jangbu.domain.usage import Usage
from jangbu.errors import IdempotencyConflict
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse
from tests.faults.server import KillableServer
from tests.faults.waiting import become
from tests.metering.outage import (
    FLASH,
    answer,
    check_book,
    is_drained,
    opened,
    recorded,
    settle_held,
)

SERVICE = "text_generation"


@pytest.fixture
async def metering(database_url: str, tmp_path: Path) -> AsyncIterator[Metering]:
    project = f"batches-{uuid4()}"
    chosen = Settings.load(database_url=database_url, spool_dir=tmp_path / "spool", project=project)
    async with opened(chosen, "kim") as metering:
        yield metering
        await check_book(metering, project)


def batch(*numbers: int | str | None, tokens: int = 450, name: str | None = None) -> Usage:
    """Give the answers of these numbers in one: as a result file, or as the operation of a name."""
    lines = lines_of(*numbers, tokens=tokens)
    if name is None:
        return result_file(*lines)
    inlined = {"inlinedResponses": {"inlinedResponses": lines}}
    return parse(json.dumps({"name": name, "metadata": {"output": inlined}, "done": True}).encode())


def lines_of(*numbers: int | str | None, tokens: int = 450) -> list[dict[str, Any]]:
    """Give a batch's answers of these numbers. A text is an answer's whole id, and None bears none."""
    counts = {"promptTokenCount": tokens - 300, "candidatesTokenCount": 300, "totalTokenCount": tokens}
    return [
        {
            "key": str(number),
            "response": {"usageMetadata": counts, "modelVersion": FLASH}
            | ({} if number is None else {"responseId": number if isinstance(number, str) else f"answer-{number}"}),
        }
        for number in numbers
    ]


def result_file(*lines: dict[str, Any]) -> Usage:
    return parse("".join(f"{json.dumps(line)}\n" for line in lines).encode())


async def charged(metering: Metering) -> list[int]:
    """Give what all records were charged."""
    return sorted((await recorded(metering)).values())


async def test_an_operation_and_its_answers_apart_are_one_batch(metering: Metering) -> None:
    operation = await metering.record("kim", SERVICE, batch(1, 2, name="batches/one"))
    file = await metering.record("kim", SERVICE, batch(2, 1), call_key="a-file")
    alone = await metering.record("kim", SERVICE, answer(2))
    assert [(each.id, each.replayed) for each in (file, alone)] == [(operation.id, True)] * 2
    assert await charged(metering) == [900]


async def test_a_batch_that_was_called_for_is_recorded_and_keeps_its_answers_from_being_charged_again(
    metering: Metering,
) -> None:
    await metering.record("kim", SERVICE, answer(1))
    settled = await settle_held(metering, batch(1, 2, 3, name="batches/one"))
    assert (settled.charged_tokens, settled.replayed) == (1350, False)
    assert (await metering.record("kim", SERVICE, answer(3))).id == settled.id
    with pytest.raises(IdempotencyConflict, match="all 2 answers of this batch were recorded before"):
        await metering.record("kim", SERVICE, batch(2, 3))
    assert (await metering.record("kim", SERVICE, batch(2, 3, 4))).charged_tokens == 450
    assert await charged(metering) == [450, 450, 1350]


@pytest.mark.parametrize("name", [None, "batches/one"])
async def test_what_was_left_of_a_batch_is_charged_once_also_where_answers_bear_no_id(
    metering: Metering, name: str | None
) -> None:
    await metering.record("kim", SERVICE, answer(1))
    handed_over = [await metering.record("kim", SERVICE, batch(1, 2, None, name=name)) for _ in range(3)]
    assert [(each.charged_tokens, each.replayed) for each in handed_over] == [(900, False), (900, True), (900, True)]
    assert await charged(metering) == [450, 900]


@pytest.mark.parametrize("name", [None, "batches/one"])
async def test_an_answer_that_stands_in_one_batch_twice_is_charged_once(metering: Metering, name: str | None) -> None:
    joined = await metering.record("kim", SERVICE, batch(1, 2, 1, 2, 1, name=name), call_key="joined")
    assert joined.charged_tokens == 900
    for again in (batch(2, 1), batch(1, 2, 2), answer(1)):
        assert (await metering.record("kim", SERVICE, again)).id == joined.id
    rest = await metering.record("kim", SERVICE, batch(1, 3, 3))
    assert (rest.charged_tokens, await charged(metering)) == (450, [450, 900])


async def test_a_batch_that_was_called_for_is_charged_once_for_an_answer_that_stands_in_it_twice(
    metering: Metering,
) -> None:
    assert (await settle_held(metering, batch(1, 1, 2, name="batches/one"))).charged_tokens == 900


async def test_answers_of_a_batch_without_an_id_or_of_one_id_with_other_counts_are_each_charged(
    metering: Metering,
) -> None:
    assert (await metering.record("kim", SERVICE, batch(None, None, ""))).charged_tokens == 1350
    joined = result_file(*lines_of(1), *lines_of(1, tokens=500))
    assert (await metering.record("kim", SERVICE, joined)).charged_tokens == 950


async def test_a_batch_may_have_the_name_of_one_of_its_answers(metering: Metering) -> None:
    usage = batch(1, "batches/one", name="batches/one")
    settled = await settle_held(metering, usage)
    assert (await metering.record("kim", SERVICE, usage)).id == settled.id
    assert (await metering.accounts.balance("kim")).held == 0
    assert await charged(metering) == [900]


async def test_an_id_that_stands_for_other_counts_proves_nothing_of_a_batch(metering: Metering) -> None:
    await metering.record("kim", SERVICE, answer(1, 500))
    assert not (await metering.record("kim", SERVICE, batch(1, 2))).replayed
    assert await charged(metering) == [500, 900]


async def test_a_batch_and_its_answers_that_come_at_once_are_charged_once(metering: Metering) -> None:
    for first in range(0, 100, 5):
        batches = [[first, first + 1, first + 2], [first + 2, first + 1, first], [first, first + 3]]
        came = [batches[0], [first], [first + 1], [first + 2], *batches[1:]]
        results = await asyncio.gather(*(handed_over(metering, numbers) for numbers in came), return_exceptions=True)
        assert all(isinstance(each, Receipt | IdempotencyConflict) for each in results), results
        new = [each.charged_tokens for each in results if isinstance(each, Receipt) and not each.replayed]
        assert sum(new) == 4 * 450
    assert sum(await charged(metering)) == (await metering.accounts.balance("kim")).used == 80 * 450


async def handed_over(metering: Metering, numbers: list[int]) -> Receipt:
    usage = answer(numbers[0]) if len(numbers) == 1 else batch(*numbers)
    return await metering.record("kim", SERVICE, usage)


async def test_a_batch_that_comes_while_the_database_is_away_is_charged_once_with_its_answers(
    killable: KillableServer, settings: Settings
) -> None:
    async with opened(settings, "kim") as metering:
        await metering.record("kim", SERVICE, answer(1))
        killable.crash()
        for number, usage in enumerate((batch(2, 3), answer(3), batch(1, 4), batch(1, 5))):
            key = f"call-{number}" if number > 1 else None
            assert (await metering.record("kim", SERVICE, usage, call_key=key)).available is None
        killable.start()
        await become(lambda: is_drained(metering))
        assert await charged(metering) == [450, 900]
        # Nothing told in the meantime which answers were known: handed over again, the others are charged.
        assert (await metering.record("kim", SERVICE, batch(1, 4), call_key="call-2")).charged_tokens == 450
        assert await charged(metering) == [450, 450, 900]
        assert (await metering.record("kim", SERVICE, batch(2, 3))).replayed
        await check_book(metering, settings.project)
