"""The figures of the gateway benchmark, each from a turn and the direct turn of its round, and the goals among them."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.gateway_turn import CALLERS, IMAGE_CALLERS, Cost, Turn

DIRECT = "direct"
_MANY = max(CALLERS)
_JANGBU, _LITELLM, _PORTKEY = ("Jangbu, 1 worker", "Jangbu, 2 workers"), "LiteLLM, pass-through", "Portkey, chat"
Figures = Callable[[Turn, Turn], tuple[float, ...]]
"""Gives the figures of a cell, which stand beside each other, from a turn and the direct turn of the same round."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that is to be reached: at least, or at most, so much in the median of the rounds."""

    what: str
    values: tuple[float, ...]
    bound: float
    is_upper: bool
    unit: str = ""

    @property
    def is_reached(self) -> bool:
        """Tell whether the median is on the right side of the bound."""
        median = statistics.median(self.values)
        return median <= self.bound if self.is_upper else median >= self.bound

    def row(self) -> list[str]:
        """Give the goal as a row of a table."""
        bound = f"{'<=' if self.is_upper else '>='} {self.bound:g}{self.unit}"
        return [self.what, f"**{spread(self.values, 2)}**{self.unit}", bound, "yes" if self.is_reached else "no"]


def goals(turns: Mapping[str, Mapping[int, Turn]]) -> list[Goal]:
    """Give the goals whose two sides were both measured, for one worker and for two."""
    found: list[Goal] = []
    for title in _JANGBU:
        for other, bound in ((_LITELLM, 20), (_PORTKEY, 2)):
            quotient = _beside(turns, title, other, _quotient)
            found.append(Goal(f"{title}: calls/s at {_MANY} callers, times {other}", quotient, bound, is_upper=False))
        found += [
            Goal(
                f"{title}: CPU a call at {_MANY} callers, database apart",
                _beside(turns, title, DIRECT, lambda ours, direct: cpu(_MANY)(ours, direct)[0]), 0.6,
                is_upper=True, unit=" ms",
            ),
            Goal(
                f"{title}: first byte later than direct at {_MANY} streams, p50",
                _beside(turns, title, DIRECT, lambda ours, direct: first(_MANY)(ours, direct)[0]), 2,
                is_upper=True, unit=" ms",
            ),
            Goal(
                f"{title}: streams and images that came whole, byte for byte",
                _beside(turns, title, DIRECT, lambda ours, _direct: _whole_share(ours)), 100,
                is_upper=False, unit=" %",
            ),
            Goal(
                f"{title}: peak RSS with {IMAGE_CALLERS} images of 2 MB at once",
                _beside(turns, title, DIRECT, lambda ours, _direct: ours.image_memory.rss), 120,
                is_upper=True, unit=" MB",
            ),
        ]  # fmt: skip
    return [goal for goal in found if goal.values]


def rate(callers: int) -> Figures:
    """Calls a second."""
    return lambda turn, _direct: (turn.levels[callers].plain.rate,)


def added(callers: int) -> Figures:
    """Milliseconds that a call takes longer than direct: median and 99th percentile."""

    def figures(turn: Turn, direct: Turn) -> tuple[float, ...]:
        ours, bare = turn.levels[callers].plain, direct.levels[callers].plain
        return ours.p50_ms - bare.p50_ms, ours.p99_ms - bare.p99_ms

    return figures


def cpu(callers: int) -> Figures:
    """Milliseconds of CPU for each call, the database apart (which is CPU seconds for 1,000 calls)."""
    return lambda turn, _direct: _each(turn, turn.levels[callers].plain_cost, turn.levels[callers].plain.good)


def first(callers: int) -> Figures:
    """Milliseconds by which a stream's first byte comes later than direct: median and 99th percentile."""

    def figures(turn: Turn, direct: Turn) -> tuple[float, ...]:
        ours, bare = turn.levels[callers].streams, direct.levels[callers].streams
        return ours.first(0.5) - bare.first(0.5), ours.first(0.99) - bare.first(0.99)

    return figures


def stream_cpu(callers: int) -> Figures:
    """Milliseconds of CPU for each stream, the database apart."""
    return lambda turn, _direct: _each(turn, turn.levels[callers].stream_cost, turn.levels[callers].streams.answered)


def image_cpu(turn: Turn, _direct: Turn) -> tuple[float, ...]:
    """Milliseconds of CPU for each image, the database apart."""
    return _each(turn, turn.image_cost, turn.images.answered)


def plain_memory(turn: Turn, _direct: Turn) -> tuple[float, ...]:
    """Memory after plain calls in MB, RSS and PSS."""
    return turn.memory.rss, turn.memory.pss


def image_memory(turn: Turn, _direct: Turn) -> tuple[float, ...]:
    """Peak of the memory with many images at once in MB, RSS and PSS."""
    return turn.image_memory.rss, turn.image_memory.pss


def spread(values: Sequence[float], digits: int) -> str:
    """Give the median of values, with the least and the greatest where there are several."""
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def _each(turn: Turn, cost: Cost, calls: int) -> tuple[float, ...]:
    each = [1000 * seconds / calls if calls else math.nan for seconds in (cost.own, cost.database)]
    return tuple(each if turn.target.data_dir is not None else each[:1])


def _quotient(ours: Turn, others: Turn) -> float:
    other = others.levels[_MANY].plain.rate
    return ours.levels[_MANY].plain.rate / other if other else math.inf


def _whole_share(turn: Turn) -> float:
    replies = [turn.images, *(level.streams for level in turn.levels.values())]
    asked = sum(seen.asked for seen in replies)
    return 100 * sum(seen.whole for seen in replies) / asked if asked else math.nan


def _beside(
    turns: Mapping[str, Mapping[int, Turn]], title: str, other: str, figure: Callable[[Turn, Turn], float]
) -> tuple[float, ...]:
    """Give a figure for each round in which both of two targets were measured."""
    others = turns.get(other, {})
    return tuple(figure(turn, others[number]) for number, turn in turns.get(title, {}).items() if number in others)
