"""Live over WebSocket: the upgrade of a client whose key is accepted, its setup, the first hold, and the session.

A caller that cannot be let in is answered with an HTTP error before the upgrade; what its setup asks for in vain ends
the session with a close frame that says why, before anything is said to the provider.
"""

import asyncio
import json
import logging
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Any

from jangbu import telemetry
from jangbu.domain.keys import Key
from jangbu.domain.usage import Platform
from jangbu.errors import JangbuError, NotPermitted
from jangbu.gateway.bodies import Receive, json_object
from jangbu.gateway.client import Client, Send
from jangbu.gateway.credentials import accepted, admitted_payer, secret_of
from jangbu.gateway.exchange import Exchange, Parts
from jangbu.gateway.headers import require_sound
from jangbu.gateway.live_client import LiveClient
from jangbu.gateway.live_closing import SERVICE_RESTART, Closing, closing
from jangbu.gateway.live_session import LiveSession, first_message
from jangbu.gateway.live_turns import Turns
from jangbu.gateway.queries import query_of, redacted
from jangbu.gateway.refusals import refusal
from jangbu.gateway.routes import Route
from jangbu.gateway.vertex import placed
from jangbu.providers.gemini.live_messages import Setup

__all__ = ["LIVE", "Live"]

LIVE = "live"
"""The verb of the routes that are spoken over WebSocket."""

ASGIScope = MutableMapping[str, Any]

_RESTARTING = Closing(SERVICE_RESTART, "the gateway stops; connect again")
_log = logging.getLogger("jangbu.gateway")


class Live:
    """Serves the WebSocket connections of a gateway. ``route`` finds where a connection leads, or raises."""

    def __init__(self, parts: Parts, route: Callable[[ASGIScope], Route], *, top_up_url: str | None) -> None:
        self._parts = parts
        self._route = route
        self._top_up_url = top_up_url
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[LiveClient] = set()
        self._sessions: set[LiveSession] = set()

    async def serve(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Serve one connection while its client is there; the turn that it leaves open is recorded after that."""
        client = LiveClient(receive, send, seconds=self._parts.limits.client_seconds)
        session = asyncio.create_task(self._serve(scope, client, receive, send))
        self._tasks.add(session)
        session.add_done_callback(self._tasks.discard)
        gone = asyncio.create_task(client.gone.wait())
        try:
            await asyncio.wait((session, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()

    def dismiss(self) -> set[asyncio.Task[None]]:
        """Tell all clients to connect again; give the tasks that still have something to record."""
        for session in tuple(self._sessions):
            self._tasks.add(task := asyncio.create_task(session.dismiss(_RESTARTING)))
            task.add_done_callback(self._tasks.discard)
        for client in tuple(self._clients):
            self._tasks.add(task := asyncio.create_task(client.close(_RESTARTING)))
            task.add_done_callback(self._tasks.discard)
        return set(self._tasks)

    async def _serve(self, scope: ASGIScope, client: LiveClient, receive: Receive, send: Send) -> None:
        try:
            try:
                exchange, secret = await self._understand(scope, receive, send)
            except JangbuError as error:
                telemetry.emit("gateway.refused", code=error.code)
                await client.refuse(refusal(error, top_up_url=self._top_up_url), scope.get("extensions") or {})
                return
            await client.accept()
            await self._converse(exchange, secret, client)
            telemetry.emit("gateway.answered", verb=exchange.route.verb)
        except JangbuError as error:
            telemetry.emit("gateway.refused", code=error.code)
            await client.close(closing(error))
        except Exception as error:
            _log.exception("a session failed")
            await client.close(closing(JangbuError(f"an error of the gateway's own: {type(error).__name__}")))

    async def _understand(self, scope: ASGIScope, receive: Receive, send: Send) -> tuple[Exchange, str]:
        """Find out who calls and where to; give the secret of the key apart. Raises what refuses the connection."""
        raw_headers = tuple((name.lower(), value) for name, value in scope["headers"])
        raw_query = scope["query_string"]
        # The server logs the address of a connection that it upgrades, and clients that set no headers put a key there.
        scope["query_string"] = redacted(raw_query).encode()
        require_sound(raw_headers)
        route = self._route(scope)
        query = query_of(route, raw_query)
        headers = dict(raw_headers)
        secret = secret_of(headers, query.key)
        key = await accepted(self._parts.ledger.keys, secret)
        if not key.allows_scope(route.scope):
            raise NotPermitted(f"this key may not be used for {route.scope}")
        client = Client(send, seconds=self._parts.limits.client_seconds)
        payer = await admitted_payer(self._parts.ledger, key, headers)
        route = placed(self._parts.vertex, route)
        lease, asked = self._parts.room.lease(payer.user), query.encoded
        return Exchange(self._parts, "GET", route, payer, asked, headers, raw_headers, receive, client, lease), secret

    async def _converse(self, exchange: Exchange, secret: str, client: LiveClient) -> None:
        """Hold for what the setup asks for, then connect to the provider. Raises what refuses the session."""
        self._clients.add(client)
        try:
            message = await first_message(client, self._parts)
            if message is None:
                return
            setup = Setup.read(json_object(message.encode() if isinstance(message, str) else message))

            async def key() -> Key:
                return await accepted(self._parts.ledger.keys, secret)

            turns = Turns(exchange, setup, key)
            exchange, message = _in_project(exchange, setup, message)
            session = await self._begun(exchange, client, turns, message, can_resume=setup.can_resume)
        finally:
            self._clients.discard(client)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    async def _begun(
        self, exchange: Exchange, client: LiveClient, turns: Turns, setup: str | bytes, *, can_resume: bool
    ) -> LiveSession:
        await turns.begin()
        try:
            opened = await exchange.connect(setup, can_resume=can_resume)
        except BaseException:
            await turns.end()
            raise
        return LiveSession(client, opened, turns, self._parts, exchange.payer.user)


def _in_project(exchange: Exchange, setup: Setup, message: str | bytes) -> tuple[Exchange, str | bytes]:
    """Have a session on Vertex AI name its model in the app's project. Raises NotPermitted where it names another."""
    vertex = exchange.parts.vertex
    if exchange.route.platform is not Platform.VERTEX or vertex is None:
        return exchange, message
    path, location = vertex.model_name(setup.model_path)
    exchange = replace(exchange, route=replace(exchange.route, location=location))
    if path == setup.model_path:
        return exchange, message
    return exchange, json.dumps(setup.with_model(path), ensure_ascii=False)
