"""An export of prices: the rows of a book, each with how it stands."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jangbu.domain.price_book import Price
from jangbu.domain.price_dates import Standing
from jangbu.metering.editions import Edition
from jangbu.metering.exports.tables import Column, Kind, Page, Table
from jangbu.metering.price_changes import own_rows

__all__ = ["prices"]

_ROWS = 1_000
_PRICES = (
    Column("version", Kind.INTEGER),
    *(Column(name, Kind.TEXT) for name in ("standing", "model", "meter", "modality", "tier", "platform")),
    *(Column(name, Kind.INTEGER) for name in ("above_prompt_tokens", "price_nano", "unit_size")),
    *(Column(name, Kind.MOMENT) for name in ("valid_from", "valid_to")),
    *(Column(name, Kind.TEXT) for name in ("whose", "source", "note")),
)


def prices(edition: Edition, rows: Sequence[tuple[Price, Standing]], zone: ZoneInfo, as_of: datetime) -> Table:
    """Export rows of an edition's book, each with how it stands at that moment."""
    own = own_rows(edition)

    async def pages() -> AsyncIterator[Page]:
        for at in range(0, len(rows), _ROWS):
            yield [_line(edition.version, row, stands, row in own) for row, stands in rows[at : at + _ROWS]]

    return Table("prices", _PRICES, zone, as_of, pages())


def _line(version: int, row: Price, stands: Standing, is_own: bool) -> tuple[Any, ...]:
    return (
        version,
        stands.value,
        row.model,
        row.meter.value,
        row.modality.value,
        row.tier.value,
        None if row.platform is None else row.platform.value,
        row.above_prompt_tokens,
        row.price_nano,
        row.unit_size,
        row.valid_from,
        row.valid_to,
        "own" if is_own else "book",
        row.source,
        row.note,
    )
