"""What happens around every page: who looks, whether they may, in which language, and what is shown if it fails."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.api.rest.problems import status_of
from jangbu.config import Settings
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.look import PREFIX, Look
from jangbu.dashboard.page import Page
from jangbu.dashboard.rendered import page as rendered
from jangbu.dashboard.texts import Language, best_language, texts_of
from jangbu.errors import InvalidInput, JangbuError, NotPermitted, TooLarge
from jangbu.metering.meter import Metering

__all__ = ["COOKIE", "Frame", "form_of", "language_of", "require_same_site", "scheme_of"]

COOKIE = "__Host-jangbu"
_LANGUAGE_COOKIE = "jangbu-language"
_SCHEME_COOKIE = "jangbu-scheme"
_FORM_BYTES_MAX = 65_536
_FIELDS_MAX = 100

_log = logging.getLogger("jangbu.dashboard")


@dataclass(frozen=True, slots=True)
class Frame:
    """Serves pages to who is signed in."""

    ledger: Metering
    settings: Settings
    pages: tuple[Page, ...]

    async def show(self, page: Page, request: Request) -> Response:
        """Answer a request for a page."""
        telemetry.emit("request.routed", verb=f"dashboard.{page.name}")
        look = await self._look(request, {})
        if look is None:
            return _to_sign_in(request)
        try:
            if not look.may(page.roles):
                raise NotPermitted("your role does not include this page", hint="ask an owner for another role")
            return rendered(f"{page.name}.html", self._values(look, request, page) | dict(await page.show(look)))
        except JangbuError as error:
            return self._failed(error, look, request, page)
        except Exception as error:
            _log.exception("a page failed")
            return self._failed(_unforeseen(error), look, request, page)

    async def act(self, page: Page, request: Request) -> Response:
        """Do what a form asks for. The form stays as it is where that fails."""
        name = request.path_params["action"]
        telemetry.emit("request.routed", verb=f"dashboard.{page.name}.{name}")
        try:
            require_same_site(request)
            form = await form_of(request)
            look = await self._look(request, form)
            if look is None:
                return _to_sign_in(request)
            action = page.actions.get(name)
            if action is None:
                return Response(status_code=404)
            if not look.session.accepts(form.get("csrf", "")):
                raise NotPermitted("this form was not made for you", hint="load the page again and repeat what you did")
            if not look.may(action.roles):
                raise NotPermitted("your role does not include this", hint="ask an owner for another role")
            return _gone_on(request, await action.act(look))
        except JangbuError as error:
            return self._refused(error, request)
        except Exception as error:
            _log.exception("an action failed")
            return self._refused(_unforeseen(error), request)

    async def _look(self, request: Request, form: Mapping[str, str]) -> Look | None:
        token = request.cookies.get(COOKIE)
        session = None if token is None else await self.ledger.sessions.of(token)
        if session is None:
            return None
        query = dict(request.query_params)
        texts = texts_of(language_of(request))
        zone = query.get("zone") or self.settings.time_zone
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = query["zone"] = "UTC"
        return Look(
            ledger=self.ledger,
            settings=self.settings,
            session=session,
            path=request.url.path,
            query=query,
            texts=texts,
            formats=Formats(texts.language, zone),
            now=self.ledger.clock.now(),
            form=form,
        )

    def _values(self, look: Look, request: Request, page: Page) -> dict[str, Any]:
        menu = [each for each in self.pages if each.in_menu and look.may(each.roles)]
        return {
            "look": look,
            "t": look.texts,
            "f": look.formats,
            "page": page,
            "menu": menu,
            "scheme": scheme_of(request),
            "request_id": current_id(),
            "project": self.settings.project,
        }

    def _failed(self, error: JangbuError, look: Look, request: Request, page: Page) -> Response:
        return rendered("failed.html", self._values(look, request, page) | {"error": error}, status=status_of(error))

    def _refused(self, error: JangbuError, request: Request) -> Response:
        texts = texts_of(language_of(request))
        values = {"error": error, "t": texts, "request_id": current_id(), "scheme": scheme_of(request)}
        template = "problem.html" if _by_script(request) else "refused.html"
        return rendered(template, values, status=status_of(error))


def language_of(request: Request) -> Language:
    """Give the language to answer in: what the URL says, what was chosen before, what the browser prefers."""
    accepted = request.headers.get("accept-language", "")
    return best_language(
        request.query_params.get("lang"), request.cookies.get(_LANGUAGE_COOKIE), accepted=accepted[:200]
    )


async def form_of(request: Request) -> dict[str, str]:
    """Read a form's fields. Raises InvalidInput and TooLarge."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _FORM_BYTES_MAX:
            raise TooLarge("the form is too large", hint=f"at most {_FORM_BYTES_MAX:,} bytes")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise InvalidInput("the form cannot be read", hint="load the page again") from error
    return {name: value.replace("\r\n", "\n").strip() for name, value in pairs}


def require_same_site(request: Request) -> None:
    """Refuse a form that another site sent. Raises NotPermitted."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site in {"same-origin", "none"}:
        return
    if site is None and (origin is None or urlsplit(origin).netloc == request.headers.get("host")):
        return
    raise NotPermitted("this form was sent by another site", hint="open the dashboard itself and repeat what you did")


def _by_script(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _gone_on(request: Request, address: str) -> Response:
    if _by_script(request):
        return Response(status_code=204, headers={"hx-redirect": address})
    return RedirectResponse(address, status_code=303)


def _to_sign_in(request: Request) -> Response:
    after = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"{PREFIX}/sign-in?next={quote(after, safe='')}" if request.method == "GET" else f"{PREFIX}/sign-in"
    return _gone_on(request, address)


def _unforeseen(error: Exception) -> JangbuError:
    return JangbuError(f"an error of the dashboard's own: {type(error).__name__}", hint="try again; the log says more")


def scheme_of(request: Request) -> str:
    """Give the colour scheme that was chosen, ``auto`` for what the system prefers."""
    chosen = request.cookies.get(_SCHEME_COOKIE)
    return chosen if chosen in {"light", "dark"} else "auto"
