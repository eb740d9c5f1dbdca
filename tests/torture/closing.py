"""The end of a round: drain, sweep, judge, resolve what is unknown by the truth, and judge again."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.locations import ledger_spool
from jangbu.metering.evidence import restated
from jangbu.metering.meter import Metering
from jangbu.metering.spool import Sight, look, spools_below
from jangbu.metering.verify import Verification
from jangbu.storage.holds import HoldRow
from jangbu.wiring import open_metering
from tests.torture import bank
from tests.torture.checker import closed, judged
from tests.torture.facts import Given, Whole, book, given_answers
from tests.torture.operator import settle
from tests.torture.tally import Tally
from tests.torture.terms import Terms, top_up

__all__ = ["Known", "close"]

_AT_ONCE = 64
_SWEEP_MARGIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is true: the fake's log, what apps have, what was bought, and who had no room."""

    answers: Path
    whole: Sequence[Whole]
    bought: Mapping[str, int]
    top_ups: frozenset[int]
    without_room: frozenset[int]


async def close(terms: Terms, known: Known, tally: Tally, holds_end_at: float) -> None:
    """Close a round whose processes are all dead. ``holds_end_at`` is when the last hold's time is up."""
    settings = Settings.load(**{**terms.settings(0), "pool_size": 6, "spool_after_seconds": 30})
    waiting = sum(sight.waiting for sight in _spools(settings))
    tally.spooled += waiting
    async with open_metering(settings, delivers=False) as metering:
        assert metering.spooling is not None
        while any(sight.waiting for sight in _spools(settings)):
            await metering.spooling.adopt()
        await asyncio.sleep(max(0.0, holds_end_at + _SWEEP_MARGIN_SECONDS - asyncio.get_running_loop().time()))
        await metering.holds.expire()
        await metering.holds.close_findings()
        # By now the fake has noticed who is gone.
        given = given_answers(known.answers)
        await _judge(settings, known, given, tally)
        await _resolve(metering, settings, given, tally)
        bought = await _bought(metering, known, terms.top_up_tokens)
        await metering.holds.close_findings()
        for wrong in await _closed(settings, given, bought):
            tally.drift += 1
            tally.found(f"in the end: {wrong}")
        await _verify(metering, settings, tally)


def _spools(settings: Settings) -> list[Sight]:
    root: Path = ledger_spool(settings)
    return [look(directory, SystemClock()) for directory in spools_below(root)]


async def _judge(settings: Settings, known: Known, given: Sequence[Given], tally: Tally) -> None:
    connection = await _connected(settings)
    try:
        state = await book(connection)
        wrong, _ = await bank.look(connection)
    finally:
        await connection.close()
    for each in wrong:
        tally.drift += 1
        tally.found(f"after the sweep: {each}")
    verdict = judged(given, known.whole, state, known.without_room)
    tally.answers += len(given)
    tally.whole += len(known.whole)
    tally.records += len(state.records)
    tally.orphans += verdict.orphans
    tally.partial += verdict.partial
    tally.lost += len(verdict.lost)
    tally.twice += len(verdict.twice)
    tally.drift += len(verdict.invented)
    tally.untraceable += len(verdict.untraceable)
    tally.leaked += len(verdict.leaked)
    for each in verdict.wrong:
        tally.found(each)


async def _resolve(metering: Metering, settings: Settings, given: Sequence[Given], tally: Tally) -> None:
    """End every hold of unknown outcome: by the answer that was given, or because there was none."""
    by_call = {each.call: each for each in given}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def resolved(hold: HoldRow) -> None:
        async with gate:
            answer = by_call.get(hold.id)
            if answer is None:
                await metering.holds.release(metering.accounts.id_of(hold.user), hold.id, "the fake never answered")
                tally.resolved["released"] += 1
            elif await settle(metering, settings.project, hold.id, answer):
                tally.resolved["settled"] += 1

    while page := await metering.holds.page(None, ["unknown"], 10_000):
        await asyncio.gather(*(resolved(each) for each in page))


async def _bought(metering: Metering, known: Known, tokens: int) -> Mapping[str, int]:
    """Repeat every top-up that anybody began, and give what was bought in all."""
    bought = dict(known.bought)
    for number in sorted(known.top_ups):
        user, amount, key = top_up(number, tokens)
        await metering.accounts.grant(user, amount, key=key)
        bought[user] += amount
    return bought


async def _closed(settings: Settings, given: Sequence[Given], bought: Mapping[str, int]) -> list[str]:
    connection = await _connected(settings)
    try:
        wrong, _ = await bank.look(connection)
        return [*wrong, *closed(given, await book(connection), bought)]
    finally:
        await connection.close()


async def _verify(metering: Metering, settings: Settings, tally: Tally) -> None:
    verification = Verification(metering.database, settings.project, spools=_spools(settings))
    report = await verification.run(full=True, recompute=metering.pricing.reprice, restate=restated)
    for each in report.mismatches:
        tally.drift += 1
        tally.found(f"verify: {each.invariant.value} {each.user}: {each.what}: {each.expected}, not {each.found}")


async def _connected(settings: Settings) -> asyncpg.Connection:
    assert settings.database_url is not None
    return await asyncpg.connect(settings.database_url.get_secret_value())
