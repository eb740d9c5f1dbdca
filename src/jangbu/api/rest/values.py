"""The kinds of values that requests and answers have: strict, bounded, and without fractions."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from jangbu.api.rest.problems import SCHEMA_VERSION
from jangbu.domain.ledger import TOKENS_MAX
from jangbu.domain.reasons import REASON_LENGTH_MAX

__all__ = [
    "Answer",
    "Body",
    "Day",
    "Flag",
    "Legible",
    "Moment",
    "Name",
    "Number",
    "Part",
    "Reason",
    "Text",
    "Tokens",
    "example",
]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> object:
    """Take a time with its zone, as ISO 8601 writes it: a number, or a day without an hour, could mean two things."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or _MOMENT.fullmatch(value) is None:
        raise ValueError("write a time with its zone, like 2027-01-01T00:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    """Give the moment as it is kept and shown, so that it is the same request in whichever zone it is written."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("there is no such time in UTC") from None


def _legible(value: str) -> str:
    """Take text of any number of lines: what else steers a terminal, or is NUL, nobody wrote and cannot be kept."""
    if _CONTROL.search(value) is not None:
        raise ValueError("leave out control characters: send text only")
    return value


def _printable(value: str) -> str:
    """Take a name as it is: to leave out what cannot be printed would make another one of it."""
    if not value.isprintable():
        raise ValueError("leave out what cannot be printed: send a name of one line")
    return value


Legible = AfterValidator(_legible)
Number = Annotated[int, Field(strict=True)]
Tokens = Annotated[int, Field(strict=True, ge=1, le=TOKENS_MAX)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200), Legible]
Name = Annotated[Text, AfterValidator(_printable)]
Reason = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=REASON_LENGTH_MAX, pattern=r"\S"), Legible
]
"""Why something was done by hand; it stays in the history."""
Day = Annotated[str, StringConstraints(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Moment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(_in_utc)]


class Body(BaseModel):
    """What is sent: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(BaseModel):
    """A part of an answer. A field that nobody declared is an error of the API's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(Part):
    """A whole answer."""

    schema_version: Literal[1] = SCHEMA_VERSION


def example(**fields: Any) -> ConfigDict:
    """Give the settings of a model that shows an example of itself."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [fields]})
