"""How much a call takes as time goes on, within what is usual: a chart, and the table of the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jangbu.dashboard.figures import Figure, Row, bar_link, bar_name, running_bar
from jangbu.dashboard.look import Look
from jangbu.domain.amounts import average
from jangbu.domain.usual import BEFORE, Usual, usual_of_each
from jangbu.metering import series
from jangbu.metering.series import Bar, Series
from jangbu.metering.snapshots import Snapshot

__all__ = ["bars_before", "trend_figure"]

_NOTHING = "–"
_HEADS = ("time", "calls", "models.average", "trend.from", "trend.to", "trend.side")
_SIDES = {-1: "trend.below", 1: "trend.above"}


@dataclass(frozen=True, slots=True)
class _Point:
    """A bucket: the average of its calls and what is usual of it, None where there is none, and its side of that."""

    bar: Bar
    name: str
    average: int | None
    usual: Usual | None
    side: int
    link: str


async def bars_before(book: Snapshot, shown: Series) -> tuple[Bar, ...]:
    """Read the buckets before those of a series that tell what is usual of its first ones."""
    window = shown.window.earlier(BEFORE)
    return () if window is None else (await series.of(book, window, shown.filters)).bars[-BEFORE:]


def trend_figure(look: Look, id_: str, shown: Series, before: Sequence[Bar]) -> Figure:
    """Draw the average tokens of a call in each bucket, and what the buckets before it tell is usual.

    A bucket without calls has no average: it is a gap. The others lead to their days on this page.
    """
    points = _points(look, shown, before)
    whole = _written(look, _average_of(shown.total.total_tokens, shown.total.calls))
    outside = sum(abs(point.side) for point in points)
    running = running_bar(shown)
    return Figure(
        id=id_,
        title=look.texts("trend"),
        summary=look.texts(
            "trend.summary",
            average=whole,
            from_=look.formats.moment(shown.window.start),
            to=look.formats.moment(shown.window.end),
            count=outside,
            shown=look.formats.number(outside),
        ),
        running=_running_said(look, None if running is None else points[running]),
        drawn=_drawn(look, points, running),
        heads=tuple(map(look.texts, _HEADS)),
        rows=tuple(_row(look, point, place == running) for place, point in enumerate(points)),
        totals=(look.formats.number(shown.total.calls), whole, "", "", ""),
    )


def _points(look: Look, shown: Series, before: Sequence[Bar]) -> list[_Point]:
    earlier, averages = (
        [_average_of(bar.amounts.total_tokens, bar.amounts.calls) for bar in bars] for bars in (before, shown.bars)
    )
    return [
        _Point(
            bar,
            bar_name(look, shown, bar),
            mine,
            usual,
            0 if mine is None or usual is None else usual.side(mine),
            "" if mine is None else bar_link(look, shown, bar),
        )
        for bar, mine, usual in zip(shown.bars, averages, usual_of_each(earlier, averages), strict=True)
    ]


def _average_of(tokens: int, calls: int) -> int | None:
    return average(tokens, calls) if calls else None


def _row(look: Look, point: _Point, is_running: bool) -> Row:
    low, high = (None, None) if point.usual is None else (point.usual.low, point.usual.high)
    figures = (_written(look, each) for each in (point.average, low, high))
    side = look.texts(_SIDES[point.side]) if point.side else ""
    return Row(point.name, (look.formats.number(point.bar.amounts.calls), *figures, side), point.link, is_running)


def _drawn(look: Look, points: Sequence[_Point], running: int | None) -> dict[str, Any]:
    return {
        "kind": "line",
        "money": False,
        "buckets": [point.name for point in points],
        "running": running,
        "links": [point.link for point in points],
        "series": [{"name": look.texts("models.average"), "values": [point.average for point in points]}],
        "band": {
            "name": look.texts("trend.usual"),
            "low": [None if point.usual is None else point.usual.low for point in points],
            "high": [None if point.usual is None else point.usual.high for point in points],
        },
        "outside": [bool(point.side) for point in points],
        "said": [_said(look, point) for point in points],
    }


def _running_said(look: Look, point: _Point | None) -> str:
    """Say which point is hollow; nothing where all buckets have ended, or the one that runs has no call yet."""
    if point is None or point.average is None:
        return ""
    return look.texts("chart.running.hollow", name=point.name)


def _said(look: Look, point: _Point) -> str:
    """Say of a bucket what is drawn of it."""
    said = [point.name, look.texts("trend.said", average=_written(look, point.average))]
    if point.usual is not None:
        low, high = (look.formats.number(each) for each in (point.usual.low, point.usual.high))
        said.append(look.texts("trend.said_usual", low=low, high=high))
    return "\n".join(said)


def _written(look: Look, figure: int | None) -> str:
    return _NOTHING if figure is None else look.formats.number(figure)
