"""Puts the meter into one google-genai client object, at its five seams. No class of google-genai is changed."""

import functools
from typing import Any, NoReturn

from jangbu.domain.usage import Platform
from jangbu.errors import InvalidInput, NotOffered
from jangbu.sdk.api_client import instrument_api_client
from jangbu.sdk.capture import async_captured, async_surfaced, captured, surfaced
from jangbu.sdk.downloads import instrument_downloads
from jangbu.sdk.hook import Hook
from jangbu.sdk.http_client import instrument_http_clients
from jangbu.sdk.live import instrument_live
from jangbu.telemetry import warn

__all__ = ["instrument"]

_MARK = "_jangbu_hook"


def instrument(client: Any, hook: Hook) -> None:
    """Meter everything that a client does. A client that is metered already goes on under the new hook's ledger.

    Raises InvalidInput for what is no google-genai client, and for one that is too old.
    """
    api_client = getattr(client, "_api_client", None)
    if api_client is None or not hasattr(client, "aio"):
        raise InvalidInput(f"this is {type(client).__name__}, and no google-genai client", hint="give a genai.Client()")
    if not hasattr(api_client, "_request_once"):
        raise InvalidInput("this google-genai is too old to be metered", hint="install google-genai>=1.21.1")
    known: Hook | None = getattr(api_client, _MARK, None)
    if known is not None:
        known.background = hook.background
        return
    setattr(api_client, _MARK, hook)
    instrument_api_client(api_client, hook)
    instrument_http_clients(api_client, hook)
    instrument_downloads(api_client, hook)
    if getattr(api_client, "_async_httpx_client", None) is None:
        warn("sdk.unmetered", "this client's asynchronous interactions bypass the meter: give it an httpx_async_client")
    platform = Platform.VERTEX if api_client.vertexai else Platform.GEMINI_API
    instrument_live(client.aio.live, hook, platform)
    client.models.generate_content_stream = captured(client.models.generate_content_stream)
    client.aio.models.generate_content_stream = async_captured(client.aio.models.generate_content_stream)
    _override(client, capture=captured)
    _override(client.aio, capture=async_captured)


def _override(client: Any, *, capture: Any) -> None:
    """Give the object a class of its own, for ``chats`` and ``interactions`` are made anew, or late, by properties."""
    kind = type(client)
    members: dict[str, Any] = {"chats": property(functools.partial(_chats, kind.chats, capture))}
    if hasattr(kind, "interactions"):
        members["interactions"] = property(functools.partial(_interactions, kind.interactions, capture))
    client.__class__ = type(kind.__name__, (kind,), {**members, "__module__": kind.__module__})


def _chats(chats: property, capture: Any, client: Any) -> Any:
    found = chats.__get__(client)
    create = found.create

    @functools.wraps(create)
    def create_metered(*args: Any, **kwargs: Any) -> Any:
        chat = create(*args, **kwargs)
        chat.send_message_stream = capture(chat.send_message_stream)
        return chat

    found.create = create_metered
    return found


def _interactions(interactions: property, capture: Any, client: Any) -> Any:
    found = interactions.__get__(client)
    if not hasattr(found, _MARK):
        setattr(found, _MARK, True)
        found.create = capture(found.create)
        found.get = surfaced(found.get) if capture is captured else async_surfaced(found.get)
        if hasattr(found, "connect"):
            found.connect = _connect_refused
    return found


def _connect_refused(*_arguments: Any, **_options: Any) -> NoReturn:
    """Refuse a live interaction (google-genai 3.6): its socket goes past every seam, and no recorded one tells when and
    how it reports what it used.
    """
    raise NotOffered("live interactions are not metered", hint="use client.aio.live, or a client that is not wrapped")
