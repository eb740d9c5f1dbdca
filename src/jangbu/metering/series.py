"""What was used in each bucket of a window: what charts show, with totals that are the exact sums of their buckets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.windows import Window
from jangbu.metering.snapshots import EVERYTHING, Filters, Snapshot
from jangbu.storage import series
from jangbu.storage.series import Asked, Cut

__all__ = ["Bar", "Line", "Part", "Series", "of"]

Part = Literal["model", "service"]


@dataclass(frozen=True, slots=True)
class Bar:
    """What was used from ``start`` to before ``end``, both by the window's zone; zeros where nothing was."""

    start: datetime
    end: datetime
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Line:
    """What was used of one model or for one service: in each bar, in the bars' order, and in all."""

    name: str
    amounts: tuple[Amounts, ...]
    total: Amounts


@dataclass(frozen=True, slots=True)
class Series:
    """What was used in a window. ``bars`` are all its buckets, in order; ``total`` is their sum.

    ``lines`` are the parts that it is told apart by, the most used first: models or services, where ``by`` says so;
    none where it is not told apart. In each bar they add up to the bar. The last bar is under way where ``as_of``, the
    moment that this was read, lies before its end.
    """

    window: Window
    filters: Filters
    by: Part | None
    as_of: datetime
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    total: Amounts


async def of(
    look: Snapshot,
    window: Window,
    filters: Filters = EVERYTHING,
    by: Part | None = None,
    *,
    account: UUID | None = None,
) -> Series:
    """Give what was used in a window by everybody or one user. Raises NotFound for a user without an account.

    ``account`` is the user's where it is known: to that of an erased user no name leads.
    """
    edges = window.edges()
    asked = Asked(edges, by, filters.models or None, filters.services or None)
    if filters.user is None:
        cuts = await series.of_project(look.reader, look.project, asked)
    else:
        cuts = await series.of_user(look.reader, account or await look.account(filters.user), asked)
    bars = _bars(window, edges, cuts)
    lines = () if by is None else _lines(len(bars), cuts)
    return Series(window, filters, by, look.as_of, bars, lines, Amounts.sum(bar.amounts for bar in bars))


def _bars(window: Window, edges: Sequence[datetime], cuts: Sequence[Cut]) -> tuple[Bar, ...]:
    amounts = [NOTHING] * (len(edges) - 1)
    for cut in cuts:
        amounts[cut.bucket] += cut.amounts
    clock = [at.astimezone(window.zone) for at in edges]
    return tuple(Bar(*each) for each in zip(clock, clock[1:], amounts, strict=False))


def _lines(bars: int, cuts: Sequence[Cut]) -> tuple[Line, ...]:
    parts: dict[str, list[Amounts]] = {}
    for cut in cuts:
        assert cut.part is not None, "each has a name"
        parts.setdefault(cut.part, [NOTHING] * bars)[cut.bucket] += cut.amounts
    lines = [Line(name, tuple(amounts), Amounts.sum(amounts)) for name, amounts in parts.items()]
    return tuple(sorted(lines, key=lambda line: (-line.total.total_tokens, line.name)))
