"""Days and times as people write them: what could mean another time than it says is none."""

import re
from datetime import UTC, date, datetime

from jangbu.errors import InvalidInput

__all__ = ["require_expiry", "written_moment"]

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    _DAY.pattern + r"[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,6})?)?(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
"""Python's own reader takes any character between day and clock, and a zone after a day for a clock."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
"""The calendar's last moment, which the driver of PostgreSQL takes for infinity, and gives back without a zone."""


def written_moment(text: str) -> date | datetime:
    """Read an ISO 8601 day, or a day with a clock and its zone, which is given in UTC. The clock of one that names no
    zone is given without one. Raises ValueError, and OverflowError where the time lies outside of the calendar.
    """
    text = text.strip()
    if _DAY.fullmatch(text):
        return date.fromisoformat(text)
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no date or time")
    at = datetime.fromisoformat(text.upper())
    return at if found["zone"] is None else at.astimezone(UTC)


def require_expiry(expires_at: object) -> None:
    """Refuse what is no moment at which something ends; None says that it never does. Raises InvalidInput."""
    if expires_at is None:
        return
    if not isinstance(expires_at, datetime):
        raise InvalidInput(f"the expiry is {type(expires_at).__name__}, no time", hint="give a datetime with its zone")
    if expires_at.tzinfo is None:
        raise InvalidInput("the expiry has no time zone", hint="write it like 2027-01-01T00:00:00Z")
    if expires_at < _BEGINNING:
        raise InvalidInput("the expiry has passed already", hint="give a time to come, or none")
    if expires_at >= _NEVER:
        raise InvalidInput("the expiry is the end of the calendar", hint="give none for what never expires")
