"""Exports: what the lists show, whole, as a file. Rows are read page by page and written as they come, so that an
export takes the same memory however long it is.
"""

from jangbu.metering.exports.books import prices
from jangbu.metering.exports.costs import at_other_price, by_key, tags
from jangbu.metering.exports.files import MEDIA_TYPES, Format, offered, written
from jangbu.metering.exports.people import audited, users
from jangbu.metering.exports.sources import calls, entries, parts, usage
from jangbu.metering.exports.tables import Column, Kind, Table, begun
from jangbu.metering.exports.undeducted import held, refused

__all__ = [
    "MEDIA_TYPES",
    "Column",
    "Format",
    "Kind",
    "Table",
    "at_other_price",
    "audited",
    "begun",
    "by_key",
    "calls",
    "entries",
    "held",
    "offered",
    "parts",
    "prices",
    "refused",
    "tags",
    "usage",
    "users",
    "written",
]
