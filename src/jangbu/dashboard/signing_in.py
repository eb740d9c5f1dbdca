"""Signing in and out, and the first owner's set-up: the pages that nobody has to be signed in for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.api.rest.problems import status_of
from jangbu.dashboard.failing import headers_of, told
from jangbu.dashboard.frame import COOKIE, address_of, form_of, require_same_site
from jangbu.dashboard.look import PREFIX
from jangbu.dashboard.preferences import language_of, remembered, scheme_of
from jangbu.dashboard.rendered import page as rendered
from jangbu.dashboard.texts import texts_of
from jangbu.domain.members import Session
from jangbu.errors import JangbuError, LimitReached, NotFound
from jangbu.metering.meter import Metering

__all__ = ["SigningIn", "checked", "with_session"]

_HOME = f"{PREFIX}/"


@dataclass(frozen=True, slots=True)
class SigningIn:
    """Serves the forms by which people come in, and lets them out."""

    ledger: Metering
    has_provider: bool = False

    async def show(self, request: Request) -> Response:
        """Show the form, or how to begin where nobody can sign in yet."""
        telemetry.emit("request.routed", verb="dashboard.sign_in")
        is_new = await self.ledger.members.is_empty()
        return self._page(request, "sign_in.html", {"is_new": is_new, "name": ""})

    async def sign_in(self, request: Request) -> Response:
        """Let somebody in whose name and password fit."""
        telemetry.emit("request.routed", verb="dashboard.sign_in")
        form: dict[str, str] = {}
        try:
            require_same_site(request)
            form = await form_of(request)
            _, token = await self._let_in(request, form.get("name", ""), form.get("password", ""))
        except JangbuError as error:
            values = {"is_new": False, "name": form.get("name", ""), "next": form.get("next", "")}
            return self._page(request, "sign_in.html", values, error)
        return with_session(checked(form.get("next", "")), token)

    async def check(self, request: Request) -> Response:
        """See that the browser kept the cookie: over plain HTTP it does so for this machine only."""
        token = request.cookies.get(COOKIE)
        if token is None or await self.ledger.sessions.of(token) is None:
            return self._page(request, "no_cookie.html", {})
        return RedirectResponse(_within(request.query_params.get("next", "")), status_code=303)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        require_same_site(request)
        token = request.cookies.get(COOKIE)
        if token is not None:
            await self.ledger.sessions.end(token, request_id=current_id())
        response = RedirectResponse(f"{PREFIX}/sign-in", status_code=303)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response

    async def show_set_up(self, request: Request) -> Response:
        """Show the form behind a link that lets somebody choose a password, if the link is good still."""
        telemetry.emit("request.routed", verb="dashboard.set_up")
        return await self._set_up_page(request, request.query_params.get("token", ""))

    async def set_up(self, request: Request) -> Response:
        """Make a member from such a link, or give one a password, and let them in."""
        telemetry.emit("request.routed", verb="dashboard.set_up")
        require_same_site(request)
        form = await form_of(request)
        password = form.get("password", "")
        try:
            member = await self.ledger.members.set_up(form.get("token", ""), form.get("name", ""), password)
        except JangbuError as error:
            return await self._set_up_page(request, form.get("token", ""), form.get("name", ""), error)
        try:
            _, token = await self._let_in(request, member.name, password)
        except LimitReached as error:
            # The link is used up: what is left to do is to sign in, a little later.
            return self._page(request, "sign_in.html", {"is_new": False, "name": member.name}, error)
        return with_session(checked(""), token)

    def refused(self, request: Request, error: JangbuError) -> Response:
        """Show the form again, with the reason why nobody was let in."""
        return self._page(request, "sign_in.html", {"is_new": False, "name": ""}, error)

    async def _set_up_page(
        self, request: Request, token: str, name: str = "", error: JangbuError | None = None
    ) -> Response:
        """Show the form; what is wrong with the link comes before what is wrong with what was entered."""
        try:
            member = (await self.ledger.members.offered(token)).member
        except NotFound as spent:
            return self._page(request, "set_up.html", {"token": token, "name": "", "is_spent": True}, spent)
        values = {"token": token, "name": name if member is None else member.name, "is_spent": False}
        return self._page(request, "set_up.html", values | {"is_named": member is not None}, error)

    def _page(
        self, request: Request, template: str, values: Mapping[str, Any], error: JangbuError | None = None
    ) -> Response:
        texts = texts_of(language_of(request))
        shown = {
            "t": texts,
            "has_provider": self.has_provider,
            **told(error),
            "scheme": scheme_of(request),
            "request_id": current_id(),
            "next": request.query_params.get("next", ""),
            "token": "",
        }
        status = 200 if error is None else status_of(error)
        return remembered(request, rendered(template, shown | dict(values), status=status, headers=headers_of(error)))

    async def _let_in(self, request: Request, name: str, password: str) -> tuple[Session, str]:
        return await self.ledger.sessions.sign_in(name, password, address_of(request), request_id=current_id())


def _within(address: str) -> str:
    """Give an address to go on to, if it is one of the dashboard's pages: a link must not lead elsewhere."""
    is_own = address.startswith((_HOME, f"{PREFIX}?"))
    return address if is_own and "\\" not in address and address.isprintable() else _HOME


def checked(address: str) -> str:
    """Give the page that sees whether the cookie was kept, and goes on to an address then."""
    return f"{PREFIX}/signed-in?next={quote(_within(address), safe='')}"


def with_session(address: str, token: str) -> Response:
    """Go on to an address, signed in."""
    response = RedirectResponse(address, status_code=303)
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="lax")
    return response
