"""What all seams of one client share: opening calls, reading answers, and remembering work whose results come later."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from jangbu.clock import Clock, SystemClock, new_id
from jangbu.domain.flow import Answered, Bounds, Call, Lost, Outcome
from jangbu.domain.usage import Surface, Usage
from jangbu.errors import InvalidAnswer
from jangbu.providers.gemini import StreamMeter, parse, request
from jangbu.providers.gemini.continuation import without_continuation
from jangbu.providers.gemini.services import service_of
from jangbu.sdk import attribution
from jangbu.sdk.attribution import Attribution
from jangbu.sdk.background import Background
from jangbu.sdk.drivers import CallInProgress
from jangbu.sdk.routes import Route

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["Hook", "metadata_of"]

UNKNOWN_MODEL = "unknown"
NAMES_MOST = 100_000


class RecentNames:
    """A set of names that forgets the oldest, so that a process that runs for months stays small."""

    def __init__(self, most: int = NAMES_MOST) -> None:
        self._most = most
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Remember a name."""
        self._names[name] = None
        while len(self._names) > self._most:
            self._names.pop(next(iter(self._names)), None)

    def __contains__(self, name: str) -> bool:
        return name in self._names


@dataclass(slots=True)
class Hook:
    """The ledger as a client's seams see it, with what was started and not yet reported.

    ``started`` keeps who asked for work for which nothing is held; ``unnoted`` keeps the calls of work of which the
    ledger could not be told; ``recorded`` keeps names whose results this process has recorded already; ``notes`` has
    those of caches take turns that are being noted.
    """

    background: "Background[Metering]"
    clock: Clock = field(default_factory=SystemClock)
    started: dict[str, Attribution] = field(default_factory=dict)
    unnoted: dict[str, Call] = field(default_factory=dict)
    recorded: RecentNames = field(default_factory=RecentNames)
    notes: "WeakValueDictionary[str, asyncio.Lock]" = field(default_factory=WeakValueDictionary)

    def open(self, route: Route, body: Mapping[str, Any], bounds: Bounds | None = None) -> CallInProgress:
        """Open a call for a request. Raises MissingUser before anything is held or sent."""
        payer = attribution.required()
        assert payer.user is not None, "an attribution that is required names a user"
        assert route.surface is not None, "a metered call has a surface"
        model = route.model or model_of(body) or UNKNOWN_MODEL
        call = Call(
            id=new_id(self.clock),
            user=payer.user,
            service=payer.service or service_of(route.surface, model, body),
            model=model,
            bounds=bounds or self.bounds(route, body),
            metadata=metadata_of(payer),
        )
        return CallInProgress(self.background, call)

    def bounds(self, route: Route, body: Mapping[str, Any]) -> Bounds:
        """Bound what a request can cost."""
        # What an earlier answer wrote is known to nobody here: a call that goes on from it is held for as one alone.
        return request.bounds(route.verb, without_continuation(body), route.model or model_of(body))

    def limited(self, body: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """Give a request's body with an output limit for each candidate put in."""
        interacts = "input" in body and "contents" not in body
        verb = "chat/completions" if "messages" in body else "interactions" if interacts else "generateContent"
        return request.with_output_limit(verb, body, limit)

    def usage(self, answer: str, route: Route, model: str | None, headers: Mapping[str, str] | None = None) -> Usage:
        """Read the usage out of an answer. Raises InvalidAnswer."""
        # The answer says itself whether a prediction is of images or of embeddings.
        surface = None if route.surface is Surface.PREDICT else route.surface
        return parse(
            answer.encode(), surface=surface, platform=route.platform, model=model, headers=_undone(headers or {})
        )

    def outcome(self, answer: str, route: Route, call: CallInProgress, headers: Mapping[str, str]) -> Outcome:
        """Judge an answer. One that cannot be read was still given, so what it cost is not known."""
        try:
            return Answered(self.usage(answer, route, call.call.model, headers))
        except InvalidAnswer as unreadable:
            return Lost(f"the answer cannot be read: {unreadable.message}")

    def stream_meter(self, route: Route, model: str | None, headers: Mapping[str, str]) -> StreamMeter:
        """Make the meter of a stream."""
        tier = headers.get("x-gemini-service-tier")
        return StreamMeter(route.surface, platform=route.platform, model=model, service_tier=tier)


def metadata_of(payer: Attribution) -> Mapping[str, Any]:
    """Give what a record keeps of an attribution beside its user and service."""
    return {"tags": dict(payer.tags)} if payer.tags else {}


def model_of(body: Mapping[str, Any]) -> str | None:
    """Give the model (or the agent) that a request's body names, without ``models/``."""
    named = body.get("model") or body.get("agent")
    return str(named).rpartition("/")[2] if named else None


def _undone(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out the compression, which the HTTP library has undone."""
    return {name: value for name, value in headers.items() if name.lower() != "content-encoding"}
