"""Two answers of one call: the first settles it, and the other is never taken for it, lost, or charged twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from jangbu import telemetry
from jangbu.config import Settings
from jangbu.domain.flow import Call, Receipt, Settle
from jangbu.domain.usage import Usage
from jangbu.errors import IdempotencyConflict
from jangbu.metering.drafts import answer_key
from jangbu.metering.draining import Draining
from jangbu.metering.evidence import evidence
from jangbu.metering.meter import Metering
from jangbu.metering.spool import SpooledUsage
from tests.faults.server import KillableServer
from tests.faults.waiting import become
from tests.metering.outage import (
    FLASH,
    answer,
    check_book,
    fetch,
    hold,
    is_drained,
    new_call,
    opened,
    recorded,
    settle,
    spooled_row,
)

PROJECT = "two-answers"


@pytest.fixture
async def metering(database_url: str, tmp_path: Path) -> AsyncIterator[Metering]:
    chosen = Settings.load(database_url=database_url, spool_dir=tmp_path / "spool", project=f"{PROJECT}-{uuid4()}")
    async with opened(chosen, "kim") as metering:
        yield metering
        await check_book(metering, chosen.project)
        assert (await metering.accounts.balance("kim")).held == 0


async def held(metering: Metering) -> Call:
    call = new_call("kim")
    await hold(metering, call)
    return call


def typed(tokens: int) -> Usage:
    """Give what an operator types: counts, and no id."""
    return replace(answer(0, tokens), response_id=None)


def spooled(metering: Metering, call: Call, usage: Usage) -> SpooledUsage:
    """Give the record of a call as it waits in a spool."""
    key, project = answer_key(usage), metering.accounts._project
    row = spooled_row(project, "kim", call.id)._replace(
        was_held=True,
        response_id=usage.response_id,
        key=None if key is None else key[0],
        digest=None if key is None else key[1],
        prompt=usage.counts.prompt,
        total=usage.total_tokens,
        raw=json.dumps(evidence(usage)),
    )
    return SpooledUsage(project, "kim", "text_generation", FLASH, row)


async def findings(metering: Metering) -> list[str]:
    rows = await fetch(
        metering.database,
        "SELECT f.kind::text FROM jangbu.findings AS f WHERE f.account_id = $1 ORDER BY 1",
        metering.accounts.id_of("kim"),
    )
    return [row["kind"] for row in rows]


async def test_another_answer_of_a_settled_call_is_recorded_on_its_own_and_shown(metering: Metering) -> None:
    call = await held(metering)
    first = await settle(metering, call, answer(1))
    other = await settle(metering, call, answer(2, 700))
    assert (first.id, first.charged_tokens, first.replayed) == (call.id, 450, False)
    assert other.id != call.id
    assert (other.charged_tokens, other.replayed) == (700, False)
    assert await findings(metering) == ["late"]
    for usage, receipt in ((answer(1), first), (answer(2, 700), other)):
        for again in (await settle(metering, call, usage), await metering.record("kim", "text_generation", usage)):
            assert (again.id, again.charged_tokens, again.replayed) == (receipt.id, receipt.charged_tokens, True)
    assert await recorded(metering) == {call.id: 450, other.id: 700}


async def test_two_answers_of_one_call_that_come_at_once_are_both_recorded(metering: Metering) -> None:
    calls = [await held(metering) for _ in range(6)]
    settling = [
        settle(metering, call, answer(2 * number + twin, 400 + twin))
        for number, call in enumerate(calls)
        for twin in range(2)
    ]
    receipts = await asyncio.gather(*settling)
    assert [receipt.charged_tokens for receipt in receipts] == [400, 401] * 6
    assert await recorded(metering) == {receipt.id: receipt.charged_tokens for receipt in receipts}


async def test_an_answer_that_says_otherwise_than_evidence_without_an_id_is_refused_and_can_be_handed_over(
    metering: Metering,
) -> None:
    call = await held(metering)
    await settle(metering, call, typed(500))
    for other in (answer(1), typed(450)):
        with pytest.raises(IdempotencyConflict, match=r"was settled at .* with another answer"):
            await settle(metering, call, other)
    handed = await metering.record("kim", "text_generation", answer(1))
    assert not handed.replayed
    assert await recorded(metering) == {call.id: 500, handed.id: 450}


async def test_an_answer_that_says_what_evidence_said_is_known_by_its_id_from_then_on(metering: Metering) -> None:
    call = await held(metering)
    await settle(metering, call, typed(450))
    assert (await settle(metering, call, answer(1))).replayed
    assert (await metering.record("kim", "text_generation", answer(1))).id == call.id
    assert await recorded(metering) == {call.id: 450}


async def test_a_call_key_that_comes_with_another_answer_of_the_same_counts_is_refused(metering: Metering) -> None:
    first = await metering.record("kim", "text_generation", answer(1), call_key="order-7")
    with pytest.raises(IdempotencyConflict):
        await metering.record("kim", "text_generation", answer(2), call_key="order-7")
    other = await metering.record("kim", "text_generation", answer(2), call_key="order-8")
    assert await recorded(metering) == {first.id: 450, other.id: 450}


async def test_what_waited_for_a_call_that_was_settled_meanwhile_is_recorded_on_its_own_once(
    metering: Metering,
) -> None:
    call, other = await held(metering), await held(metering)
    await settle(metering, call, answer(1))
    waiting = [
        spooled(metering, call, answer(2, 700)),
        spooled(metering, other, answer(3, 800)),
        spooled(metering, other, answer(4, 900)),
    ]
    for _ in range(2):
        assert await Draining(metering.database).write(waiting) == [None] * 3
    assert sorted((await recorded(metering)).values()) == [450, 700, 800, 900]
    assert (await settle(metering, call, answer(2, 700))).replayed


async def test_what_waited_and_says_otherwise_than_evidence_without_an_id_is_put_aside_with_the_reason(
    metering: Metering,
) -> None:
    call = await held(metering)
    await settle(metering, call, typed(500))
    [same, other] = await Draining(metering.database).write(
        [spooled(metering, call, typed(500)), spooled(metering, call, answer(1))]
    )
    assert same is None
    assert isinstance(other, str)
    assert f"call {call.id} was settled" in other
    assert await recorded(metering) == {call.id: 500}


async def test_who_passes_an_answer_on_may_do_so_and_it_is_told_what_is_not_recorded(metering: Metering) -> None:
    told: list[tuple[object, object, object]] = []
    end = telemetry.subscribe(
        lambda _, facts: told.append((facts["usage_id"], facts["total"], facts["evidence"])), "recorder.failed"
    )
    call = await held(metering)
    await settle(metering, call, typed(500))
    assert await metering.end(Settle(call, answer(1))) is None
    end()
    [(usage_id, total, kept)] = told
    assert (usage_id, total) == (str(call.id), 450)
    assert json.loads(str(kept)) == evidence(answer(1))


@pytest.mark.parametrize("every_record", [False, True])
async def test_another_answer_that_comes_while_the_database_is_away_is_recorded_when_it_is_back(
    killable: KillableServer, settings: Settings, *, every_record: bool
) -> None:
    chosen = settings.model_copy(update={"spool_every_record": every_record})
    async with opened(chosen, "kim") as metering:
        call = await held(metering)
        await settle(metering, call, answer(1))
        killable.crash()
        receipt = await metering.execute(Settle(call, answer(2, 700)))
        assert isinstance(receipt, Receipt)
        assert receipt.available is None
        killable.start()
        await become(lambda: is_drained(metering))
        assert sorted((await recorded(metering)).values()) == [450, 700]
        await check_book(metering, chosen.project)
