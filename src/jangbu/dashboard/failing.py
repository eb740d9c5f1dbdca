"""What is answered where there is no page to show: why not, in the language of who asked, and what to do about it."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.api.rest.problems import facts_of, status_of
from jangbu.dashboard.fields import Missing, Wrong
from jangbu.dashboard.preferences import language_of, scheme_of
from jangbu.dashboard.rendered import page as rendered
from jangbu.dashboard.texts import texts_of
from jangbu.domain.ledger import is_erased
from jangbu.errors import JangbuError, LimitReached, NoAccount, Overdrawn

__all__ = ["by_script", "failed", "headers_of", "missing", "refused", "stopped", "told", "unforeseen", "unrouted"]


_SHOWN = 40


def refused(request: Request, error: JangbuError) -> Response:
    """Answer a form that was not done, by the reason alone where a script sent it: the form stays as it is."""
    return _answer(request, error, "refused")


def missing(request: Request, status: int = 404) -> Response:
    """Answer a request for what is no page."""
    return _answer(request, Missing("page"), "unshown", status)


async def unrouted(request: Request, error: Exception) -> Response:
    """Answer a request that leads nowhere."""
    assert isinstance(error, HTTPException)
    response = missing(request, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def stopped(request: Request, error: Exception) -> Response:
    """Answer a request that an error ended before there was a page to show it on."""
    assert isinstance(error, JangbuError)
    return _answer(request, error, "unshown" if request.method == "GET" else "refused")


async def failed(request: Request, error: Exception) -> Response:
    """Answer a request that ended in an error of the dashboard's own, which the log tells of."""
    return await stopped(request, unforeseen(error))


def unforeseen(error: Exception) -> JangbuError:
    """Give what people are told of an error of the dashboard's own."""
    return JangbuError(f"an error of the dashboard's own: {type(error).__name__}", hint="try again; the log says more")


def by_script(request: Request) -> bool:
    """Tell whether a script asks, which puts what it gets into the page that is there."""
    return request.headers.get("hx-request") == "true"


def told(error: JangbuError | None) -> dict[str, Any]:
    """Give what a template says of an error. What only the operator can mend is said in the log."""
    if error is None:
        return {"error": None}
    telemetry.emit("gateway.refused", code=error.code)
    match error:
        case NoAccount() if is_erased(error.user):
            error = Missing("erased", user=error.user)
        case NoAccount():
            error = Missing("account", user=error.user[:_SHOWN])
        case Overdrawn():
            error = Wrong("overdrawn")
    return {"error": error, "facts": facts_of(error)}


def headers_of(error: JangbuError | None) -> dict[str, str]:
    """Give what an answer's head says of an error: when to come again."""
    return {"retry-after": str(error.seconds)} if isinstance(error, LimitReached) else {}


def _answer(request: Request, error: JangbuError, heading: str, status: int | None = None) -> Response:
    values = {
        **told(error),
        "heading": heading,
        "t": texts_of(language_of(request)),
        "request_id": current_id(),
        "scheme": scheme_of(request),
    }
    template = "problem.html" if by_script(request) else "refused.html"
    return rendered(template, values, status=status or status_of(error), headers=headers_of(error))
