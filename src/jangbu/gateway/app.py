"""The gateway as an ASGI application: a request is understood, its key accepted, and the handler of its kind called.

A bare ASGI callable, because a framework's share of a relayed call would be as large as the relay's own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from functools import partial
from typing import Any

from jangbu import telemetry
from jangbu.domain.keys import Key
from jangbu.errors import DatabaseUnreachable, JangbuError, NotOffered, NotPermitted, UpstreamUnreachable
from jangbu.gateway.bodies import ClientGone, Receive
from jangbu.gateway.caches import create_cache
from jangbu.gateway.client import Client, Send
from jangbu.gateway.credentials import accepted, admitted_payer, secret_of
from jangbu.gateway.exchange import Exchange, Parts
from jangbu.gateway.free import passed
from jangbu.gateway.headers import require_sound
from jangbu.gateway.later import started
from jangbu.gateway.limits import AdmittedClient
from jangbu.gateway.lists import listed
from jangbu.gateway.live import LIVE, Live
from jangbu.gateway.metered import metered
from jangbu.gateway.paths import segments
from jangbu.gateway.queries import query_of
from jangbu.gateway.refusals import refusal
from jangbu.gateway.resources import shown
from jangbu.gateway.results import result
from jangbu.gateway.routes import Action, Billing, Route, find
from jangbu.gateway.uploads import begin_upload, continue_upload
from jangbu.gateway.vertex import placed

__all__ = ["Gateway"]

ASGIScope = MutableMapping[str, Any]
Handler = Callable[[Exchange], Awaitable[None]]

_log = logging.getLogger("jangbu.gateway")


class Gateway:
    """Speaks Gemini's protocol to clients, for whom it is Gemini."""

    def __init__(self, parts: Parts, *, prefix: str = "", top_up_url: str | None = None) -> None:
        self._parts = parts
        self._prefix = prefix
        self._top_up_url = top_up_url
        self._live = Live(parts, self._route, top_up_url=top_up_url)
        self._calls: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket. The call goes on also where the server gives up on its client."""
        if scope["type"] == "websocket":
            await self._live.serve(scope, receive, send)
            return
        client = AdmittedClient(send, seconds=self._parts.limits.client_seconds)
        call = asyncio.create_task(self._serve(scope, receive, client))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            await asyncio.shield(call)
        except asyncio.CancelledError:
            if client.has_begun:
                raise
            # Serving ends. What the call still has to say goes nowhere, so that its client hears one thing.
            client.leave()
            stopping = UpstreamUnreachable("the gateway stops, and the call had no answer yet", hint="ask again")
            await self._refuse(Client(send, seconds=self._parts.limits.client_seconds), stopping)

    async def close(self, seconds: int) -> None:
        """Let the calls that are under way finish, for a while; what has not finished is ended and keeps its hold."""
        if calls := {*self._calls, *self._live.dismiss()}:
            _, late = await asyncio.wait(calls, timeout=seconds)
            for call in late:
                call.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def reaches_upstream(self, seconds: int) -> bool:
        """Tell whether the provider's address takes connections. No call is made."""
        return await self._parts.upstream.is_reachable(seconds)

    async def _serve(self, scope: ASGIScope, receive: Receive, client: AdmittedClient) -> None:
        try:
            await self._handle(scope, receive, client)
        except ClientGone:
            return
        except JangbuError as error:
            if isinstance(error, DatabaseUnreachable):
                # What asked it need not have been a call: a key's look-up, for one.
                self._parts.ledger.absence.note(error)
            await self._refuse(client, error)
        except Exception as error:
            _log.exception("a request failed")
            await self._refuse(client, JangbuError(f"an error of the gateway's own: {type(error).__name__}"))

    async def _handle(self, scope: ASGIScope, receive: Receive, client: AdmittedClient) -> None:
        raw_headers = tuple((name.lower(), value) for name, value in scope["headers"])
        client.must_close = True
        require_sound(raw_headers)
        client.must_close = False
        route = self._route(scope)
        query = query_of(route, scope["query_string"])
        headers = dict(raw_headers)
        if route.verb == "upload" and query.upload_id is not None:
            await continue_upload(self._parts, query.upload_id, scope["method"], raw_headers, receive, client)
            return
        # Whoever cannot be helped hears so at once, and not when the key's look-up has given up.
        self._parts.ledger.absence.require_patience()
        key = await accepted(self._parts.ledger.keys, secret_of(headers, query.key))
        if not key.allows_scope(route.scope):
            raise NotPermitted(f"this key may not be used for {route.scope}")
        payer = await admitted_payer(self._parts.ledger, key, headers)
        exchange = Exchange(
            self._parts,
            scope["method"],
            placed(self._parts.vertex, route),
            payer,
            query.encoded,
            headers,
            raw_headers,
            receive,
            client,
            self._parts.room.lease(payer.user),
            partial(self._origin, scope, headers),
        )
        try:
            await self._serve_for(key, exchange, client)
        finally:
            exchange.lease.end()
        telemetry.emit("gateway.answered", verb=route.verb)

    async def _serve_for(self, key: Key, exchange: Exchange, client: AdmittedClient) -> None:
        handler = _handler(exchange.route)
        if not key.has_limits:
            await handler(exchange)
            return
        async with self._parts.ledger.keys.limits.admitted(key) as admission:
            client.admission = admission
            await handler(replace(exchange, spent=admission.spend))

    def _route(self, scope: ASGIScope) -> Route:
        found = segments(scope["raw_path"], self._prefix)
        is_socket = scope["type"] == "websocket"
        route = None if found is None else find("GET" if is_socket else scope["method"], found)
        if route is None:
            raise NotOffered("the gateway has no such path", hint="see which of Gemini's methods it offers")
        telemetry.emit("request.routed", verb=route.verb)
        if route.billing is Billing.REFUSED:
            raise NotOffered(f"{route.verb} is not offered: {route.reason}")
        if is_socket is not (route.verb == LIVE):
            raise NotOffered("Live is spoken over WebSocket, and nothing else is")
        return route

    def _origin(self, scope: ASGIScope, headers: Mapping[bytes, bytes]) -> str:
        """Give the address under which the client knows the gateway."""
        if self._parts.own_url is not None:
            return self._parts.own_url.rstrip("/")
        host = headers.get(b"host", b"").decode("latin-1") or _listening(scope)
        prefix = f"/{self._prefix.strip('/')}" if self._prefix.strip("/") else ""
        return f"{scope.get('scheme', 'http')}://{host}{prefix}"

    async def _refuse(self, client: Client, error: JangbuError) -> None:
        """Answer with an error. An answer that has begun already is left without its end, so that the server breaks the
        connection off and nobody takes it for whole.
        """
        telemetry.emit("gateway.refused", code=error.code)
        if client.has_begun:
            return
        refused = refusal(error, top_up_url=self._top_up_url)
        headers = [(name.encode(), value.encode()) for name, value in refused.headers.items()]
        if client.must_close:
            headers.append((b"connection", b"close"))
        await client.answer(
            refused.status, refused.body, [(b"content-type", b"application/json; charset=UTF-8"), *headers]
        )


def _listening(scope: ASGIScope) -> str:
    """Give the address that the request came to, for a client that names no host (HTTP/1.0)."""
    host, port = scope.get("server") or ("", None)
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


_BY_BILLING: Mapping[Billing, Handler] = {
    Billing.METERED: metered,
    Billing.RECORDED: create_cache,
    Billing.STARTED: started,
    Billing.RESULT: result,
}


def _handler(route: Route) -> Handler:
    """Give what serves a route."""
    if route.verb == "upload":
        return begin_upload
    if route.billing in _BY_BILLING:
        return _BY_BILLING[route.billing]
    if route.resource is not None:
        return shown
    return listed if route.action is Action.LIST and route.is_of_kept else passed
