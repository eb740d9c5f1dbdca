"""The results of work that was started earlier, and stored caches, for which nothing is held.

A result is settled once, for whoever started the work, when an answer first shows it; the ledger knows who that was
(sdk/started.py). What it knows nothing of, jobs of Vertex AI or work that was started past the meter, is recorded
without a hold, for whom this process remembers to have started it, else for whoever asks.
"""

import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jangbu.domain.flow import Receipt
from jangbu.domain.usage import Source, Surface, Units, Usage
from jangbu.errors import IdempotencyConflict
from jangbu.providers.gemini.services import service_of
from jangbu.sdk import attribution
from jangbu.sdk.caches import note_made
from jangbu.sdk.hook import Hook, metadata_of
from jangbu.sdk.routes import Metered, Route, work_name
from jangbu.telemetry import warn

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering
    from jangbu.metering.resources import Owned

__all__ = ["Later", "begun", "identified", "recorded"]

Work = Callable[["Metering"], Coroutine[Any, Any, Receipt | None]]


class Later:
    """One request of this kind. Made before it is sent, so that a missing user is refused before anything happens."""

    def __init__(
        self, hook: Hook, route: Route, url: str, body: Mapping[str, Any], begun: "Owned | None" = None
    ) -> None:
        self._hook = hook
        self._route = route
        self._name = work_name(_named(url, body))
        self._body = body
        self._begun = begun
        if begun is not None:
            self._payer = attribution.Attribution(begun.user)
        elif route.metered is Metered.RESULT:
            self._payer = hook.payer_of(self._name)
        else:
            self._payer = attribution.required()

    def work(self, answer: str) -> Work | None:
        """Read the answer; give what there is to record, or None."""
        if (begun := self._begun) is not None:
            assert begun.call is not None, "work that was begun has a call"
            usage = self._hook.usage(answer, self._route, begun.call.model)
            return lambda metering: _settled(metering, begun, usage, json.loads(answer))
        name = work_name(str(json.loads(answer).get("name") or self._name)) if answer else self._name
        if self._route.metered is Metered.LATER:
            self._hook.started[name] = self._payer
            return None
        if self._route.surface is Surface.BATCH and (file := _result_file(answer)) is not None:
            self._hook.started[file] = self._payer
        if name in self._hook.recorded:
            return None
        usage = self._hook.usage(answer, self._route, None)
        if self._route.surface is Surface.INTERACTIONS:
            usage = identified(usage, name)
        if usage.source is Source.NONE and usage.units == Units():
            return None
        return lambda metering: self._record(metering, name, usage, answer)

    async def _record(self, metering: "Metering", name: str, usage: Usage, answer: str) -> Receipt | None:
        payer, surface = self._payer, self._route.surface
        assert payer.user is not None, "who started the work is known"
        assert surface is not None, "a route that is metered has a surface"
        model = usage.model or self._route.model or ""
        recording = metering.record(
            payer.user,
            payer.service or service_of(surface, model, self._body),
            usage,
            call_key=f"{surface}:{name}",
            metadata=metadata_of(payer),
        )
        receipt = await recorded(self._hook, name, recording)
        if surface is Surface.CACHED_CONTENTS:
            await note_made(self._hook, payer.user, name, answer)
        return receipt


async def begun(metering: "Metering", url: str, body: Mapping[str, Any]) -> "Owned | None":
    """Give the work that a request asks for, where the ledger knows who began it."""
    from jangbu.metering.owned import short_name

    return await metering.resources.begun(short_name(_named(url, body)))


async def _settled(metering: "Metering", begun: "Owned", usage: Usage, shown: Mapping[str, Any]) -> Receipt | None:
    from jangbu.metering.later import settle_shown

    return await settle_shown(metering, begun, usage, shown)


def _named(url: str, body: Mapping[str, Any]) -> str:
    """Give the full name of what a request asks for."""
    return str(body.get("operationName") or urlsplit(url).path)


async def recorded(hook: Hook, name: str, recording: Coroutine[Any, Any, Receipt]) -> Receipt | None:
    """Wait for a result to be recorded, once. One that the ledger refuses, because other records of it stand, is the
    app's all the same: it is told, and there is no receipt.
    """
    try:
        receipt = await recording
    except IdempotencyConflict as conflict:
        warn("later.differs", str(conflict), resource=name)
        receipt = None
    hook.recorded.add(name)
    return receipt


def identified(usage: Usage, name: str) -> Usage:
    """Have the usage of a stored answer name the answer's own id, by which the ledger knows it wherever it is shown."""
    return usage if usage.response_id is not None else replace(usage, response_id=name.rpartition("/")[2])


def _result_file(answer: str) -> str | None:
    """Give the file in which a batch that has ended keeps its results."""
    shown = json.loads(answer)
    for holder in (shown.get("response"), shown.get("metadata", {}).get("output")):
        if isinstance(holder, dict) and holder.get("responsesFile"):
            return str(holder["responsesFile"])
    return None
