"""Which address leads where: the doors that are open to everybody, users' own views, and the pages behind the doors."""

from collections.abc import Awaitable, Callable, Iterator

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from jangbu.config import Settings
from jangbu.dashboard import assets
from jangbu.dashboard.by_provider import ByProvider
from jangbu.dashboard.frame import COOKIE, Frame
from jangbu.dashboard.live import LIVE, Live
from jangbu.dashboard.look import PREFIX
from jangbu.dashboard.oidc import OpenId
from jangbu.dashboard.page import Page
from jangbu.dashboard.pages.all import PAGES
from jangbu.dashboard.preferences import remembered
from jangbu.dashboard.signing_in import SigningIn
from jangbu.dashboard.view.origins import Origins
from jangbu.dashboard.view.serving import Views
from jangbu.metering.meter import Metering
from jangbu.metering.verification_runs import VerificationRuns

__all__ = ["routes_of"]

_Answer = Callable[[Request], Awaitable[Response]]


def routes_of(settings: Settings, ledger: Metering, runs: VerificationRuns, live: Live) -> list[BaseRoute]:
    """Give all routes of the dashboard."""
    return [
        Route("/", _home),
        Route(PREFIX, _home),
        Route(f"{PREFIX}/static/{{digest}}/{{name:path}}", assets.serve),
        *_doors(settings, ledger),
        *_views(Views(ledger, settings, Origins.read(settings.view_origins))),
        Route(PREFIX + LIVE, _listened(live)),
        *_pages(Frame(ledger, runs, settings, PAGES, live)),
    ]


def _doors(settings: Settings, ledger: Metering) -> Iterator[BaseRoute]:
    provider = OpenId.of(settings, ledger.clock)
    door = SigningIn(ledger, has_provider=provider is not None)
    yield Route(f"{PREFIX}/sign-in", door.show)
    yield Route(f"{PREFIX}/sign-in", door.sign_in, methods=["POST"])
    yield Route(f"{PREFIX}/signed-in", door.check)
    yield Route(f"{PREFIX}/sign-out", door.sign_out, methods=["POST"])
    yield Route(f"{PREFIX}/set-up", door.show_set_up)
    yield Route(f"{PREFIX}/set-up", door.set_up, methods=["POST"])
    if provider is not None:
        by_provider = ByProvider(ledger, settings, provider, door)
        yield Route(f"{PREFIX}/sign-in/provider", by_provider.leave)
        yield Route(f"{PREFIX}/returned", by_provider.come_back)


def _views(views: Views) -> Iterator[BaseRoute]:
    yield Route(f"{PREFIX}/view", views.page)
    yield Route(f"{PREFIX}/view/data", views.data)
    yield Route(f"{PREFIX}/view/data", views.preflight, methods=["OPTIONS"])
    yield Route(f"{PREFIX}/view/token-meter.js", views.script)


def _pages(frame: Frame) -> Iterator[BaseRoute]:
    for page in frame.pages:
        yield Route(PREFIX + page.path, _shown(frame, page))
        if page.actions:
            yield Route(f"{PREFIX}{page.path.rstrip('/')}/{{action}}", _acted(frame, page), methods=["POST"])
    # Behind all pages: the files of the first one lie where they do.
    for page in frame.pages:
        if page.files:
            yield Route(f"{PREFIX}{page.path.rstrip('/')}/{{file}}", _sent(frame, page))


def _listened(live: Live) -> _Answer:
    async def listen(request: Request) -> Response:
        return await live.listen(request.cookies.get(COOKIE, ""), request)

    return listen


def _shown(frame: Frame, page: Page) -> _Answer:
    async def show(request: Request) -> Response:
        return remembered(request, await frame.show(page, request))

    return show


def _sent(frame: Frame, page: Page) -> _Answer:
    async def send(request: Request) -> Response:
        return await frame.send(page, request)

    return send


def _acted(frame: Frame, page: Page) -> _Answer:
    async def act(request: Request) -> Response:
        return await frame.act(page, request)

    return act


async def _home(_request: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/")
