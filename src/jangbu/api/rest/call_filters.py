"""Which calls are meant, as the query says it: for the list of a user's calls and for their export alike."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query

from jangbu.api.rest.asked import Ask
from jangbu.api.rest.values import Text
from jangbu.errors import NotPermitted
from jangbu.metering.log_search import KEYLESS, Sought, Tag
from jangbu.metering.logs import Ending

__all__ = ["SoughtCalls"]

_KEY = "5f0c7c0e-9d3b-4b0f-8a8e-1f2d3c4b5a69"


def _sought(
    ask: Ask,
    service: Annotated[Text | None, Query(description="Only this service's.", examples=["text_generation"])] = None,
    model: Annotated[Text | None, Query(description="Only this model's.", examples=["gemini-2.5-flash"])] = None,
    status: Annotated[Ending | None, Query(description="Only those that ended so.", examples=["overrun"])] = None,
    tag: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=2_000,
            description="Only those with this value of a tag; with its name alone, any value.",
            examples=["feature=writing"],
        ),
    ] = None,
    key: Annotated[
        UUID | Literal["none"] | None,
        Query(description="Only those that came by the key of this id; `none` is for those by none.", examples=[_KEY]),
    ] = None,
) -> Sought:
    if not ask.sees_costs and (tag is not None or key is not None):
        raise NotPermitted("what the app noted with calls is not shown to its users", hint="leave tag and key out")
    named = None if key is None else "" if key == KEYLESS else str(key)
    return Sought(status, None if tag is None else Tag.of(tag), service, model, named)


SoughtCalls = Annotated[Sought, Depends(_sought)]
"""The calls that are all of what the query asks for; every call where it asks for nothing."""
