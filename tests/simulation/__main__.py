"""Carries out seeds: one with all its steps, or many, of which those that went wrong are shown.

python -m tests.simulation SEED              replays one history
python -m tests.simulation --seeds 1000000   carries out so many of them, on all cores
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.world import History, simulate

_CHUNK = 500
_SHOWN_MOST = 20


def main() -> int:
    """Do what the arguments say; give 0 where nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="the seed to replay")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many seeds to carry out")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return _replay(chosen.seed)
    return _carry_out(range(chosen.first, chosen.first + chosen.seeds))


def _replay(seed: int) -> int:
    history = simulate(seed)
    for moment, who, what in history.trace:
        _say(f"{moment:12.6f}  {'database' if who < 0 else f'process {who}':10}  {what}")
    for wrong in history.wrong:
        _say(f"WRONG: {wrong}")
    _say(f"seed {seed}: {history.digest}, {len(history.wrong)} wrong")
    return 1 if history.wrong else 0


def _carry_out(seeds: range) -> int:
    begun, done = time.monotonic(), 0
    failed: list[tuple[int, str]] = []
    facts: Counter[str] = Counter()
    with ProcessPoolExecutor() as workers:
        chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
        for chunk, (found, counted) in zip(chunks, workers.map(carry_out, chunks), strict=True):
            done += len(chunk)
            for seed, wrong in found[: _SHOWN_MOST - len(failed)]:
                _say(f"\nseed {seed}: {wrong}\n    replay it: python -m tests.simulation {seed}")
            failed += found
            facts += counted
            sys.stderr.write(f"\r{done:,} of {len(seeds):,} seeds, {len(failed)} failed")
    sys.stderr.write("\n")
    counts = ", ".join(f"{number:,} {what}" for what, number in facts.items())
    seconds = time.monotonic() - begun
    _say(f"{len(seeds):,} seeds on {os.cpu_count()} cores in {seconds:,.0f} s: {counts}; {len(failed)} seeds failed")
    return 1 if failed else 0


def carry_out(seeds: range) -> tuple[list[tuple[int, str]], Counter[str]]:
    """Carry out seeds one after another; give those that went wrong with what did, and what happened in all."""
    failed: list[tuple[int, str]] = []
    facts: Counter[str] = Counter()
    for seed in seeds:
        history: History = simulate(seed)
        facts.update(history.facts)
        if history.wrong:
            failed.append((seed, "; ".join(history.wrong)))
    return failed, facts


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
