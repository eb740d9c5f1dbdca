"""Pages as HTML. Everything that is put into a template is escaped, and nothing that is missing is passed over."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from jangbu.dashboard import assets
from jangbu.dashboard.hold_reasons import hold_reason
from jangbu.dashboard.own_words import own_words
from jangbu.dashboard.page import WITH_BOM
from jangbu.dashboard.price_notes import price_note
from jangbu.dashboard.undelivered import undelivered
from jangbu.domain.ledger import is_erased
from jangbu.metering.exports import Format, offered

__all__ = ["HEADERS", "page"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""What goes with every answer: nothing from elsewhere runs, nobody frames it, and nothing of it is kept."""


def page(
    template: str, values: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """Render a template."""
    return HTMLResponse(_environment().get_template(template).render(values), status, headers)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jangbu.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["asset"] = assets.address
    environment.globals["is_erased"] = is_erased
    environment.globals["undelivered"] = undelivered
    environment.globals["hold_reason"] = hold_reason
    environment.globals["own_words"] = own_words
    environment.globals["price_note"] = price_note
    environment.globals["file_forms"] = _file_forms()
    environment.filters["script_json"] = _script_json
    environment.filters["asked"] = _asked
    return environment


def _file_forms() -> tuple[tuple[str, str, str | None], ...]:
    """Give in which forms a file is offered: what each is called, how its name ends, and whether with a mark.

    Excel takes a CSV without a byte-order mark for text of another encoding than UTF-8.
    """
    plain: list[tuple[str, str, str | None]] = [(each.value, each.value, None) for each in offered()]
    return (plain[0], ("excel", Format.CSV.value, WITH_BOM), *plain[1:])


def _asked(values: Mapping[str, str]) -> str:
    """Write what an address asks for, without what is empty."""
    return urlencode({name: value for name, value in values.items() if value})


def _script_json(value: object) -> Markup:
    """Write a value as JSON that may stand in a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704 - escaped
