"""One round: a fresh book, processes that live and die on it, restarts, the bank test, and the end."""

import random

from jangbu.config import Settings
from jangbu.storage import migrate
from jangbu.wiring import open_metering
from tests.torture.bank import Bank
from tests.torture.closing import Known, close
from tests.torture.crowd import Crowd
from tests.torture.line import TheLine
from tests.torture.operator import operate
from tests.torture.plan import Kind, Planner
from tests.torture.points import points_of
from tests.torture.reaching import Progress, Way, beside
from tests.torture.stage import Place, Stage
from tests.torture.tally import Goals, Tally
from tests.torture.terms import POOR, RICH

__all__ = ["round_of_jangbu"]

SDK_WORKERS = 9
_KINDS = [Kind.GATEWAY, Kind.GATEWAY, *[Kind.SDK] * SDK_WORKERS]
_RICH_TOKENS, _POOR_TOKENS = 500_000_000, 500


async def round_of_jangbu(
    stage: Stage, name: str, seed: int, goals: Goals, tally: Tally, progress: Progress, *, mutant: str = ""
) -> None:
    """Carry out one round, adding to a tally."""
    dice = random.Random(seed)
    async with stage.place(name, mutant=mutant) as place:
        key, bought = await _opened(place)
        line = TheLine(place.server_socket, dice.getrandbits(32))
        planner = Planner(dice.getrandbits(48), {kind: points_of(kind) for kind in (Kind.SDK, Kind.GATEWAY)})
        planner.hits.update(tally.points)
        crowd = Crowd(place, planner, tally, expect=line.expect, forget=line.forget)
        bank = Bank(place.direct, tally)
        async with line.standing(place.folder):
            way = Way(goals, tally, line, stage.server, dice)
            operator = operate(place.terms, place.answers, crowd.whole, tally)
            async with (
                crowd.living(_KINDS),
                crowd.clients(key, dice.getrandbits(32)),
                beside(bank.watch(), operator),
            ):
                await way.go(progress)
            way.count()
            line.is_honest = True
            known = Known(
                answers=place.answers,
                whole=list(crowd.whole.values()),
                bought=bought,
                top_ups=frozenset(crowd.top_ups),
                without_room=frozenset(crowd.without_room),
            )
            await close(place.terms, known, tally, crowd.last_death + place.terms.hold_seconds)
    tally.top_ups += len(crowd.top_ups)
    tally.rounds += 1


async def _opened(place: Place) -> tuple[str, dict[str, int]]:
    """Make a book with users that have tokens; give an app's key, and what was bought."""
    await migrate.upgrade(place.direct)
    bought = dict.fromkeys(RICH, _RICH_TOKENS) | dict.fromkeys(POOR, _POOR_TOKENS)
    settings = Settings.load(database_url=place.direct, spool_dir=place.folder / "opening", spool_bytes_max=0)
    async with open_metering(settings, delivers=False) as metering:
        for user, tokens in bought.items():
            await metering.accounts.create(user)
            await metering.accounts.grant(user, tokens, key="first")
        _, key = await metering.keys.create_for_app("torture")
    return key, bought
