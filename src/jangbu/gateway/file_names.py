"""The names that uploads choose for their files: none that a batch reads another content by."""

from collections.abc import Iterable, Mapping

from jangbu.errors import InvalidInput, StillRunning
from jangbu.gateway.bodies import json_object
from jangbu.gateway.multipart import about_part
from jangbu.metering.meter import Metering
from jangbu.providers.gemini.fields import fields

__all__ = ["chosen_names", "require_free"]

_NAME_SHOWN_MOST = 100
_PROTOCOL = b"x-goog-upload-protocol"
_SAID_IN = frozenset({"uploadType", "upload_protocol"})
_BYTES_ALONE = frozenset({b"raw", b"media"})


def chosen_names(headers: Mapping[bytes, bytes], query: str, body: bytes) -> tuple[str, ...]:
    """Give the names (``files/...``) that the beginning of an upload asks for.

    Raises InvalidInput where the file's description cannot be read: nobody knows what the provider makes of it.
    """
    content_type, about = headers.get(b"content-type", b""), body
    if content_type.strip().lower().startswith(b"multipart/"):
        about = about_part(content_type, body) or b"no part"
    described = _described(about) if about.strip() else ()
    if described is None and not _is_bytes_alone(headers, query):
        raise InvalidInput(
            "the description of the file cannot be read", hint="send JSON, of several parts as the first"
        )
    return described or ()


def _described(about: bytes) -> tuple[str, ...] | None:
    """Give the names in a description; None for what is none, or says it in two ways."""
    try:
        found = fields(json_object(about))
    except InvalidInput:
        return None
    given = (value for path, value in found if path[-1] == "name" and isinstance(value, str))
    return tuple(f"files/{name.rpartition('/')[2]}" for name in given)


async def require_free(ledger: Metering, names: Iterable[str]) -> None:
    """Raise StillRunning where a batch that has not ended reads a file by one of the names, whosever the batch is."""
    for used in await ledger.resources.used(tuple(names)):
        raise StillRunning(
            f"{used[:_NAME_SHOWN_MOST]} is read by a batch that has not ended", hint="give the file another name"
        )


def _is_bytes_alone(headers: Mapping[bytes, bytes], query: str) -> bool:
    """Tell whether everything says that the request is the file and nothing else, which no name comes with."""
    said = [headers[_PROTOCOL]] if _PROTOCOL in headers else []
    said += [
        value.encode() for name, _, value in (item.partition("=") for item in query.split("&")) if name in _SAID_IN
    ]
    return bool(said) and all(word.strip().lower() in _BYTES_ALONE for word in said)
