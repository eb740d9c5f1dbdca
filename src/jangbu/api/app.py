"""Jangbu's own pages, beside the gateway: whether the service lives, whether it can work, its figures, and the API."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jangbu.api.metrics import CONTENT_TYPE_LATEST, Metrics
from jangbu.api.readiness import Failure, ReachesUpstream, Readiness
from jangbu.api.rest.app import Api
from jangbu.config import Settings
from jangbu.metering.meter import Metering

__all__ = ["open_app"]


@asynccontextmanager
async def open_app(
    settings: Settings, metering: Metering, reaches_upstream: ReachesUpstream | None = None
) -> AsyncIterator[Starlette]:
    """Make the application over a ledger that its caller opens and closes, and count for it until the context ends.

    ``reaches_upstream`` tells whether the provider can be reached; None where no calls are made.
    """
    metrics = Metrics(metering, settings.project)
    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ],
    )
    # Whatever else is asked for is the API's to answer: a route of its own would match the path decoded, which may be
    # anything.
    api = Api(settings, metering)
    app.router.default = api
    app.state.metering = metering
    app.state.readiness = Readiness(metering, settings.project, reaches_upstream, can_call=settings.can_call)
    app.state.metrics = metrics
    app.state.metrics_token = settings.metrics_token
    try:
        yield app
    finally:
        await api.close()
        await metrics.close()


async def healthz(_request: Request) -> JSONResponse:
    """Tell that the process lives."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """Tell whether calls can be served and metered: 200, or 503 with the reason."""
    readiness: Readiness = request.app.state.readiness
    metering: Metering = request.app.state.metering
    database_time = await readiness.database_time()
    if isinstance(database_time, Failure):
        return _not_ready(database_time)
    spool = await readiness.spool()
    if isinstance(spool, Failure):
        return _not_ready(spool)
    upstream = await readiness.upstream()
    if isinstance(upstream, Failure):
        return _not_ready(upstream)
    return JSONResponse(
        {
            "status": "ok",
            "database_time": database_time,
            "price_version": metering.pricing.in_force.version,
            "spool": spool,
            "upstream": upstream,
            "verified": await readiness.verified(),
        }
    )


async def show_metrics(request: Request) -> Response:
    """Give the figures in Prometheus' text format, to whoever has the token where one is set."""
    token = request.app.state.metrics_token
    if token is not None and not _is_same(request.headers.get("authorization", ""), token.get_secret_value()):
        return JSONResponse(
            {"code": "unauthenticated", "message": "send the metrics token as a bearer token"},
            status_code=401,
            headers={"www-authenticate": "Bearer"},
        )
    metrics: Metrics = request.app.state.metrics
    return Response(await metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _is_same(authorization: str, token: str) -> bool:
    """Compare in a time that says nothing about how much of the token was right."""
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _not_ready(failure: Failure) -> JSONResponse:
    return JSONResponse({"status": "unavailable", "code": failure.code, "message": failure.message}, status_code=503)
