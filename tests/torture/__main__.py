"""Tortures Jangbu, and the guide's design beside it: python -m tests.torture --seconds 60, or --kills 100000."""

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path

from tests.torture.guide import round_of_the_guide
from tests.torture.mutants import MUTANTS
from tests.torture.report import figures, progress_to, shown
from tests.torture.rounds import round_of_jangbu
from tests.torture.stage import Stage, standing
from tests.torture.tally import Goals, Tally

__all__ = ["main", "torture", "torture_the_guide"]

_KILLS_A_RESTART = 130
_KILLS_AN_AMBIGUOUS_COMMIT = 20
_SECONDS_A_RESTART = 12
_GUIDE_SHARE = 5
"""The guide's design is driven for a part of the time: what it loses shows soon."""
_STOPPED = 128 + signal.SIGINT
"""What a shell calls a command that was interrupted."""
_GUIDE_SECONDS_LEAST, _GUIDE_KILLS_MOST = 15, 2_000


def main() -> int:
    """Do what the arguments say; give 1 where Jangbu lost anything, and another code where this was stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=_number, default=0, help="for how long at least")
    parser.add_argument("--kills", type=_number, default=0, help="how many kill -9 at least")
    parser.add_argument("--restarts", type=_number, help="how many immediate restarts at least")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--without-guide", action="store_true", help="leave the guide's design out")
    parser.add_argument("--mutant", default="", choices=list(MUTANTS), help="a bug to find, put in on purpose")
    chosen = parser.parse_args()
    seed = int(os.environ.get("JANGBU_SEED", random.randrange(2**32)))
    sys.stderr.write(f"JANGBU_SEED={seed}\n")
    # What the parts say of a database that is away is no news here.
    logging.disable(logging.CRITICAL)
    # Who is told to end ends as after Ctrl-C: the loop cancels what it does, and everything is taken down in order.
    # A shell has what it runs in the background ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    tallies = {"Jangbu": Tally()}
    was_stopped = False
    try:
        _carry_out(chosen, seed, tallies)
    except KeyboardInterrupt:
        was_stopped = True
    shown(tallies, seed)
    if chosen.json is not None:
        facts = {"seed": seed, **{name: figures(tally) for name, tally in tallies.items()}}
        chosen.json.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    if was_stopped:
        sys.stderr.write("stopped: the round under way was not judged, so this proves nothing\n")
    return 1 if tallies["Jangbu"].wrong else _STOPPED * was_stopped


def _carry_out(chosen: argparse.Namespace, seed: int, tallies: dict[str, Tally]) -> None:
    goals = _goals(chosen.seconds or (0 if chosen.kills else 60), chosen.kills, chosen.restarts)
    with standing() as stage:
        asyncio.run(torture(stage, seed, goals, tallies["Jangbu"], mutant=chosen.mutant))
        if not chosen.without_guide and not tallies["Jangbu"].wrong:
            tallies["the guide's design"] = Tally()
            asyncio.run(torture_the_guide(stage, seed, _for_the_guide(goals), tallies["the guide's design"]))


async def torture(stage: Stage, seed: int, goals: Goals, tally: Tally, *, mutant: str = "") -> None:
    """Carry out rounds until the goals are reached, or something is wrong."""
    progress = progress_to()
    while goals.reached(tally) < 1 and not tally.wrong:
        name = f"round_{tally.rounds + 1}"
        await round_of_jangbu(stage, name, seed + tally.rounds, goals, tally, progress, mutant=mutant)


async def torture_the_guide(stage: Stage, seed: int, goals: Goals, tally: Tally) -> None:
    """Carry out one round with the guide's design."""
    await round_of_the_guide(stage, "guide", seed, goals, tally, progress_to())


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 1 on")
    return int(text)


def _goals(seconds: int, kills: int, restarts: int | None) -> Goals:
    by_default = max(kills // _KILLS_A_RESTART, seconds // _SECONDS_A_RESTART, 1)
    return Goals(
        seconds=seconds,
        kills=kills,
        restarts=by_default if restarts is None else restarts,
        ambiguous=kills // _KILLS_AN_AMBIGUOUS_COMMIT,
    )


def _for_the_guide(goals: Goals) -> Goals:
    return replace(
        goals,
        seconds=max(goals.seconds // _GUIDE_SHARE, _GUIDE_SECONDS_LEAST) if goals.seconds else 0,
        kills=min(goals.kills // _GUIDE_SHARE, _GUIDE_KILLS_MOST),
        restarts=max(1, min(goals.restarts // _GUIDE_SHARE, 20)),
        ambiguous=0,
    )


if __name__ == "__main__":
    sys.exit(main())
