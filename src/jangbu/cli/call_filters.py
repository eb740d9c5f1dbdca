"""Which calls are meant, as options say it: for the list of a user's calls and for their export alike."""

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from jangbu.cli.values import UTC_ZONE, call_id, end_moment, moment
from jangbu.errors import InvalidInput

if TYPE_CHECKING:
    from jangbu.metering.log_search import Sought
    from jangbu.metering.snapshots import Span

__all__ = ["Key", "Model", "Service", "Since", "Status", "Tagged", "Until", "only", "sought_of", "span_of"]


def only(metavar: str, which: str) -> Any:
    """Declare an option that leaves calls out."""
    return typer.Option(metavar=metavar, help=f"Only calls {which}.", show_default=False)


Since = Annotated[str | None, only("TIME", "from this time on")]
Until = Annotated[str | None, only("TIME", "before this time, or to the end of this day")]
Service = Annotated[str | None, only("S", "for this service")]
Model = Annotated[str | None, only("M", "of this model")]
Status = Annotated[str | None, only("STATUS", "that ended so: recorded, settled, overrun, late or returned")]
Tagged = Annotated[str | None, only("NAME=VALUE", "with this tag; NAME alone is for any value of it")]
Key = Annotated[str | None, only("KEY", "by the key of this id; none is for those by no key")]


def sought_of(service: str | None, model: str | None, status: str | None, tag: str | None, key: str | None) -> "Sought":
    """Read which calls are looked for. Raises InvalidInput."""
    from jangbu.metering.log_search import KEYLESS, Sought, Tag
    from jangbu.metering.logs import Ending

    if status is not None and status not in tuple(Ending):
        raise InvalidInput(f"{status[:40]!r} is no status of a call", hint=f"one of {', '.join(Ending)}")
    named = None if key is None else "" if key == KEYLESS else str(call_id(key, "a key"))
    return Sought(
        None if status is None else Ending(status), None if tag is None else Tag.of(tag), service, model, named
    )


def span_of(since: str | None, until: str | None, zone: ZoneInfo = UTC_ZONE) -> "Span":
    """Read the time that is meant; a date begins and ends by the clock of the zone. Raises InvalidInput."""
    from jangbu.metering.snapshots import Span

    first = None if since is None else moment(since, "the time", zone)
    end = None if until is None else end_moment(until, "the time", zone)
    if first is not None and end is not None and end <= first:
        raise InvalidInput("the time ends before it begins", hint="let --until be later than --since")
    return Span(first, end)
