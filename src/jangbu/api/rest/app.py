"""The API as an ASGI application, which is made when the first request comes: what nobody asks for takes no memory."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from jangbu.api.browsers import for_readers
from jangbu.config import Settings
from jangbu.metering.meter import Metering

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["PREFIX", "Api", "build"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX = "/api/v1"

_DESCRIPTION = """\
The account book for the Gemini tokens that an app's users spend.

Show a key as `Authorization: Bearer`; `x-jangbu-roles` of an operation says which roles may use it. Every write takes
an `Idempotency-Key`, which stands for it on its account: repeated, it changes nothing; used for something else, it is
refused with 409. Money is in nano-USD, and all figures are whole numbers. Lists end with `next`,
which is given as `cursor` for the page after. Errors are problems of RFC 9457 with a stable `code`."""

# What happens is told by Jangbu's own log and metrics; bodies and keys shall reach nobody else.
_TOLD_TO_NOBODY: Any = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)


class Api:
    """Serves ``/api/v1`` and ``/openapi.json`` over a ledger that somebody else opens and closes."""

    def __init__(self, settings: Settings, ledger: Metering) -> None:
        self._settings = settings
        self._ledger = ledger
        self._making = asyncio.Lock()
        self._app: FastAPI | None = None
        self._for_pages = for_readers(self._serve, settings.allowed_origins)

    async def close(self) -> None:
        """End what goes on in the background."""
        if self._app is not None:
            await self._app.state.parts.runs.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; of what is served here, pages in a browser may read the API alone."""
        is_api = scope["path"].startswith(f"{PREFIX}/")
        await (self._for_pages if is_api else self._serve)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. Its path is matched as it was sent, so that a user's name may hold a slash."""
        if self._app is None:
            async with self._making:
                if self._app is None:
                    self._app = await asyncio.to_thread(build, self._settings, self._ledger)
        await self._app({**scope, "path": scope["raw_path"].decode("latin-1")}, receive, send)


def build(settings: Settings, ledger: Metering) -> "FastAPI":
    """Make the application; that takes a moment, for which calls of the gateway shall not wait."""
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException

    from jangbu.api.rest.asked import Parts
    from jangbu.api.rest.bodies import Bodies
    from jangbu.api.rest.documented import complete, documented
    from jangbu.api.rest.frame import Route
    from jangbu.api.rest.parts import ROUTES
    from jangbu.api.rest.problems import unrouted
    from jangbu.api.rest.streams import Streams
    from jangbu.metering.verification_runs import VerificationRuns

    app = FastAPI(
        title="Jangbu",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        telemetry=_TOLD_TO_NOBODY,
    )
    app.state.parts = Parts(
        ledger,
        settings.project,
        settings.alert_language,
        Bodies(settings.body_bytes_max, seconds=settings.client_seconds_max),
        settings.show_costs_to_users,
        VerificationRuns(ledger, settings.project),
        Streams(),
    )
    Route.declarations = {declared.endpoint: declared for declared in chain.from_iterable(ROUTES)}
    app.router.route_class = Route
    for declared in Route.declarations.values():
        app.add_api_route(PREFIX + declared.path, declared.endpoint, **documented(declared))
    app.add_exception_handler(HTTPException, unrouted)
    complete(app)
    return app
