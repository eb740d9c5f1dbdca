"""The application that `jangbu serve` runs: whether it lives, and whether it can work."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jangbu.errors import JangbuError
from jangbu.metering.meter import Metering

_READY_SECONDS = 2


def create_app(metering: Metering) -> Starlette:
    """Make the application over a ledger that its caller opens and closes."""
    app = Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz)])
    app.state.metering = metering
    return app


async def healthz(_request: Request) -> JSONResponse:
    """Tell that the process lives."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """Tell whether calls can be metered: 200, or 503 with the reason."""
    metering: Metering = request.app.state.metering
    try:
        async with asyncio.timeout(_READY_SECONDS):
            now = await metering.database.now()
    except TimeoutError:
        return _not_ready("database_unreachable", f"PostgreSQL did not answer in {_READY_SECONDS} s")
    except JangbuError as error:
        return _not_ready(error.code, str(error))
    return JSONResponse(
        {"status": "ok", "database_time": now.isoformat(), "price_version": metering.pricing.in_force.version}
    )


def _not_ready(code: str, message: str) -> JSONResponse:
    return JSONResponse({"status": "unavailable", "code": code, "message": message}, status_code=503)
