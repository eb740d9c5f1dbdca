"""What a browser prefers, or was told to keep: the language, and the colours."""

from starlette.requests import Request
from starlette.responses import Response

from jangbu.dashboard.look import PREFIX
from jangbu.dashboard.texts import LANGUAGES, Language, best_language

__all__ = ["language_of", "remembered", "scheme_of"]

_LANGUAGE_COOKIE = "jangbu-language"
_SCHEME_COOKIE = "jangbu-scheme"
_KEPT_SECONDS = 31_536_000


def language_of(request: Request) -> Language:
    """Give the language to answer in: what the URL says, what was chosen before, what the browser prefers."""
    accepted = request.headers.get("accept-language", "")
    return best_language(
        request.query_params.get("lang"), request.cookies.get(_LANGUAGE_COOKIE), accepted=accepted[:200]
    )


def scheme_of(request: Request) -> str:
    """Give the colour scheme that was chosen, ``auto`` for what the system prefers."""
    chosen = request.cookies.get(_SCHEME_COOKIE)
    return chosen if chosen in {"light", "dark"} else "auto"


def remembered(request: Request, response: Response) -> Response:
    """Have the browser keep the language that the URL chooses: no page that follows has to be told again."""
    chosen = request.query_params.get("lang")
    if chosen in LANGUAGES:
        response.set_cookie(_LANGUAGE_COOKIE, chosen, max_age=_KEPT_SECONDS, path=PREFIX, samesite="lax")
    return response
