"""What happens around every route: who calls, whether they may, how often, with what, and how it is answered."""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.api.rest.asked import Asked, Parts
from jangbu.api.rest.declared import Declared, Endpoint
from jangbu.api.rest.problems import InvalidFields, problem
from jangbu.api.rest.streams import Streamed
from jangbu.domain.keys import Key
from jangbu.domain.members import Actor
from jangbu.errors import InvalidInput, JangbuError, NotPermitted, Unauthenticated
from jangbu.metering.audit import acting_as
from jangbu.metering.keys import Keys

__all__ = ["KEY_HEADER", "Route"]

KEY_HEADER = "idempotency-key"
_KEY = re.compile(r"[\x21-\x7e]{1,190}")
_BEARER = "bearer "
_JSON = (b"content-type", b"application/json")
_REPEATED = frozenset({"state"})
"""The parameters that may be given several times."""

_log = logging.getLogger("jangbu.api")


class Route(APIRoute):
    """A route that serves nobody without the role that it declares."""

    declarations: ClassVar[Mapping[Endpoint, Declared]] = MappingProxyType({})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what serves the route; whatever goes wrong in it is answered as a problem."""
        handle = super().get_route_handler()

        async def served(request: Request) -> Response:
            try:
                return await self._serve(request, handle)
            except JangbuError as error:
                return problem(error)
            except RequestValidationError as error:
                return problem(InvalidFields.of(error))
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception as error:
                _log.exception("a request failed")
                return problem(JangbuError(f"an error of the API's own: {type(error).__name__}"))

        return served

    async def _serve(self, request: Request, handle: Callable[[Request], Awaitable[Response]]) -> Response:
        declared = self.declarations[self.endpoint]
        telemetry.emit("request.routed", verb=f"api.{declared.name}")
        parts: Parts = request.app.state.parts
        key = await _authenticated(parts.ledger.keys, request)
        if not key.roles & declared.roles:
            names = ", ".join(sorted(role.value for role in declared.roles))
            raise NotPermitted("this key may not do this", hint=f"it takes a key with one of these roles: {names}")
        if not key.has_limits:
            return await self._answer(request, declared, parts, key, handle)
        async with AsyncExitStack() as admission:
            await admission.enter_async_context(parts.ledger.keys.limits.admitted(key))
            response = await self._answer(request, declared, parts, key, handle)
            if isinstance(response, Streamed):
                # It is under way until its last byte was taken.
                response.ending.push_async_exit(admission.pop_all())
            return response

    async def _answer(
        self,
        request: Request,
        declared: Declared,
        parts: Parts,
        key: Key,
        handle: Callable[[Request], Awaitable[Response]],
    ) -> Response:
        self._require_known(request)
        once = _idempotency_key(request) if declared.writes else ""
        with parts.bodies.share() as share:
            content = await parts.bodies.read(request, share, declared.body_bytes) if declared.takes_body else {}
            if content and self.body_field is None:
                raise InvalidInput("nothing is sent with this", hint="leave the body empty")
            read = _Read(request, content)
            read.state.asked = Asked(parts, key, once, request.receive)
            with acting_as(Actor.of_key(key, current_id())):
                response = await handle(read)
        if declared.takes_body or isinstance(response, Streamed):
            response.headers["cache-control"] = "no-store"
            return response
        return _tagged(request, response)

    def _require_known(self, request: Request) -> None:
        """Refuse a parameter that the route does not have, or that is given twice: it would do nothing, silently."""
        known = _parameters(self.dependant)
        for name in request.query_params:
            if name not in known:
                hint = f"one of {', '.join(sorted(known))}" if known else "this path takes none"
                raise InvalidInput(f"there is no parameter {name[:40]!r}", hint=hint)
            if name not in _REPEATED and len(request.query_params.getlist(name)) > 1:
                raise InvalidInput(f"parameter {name[:40]!r} is given twice", hint="give it one value")


class _Read(Request):
    """A request whose body was read already, by rules that are stricter than the framework's: it is JSON, also where
    nothing was sent, which is an empty object.
    """

    def __init__(self, request: Request, content: dict[str, Any]) -> None:
        headers = [each for each in request.scope["headers"] if each[0] != b"content-type"]
        super().__init__({**request.scope, "headers": [*headers, _JSON]}, request.receive)
        self._content = content

    async def body(self) -> bytes:
        """Give something that is there to be read as JSON."""
        return b"{}"

    async def json(self) -> Any:
        """Give what was read."""
        return self._content


def _parameters(dependant: Dependant) -> set[str]:
    """Give the names of the parameters that a query may have."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_parameters(inner) for inner in dependant.dependencies))


async def _authenticated(keys: Keys, request: Request) -> Key:
    """Give the key that a request shows. Raises Unauthenticated in one wording for all that open nothing."""
    given = request.headers.getlist("authorization")
    if len(given) != 1 or not given[0].lower().startswith(_BEARER):
        raise Unauthenticated("no key was given", hint="send one of Jangbu's keys as Authorization: Bearer")
    try:
        return await keys.authenticate(given[0][len(_BEARER) :].strip())
    except NotPermitted:
        raise Unauthenticated("this key is not accepted", hint="ask whoever runs the ledger for another") from None


def _idempotency_key(request: Request) -> str:
    """Give the caller's own key. Raises InvalidInput where there is none: to repeat a write would do it twice."""
    given = request.headers.getlist(KEY_HEADER)
    if not given:
        raise InvalidInput(
            "a write needs an idempotency key",
            hint="send Idempotency-Key, and the same one when you send it again",
        )
    if len(given) != 1 or _KEY.fullmatch(given[0]) is None:
        raise InvalidInput("the idempotency key cannot be used", hint="1 to 190 ASCII characters without blanks")
    return given[0]


def _tagged(request: Request, response: Response) -> Response:
    """Name what was read by its digest, and send it only to who does not have it."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "authorization"}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return response
