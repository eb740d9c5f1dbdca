"""What is served of users' own views. Nobody is signed in for these, and no cookie counts: the token says whose."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.api.rest.problems import problem, status_of
from jangbu.config import Settings
from jangbu.dashboard.failing import told, unforeseen
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.rendered import page as rendered
from jangbu.dashboard.texts import Texts, best_language, texts_of
from jangbu.dashboard.view.component import component
from jangbu.dashboard.view.facts import view_facts
from jangbu.dashboard.view.origins import Origins
from jangbu.dashboard.view.shown import shown
from jangbu.domain.windows import zone_named
from jangbu.errors import JangbuError, Unauthenticated
from jangbu.metering.meter import Metering
from jangbu.metering.views import View, view_of

__all__ = ["Views"]

_CALLS_SHOWN = 10
_BEARER = "bearer "
_ACCEPTED_LENGTH_MAX = 200
_KEPT_SECONDS = 600
_SCHEMES = ("light", "dark")

_log = logging.getLogger("jangbu.dashboard")


@dataclass(frozen=True, slots=True)
class Views:
    """Serves users what is theirs, within the app's pages."""

    ledger: Metering
    settings: Settings
    origins: Origins

    async def script(self, request: Request) -> Response:
        """Give the web component to any page: there is nothing of anybody's in it."""
        telemetry.emit("request.routed", verb="dashboard.view.script")
        content, tag = component()
        headers = {
            "access-control-allow-origin": "*",
            "cache-control": f"public, max-age={_KEPT_SECONDS}",
            "cross-origin-resource-policy": "cross-origin",
            "etag": tag,
            "x-content-type-options": "nosniff",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="text/javascript")

    async def preflight(self, request: Request) -> Response:
        """Tell a browser whether a page may ask for figures."""
        telemetry.emit("request.routed", verb="dashboard.view.preflight")
        return Response(status_code=204, headers=dict(self.origins.preflight(request)))

    async def data(self, request: Request) -> Response:
        """Give the figures as JSON."""
        telemetry.emit("request.routed", verb="dashboard.view.data")
        try:
            facts = view_facts(
                await self._view(_token_of(request), self._zone(request)),
                with_costs=self.settings.view_costs,
                top_up_url=self.settings.top_up_url,
            )
            content = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
            answer = Response(content.encode(), media_type="application/json")
        except JangbuError as error:
            answer = problem(error)
        except Exception as error:
            _log.exception("a view failed")
            answer = problem(unforeseen(error))
        answer.headers.update({"cache-control": "no-store", "x-content-type-options": "nosniff"})
        answer.headers.update(self.origins.headers(request))
        return answer

    async def page(self, request: Request) -> Response:
        """Give the page for frames, which runs no script. Its token stands in its address, which it tells nobody."""
        telemetry.emit("request.routed", verb="dashboard.view.page")
        accepted = request.headers.get("accept-language", "")[:_ACCEPTED_LENGTH_MAX]
        texts = texts_of(best_language(request.query_params.get("lang"), accepted=accepted))
        try:
            zone = self._zone(request)
            view = await self._view(request.query_params.get("token", ""), zone)
            formats = Formats(texts.language, zone.key)
            values = {"shown": shown(view, texts, formats, with_costs=self.settings.view_costs), "zone": zone.key}
            return self._rendered(request, texts, values)
        except JangbuError as error:
            return self._rendered(request, texts, told(error), status_of(error))
        except Exception as error:
            _log.exception("a view failed")
            return self._rendered(request, texts, told(unforeseen(error)), 500)

    async def _view(self, token: str, zone: ZoneInfo) -> View:
        if not token:
            raise Unauthenticated("no token was given", hint="have the app make one for its user")
        account = await self.ledger.view_tokens.account_of(token)
        return await view_of(
            self.ledger.database,
            self.settings.project,
            account,
            zone,
            calls=_CALLS_SHOWN,
            low_balance=self.settings.low_balance,
        )

    def _zone(self, request: Request) -> ZoneInfo:
        return zone_named(request.query_params.get("zone") or self.settings.time_zone)

    def _rendered(self, request: Request, texts: Texts, values: Mapping[str, Any], status: int = 200) -> Response:
        scheme = request.query_params.get("scheme", "")
        shared = {
            "t": texts,
            "scheme": scheme if scheme in _SCHEMES else "auto",
            "request_id": current_id(),
            "top_up_url": self.settings.top_up_url,
            "error": None,
        }
        answer = rendered("view.html", shared | dict(values), status=status)
        answer.headers.update(
            {
                "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
                f"form-action 'none'; frame-ancestors {self.origins.ancestors}",
                "cross-origin-resource-policy": "cross-origin",
                "referrer-policy": "no-referrer",
            }
        )
        return answer


def _token_of(request: Request) -> str:
    given = request.headers.get("authorization", "")
    return given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""
