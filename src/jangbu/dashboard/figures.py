"""Charts, and beside each the table of the same figures: what is drawn and what is read are made from one series."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, count
from typing import Any

from jangbu.dashboard.look import Look
from jangbu.domain.amounts import Amounts
from jangbu.domain.windows import Bucket
from jangbu.metering.series import Bar, Series

__all__ = [
    "OTHERS_AFTER",
    "Figure",
    "Row",
    "bar_link",
    "bar_name",
    "kinds_figure",
    "parts_figure",
    "running_bar",
    "told_apart",
]

OTHERS_AFTER = 5
"""How many parts are drawn apart before the others are drawn as one: there are six colours."""

_NANO_A_DOLLAR = 10**9
_KINDS = ("input", "cached", "output", "thinking")
_UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what it is of, its figures as they are shown, and where they come from."""

    name: str
    cells: tuple[str, ...]
    link: str = ""
    is_running: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart: ``drawn`` is what the script draws, ``summary`` says in words what it shows.

    ``running`` says which bar is still filling, and is therefore hatched; it is empty where none is, or none has
    anything in it yet. ``note`` says what else there is to know of what is drawn, and is mostly empty.
    """

    id: str
    title: str
    summary: str
    drawn: dict[str, Any]
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    running: str
    totals: tuple[str, ...] = field(default=())
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Stack:
    """A part in each bar: what of the amounts is drawn, and the amounts."""

    name: str
    values: tuple[int, ...]
    amounts: tuple[Amounts, ...]


def parts_figure(look: Look, id_: str, series: Series, metric: str, title: str, path: str | None = None) -> Figure:
    """Draw a series by its parts, the largest first; the smallest are drawn together and stand apart in the table.

    Its bars lead to their days on this page, or on that of another path.
    """
    value = _value_of(metric)
    lines = [(_part_name(look, series, line.name), line.amounts) for line in series.lines]
    named = lines or [(look.texts(metric), tuple(bar.amounts for bar in series.bars))]
    stacks = [_Stack(name, tuple(map(value, amounts)), amounts) for name, amounts in named]
    return _figure(look, id_, series, stacks, metric, title, path)


def kinds_figure(look: Look, id_: str, series: Series, title: str) -> Figure:
    """Draw a series of tokens by what they were used for.

    Google's total, which is charged, need not be the sum of its parts: the difference is a part of its own then, so
    that this chart's totals are those of the others. In a bar it may be less than nothing.
    """
    amounts = tuple(bar.amounts for bar in series.bars)
    kinds = _KINDS if all(_of_kind(_UNTOLD, each) == 0 for each in amounts) else (*_KINDS, _UNTOLD)
    stacks = [_Stack(look.texts(kind), tuple(_of_kind(kind, each) for each in amounts), amounts) for kind in kinds]
    figure = _figure(look, id_, series, stacks, "tokens", title)
    return replace(figure, note=look.texts("overview.untold")) if _UNTOLD in kinds else figure


def told_apart(names: Sequence[str], taken: Sequence[str]) -> Sequence[str]:
    """Number names that are alike, or like what is taken: a chart and a copied table tell parts apart by name."""
    found = list(taken)
    for name in names:
        numbered = (f"{name} ({number})" for number in count(2))
        found.append(next(each for each in chain([name], numbered) if each not in found))
    return found[len(taken) :]


def bar_name(look: Look, series: Series, bar: Bar) -> str:
    """Name a bar by when it begins; where the clock is put back, the hour that comes again is told by its offset."""
    formats = look.formats
    match series.window.bucket:
        case Bucket.MINUTE | Bucket.HOUR:
            name = formats.hour(bar.start)
            return f"{name} {bar.start:%Z}" if _comes_twice(bar.start) else name
        case Bucket.MONTH:
            return formats.month(bar.start)
        case _:
            return formats.short_day(bar.start)


def bar_link(look: Look, series: Series, bar: Bar, path: str | None = None) -> str:
    """Give the address of the same page, or of another one, for the days of a bar, or its hour or minute."""
    first, last = _edges(series, bar)
    days: dict[str, object] = {"range": None, "bucket": None, "from": first, "to": last}
    # What is chosen on one page may narrow less there than on another: a bar leads to what it was drawn from.
    part = {} if path is None else {"model": None, "service": None}
    return look.url(path, **days, **part)


def running_bar(series: Series) -> int | None:
    """Give the place of the bar that was under way when the figures were read; None where none was."""
    return next((place for place, bar in enumerate(series.bars) if bar.start <= series.as_of < bar.end), None)


def _figure(
    look: Look, id_: str, series: Series, stacks: Sequence[_Stack], metric: str, title: str, path: str | None = None
) -> Figure:
    sums = tuple(map(sum, zip(*(each.values for each in stacks), strict=True)))
    columns = [*stacks, _Stack(look.texts("total"), sums, tuple(bar.amounts for bar in series.bars))]
    written = _written(look, metric)
    cells = [tuple(map(written, each.values, each.amounts)) for each in columns]
    totals = tuple(written(sum(each.values), Amounts.sum(each.amounts)) for each in columns)
    links = [bar_link(look, series, bar, path) for bar in series.bars]
    names = [bar_name(look, series, bar) for bar in series.bars]
    running = running_bar(series)
    lines = zip(names, zip(*cells, strict=True), links, strict=True)
    hatched = "" if running is None or not sums[running] else names[running]
    most = max(range(len(sums)), key=sums.__getitem__)
    said = {"count": sum(sums), "total": totals[-1], "most": cells[-1][most], "most_at": names[most]}
    return Figure(
        id=id_,
        title=title,
        summary=_summary(look, series, metric, said),
        running=hatched and look.texts("chart.running.hatched", name=hatched),
        drawn={**_drawn(look, stacks, metric), "buckets": names, "running": running, "links": links},
        heads=(look.texts("time"), *(each.name for each in columns)),
        rows=tuple(Row(name, line, link, place == running) for place, (name, line, link) in enumerate(lines)),
        totals=totals,
    )


def _summary(look: Look, series: Series, metric: str, said: Mapping[str, object]) -> str:
    """Say in words what a chart shows; where nothing was called, there is no bucket that had most."""
    name = metric if any(bar.amounts.calls for bar in series.bars) else "nothing"
    start, end = look.formats.moment(series.window.start), look.formats.moment(series.window.end)
    return look.texts(f"chart.summary.{name}", from_=start, to=end, **said)


def _drawn(look: Look, stacks: Sequence[_Stack], metric: str) -> dict[str, Any]:
    drawn = [(each.name, each.values) for each in stacks[:OTHERS_AFTER]]
    others = stacks[OTHERS_AFTER:]
    if len(others) == 1:
        drawn.append((others[0].name, others[0].values))
    elif others:
        name = look.texts("others", count=len(others), shown=look.formats.number(len(others)))
        drawn.append((name, tuple(map(sum, zip(*(each.values for each in others), strict=True)))))
    is_money = metric == "cost"
    return {
        "kind": "bar",
        "money": is_money,
        "series": [
            {"name": name, "values": [_exact(value) if is_money else value for value in values]}
            for name, values in drawn
        ],
    }


def _written(look: Look, metric: str) -> Callable[[int, Amounts], str]:
    """Give how the table writes what is drawn of some amounts: of cost it says, too, where some of it is not known."""
    if metric == "cost":
        return lambda nano, amounts: look.formats.cost(amounts, nano)
    return lambda value, _amounts: look.formats.number(value)


def _exact(nano: int) -> str:
    """Write nano-USD in dollars, to be drawn: as text, so that nothing is rounded on the way."""
    whole, rest = divmod(abs(nano), _NANO_A_DOLLAR)
    return f"{'-' if nano < 0 else ''}{whole}.{rest:09}"


def _value_of(metric: str) -> Callable[[Amounts], int]:
    match metric:
        case "cost":
            return lambda amounts: amounts.cost_nano
        case "calls":
            return lambda amounts: amounts.calls
        case _:
            return lambda amounts: amounts.total_tokens


def _of_kind(kind: str, amounts: Amounts) -> int:
    match kind:
        case "input":
            return amounts.input_tokens - amounts.cached_tokens
        case "cached":
            return amounts.cached_tokens
        case "output":
            return amounts.output_tokens
        case "thinking":
            return amounts.thinking_tokens
        case _:
            return amounts.total_tokens - sum(_of_kind(each, amounts) for each in _KINDS)


def _part_name(look: Look, series: Series, name: str) -> str:
    return look.texts.known("service", name) if series.by == "service" else name


def _edges(series: Series, bar: Bar) -> tuple[str, str]:
    """Write from when to when a bar is, as addresses say it: in days, or in times where it is shorter."""
    start, end = (at.astimezone(series.window.zone) for at in (bar.start, bar.end))
    if series.window.bucket in {Bucket.MINUTE, Bucket.HOUR}:
        return _time(start), _time(end)
    last = end.date()
    if (end.hour, end.minute) == (0, 0) and last > start.date():
        last = last.fromordinal(last.toordinal() - 1)
    return start.date().isoformat(), last.isoformat()


def _time(at: datetime) -> str:
    """Write a time of a day, with its offset where the clock shows it twice."""
    return (at if _comes_twice(at) else at.replace(tzinfo=None)).isoformat(timespec="minutes")


def _comes_twice(at: datetime) -> bool:
    return at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
