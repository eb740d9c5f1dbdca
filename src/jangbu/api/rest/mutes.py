"""Mutes: alerts of a condition are kept and not sent for a while, because somebody knows of it and said why."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Response
from pydantic import Field

from jangbu.api.rest.asked import Ask, Asked
from jangbu.api.rest.declared import OPERATIONS, READERS, Routes
from jangbu.api.rest.values import Answer, Body, Moment, Number, Part, Reason, example
from jangbu.domain.alerts import Condition
from jangbu.errors import InvalidInput
from jangbu.metering.alert_facts import mute_facts
from jangbu.metering.mutes import Mutes

__all__ = ["mutes"]

mutes = Routes("mutes")

_MINUTES_MAX = 43_200
_MUTE = {
    "condition": "unpriced",
    "muted_at": "2026-01-31T09:00:00Z",
    "until": "2026-01-31T17:00:00Z",
    "ended_at": None,
    "muted_by": "support",
    "reason": "the price comes tomorrow",
}


class MuteOrder(Body):
    """What is muted, why, and either until when or for how many minutes: failures of recording for an hour at most,
    everything else for 30 days.
    """

    model_config = example(condition="unpriced", minutes=480, reason="the price comes tomorrow")
    condition: Condition
    reason: Reason
    until: Moment | None = None
    minutes: Annotated[int, Field(strict=True, ge=1, le=_MINUTES_MAX)] | None = None


class MuteFacts(Part):
    """A mute. It lasts ``until`` a time, or to ``ended_at`` where somebody ended it before."""

    condition: Condition
    muted_at: datetime
    until: datetime
    ended_at: datetime | None
    muted_by: str
    reason: str


class MuteList(Answer):
    """What is muted, or was within a month, newest first."""

    model_config = example(schema_version=1, mutes=[_MUTE])
    mutes: list[MuteFacts]


class Muted(Answer, MuteFacts):
    """The mute; ``replayed`` tells that the key stands for it since before."""

    model_config = example(schema_version=1, **_MUTE, replayed=False)
    replayed: bool


class Unmuted(Answer):
    """How many mutes of the condition this ended; ``replayed`` tells that the key stands for it since before."""

    model_config = example(schema_version=1, condition="unpriced", ended=1, replayed=False)
    condition: Condition
    ended: Number
    replayed: bool


@mutes.get("/alerts/mutes", roles=READERS, answer=MuteList)
async def list_mutes(ask: Ask) -> dict[str, Any]:
    """List what is muted, or was within a month, newest first."""
    return {"mutes": [mute_facts(each) for each in await _mutes(ask).lately()]}


@mutes.post("/alerts/mutes", roles=OPERATIONS, answer=Muted, status=201, also=(200,))
async def mute(ask: Ask, body: MuteOrder, response: Response) -> dict[str, Any]:
    """Keep alerts of a condition unsent for a while."""
    lasting = None if body.minutes is None else timedelta(minutes=body.minutes)
    end = body.until or lasting
    if end is None or None not in (body.until, lasting):
        raise InvalidInput("until when?", hint="give either `until` or `minutes`")
    made, replayed = await _mutes(ask).mute(body.condition, end, reason=body.reason, key=ask.once)
    response.status_code = 200 if replayed else 201
    return {**mute_facts(made), "replayed": replayed}


@mutes.post("/alerts/mutes/{condition}/end", roles=OPERATIONS, answer=Unmuted)
async def end(ask: Ask, condition: Condition) -> dict[str, Any]:
    """Have alerts of a condition sent again, from now on; what was raised until now stays unsent."""
    ended, replayed = await _mutes(ask).unmute(condition, key=ask.once)
    return {"condition": condition, "ended": ended, "replayed": replayed}


def _mutes(ask: Asked) -> Mutes:
    return Mutes(ask.ledger.database, ask.ledger.clock, project=ask.parts.project)
