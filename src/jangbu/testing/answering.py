"""From a request to a reply: how it is to be treated, where it leads, and what is written into the log."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jangbu.clock import Clock, SystemClock
from jangbu.errors import InvalidInput
from jangbu.testing.answer_log import Answer, AnswerLog
from jangbu.testing.behaviours import Behaviour, Behaviours
from jangbu.testing.composing.failure import Failure
from jangbu.testing.routes import SURFACES, find_route
from jangbu.testing.surfaces.exchange import Exchange, Ids, Reply, Request, Route
from jangbu.testing.surfaces.failures import error_reply, garbage_reply, recorded_reply
from jangbu.testing.surfaces.resources import Resources

__all__ = ["Answering", "LoggedHeaders"]

_UNKNOWN = Route("unknown")
_HOUSEKEEPING = frozenset({"upload", "files", "file", "models", "model", "openai_models", "live", "unknown"})
"""Surfaces that use up no queued behaviour: it is meant for the next answer (of Live, the next turn)."""
_log = logging.getLogger("jangbu.testing")


@dataclass(frozen=True, slots=True)
class LoggedHeaders:
    """Which request headers the log keeps: the one that names the user, and others by name."""

    user: str = "x-jangbu-user"
    labels: tuple[str, ...] = ()


class Answering:
    """Everything about answers that has nothing to do with sockets."""

    def __init__(
        self,
        behaviours: Behaviours,
        log: AnswerLog,
        *,
        clock: Clock | None = None,
        headers: LoggedHeaders | None = None,
        api_key: str | None = None,
    ) -> None:
        self.behaviours = behaviours
        self.log = log
        self.ids = Ids()
        self.resources = Resources()
        self._clock = clock or SystemClock()
        self._headers = headers or LoggedHeaders()
        self._api_key = api_key

    def receive(self, request: Request, origin: str) -> Exchange:
        """Find out what a request wants and how it is to be treated."""
        route = find_route(request.method, request.path) or _UNKNOWN
        body = _read_body(request, route)
        if not route.model and isinstance(body.get("model"), str):
            route = replace(route, model=body["model"].rpartition("/")[2])
        behaviour = self._behaviour(request, route)
        return Exchange(request, route, body, behaviour, self.ids, self._clock.now(), origin)

    def reply(self, exchange: Exchange) -> Reply:
        """Answer: as the behaviour says, else as the surface does. Never raises."""
        behaviour = exchange.behaviour
        if behaviour.recorded is not None:
            return recorded_reply(behaviour.recorded)
        if behaviour.status != 200:
            return error_reply(exchange, behaviour.status)
        if behaviour.garbage is not None:
            return garbage_reply(behaviour.garbage)
        try:
            self.check_key(exchange.request, exchange.route)
            return self._surface_reply(exchange)
        except Failure as failure:
            return error_reply(exchange, failure.status, message=failure.message, reason=failure.reason)
        except Exception as failure:
            _log.exception("the fake could not answer %s", exchange.request.path)
            return error_reply(exchange, 500, message=f"The fake could not answer: {failure!r}")

    def check_key(self, request: Request, route: Route) -> None:
        """Compare the API key with the one that the fake wants, where it wants one. Raises Failure.

        The second request of an upload is let in by its upload_id, as with Google.
        """
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = request.headers.get("x-goog-api-key") or request.query.get("key") or bearer
        by_upload = route.surface == "upload" and "upload_id" in request.query
        if self._api_key is not None and given != self._api_key and not by_upload:
            message = "API key not valid. Please pass a valid API key."
            raise Failure(400, message, reason="API_KEY_INVALID")

    def answer(self, exchange: Exchange, reply: Reply, *, reported: Mapping[str, Any] | None, complete: bool) -> Answer:
        """Make the log's line of a reply and write it."""
        request, body = exchange.request, exchange.body
        answer = Answer(
            order=self.log.next_order(),
            at=exchange.moment,
            method=request.method,
            path=request.path,
            surface=exchange.route.surface,
            status=reply.status,
            model=reply.model or exchange.route.model or None,
            user=request.headers.get(self._headers.user) or _text_or_none(body.get("user")),
            labels=self._labels(request, body),
            response_id=reply.response_id,
            reported=reported,
            counted=reply.counted,
            members=reply.members,
            behaviour=str(exchange.behaviour),
            completely_sent=complete,
        )
        self.log.append(answer)
        return answer

    def _surface_reply(self, exchange: Exchange) -> Reply:
        surface = SURFACES.get(exchange.route.surface)
        if surface is None:
            raise Failure(404, f"{exchange.request.path} is nothing that the fake serves.")
        if _MALFORMED in exchange.body:
            raise Failure(400, "Invalid JSON payload received.")
        return surface(exchange, self.resources)

    def _behaviour(self, request: Request, route: Route) -> Behaviour:
        header = request.headers.get("x-fake-behaviour")
        if header is None and route.surface in _HOUSEKEEPING:
            return Behaviour()
        try:
            return self.behaviours.choose(header=header, model=route.model, path=request.path)
        except InvalidInput:
            return Behaviour(status=400)

    def _labels(self, request: Request, body: Mapping[str, Any]) -> dict[str, str]:
        labels = body.get("labels")
        kept = {name: request.headers[name] for name in self._headers.labels if name in request.headers}
        return {**labels, **kept} if isinstance(labels, dict) else kept


_MALFORMED = "malformed JSON"


def _read_body(request: Request, route: Route) -> dict[str, Any]:
    is_file = route.surface == "upload" and "start" not in request.headers.get("x-goog-upload-command", "")
    if not request.body or is_file:
        return {}
    try:
        body = json.loads(request.body)
    except ValueError:
        return {_MALFORMED: True}
    return body if isinstance(body, dict) else {_MALFORMED: True}


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
