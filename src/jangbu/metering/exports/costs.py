"""Exports of what no rollup tells of costs: all calls that are meant are looked at, however long that takes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from jangbu.domain.amounts import Amounts
from jangbu.domain.keys import Key
from jangbu.metering.editions import Edition
from jangbu.metering.exports.sources import AMOUNTS, amount_cells
from jangbu.metering.exports.tables import Column, Kind, Page, Table
from jangbu.metering.snapshots import snapshot
from jangbu.metering.stretches import Meant
from jangbu.metering.tags import BY_KEY, by_tag_whole, keys_by_id
from jangbu.metering.what_if import Compared, what_if

__all__ = ["at_other_price", "by_key", "tags"]

Lines = tuple[tuple[str | None, Amounts], ...]

_ROWS = 1_000
_WHAT_IF = (
    *(Column(name, Kind.MOMENT) for name in ("start", "end")),
    *(Column(name, Kind.TEXT) for name in ("user", "model", "other_model")),
    *(Column(name, Kind.INTEGER) for name in ("calls", "compared_calls", "cost_nano", "other_cost_nano")),
    *(Column(name, Kind.INTEGER) for name in ("difference_nano", "charge_nano", "other_charge_nano")),
    *(Column(name, Kind.INTEGER) for name in ("unpriced_there", "unpriced_then", "price_version")),
)

_TAGS = (
    *(Column(name, Kind.MOMENT) for name in ("start", "end")),
    *(Column(name, Kind.TEXT) for name in ("user", "tag", "value")),
    *(Column(name, Kind.INTEGER) for name in ("has_tag", *AMOUNTS)),
)
_KEYS = (
    *(Column(name, Kind.MOMENT) for name in ("start", "end")),
    *(Column(name, Kind.TEXT) for name in ("user", "key", "name")),
    *(Column(name, Kind.INTEGER) for name in AMOUNTS),
)


async def at_other_price(meant: Meant, edition: Edition, model: str) -> Table:
    """Export what calls cost and would have cost at another model's price.

    There is a row for each bucket of their window and each model that answered in it. Raises NotFound for a user
    without an account.
    """

    async def pages() -> AsyncIterator[Page]:
        for part in await _parts(meant):
            found = await what_if(part, edition, model, seconds=None)
            yield [
                (*_bounds(part), part.filters.user, name, model, *_compared(line), edition.version)
                for name, line in found.lines
            ]

    return Table("whatif", _WHAT_IF, meant.window.zone, meant.as_of, pages())


async def tags(meant: Meant, name: str) -> Table:
    """Export what calls used by the values of a tag.

    There is a row for each bucket of their window and each value in it, and one for its calls without the tag. Raises
    NotFound for a user without an account.
    """

    async def pages() -> AsyncIterator[Page]:
        async for part, lines in _by_value(meant, name):
            yield [
                (*_bounds(part), part.filters.user, name, value, int(value is not None), *amount_cells(sums))
                for value, sums in lines
            ]

    return Table("tags", _TAGS, meant.window.zone, meant.as_of, pages())


async def by_key(meant: Meant) -> Table:
    """Export what calls used by the key that they came by.

    There is a row for each bucket of their window and each key in it, and one, without a key, for the calls that came
    by none. Raises NotFound for a user without an account.
    """

    async def pages() -> AsyncIterator[Page]:
        async for part, lines in _by_value(meant, BY_KEY):
            keys = await keys_by_id(meant.database, meant.project, (value for value, _ in lines))
            yield [
                (*_bounds(part), part.filters.user, value, _name_of(keys, value), *amount_cells(sums))
                for value, sums in lines
            ]

    return Table("keys", _KEYS, meant.window.zone, meant.as_of, pages())


async def _by_value(meant: Meant, name: str | None) -> AsyncIterator[tuple[Meant, Lines]]:
    """Give what was used by each value, bucket by bucket, so many values at a time."""
    for part in await _parts(meant):
        found = await by_tag_whole(part, name)
        for at in range(0, len(found.lines), _ROWS):
            yield part, found.lines[at : at + _ROWS]


def _name_of(keys: Mapping[str, Key], value: str | None) -> str | None:
    key = None if value is None else keys.get(value)
    return None if key is None else key.name


async def _parts(meant: Meant) -> Sequence[Meant]:
    """Give the calls that are meant bucket by bucket, so that what is known of one is sent while the next is read."""
    if meant.filters.user is not None:
        async with snapshot(meant.database, meant.project) as look:
            await look.account(meant.filters.user)
    return [
        replace(meant, window=replace(meant.window, start=start, end=end))
        for start, end in pairwise(meant.window.edges())
    ]


def _bounds(meant: Meant) -> tuple[datetime, datetime]:
    return meant.window.start, meant.window.end


def _compared(line: Compared) -> tuple[Any, ...]:
    """Give the figures of a row; money is None where no call has a price on both sides."""
    money = (line.cost_nano, line.other_cost_nano, line.difference_nano, line.charge_nano, line.other_charge_nano)
    return (
        line.calls,
        line.compared,
        *(money if line.compared else (None,) * len(money)),
        line.unpriced_there,
        line.unpriced_then,
    )
