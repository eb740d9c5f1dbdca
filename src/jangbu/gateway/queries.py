"""The query of a request: a closed list of parameters, read and written anew.

What is not on the list is refused, not dropped: a client that asks for something is told that it does not get it.
The caller's key and upload id open doors; they are taken out, and neither travels to the provider nor into a log.
"""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote_plus

from jangbu.domain.keys import Scope
from jangbu.errors import InvalidInput
from jangbu.gateway.routes import Action, Route

__all__ = ["BYTES_MOST", "KNOWN", "Query", "forms_of", "known_to", "query_of", "read_query", "redacted"]

BYTES_MOST = 8_192
PARAMETERS_MOST = 32

_EVERYWHERE = frozenset({"$alt", "alt", "prettyPrint"})
_OF_LISTS = frozenset({"filter", "pageSize", "pageToken"})
_OF_CHANGES = frozenset({"updateMask", "update_mask"})
_OF_UPLOADS = frozenset({"uploadType", "upload_protocol"})
_OF_INTERACTIONS = frozenset({"include_input", "last_event_id", "stream"})
KNOWN = _EVERYWHERE | _OF_LISTS | _OF_CHANGES | _OF_UPLOADS | _OF_INTERACTIONS
"""All that some route knows."""
_CREDENTIALS = frozenset({"key", "upload_id"})
_JSON = frozenset({"json", "json;enum-encoding=int"})
_STREAMS = _JSON | {"sse"}
_FILES = frozenset({"media"})
"""In any other form the answer is not the bytes of the file, in which the results of a batch are."""
_REASONS = {
    "fields": "it could leave the usage out of the answer",
    "callback": "it changes the form of the answer, in which the usage is read",
    "access_token": "send one of Jangbu's keys as x-goog-api-key",
    "oauth_token": "send one of Jangbu's keys as x-goog-api-key",
}
_WIRE = re.compile(rb"(?:[!-$&-~]++|%[0-9A-Fa-f]{2})*+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Short lower-case words and numbers are what these parameters hold; a secret that was put there by mistake is neither.
_SHOWN = frozenset({"$alt", "alt", "pageSize", "prettyPrint", "stream", "uploadType", "upload_protocol"})
_HARMLESS = re.compile(r"[a-z0-9;=-]{0,24}")


@dataclass(frozen=True, slots=True)
class Query:
    """A query, understood. ``key`` and ``upload_id`` are what the caller proves who it is with; None where absent."""

    key: str | None = field(default=None, repr=False)
    upload_id: str | None = field(default=None, repr=False)
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def encoded(self) -> str:
        """The query to send on, written anew and without credentials; empty where nothing is left."""
        return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.parameters)

    def value(self, name: str) -> str | None:
        """Give the value of a parameter, or None."""
        return next((value for given, value in self.parameters if given == name), None)


_NOTHING_ASKED = Query()
_BYTES_ASKED = (("alt", "media"),)


def known_to(route: Route) -> frozenset[str]:
    """Give the parameters that a route knows: on another, nobody has tried what the provider makes of them."""
    if route.verb == "upload":
        return _EVERYWHERE | _OF_UPLOADS
    match route.action:
        case Action.LIST:
            return _EVERYWHERE | _OF_LISTS
        case Action.UPDATE:
            return _EVERYWHERE | _OF_CHANGES
        case Action.GET if route.scope is Scope.INTERACTIONS:
            return _EVERYWHERE | _OF_INTERACTIONS
    return _EVERYWHERE


def forms_of(route: Route) -> frozenset[str]:
    """Give the forms in which a route answers. Where one thing is made or shown, nobody knows what events would hold,
    and whose it is could not be read out of them. A stream of an interaction is asked for as ``alt=sse``, too
    (ai.google.dev/gemini-api/docs/interactions/streaming).
    """
    if route.action is Action.DOWNLOAD:
        return _FILES
    is_interaction = route.verb == "interactions" and route.action in (Action.CREATE, Action.GET)
    return _STREAMS if is_interaction or route.verb == "streamGenerateContent" else _JSON


def query_of(route: Route, raw_query: bytes) -> Query:
    """Read the query of a request, as ``read_query`` does, by what its route knows. A file is asked for as its bytes,
    also where the client leaves that open.
    """
    query = read_query(raw_query, known_to(route), forms_of(route)) if raw_query else _NOTHING_ASKED
    if route.action is Action.DOWNLOAD and query.value("alt") is None:
        return replace(query, parameters=query.parameters + _BYTES_ASKED)
    return query


def read_query(raw_query: bytes, known: frozenset[str] = KNOWN, forms: frozenset[str] = _STREAMS) -> Query:
    """Read a query as it came over the wire. ``known`` are the parameters that the route knows, ``forms`` what it
    answers in (``alt``).

    Raises InvalidInput for a parameter that is unknown or given twice, for a form of answer in which no usage could be
    read, and for bytes that belong into no query.
    """
    if not raw_query:
        return _NOTHING_ASKED
    given: dict[str, str] = {}
    for name, value in _pairs(raw_query):
        if name not in known and name not in _CREDENTIALS:
            raise _refused(name)
        if name in given:
            raise InvalidInput(f"the query gives {name!r} twice", hint="give it once")
        given[name] = value
    for name in ("alt", "$alt"):
        if name in given and given[name] not in forms:
            hint = f"leave {name} out, or use {'json' if 'json' in forms else 'media'}"
            raise InvalidInput(f"the query asks for an answer in a form that is not offered here ({name})", hint=hint)
    return Query(
        given.pop("key", None) or None,
        given.pop("upload_id", None) or None,
        tuple(given.items()),
    )


def redacted(raw_query: bytes) -> str:
    """Write a query for a log: known names, and of the values those that can hold no secret. Never raises."""
    shown = []
    for piece in raw_query[:BYTES_MOST].split(b"&"):
        if not piece:
            continue
        name, _, value = (unquote_plus(part.decode("latin-1")) for part in piece.partition(b"="))
        if name not in KNOWN and name not in _CREDENTIALS:
            name = "unknown"
        shown.append(f"{name}={value if name in _SHOWN and _HARMLESS.fullmatch(value) else '***'}")
    return "&".join(shown)


def _pairs(raw_query: bytes) -> list[tuple[str, str]]:
    """Take a query apart and decode it, each part once."""
    if len(raw_query) > BYTES_MOST or _WIRE.fullmatch(raw_query) is None:
        raise InvalidInput("the query is too long or holds bytes that belong into none")
    pieces = [piece for piece in raw_query.decode("ascii").split("&") if piece]
    if len(pieces) > PARAMETERS_MOST:
        raise InvalidInput(f"the query has more than {PARAMETERS_MOST} parameters")
    return [(_decoded(name), _decoded(value)) for name, _, value in (piece.partition("=") for piece in pieces)]


def _decoded(text: str) -> str:
    try:
        decoded = unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("the query is no UTF-8") from None
    if _CONTROL.search(decoded):
        raise InvalidInput("the query holds control characters")
    return decoded


def _refused(name: str) -> InvalidInput:
    """Say why a parameter is refused. Its name is shown only if it is a known one: it may be a misplaced secret."""
    plain = name.removeprefix("$")
    if plain in _REASONS:
        return InvalidInput(f"the query parameter {name!r} is not offered", hint=_REASONS[plain])
    return InvalidInput("the query has a parameter that is not offered", hint="leave it out")
