"""Exports: what the lists show, whole, as a file that is sent while it is written."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, Query
from fastapi.responses import Response

from jangbu.api.rest.asked import Ask, Asked, Somebody
from jangbu.api.rest.call_filters import SoughtCalls
from jangbu.api.rest.costs import shown_table
from jangbu.api.rest.declared import FIGURES, READERS, USER, Routes
from jangbu.api.rest.export_examples import CALLS, ENTRIES, USAGE
from jangbu.api.rest.periods import Within
from jangbu.api.rest.values import Day
from jangbu.domain.ledger import Asset
from jangbu.domain.windows import Bucket, Window, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering.exports import Format, Table
from jangbu.metering.exports import calls as exported_calls
from jangbu.metering.exports import entries as exported_entries
from jangbu.metering.exports import usage as exported_usage
from jangbu.metering.snapshots import Filters

__all__ = ["exports"]

exports = Routes("exports")


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written: in which format, with times in which zone, and whether after a byte-order mark."""

    how: Format
    zone: ZoneInfo
    bom: bool


def _form(
    how: Annotated[Format, Query(alias="format", description="How the file is written.")] = Format.CSV,
    zone: Annotated[str, Query(max_length=60, description="The time zone of times and days, like Asia/Seoul.")] = "UTC",
    bom: Annotated[bool, Query(description="Whether a CSV begins with a byte-order mark, as Excel wants it.")] = False,
) -> Form:
    if bom and how is not Format.CSV:
        raise InvalidInput("only a CSV begins with a byte-order mark")
    return Form(how, zone_named(zone), bom)


def _filters(
    user: Somebody,
    service: Annotated[str | None, Query(max_length=50, description="Only this service.")] = None,
    model: Annotated[str | None, Query(max_length=200, description="Only this model.")] = None,
) -> Filters:
    return Filters(user, () if model is None else (model,), () if service is None else (service,))


Formed = Annotated[Form, Depends(_form)]
Meant = Annotated[Filters, Depends(_filters)]


@exports.file("/exports/calls", roles=READERS | USER, media_types=CALLS)
async def calls(ask: Ask, user: Somebody, what: SoughtCalls, span: Within, form: Formed) -> Response:
    """Export calls of one user or of everybody, user by user, oldest first: all, or those that a list of them has."""
    table = await exported_calls(ask.ledger.database, ask.parts.project, form.zone, user, span, what)
    return await _sent(ask, form, table)


@exports.file("/exports/entries", roles=READERS | USER, media_types=ENTRIES)
async def entries(
    ask: Ask,
    user: Somebody,
    span: Within,
    form: Formed,
    of: Annotated[Literal["tokens", "money"], Query(alias="asset", description="Money is in nano-USD.")] = "tokens",
) -> Response:
    """Export ledger entries of one user or of everybody, user by user, oldest first."""
    table = await exported_entries(ask.ledger.database, ask.parts.project, form.zone, user, Asset[of.upper()], span)
    return await _sent(ask, form, table)


@exports.file("/exports/usage", roles=FIGURES | USER, media_types=USAGE)
async def usage(
    ask: Ask,
    filters: Meant,
    form: Formed,
    first: Annotated[Day, Query(description="The first day, by the calendar of the zone.")],
    last: Annotated[Day, Query(description="The last day.")],
    by: Annotated[Literal["service", "model"], Query(description="What is told apart.")] = "service",
    bucket: Annotated[Literal["hour", "day", "week", "month"], Query(description="What a row is of.")] = "day",
) -> Response:
    """Export what was used in each hour, day, week or month; one without calls has no row."""
    window = Window.days(_day(first), _day(last), form.zone, Bucket(bucket))
    return await _sent(ask, form, await exported_usage(ask.ledger.database, ask.parts.project, window, filters, by))


async def _sent(ask: Asked, form: Form, table: Table) -> Response:
    return await ask.parts.streams.file(shown_table(ask, table), form.how, ask.receive, bom=form.bom)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is no day", hint="write it like 2027-01-31") from None
