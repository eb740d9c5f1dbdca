"""The results of work that was started earlier, and stored caches, for which nothing is held.

A result is settled once, for whoever started the work, when an answer first shows it; the ledger knows who that was
(sdk/begun.py). What it knows nothing of, jobs of Vertex AI or work that was started past the meter, is recorded
without a hold, for whom this process remembers to have started it, else for whoever asks.
"""

import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jangbu.domain.flow import Receipt
from jangbu.domain.usage import Source, Surface, Units, Usage
from jangbu.errors import IdempotencyConflict, InvalidAnswer
from jangbu.providers.gemini.interactions import RUNNING
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.providers.gemini.services import service_of
from jangbu.providers.gemini.work import work_of
from jangbu.sdk import attribution
from jangbu.sdk.begun import Reads, settled
from jangbu.sdk.caches import note_made
from jangbu.sdk.hook import Hook, metadata_of
from jangbu.sdk.routes import Metered, Route, work_name
from jangbu.telemetry import warn

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["Later", "identified", "listed", "recorded"]

Work = Callable[["Metering"], Coroutine[Any, Any, Any]]


class Later:
    """One request of this kind. Made before it is sent, so that a missing user is refused before anything is spent."""

    def __init__(self, hook: Hook, route: Route, url: str, body: Mapping[str, Any]) -> None:
        self._hook = hook
        self._route = route
        self._full_name = str(body.get("operationName") or urlsplit(url).path)
        self._name = work_name(self._full_name)
        self._body = body
        # Who asks for a result need not pay for it; the ledger knows who does, and is asked when there is something.
        may_be_known = route.metered is Metered.RESULT
        self._payer = hook.started.get(self._name) or (
            attribution.current() if may_be_known else attribution.required()
        )

    def work(self, answer: str) -> Work | None:
        """Read the answer; give what there is to record, or None."""
        shown = json_or_nothing(answer)
        is_interaction = self._route.surface is Surface.INTERACTIONS
        name = work_name(str(shown.get("name") or self._name))
        if self._route.metered is Metered.LATER:
            self._hook.started[name] = self._payer
            return None
        file = work_of(shown).results if self._route.surface is Surface.BATCH else None
        if file is not None and self._payer.user is not None:
            self._hook.started[file] = self._payer
        if name in self._hook.recorded or (is_interaction and shown.get("status") in RUNNING):
            return None
        usage = self._usage(answer, name)
        if usage is None:
            return None
        if is_interaction:
            usage = identified(usage, name)
        if self._route.metered is Metered.RESULT and (work_of(shown).has_ended or not _is_nothing(usage)):
            return lambda metering: self._result(metering, name, usage, answer)
        return None if _is_nothing(usage) else lambda metering: self._record(metering, name, usage, answer)

    def _usage(self, answer: str, name: str) -> Usage | None:
        """Read what an answer reports. A result that cannot be read is the app's all the same: None, and it is told."""
        try:
            return self._hook.usage(answer, self._route, None)
        except InvalidAnswer as unreadable:
            if self._route.metered is not Metered.RESULT:
                raise
            warn("sdk.result_unreadable", f"{name} cannot be read: {unreadable.message}", resource=name)
            return None

    async def _result(self, metering: "Metering", name: str, usage: Usage, answer: str) -> Receipt | None:
        """Settle a result for whoever began the work; record it where the ledger does not know who that is."""
        from jangbu.metering.owned import short_name

        reads = _reads(self._hook, self._route, answer)
        if await settled(self._hook, metering, short_name(self._full_name), reads, json_or_nothing(answer)):
            if self._route.surface is Surface.INTERACTIONS:
                self._hook.recorded.add(name)
            return None
        if _is_nothing(usage):
            return None
        attribution.required(self._payer)
        return await self._record(metering, name, usage, answer)

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


def listed(hook: Hook, route: Route, answer: str) -> Work | None:
    """Give what there is to settle of work that a list shows, or None: some lists bring results along."""
    ended = [
        each
        for each in json_or_nothing(answer).get("operations") or ()
        if isinstance(each, Mapping) and isinstance(each.get("name"), str) and work_of(each).has_ended
    ]

    async def settle(metering: "Metering") -> None:
        for each in ended:
            with suppress(InvalidAnswer):
                await settled(hook, metering, work_name(each["name"]), _reads(hook, route, json.dumps(each)), each)

    return settle if ended else None


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


def _reads(hook: Hook, route: Route, answer: str) -> Reads:
    return lambda model: (hook.usage(answer, route, model), False)


def _is_nothing(usage: Usage) -> bool:
    return usage.source is Source.NONE and usage.units == Units()
