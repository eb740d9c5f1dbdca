"""What happens around every page: who looks, whether they may, in which language, and what is shown if it fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.api.rest.problems import status_of
from jangbu.api.rest.streams import Streams
from jangbu.config import Settings
from jangbu.dashboard.done import actor_of
from jangbu.dashboard.failing import by_script, headers_of, missing, refused, told, unforeseen
from jangbu.dashboard.fields import Barred, Wrong, require_one_of
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.live import Live
from jangbu.dashboard.look import PREFIX, Look
from jangbu.dashboard.page import FORM_BYTES_MAX, WITH_BOM, Action, Answered, Page
from jangbu.dashboard.preferences import language_of, scheme_of
from jangbu.dashboard.rendered import page as rendered
from jangbu.dashboard.texts import texts_of
from jangbu.dashboard.top_users import is_of_part
from jangbu.domain.members import Session
from jangbu.domain.windows import zone_named
from jangbu.errors import InvalidInput, JangbuError, TooLarge
from jangbu.metering.audit import acting_as
from jangbu.metering.exports import Format, offered
from jangbu.metering.meter import Metering
from jangbu.metering.verification_runs import VerificationRuns

__all__ = ["COOKIE", "Frame", "address_of", "form_of", "require_same_site"]

COOKIE = "__Host-jangbu"
_FIELDS_MAX = 100
_LITERAL = ("user", "of_user")
"""Fields that name a user. Ids may differ by a blank alone: what is done to one user must not be done to another."""
_SLOW = ("whatif", "tag", "by_key")
"""What is read from single calls, which takes seconds: it is looked at once and not over and over. So are the users who
used most of a model or service."""
_SHOWN = 40

_log = logging.getLogger("jangbu.dashboard")


@dataclass(frozen=True, slots=True)
class Frame:
    """Serves pages to who is signed in."""

    ledger: Metering
    runs: VerificationRuns
    settings: Settings
    pages: tuple[Page, ...]
    live: Live
    streams: Streams = field(default_factory=Streams)

    async def show(self, page: Page, request: Request) -> Response:
        """Answer a request for a page."""

        async def show(look: Look) -> Response:
            # Read before all else: what comes to it meanwhile is told as new.
            mark = await self.live.mark() if look.asked("live") and _may_live(look, page) else None
            shown = await page.show(look)
            if isinstance(shown, str):
                return RedirectResponse(shown, status_code=303)
            if not isinstance(shown, Answered):
                shown = Answered(f"{page.name}.html", shown)
            return rendered(shown.template, self._values(look, request, page) | {"mark": mark} | dict(shown.values))

        return await self._given(page, request, page.name, show)

    async def send(self, page: Page, request: Request) -> Response:
        """Answer a request for a file of what a page shows."""
        name, _, ending = request.path_params["file"].rpartition(".")
        read = page.files.get(name)
        if read is None or ending not in offered():
            return missing(request)

        async def send(look: Look) -> Response:
            marked = look.asked("bom")
            if marked is not None:
                require_one_of((WITH_BOM,), marked)
            return await self.streams.file(await read(look), Format(ending), request.receive, bom=marked is not None)

        return await self._given(page, request, f"{page.name}.{name}", send)

    async def act(self, page: Page, request: Request) -> Response:
        """Do what a form asks for. The form stays as it is where that fails."""
        name = request.path_params["action"]
        action = page.actions.get(name)
        if action is None:
            return missing(request)
        telemetry.emit("request.routed", verb=f"dashboard.{page.name}.{name}")
        try:
            require_same_site(request)
            if action.bytes_max > FORM_BYTES_MAX:
                session = await self._session(request)
                if session is None:
                    return _to_sign_in(page, request)
                _require_role(session, action)
            form = await form_of(request, action.bytes_max)
            look = await self._look(page, request, form)
            if look is None:
                return _to_sign_in(page, request)
            if not look.session.accepts(form.get("csrf", "")):
                raise Barred("stale_form")
            _require_role(look.session, action)
            _require_readable(request, form.get("zone"))
            with acting_as(actor_of(look)):
                result = await action.act(look)
            return _gone_on(request, result) if isinstance(result, str) else self._answered(result, look, request, page)
        except JangbuError as error:
            return refused(request, error)
        except Exception as error:
            _log.exception("an action failed")
            return refused(request, unforeseen(error))

    async def _given(
        self, page: Page, request: Request, verb: str, give: Callable[[Look], Awaitable[Response]]
    ) -> Response:
        """Answer whoever may see a page with what is made for their look at it, or say why not."""
        telemetry.emit("request.routed", verb=f"dashboard.{verb}")
        look = await self._look(page, request, {})
        if look is None:
            return _to_sign_in(page, request)
        try:
            if not look.may(page.roles):
                raise Barred("role_page")
            _require_readable(request)
            return await give(look)
        except ClientDisconnect:
            return Response(status_code=400)
        except JangbuError as error:
            return self._failed(error, look, request, page)
        except Exception as error:
            _log.exception("a page failed")
            return self._failed(unforeseen(error), look, request, page)

    async def _look(self, page: Page, request: Request, form: Mapping[str, str]) -> Look | None:
        session = await self._session(request)
        if session is None:
            return None
        query = dict(request.query_params)
        if form.get("zone"):
            # A form is filled in, and gone on from, in the time zone of the page that it stands on.
            query["zone"] = form["zone"]
        texts = texts_of(language_of(request))
        zone = query.get("zone") or self.settings.time_zone
        try:
            zone_named(zone)
        except InvalidInput:
            # The page that says so is shown in the zone that holds without one.
            zone = self.settings.time_zone
            query.pop("zone", None)
        return Look(
            ledger=self.ledger,
            runs=self.runs,
            settings=self.settings,
            session=session,
            path=PREFIX + page.path,
            query=query,
            texts=texts,
            formats=Formats(texts.language, zone),
            now=self.ledger.clock.now(),
            origin=(self.settings.public_url or _origin(request)).rstrip("/"),
            address=address_of(request),
            form=form,
        )

    async def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(COOKIE)
        return None if token is None else await self.ledger.sessions.of(token)

    def _values(self, look: Look, request: Request, page: Page) -> dict[str, Any]:
        menu = [each for each in self.pages if each.in_menu and look.may(each.roles)]
        return {
            "look": look,
            "t": look.texts,
            "f": look.formats,
            "page": page,
            "menu": menu,
            "beside": [each for each in self.pages if each.part == page.part and look.may(each.roles)],
            "lives": _may_live(look, page),
            "mark": None,
            "scheme": scheme_of(request),
            "request_id": current_id(),
            "project": self.settings.project,
        }

    def _answered(self, answer: Answered, look: Look, request: Request, page: Page) -> Response:
        """Answer a form with a page; where a script sent it, in the place of the page that it stood on."""
        response = rendered(answer.template, self._values(look, request, page) | dict(answer.values))
        if by_script(request):
            response.headers.update({"hx-retarget": "#page", "hx-reselect": "#page", "hx-reswap": "outerHTML"})
        return response

    def _failed(self, error: JangbuError, look: Look, request: Request, page: Page) -> Response:
        values = self._values(look, request, page) | told(error)
        return rendered("failed.html", values, status=status_of(error), headers=headers_of(error))


async def form_of(request: Request, most: int = FORM_BYTES_MAX) -> dict[str, str]:
    """Read a form's fields. Raises InvalidInput and TooLarge."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise TooLarge("the form is too large", hint=f"at most {most:,} bytes")
    except ClientDisconnect:
        raise Wrong("form") from None
    # What takes its time to read is not read while calls wait.
    return _fields(body) if len(body) <= FORM_BYTES_MAX else await asyncio.to_thread(_fields, body)


def _fields(body: bytearray) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise Wrong("form") from error
    return {name: value if name in _LITERAL else value.replace("\r\n", "\n").strip() for name, value in pairs}


def _may_live(look: Look, page: Page) -> bool:
    return page.lives and not any(look.asked(each) for each in _SLOW) and not is_of_part(look)


def address_of(request: Request) -> str:
    """Give where a request comes from; an empty text where nobody knows."""
    return "" if request.client is None else request.client.host


def require_same_site(request: Request) -> None:
    """Refuse a form that another site sent. Raises NotPermitted."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site in {"same-origin", "none"}:
        return
    host = request.headers.get("host", "")
    # Compared as they stand: what speaks TLS may be a proxy, and what a client calls its origin need not be one.
    if site is None and (origin is None or origin in {f"http://{host}", f"https://{host}"}):
        return
    raise Barred("other_site")


def _require_role(session: Session, action: Action) -> None:
    """Refuse who may not do this, before a large form of theirs is read. Raises NotPermitted."""
    if not session.member.roles & action.roles:
        raise Barred("role")


def _require_readable(request: Request, zone: str | None = None) -> None:
    """Refuse an address that no page can be made of, rather than show another one. Raises InvalidInput."""
    if len(request.query_params.multi_items()) > _FIELDS_MAX:
        raise Wrong("address", most=_FIELDS_MAX)
    for named in (zone, request.query_params.get("zone")):
        if named:
            try:
                zone_named(named)
            except InvalidInput:
                raise Wrong("zone", text=named[:_SHOWN]) from None


def _origin(request: Request) -> str:
    """Give the address of the server as the browser has it, which may speak TLS to a proxy before it."""
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    return origin if origin in {f"http://{host}", f"https://{host}"} else f"{request.url.scheme}://{host}"


def _gone_on(request: Request, address: str) -> Response:
    if by_script(request):
        return Response(status_code=204, headers={"hx-redirect": address})
    return RedirectResponse(address, status_code=303)


def _to_sign_in(page: Page, request: Request) -> Response:
    """Have somebody sign in, and go on to the page then; after a form, to the one that it stood on."""
    after = PREFIX + page.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        after = _path_of(request.headers.get("referer", "")) or PREFIX + page.path
    return _gone_on(request, f"{PREFIX}/sign-in?next={quote(after, safe='')}")


def _path_of(address: str) -> str:
    """Give the path and query of an address; nothing where it is none. Whose address it is, signing in looks at."""
    try:
        found = urlsplit(address)
    except ValueError:
        return ""
    return found.path + (f"?{found.query}" if found.query else "")
