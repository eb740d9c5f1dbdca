"""Which rollups cover a window: the longest that lie whole in a bucket, and shorter ones towards its edges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["Runs", "Spans", "spans_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_DAY, _SIX_HOURS = 1440, 360
_LENGTHS = (_DAY, _SIX_HOURS, 60, 15, 1)
"""How many minutes of UTC the rollups are of."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Stretches of time, in order and apart: where each begins, and where it ends."""

    firsts: list[datetime] = field(default_factory=list)
    nexts: list[datetime] = field(default_factory=list)

    def add(self, first: datetime, after: datetime) -> None:
        """Add a stretch that comes after all others; one that follows the last without a gap makes it longer."""
        if self.nexts and self.nexts[-1] == first:
            self.nexts[-1] = after
        else:
            self.firsts.append(first)
            self.nexts.append(after)


@dataclass(frozen=True, slots=True)
class Spans:
    """A window in stretches of whole days, six hours, hours, quarters of an hour and minutes of UTC.

    No stretch but those of minutes holds one that an edge of a bucket cuts.
    """

    days: Runs
    six_hours: Runs
    hours: Runs
    quarters: Runs
    minutes: Runs


def spans_of(edges: Sequence[datetime], *, with_days: bool = True, with_six_hours: bool = False) -> Spans:
    """Give what covers all buckets between edges, which are whole minutes; without days or six hours where there are
    no rollups of them that are of use.
    """
    runs = {length: Runs() for length in _LENGTHS}
    lengths = [
        length for length in _LENGTHS if (with_days or length != _DAY) and (with_six_hours or length != _SIX_HOURS)
    ]
    minutes = [(edge - _EPOCH) // _MINUTE for edge in edges]
    for number, start in enumerate(minutes[:-1]):
        for length, first, after in _covering(start, minutes[number + 1], lengths):
            runs[length].add(_EPOCH + first * _MINUTE, _EPOCH + after * _MINUTE)
    return Spans(*runs.values())


def _covering(start: int, end: int, lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Give length, beginning and end of what covers the minutes from one to before another, in order."""
    length, *shorter = lengths
    first, after = -(-start // length) * length, end // length * length
    if first >= after:
        yield from _covering(start, end, shorter)
        return
    if start < first:
        yield from _covering(start, first, shorter)
    yield length, first, after
    if after < end:
        yield from _covering(after, end, shorter)
