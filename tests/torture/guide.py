"""The guide's design under the same kills, restarts and lost acknowledgements: what it loses."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import asyncpg
from benchmarks.guide_design import make_tables

from tests.torture.crowd import Crowd
from tests.torture.facts import given_answers
from tests.torture.guide_users import ACCOUNTS, account_of
from tests.torture.line import TheLine
from tests.torture.plan import Kind, Planner
from tests.torture.reaching import Progress, Way, beside
from tests.torture.stage import Place, Stage
from tests.torture.tally import Goals, Tally
from tests.torture.terms import POOR

__all__ = ["round_of_the_guide"]

WORKERS = 9
_POOR_TOKENS = 500
_PAUSE_SECONDS = 0.25
_BALANCES = "SELECT user_id, balance, used_tokens FROM guide.user_tokens"
_SUMS = "SELECT user_id, sum(total_tokens)::bigint FROM guide.token_usage GROUP BY user_id"
_ANSWERS = "SELECT metadata ->> 'answer', count(*) FROM guide.token_usage GROUP BY 1"


async def round_of_the_guide(
    stage: Stage, name: str, seed: int, goals: Goals, tally: Tally, progress: Progress
) -> None:
    """Carry out one round; what is lost is counted, and nothing of it is called wrong."""
    dice = random.Random(seed)
    async with stage.place(name, has_ledger=False) as place:
        await _open(place.direct)
        line = TheLine(place.server_socket, dice.getrandbits(32))
        crowd = Crowd(place, Planner(dice.getrandbits(48), {}), tally, expect=line.expect, forget=line.forget)
        async with line.standing(place.folder):
            way = Way(goals, tally, line, stage.server, dice)
            async with crowd.living([Kind.GUIDE] * WORKERS), beside(_watch(place.direct, tally)):
                await way.go(progress)
            way.count()
        await asyncio.sleep(_PAUSE_SECONDS)
        await _judge(place, crowd, tally)
    tally.rounds += 1


async def _open(dsn: str) -> None:
    await make_tables(dsn, ACCOUNTS)
    connection = await asyncpg.connect(dsn)
    poor = [account_of(user) for user in POOR]
    await connection.execute("UPDATE guide.user_tokens SET balance = $2 WHERE user_id = ANY ($1)", poor, _POOR_TOKENS)
    await connection.close()


async def _watch(dsn: str, tally: Tally) -> None:
    """See what is left to whom, again and again."""
    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            connection = await asyncpg.connect(dsn, timeout=5)
            try:
                tally.looked(_least(await connection.fetch(_BALANCES)))
            finally:
                connection.terminate()
        await asyncio.sleep(_PAUSE_SECONDS)


async def _judge(place: Place, crowd: Crowd, tally: Tally) -> None:
    connection = await asyncpg.connect(place.direct)
    try:
        balances = await connection.fetch(_BALANCES)
        sums: Mapping[object, int] = {row[0]: row[1] for row in await connection.fetch(_SUMS)}
        recorded: Mapping[str, int] = {row[0]: row[1] for row in await connection.fetch(_ANSWERS)}
    finally:
        await connection.close()
    given = given_answers(place.answers)
    tally.looked(_least(balances))
    tally.answers += len(given)
    tally.whole += len(crowd.whole)
    tally.records += sum(recorded.values())
    tally.lost += sum(answer not in recorded for answer in crowd.whole)
    tally.twice += sum(number - 1 for number in recorded.values())
    orphans = [each for each in given if each.answer not in recorded and each.answer not in crowd.whole]
    tally.orphans += len(orphans)
    # Nothing but the usage tells of a call, so what is not recorded cannot be found again.
    tally.untraceable += len(orphans)
    drifts: Counter[object] = Counter(
        {row["user_id"]: abs(row["used_tokens"] - sums.get(row["user_id"], 0)) for row in balances}
    )
    tally.drift += drifts.total()


def _least(balances: list[asyncpg.Record]) -> int:
    return min(int(row["balance"]) - int(row["used_tokens"]) for row in balances)
