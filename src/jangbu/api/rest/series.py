"""What was used in each bucket of a period, as charts show it: in any zone, and by model, service, user, tag or key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Query

from jangbu.api.rest.asked import Ask, Asked, Somebody
from jangbu.api.rest.costs import shown
from jangbu.api.rest.declared import FIGURES, USER, Routes
from jangbu.api.rest.periods import day_of
from jangbu.api.rest.reports import FIGURES_EXAMPLE, FigureFacts
from jangbu.api.rest.values import Answer, Day, Number, Part, example
from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.keys import Key
from jangbu.domain.windows import FIRST, Bucket, Window, zone_named
from jangbu.errors import InvalidInput, NotPermitted
from jangbu.metering import series as read
from jangbu.metering import tops
from jangbu.metering.facts import amounts_facts
from jangbu.metering.snapshots import EVERYTHING, Filters, Snapshot, snapshot
from jangbu.metering.stretches import Meant
from jangbu.metering.tags import BY_KEY, by_tag, keys_by_id

__all__ = ["series"]

series = Routes("reports")

By = Literal["model", "service", "user", "tag", "key"]
Line = tuple[str | None, Sequence[Amounts], Amounts]
"""A part's name, None for calls without the tag or a key; what it used in each bucket, and in all."""
_DAYS = timedelta(days=30)
_MOMENT = "2026-01-31T00:00:00+09:00"


class BarFacts(FigureFacts):
    """What was used from ``start`` to before ``end``."""

    start: datetime
    end: datetime


class RestFacts(Part):
    """What was used of all that no line tells: in all, and in each bucket, in the buckets' order."""

    total: FigureFacts
    calls: list[Number]
    total_tokens: list[Number]
    cost_nano: list[Number | None] | None


class LineFacts(RestFacts):
    """What was used of one part: in all, and in each bucket, in the buckets' order. Without the tag it has no name.

    By key the name is the key's id, null for calls that came by none, and ``key_name`` what the key is called.
    """

    name: str | None
    key_name: str | None


class SeriesFacts(Answer):
    """All buckets of a period, also those without calls; ``total`` is their sum.

    ``lines`` are the parts that were asked for, the most used first, and of tags and keys the dearest. ``rest`` is what
    none of them tells, of the parts beyond the limit: lines and rest add up to the total, and it is null where nothing
    is left. By tag or key lines are read from the calls themselves, the latest first, for some seconds: where
    ``is_whole`` is false, they are of the latest alone, and the other calls are in the rest. The users of one model or
    service are looked for as long: where there was no time to find them, no user has a line, and all is in the rest.
    """

    model_config = example(
        schema_version=1,
        user=None,
        zone="Asia/Seoul",
        bucket="day",
        by="model",
        tag=None,
        as_of="2026-01-31T09:00:00+00:00",
        buckets=[{"start": _MOMENT, "end": "2026-02-01T00:00:00+09:00", **FIGURES_EXAMPLE}],
        lines=[
            {
                "name": "gemini-2.5-flash",
                "key_name": None,
                "total": FIGURES_EXAMPLE,
                "calls": [1],
                "total_tokens": [450],
                "cost_nano": [795_000],
            }
        ],
        rest=None,
        total=FIGURES_EXAMPLE,
        is_whole=True,
    )
    user: str | None
    zone: str
    bucket: Bucket
    by: By | None
    tag: str | None
    as_of: datetime
    buckets: list[BarFacts]
    lines: list[LineFacts]
    rest: RestFacts | None
    total: FigureFacts
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Parted:
    """By what parts are told apart, and how many of them are listed. ``tag`` is the tag's name by tag, else None."""

    by: By | None
    tag: str | None
    limit: int


def _window(
    ask: Ask,
    first: Annotated[Day | None, Query(description="The first day; without it 30 days end with the last.")] = None,
    last: Annotated[Day | None, Query(description="The last day; without it today.")] = None,
    zone: Annotated[str, Query(max_length=64, description="Whose days and hours are meant: an IANA name.")] = "UTC",
    bucket: Annotated[Bucket | None, Query(description="Without it, what suits the period's length.")] = None,
) -> Window:
    found = zone_named(zone)
    end = day_of(last) or ask.ledger.clock.now().astimezone(found).date()
    start = day_of(first) or max(end - _DAYS + timedelta(days=1), FIRST.date() + timedelta(days=1))
    return Window.days(start, end, found, bucket)


def _filters(
    user: Somebody,
    model: Annotated[str | None, Query(min_length=1, max_length=200, description="Only this model's calls.")] = None,
    service: Annotated[str | None, Query(min_length=1, max_length=200, description="Only this service's.")] = None,
) -> Filters:
    return Filters(user, () if model is None else (model,), () if service is None else (service,))


def _parted(
    ask: Ask,
    filters: Annotated[Filters, Depends(_filters)],
    by: By | None = None,
    tag: Annotated[str | None, Query(min_length=1, max_length=200, description="With by=tag: the tag's name.")] = None,
    limit: Annotated[int, Query(ge=1, le=50, description="How many parts are listed.")] = 10,
) -> Parted:
    if (by == "tag") is (tag is None):
        raise InvalidInput("by=tag and the tag's name belong together", hint="add ?by=tag&tag=feature")
    if by == "user" and filters.user is not None:
        raise InvalidInput("one user's calls are not told apart by user", hint="leave user out, or by")
    if by in ("tag", "key") and not ask.sees_costs:
        raise NotPermitted("what the app noted with calls is not shown to its users")
    return Parted(by, tag, limit)


@series.get("/usage/series", roles=FIGURES | USER, answer=SeriesFacts)
async def show_series(
    ask: Ask,
    window: Annotated[Window, Depends(_window)],
    filters: Annotated[Filters, Depends(_filters)],
    parted: Annotated[Parted, Depends(_parted)],
) -> dict[str, Any]:
    """Show what was used in each bucket of a period, by parts where that is asked for: calls, tokens and cost."""
    database, project, is_whole = ask.ledger.database, ask.parts.project, True
    async with snapshot(database, project) as look:
        found = await read.of(look, window, filters, parted.by if parted.by in ("model", "service") else None)
        lines: list[Line] = [(each.name, each.amounts, each.total) for each in found.lines]
        if parted.by == "user":
            lines, is_whole = await _of_users(look, window, filters, parted.limit)
    if parted.by in ("tag", "key"):
        meant = Meant(database, project, window, filters, found.as_of)
        lines, is_whole = await _of_tag(meant, BY_KEY if parted.by == "key" else parted.tag, parted.limit)
    lines = lines[: parted.limit]
    keys = await keys_by_id(database, project, (name for name, _, _ in lines)) if parted.by == "key" else {}
    return {
        "user": filters.user,
        "zone": window.zone.key,
        "bucket": window.bucket,
        "by": parted.by,
        "tag": parted.tag,
        "as_of": found.as_of,
        "buckets": [{"start": bar.start, "end": bar.end, **_figures(ask, bar.amounts)} for bar in found.bars],
        "lines": [_line(ask, keys, *each) for each in lines],
        "rest": None if parted.by is None else _rest(ask, found, lines),
        "total": _figures(ask, found.total),
        "is_whole": is_whole,
    }


async def _of_users(look: Snapshot, window: Window, filters: Filters, limit: int) -> tuple[list[Line], bool]:
    """Give the series of the users who used most; of a model or service none where there was no time to find them."""
    if filters == EVERYTHING:
        first = await tops.users(look, window, limit=limit)
    else:
        found = await tops.users_of_part(look, window, filters, limit=limit)
        if found is None:
            return [], False
        first = found
    lines: list[Line] = []
    for each in first:
        of_user = await read.of(look, window, replace(filters, user=each.user), account=each.account)
        lines.append((each.user, [bar.amounts for bar in of_user.bars], of_user.total))
    return lines, True


async def _of_tag(meant: Meant, tag: str | None, limit: int) -> tuple[list[Line], bool]:
    """Give the series of a tag's dearest values, or keys, from the latest calls on, until time is over."""
    found = await by_tag(meant, tag)
    return [(value, found.in_buckets(value), total) for value, total in found.lines[:limit]], found.is_whole


def _line(
    ask: Asked, keys: Mapping[str, Key], name: str | None, amounts: Sequence[Amounts], total: Amounts
) -> dict[str, Any]:
    key = keys.get(name or "")
    return {"name": name, "key_name": None if key is None else key.name, **_drawn(ask, amounts, total)}


def _rest(ask: Asked, found: read.Series, lines: Sequence[Line]) -> dict[str, Any] | None:
    """Give what no line tells of a series; None where nothing is left."""
    left = [
        bar.amounts - Amounts.sum(amounts[place] for _, amounts, _ in lines) for place, bar in enumerate(found.bars)
    ]
    return _drawn(ask, left, Amounts.sum(left)) if any(each != NOTHING for each in left) else None


def _drawn(ask: Asked, amounts: Sequence[Amounts], total: Amounts) -> dict[str, Any]:
    facts = {
        "calls": [each.calls for each in amounts],
        "total_tokens": [each.total_tokens for each in amounts],
        "cost_nano": [amounts_facts(each)["cost_nano"] for each in amounts],
    }
    return {"total": _figures(ask, total), **shown(ask, facts)}


def _figures(ask: Asked, amounts: Amounts) -> dict[str, Any]:
    return shown(ask, amounts_facts(amounts))
