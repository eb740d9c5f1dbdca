"""What people put into addresses and forms, read as what it means; what cannot be used is told in their language."""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from jangbu.dashboard.look import Look
from jangbu.dashboard.texts import texts_of
from jangbu.domain.ledger import TOKENS_MAX
from jangbu.domain.reasons import REASON_LENGTH_MAX, is_reason
from jangbu.domain.windows import FIRST, LAST, day_start, zone_named
from jangbu.errors import IdempotencyConflict, InvalidInput, NotFound, NotPermitted

__all__ = [
    "SOURCES",
    "Barred",
    "Missing",
    "Used",
    "Wrong",
    "chosen_of",
    "day_of",
    "day_or_time_of",
    "expiry_of",
    "id_of",
    "name_of",
    "place_of",
    "placed",
    "reason_of",
    "require_one_of",
    "source_of",
    "time_of",
    "whole",
    "whole_or_none",
]

Kind = TypeVar("Kind", bound=StrEnum)

SOURCES = ("purchase", "gift")
"""Where tokens come from that are granted by hand."""

_WHOLE = re.compile(r"[+-]?(?:[0-9]{1,30}|[0-9]{1,3}(?:[,_][0-9]{3}){1,10})")
"""Groups have to be whole ones: what somebody meant by 1,5 is not known."""
_SHOWN = 40
_NAME_LENGTH_MAX = 200


class Wrong(InvalidInput):
    """Something that was entered cannot be used. The text ``wrong.<name>`` says so, and what to enter instead."""

    leads_to = ""
    """The address of what is there already, as the text ``there.<name>`` calls it."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(texts_of("en")(f"wrong.{name}", **values))
        self.wrong = name
        self.values = values


class Barred(NotPermitted):
    """Something may not be done. The text ``wrong.<name>`` says why, and what to do instead."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(texts_of("en")(f"wrong.{name}", **values))
        self.wrong = name
        self.values = values


class Missing(NotFound):
    """Something is not there. The text ``wrong.<name>`` says so, and what to do instead."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(texts_of("en")(f"wrong.{name}", **values))
        self.wrong = name
        self.values = values


class Used(IdempotencyConflict):
    """What was entered named something else before. The text ``wrong.<name>`` says so, and what to do instead."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(texts_of("en")(f"wrong.{name}", **values))
        self.wrong = name
        self.values = values


def whole(look: Look, name: str, *, least: int = -TOKENS_MAX, most: int = TOKENS_MAX) -> int:
    """Give a whole number of a form, which may have its digits in groups."""
    text = look.form.get(name, "")
    number = int(text.replace(",", "").replace("_", "")) if _WHOLE.fullmatch(text) else None
    if number is None or not least <= number <= most:
        shown = look.formats.number
        raise Wrong("number", text=text[:_SHOWN], least=shown(least), most=shown(most))
    return number


def whole_or_none(look: Look, name: str, *, most: int = TOKENS_MAX) -> int | None:
    """Give a whole number from 1 on of a form, None where the field is empty."""
    return whole(look, name, least=1, most=most) if look.form.get(name) else None


def name_of(look: Look) -> str:
    """Give the name that a form gives to something."""
    name = look.form.get("name", "")
    if not (0 < len(name) <= _NAME_LENGTH_MAX and name.isprintable()):
        raise Wrong("name", most=look.formats.number(_NAME_LENGTH_MAX))
    return name


def day_of(text: str) -> date:
    """Give a date, as forms write it."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Wrong("day", text=text[:_SHOWN]) from None
    if not FIRST.date() < day < LAST.date():
        raise Wrong("day", text=text[:_SHOWN])
    return day


def day_or_time_of(text: str, zone: ZoneInfo) -> date | datetime:
    """Give a date, or a moment in UTC: a whole minute as the zone's clock shows it, unless its offset is written, too.

    A minute that comes twice is the first one where no offset is written.
    """
    if "T" not in text:
        return day_of(text)
    at = time_of(text, zone)
    if at.second or at.microsecond or not FIRST.date() < at.date() < LAST.date():
        raise Wrong("minute", text=text[:_SHOWN])
    return at.astimezone(UTC)


def time_of(text: str, zone: ZoneInfo) -> datetime:
    """Give a date and time, as the zone's clock shows it unless its offset from UTC is written, too."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong("time", text=text[:_SHOWN]) from None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def expiry_of(look: Look) -> datetime | None:
    """Give when what a form makes ends: with the beginning of the day that it names, None where it names none."""
    day = look.form.get("expires_on")
    expires_at = None if not day else day_start(day_of(day), zone_named(look.formats.zone))
    if expires_at is not None and expires_at <= look.now:
        raise Wrong("past", day=look.formats.day(expires_at))
    return expires_at


def reason_of(look: Look) -> str:
    """Give the reason for what is done, which stays in the history."""
    reason = look.form.get("reason", "")
    if not is_reason(reason):
        raise Wrong("reason", most=look.formats.number(REASON_LENGTH_MAX))
    return reason


def source_of(look: Look) -> str:
    """Give where the tokens of a form come from: a purchase where it does not say."""
    source = look.form.get("source") or SOURCES[0]
    require_one_of(SOURCES, source)
    return source


def id_of(text: str | None) -> UUID:
    """Give an id, as addresses and forms of pages name one."""
    try:
        return UUID(text or "")
    except ValueError:
        raise Wrong("id", text=(text or "")[:_SHOWN]) from None


def placed(at: datetime, id_: UUID) -> str:
    """Write the place at which a page of a list ends, for the link to the next one."""
    return f"{at.isoformat()}_{id_}"


def place_of(text: str | None) -> tuple[datetime, UUID] | None:
    """Give the place after which a page of a list begins, None for the first one."""
    if text is None:
        return None
    moment, _, rest = text.partition("_")
    try:
        at = datetime.fromisoformat(moment)
        is_one = FIRST.date() < at.date() < LAST.date() and at.tzinfo is not None
    except ValueError:
        is_one = False
    if not is_one:
        raise Wrong("id", text=text[:_SHOWN])
    return at, id_of(rest)


def chosen_of(kind: type[Kind], text: str | None) -> Kind | None:
    """Give one of several choices, None where none is made."""
    if text is None:
        return None
    require_one_of([each.value for each in kind], text)
    return kind(text)


def require_one_of(names: Collection[str], text: str) -> None:
    """Refuse what is no choice."""
    if text not in names:
        raise Wrong("choice", text=text[:_SHOWN], names=", ".join(names))
