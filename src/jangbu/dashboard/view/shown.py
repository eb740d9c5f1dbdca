"""A user's own view in words and shapes, for the page that runs no script: what the component makes by itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from jangbu.dashboard.expiring import expiring_words
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.texts import Texts
from jangbu.domain.standing import Standing
from jangbu.metering.series import Line
from jangbu.metering.views import View

__all__ = ["Drawn", "Fact", "Shown", "Table", "shown"]

_HEIGHT = 100
"""How high the highest bar is; a bar is 8 wide, in a place of 10."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with its name."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar: where it begins, from above, how high it is, and what it says. One of a day under way is ``open``."""

    left: int
    top: int
    height: int
    words: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Its first cells name their rows, by when something was where they are ``timed``; its last ``figures``
    columns are figures.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: int = 2
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """All of it. ``notice`` is empty where nothing is the matter, and ``expiring`` where no tokens expire soon.
    ``sums`` are None where nothing was used.
    """

    notice: str
    expiring: str
    is_low: bool
    facts: tuple[Fact, ...]
    bars: tuple[Drawn, ...]
    days: Table
    sums: tuple[Table, Table] | None
    latest: Table | None
    first_day: str
    last_day: str
    as_of: str


def shown(view: View, t: Texts, f: Formats, *, with_costs: bool) -> Shown:
    """Put a view into words."""
    is_used = view.used.total.calls > 0
    return Shown(
        notice=_notice(view, t),
        expiring=expiring_words(view.expiring, t, f),
        is_low=view.standing is not Standing.OK,
        facts=_facts(view, t, f, with_costs),
        bars=_bars(view, f),
        days=_days(view, t, f),
        sums=(
            _sums(
                t("view.services"),
                t("service"),
                ((t.known("service", each.name), each) for each in view.services),
                t,
                f,
            ),
            _sums(t("view.models"), t("model"), ((each.name, each) for each in view.models), t, f),
        )
        if is_used
        else None,
        latest=_latest(view, t, f) if view.calls else None,
        first_day=f.short_day(view.used.bars[0].start),
        last_day=f.short_day(view.used.bars[-1].start),
        as_of=t("as_of", time=f.clock(view.as_of)),
    )


def _notice(view: View, t: Texts) -> str:
    if view.account.state == "blocked":
        return t("view.blocked")
    match view.standing:
        case Standing.EMPTY:
            return t("view.empty")
        case Standing.LOW:
            return t("view.low")
        case Standing.OK:
            return ""


def _facts(view: View, t: Texts, f: Formats, with_costs: bool) -> tuple[Fact, ...]:
    balance, used = view.account.balance, view.used.total
    facts = [
        Fact(t("balance.available"), f.number(balance.available)),
        Fact(t("view.used"), f.number(used.total_tokens)),
        Fact(t("view.calls"), f.number(used.calls)),
    ]
    if balance.held:
        facts.append(Fact(t("balance.held"), f.number(balance.held)))
    if with_costs:
        facts.append(Fact(t("view.charge"), f.cost(used, used.charge_nano)))
    return tuple(facts)


def _bars(view: View, f: Formats) -> tuple[Drawn, ...]:
    """Draw the days; where anything was used there is something to see."""
    most = max(bar.amounts.total_tokens for bar in view.used.bars)
    bars = []
    for place, bar in enumerate(view.used.bars):
        tokens = bar.amounts.total_tokens
        height = max(1, (tokens * _HEIGHT + most // 2) // most) if tokens else 0
        words = f"{f.short_day(bar.start)}: {f.number(tokens)}"
        bars.append(Drawn(place * 10 + 1, _HEIGHT - height, height, words, bar.end > view.as_of))
    return tuple(bars)


def _days(view: View, t: Texts, f: Formats) -> Table:
    bars = view.used.bars
    most = max(bars, key=lambda bar: bar.amounts.total_tokens)
    total = view.used.total.total_tokens
    summary = t(
        "view.days.summary",
        count=total,
        total=f.number(total),
        from_=f.short_day(bars[0].start),
        to=f.short_day(bars[-1].start),
        most=f.number(most.amounts.total_tokens),
        most_at=f.short_day(most.start),
    )
    rows = [
        (f.short_day(bar.start), f.number(bar.amounts.calls), f.number(bar.amounts.total_tokens))
        for bar in reversed(bars)
    ]
    return Table(summary, (t("view.day"), t("calls"), t("tokens")), tuple(rows), timed=True)


def _sums(caption: str, head: str, lines: Iterable[tuple[str, Line]], t: Texts, f: Formats) -> Table:
    rows = [(name, f.number(line.total.calls), f.number(line.total.total_tokens)) for name, line in lines]
    return Table(caption, (head, t("calls"), t("tokens")), tuple(rows))


def _latest(view: View, t: Texts, f: Formats) -> Table:
    rows = [
        (f.minute(call.created_at), t.known("service", call.service), call.model, f.number(call.total_tokens))
        for call in view.calls
    ]
    heads = (t("time"), t("service"), t("model"), t("tokens"))
    return Table(t("view.latest"), heads, tuple(rows), figures=1, timed=True)
