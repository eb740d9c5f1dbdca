"""One process that serves: the ledger, the gateway and Jangbu's own pages behind uvicorn on sockets that listen."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import uvicorn

from jangbu.api.app import open_app
from jangbu.api.browsers import for_callers
from jangbu.api.readiness import WHAT_TO_SET
from jangbu.api.requests import Observed
from jangbu.cli.serve.accepting import Accepting, connections_max
from jangbu.cli.serve.certificate import Certificate, keep_current
from jangbu.cli.serve.first_owner import offer_first_owner
from jangbu.cli.serve.lines import logging_as_set
from jangbu.cli.serve.memory import give_back_free_pages, give_back_large_blocks
from jangbu.cli.serve.neighbours import take_over
from jangbu.cli.serve.protocol import Bounds, bounded
from jangbu.cli.serve.served import Served
from jangbu.cli.serve.stopping import Stopping
from jangbu.cli.serve.unusable_spool import tell_unusable_spool
from jangbu.config import Settings
from jangbu.dashboard.app import Dashboard
from jangbu.gateway.assembly import open_gateway
from jangbu.metering.evidence import restated
from jangbu.metering.verifier import Verifier
from jangbu.wiring import open_metering

__all__ = ["serve_on"]

_log = logging.getLogger("jangbu.gateway")

_KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections: it is the client that should close one, or its next request is lost."""
_FAREWELL_SECONDS = 1
"""How long the end of a connection with TLS waits for its client to say goodbye: it keeps its file until then."""
_MESSAGE_BYTES_MAX = 32 * 1024 * 1024
_GARBAGE_LOOKED_FOR_AT = 20_000
"""How many more objects than were freed have to be made until garbage is looked for."""


async def serve_on(
    settings: Settings,
    listeners: Sequence[socket.socket],
    certificate: Certificate | None,
    ready: Callable[[Stopping], None],
    url: str | None = None,
) -> None:
    """Serve until the process is asked to stop, then let calls finish and write what waits. The first of ``listeners``
    is its own, the others are its neighbours'.

    ``ready`` is called when connections are taken. With the ``url`` at which they are, a first owner is offered before
    that, and it is told what is wrong with the spool. Raises what the ledger and the settings raise, before that.
    """
    stopping = Stopping()
    try:
        with logging_as_set(settings):
            await _serve(settings, listeners, certificate, stopping, ready, url)
    finally:
        stopping.end()


async def _serve(
    settings: Settings,
    listeners: Sequence[socket.socket],
    certificate: Certificate | None,
    stopping: Stopping,
    ready: Callable[[Stopping], None],
    url: str | None,
) -> None:
    has_key = settings.gemini_api_key is not None or settings.upstream_keys is not None
    async with (
        open_metering(settings, writes=True) as metering,
        open_gateway(settings, metering) as gateway,
        open_app(settings, metering, gateway.reaches_upstream if has_key else None) as own,
        Verifier(
            metering.database,
            settings.project,
            recompute=metering.pricing.reprice,
            restate=restated,
            seconds=settings.verify_seconds,
        ),
    ):
        dashboard = Dashboard(settings, metering) if settings.dashboard else None
        observed = Observed(Served(own, for_callers(gateway, settings.allowed_origins), dashboard))
        bounds = _bounds(settings)
        server = _Server(_configured(settings, observed, bounds, certificate), bounds, certificate)
        stopping.begin(lambda: _stop(server, dashboard))
        _collect_rarely()
        give_back_large_blocks()
        if url is not None:
            await offer_first_owner(settings, metering, url)
            await tell_unusable_spool(metering)
        ready(stopping)
        if not settings.can_call:
            _log.warning("no call can be made: there is nothing to call Gemini with; %s", WHAT_TO_SET)
        await server.serve(sockets=[*listeners])
        await gateway.close(stopping.seconds_left(settings.stop_seconds_max))
        if dashboard is not None:
            await dashboard.close()
        observed.close()


def _stop(server: uvicorn.Server, dashboard: Dashboard | None) -> None:
    """Take nothing new, and end what has no end of its own."""
    server.should_exit = True
    if dashboard is not None:
        dashboard.stop()


class _Server(uvicorn.Server):
    """uvicorn, but for the signals and for the start."""

    def __init__(self, config: uvicorn.Config, bounds: Bounds, certificate: Certificate | None) -> None:
        super().__init__(config)
        self._bounds = bounds
        self._certificate = certificate
        self._accepting: Accepting | None = None
        self._beside: list[asyncio.Task[None]] = []

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: uvicorn would raise each once more before the ledger is closed."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections. uvicorn would wait for a minute for a handshake of TLS that never ends."""

        def made() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        loop, secure = asyncio.get_running_loop(), self.config.ssl
        assert sockets, "it serves on what was opened for it"
        own, *neighbours = sockets
        connect = partial(
            loop.connect_accepted_socket,
            made,
            ssl=secure,
            ssl_handshake_timeout=self._bounds.head_seconds if secure else None,
            ssl_shutdown_timeout=_FAREWELL_SECONDS if secure else None,
        )
        self.servers = []
        self._accepting = Accepting(own, connect, self._makes_room)
        self._accepting.start()
        self._beside.append(asyncio.create_task(take_over(neighbours, self._accepting)))
        self._beside.append(asyncio.create_task(give_back_free_pages()))
        if self._certificate is not None and secure is not None:
            self._beside.append(asyncio.create_task(keep_current(self._certificate, secure)))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and wait for the ends of those that there are."""
        if self._accepting is not None:
            self._accepting.stop()
        for task in self._beside:
            task.cancel()
        await super().shutdown(sockets)

    def _makes_room(self, connecting: int) -> bool:
        return self._bounds.make_room(len(self.server_state.connections) + connecting)


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        head_bytes=settings.head_bytes_max,
        head_seconds=settings.head_seconds_max,
        client_seconds=settings.client_seconds_max,
        connections=connections_max(),
    )


def _configured(settings: Settings, app: Observed, bounds: Bounds, certificate: Certificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", bounded(bounds)),
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.stop_seconds_max,
        ssl_certfile=None if certificate is None else certificate.chain,
        ssl_keyfile=None if certificate is None else certificate.key,
        log_config=None,
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
    )


def _collect_rarely() -> None:
    """Look for cycles of garbage now and then only, and never among what was there at the start.

    With Python's own thresholds a tenth of the gateway's time went into it, and calls leave few cycles behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_LOOKED_FOR_AT, 10, 10)
