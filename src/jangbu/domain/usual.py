"""What is usual of a figure, told by those before it alone, so that what stands out does not hide itself.

Three deviations, not two: of days that differ by chance alone, two of thirty would stand out; so it is one of 145.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isqrt

__all__ = ["BEFORE", "DEVIATIONS", "LEAST", "Usual", "usual", "usual_of_each"]

BEFORE = 28
"""How many buckets before one tell what is usual: of days four weeks, so each day of the week counts as often."""

LEAST = 7
"""How many of them have to have a figure."""

DEVIATIONS = 3
"""How many standard deviations from the mean is usual."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual: every whole number from ``low`` to ``high``, and no other one."""

    low: int
    high: int

    def side(self, figure: int) -> int:
        """Give -1 for a figure below what is usual, 1 for one above, else 0."""
        return (figure > self.high) - (figure < self.low)


def usual(before: Sequence[int]) -> Usual | None:
    """Give what lies within three standard deviations of the mean of figures, none of which is negative, nor is that;
    None where they are fewer than seven.
    """
    number = len(before)
    if number < LEAST:
        return None
    total = sum(before)
    # The squares of the sums, so that nothing is divided before the end: a figure x is usual where
    # (number * x - total)^2 is no more than this.
    reach = isqrt(DEVIATIONS**2 * (number * sum(each * each for each in before) - total * total))
    return Usual(max(-((reach - total) // number), 0), (total + reach) // number)


def usual_of_each(earlier: Sequence[int | None], figures: Sequence[int | None]) -> tuple[Usual | None, ...]:
    """Give for each figure what the ``BEFORE`` before it tell; the first ones have ``earlier`` before them.

    None among the figures is a bucket that has none: it tells nothing.
    """
    return tuple(usual(tuple(each)) for each in _before_each((*earlier, *figures), len(earlier)))


def _before_each(figures: Sequence[int | None], first: int) -> Iterator[Iterator[int]]:
    for place in range(first, len(figures)):
        yield (each for each in islice(figures, max(place - BEFORE, 0), place) if each is not None)
