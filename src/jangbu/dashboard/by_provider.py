"""Signing in by an OpenID provider: the way to it, and the way back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.config import Settings
from jangbu.dashboard.frame import address_of
from jangbu.dashboard.look import PREFIX
from jangbu.dashboard.oidc import Journey, OpenId, admission_of
from jangbu.dashboard.signing_in import SigningIn, checked, with_session
from jangbu.errors import JangbuError, Unauthenticated
from jangbu.metering.meter import Metering

__all__ = ["ByProvider"]

_COOKIE = "__Host-jangbu-journey"
_JOURNEY_SECONDS = 600
_RETURN_PATH = f"{PREFIX}/returned"


@dataclass(frozen=True, slots=True)
class ByProvider:
    """Sends people to the provider that the settings name, and lets in whom it vouches for."""

    ledger: Metering
    settings: Settings
    provider: OpenId
    door: SigningIn

    async def leave(self, request: Request) -> Response:
        """Send somebody to the provider. What has to fit when they come back is kept by their browser meanwhile."""
        telemetry.emit("request.routed", verb="dashboard.sign_in")

        async def go() -> Response:
            address, journey = await self.provider.begin(self._return_address(request))
            response = RedirectResponse(address, status_code=303)
            kept = f"{journey.text}|{quote(request.query_params.get('next', ''), safe='')}"
            # From the provider's page the browser comes back with this cookie only where it is not strict.
            response.set_cookie(
                _COOKIE, kept, max_age=_JOURNEY_SECONDS, path="/", secure=True, httponly=True, samesite="lax"
            )
            return response

        return await self._or_refused(request, go)

    async def come_back(self, request: Request) -> Response:
        """Let in whom the provider vouches for."""
        telemetry.emit("request.routed", verb="dashboard.sign_in")

        async def enter() -> Response:
            text, _, after = request.cookies.get(_COOKIE, "").partition("|")
            vouched = await self.provider.finish(
                Journey.read(text), dict(request.query_params), self._return_address(request)
            )
            _, token = await self.ledger.sessions.sign_in_by(
                vouched, admission_of(self.settings), address_of(request), request_id=current_id()
            )
            return with_session(checked(unquote(after)), token)

        response = await self._or_refused(request, enter)
        # A journey is good for one return.
        response.delete_cookie(_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response

    async def _or_refused(self, request: Request, act: Callable[[], Awaitable[Response]]) -> Response:
        try:
            return await act()
        except JangbuError as error:
            return self.door.refused(request, error)
        except ValueError as error:
            return self.door.refused(request, Unauthenticated(f"this sign-in cannot be read: {type(error).__name__}"))

    def _return_address(self, request: Request) -> str:
        """Give the address that the provider knows us by: the one that is set, or the one that we were asked at."""
        base = self.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
        return base.rstrip("/") + _RETURN_PATH
