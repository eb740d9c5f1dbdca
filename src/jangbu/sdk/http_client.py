"""The seam of ``interactions``: the HTTP client that google-genai's second, generated client is given.

From 1.55 on the interactions resource has a client of its own, which is built late and sends through the API client's
httpx (or httpx2) client. ``send`` of that one object is where each of its attempts passes; everything that is no
interaction passes through untouched.
"""

import copy
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from jangbu.domain.flow import Rejected
from jangbu.domain.usage import Surface
from jangbu.errors import NotOffered
from jangbu.sdk.hook import Hook
from jangbu.sdk.interactions import CreatedInteraction, FetchedEvents
from jangbu.sdk.later import Later
from jangbu.sdk.outcomes import failed
from jangbu.sdk.routes import Metered, Route, route_of
from jangbu.sdk.streams import AsyncMeteredStream, MeteredStream

__all__ = ["instrument_http_clients"]


def instrument_http_clients(api_client: Any, hook: Hook) -> None:
    """Put the meter into the HTTP clients of one API client.

    A client that the app passed in may serve others too: it is left alone, and a copy that shares its connections is
    used in its place.
    """
    options = api_client._http_options
    for name, given, transport in (
        ("_httpx_client", "httpx_client", _HttpTransport),
        ("_async_httpx_client", "httpx_async_client", _AsyncHttpTransport),
    ):
        client: Any = getattr(api_client, name, None)
        if client is None:
            continue
        if getattr(options, given, None) is client:
            client = copy.copy(client)
            setattr(api_client, name, client)
        client.send = transport(client.send, hook).send


class _HttpTransport:
    """Stands where ``send`` of a synchronous client stood."""

    def __init__(self, send: Callable[..., Any], hook: Hook) -> None:
        self._send = send
        self._hook = hook

    def send(self, request: Any, **options: Any) -> Any:
        """Send one request, metered if it is an interaction."""
        route = _offered(request)
        if route.surface is not Surface.INTERACTIONS:
            return self._send(request, **options)
        if route.metered is Metered.RESULT:
            return self._fetched(route, request, options)
        created = CreatedInteraction(self._hook, route, _body(request))
        try:
            limit = created.call.begin(lambda: self._count(created, request))
            limited = _limited(self._hook, request, limit)
            created.call.sending()
            response = self._send(limited, **options)
            if not _is_events(response):
                response.read()
        except BaseException as error:
            created.call.finish_after_error(failed(error))
            raise
        if response.status_code >= 400:
            created.call.finish_after_error(_refused(response))
        elif _is_events(response):
            stream = MeteredStream(response.iter_bytes(), created.reading(response.headers), created.call)
            _replace_body(response, stream)
        else:
            created.call.finish(created.judge(response.text, response.headers))
        return response

    def _fetched(self, route: Route, request: Any, options: Mapping[str, Any]) -> Any:
        later = Later(self._hook, route, str(request.url), {})
        response = self._send(request, **options)
        if response.status_code >= 400:
            return response
        if _is_events(response):
            events = FetchedEvents(self._hook, route, str(request.url), response.headers)
            _replace_body(response, MeteredStream(response.iter_bytes(), events.reading, events))
            return response
        response.read()
        if (work := later.work(response.text)) is not None:
            self._hook.background.wait(work)
        return response

    def _count(self, created: CreatedInteraction, request: Any) -> int | None:
        """Bound the input by countTokens, where need be, and by what the interaction before used: both are free."""
        count = previous = None
        if (body := created.counted()) is not None:
            count = _told(self._send(_counting(request, created.counting_model, body)))
        if created.previous is not None:
            previous = _told(self._send(_previous(request, created.previous)))
        return created.input_most(count, previous)


class _AsyncHttpTransport:
    """Stands where ``send`` of an asynchronous client stood."""

    def __init__(self, send: Callable[..., Awaitable[Any]], hook: Hook) -> None:
        self._send = send
        self._hook = hook

    async def send(self, request: Any, **options: Any) -> Any:
        """Send one request, metered if it is an interaction."""
        route = _offered(request)
        if route.surface is not Surface.INTERACTIONS:
            return await self._send(request, **options)
        if route.metered is Metered.RESULT:
            return await self._fetched(route, request, options)
        created = CreatedInteraction(self._hook, route, _body(request))
        try:
            limit = await created.call.begin_async(lambda: self._count(created, request))
            limited = _limited(self._hook, request, limit)
            created.call.sending()
            response = await self._send(limited, **options)
            if not _is_events(response):
                await response.aread()
        except BaseException as error:
            await created.call.finish_after_error_async(failed(error))
            raise
        if response.status_code >= 400:
            await created.call.finish_after_error_async(_refused(response))
        elif _is_events(response):
            stream = AsyncMeteredStream(response.aiter_bytes(), created.reading(response.headers), created.call)
            _replace_async_body(response, stream)
        else:
            await created.call.finish_async(created.judge(response.text, response.headers))
        return response

    async def _fetched(self, route: Route, request: Any, options: Mapping[str, Any]) -> Any:
        later = Later(self._hook, route, str(request.url), {})
        response = await self._send(request, **options)
        if response.status_code >= 400:
            return response
        if _is_events(response):
            events = FetchedEvents(self._hook, route, str(request.url), response.headers)
            _replace_async_body(response, AsyncMeteredStream(response.aiter_bytes(), events.reading, events))
            return response
        await response.aread()
        if (work := later.work(response.text)) is not None:
            await self._hook.background.wait_async(work)
        return response

    async def _count(self, created: CreatedInteraction, request: Any) -> int | None:
        """Bound the input by countTokens, where need be, and by what the interaction before used: both are free."""
        count = previous = None
        if (body := created.counted()) is not None:
            count = _told(await self._send(_counting(request, created.counting_model, body)))
        if created.previous is not None:
            previous = _told(await self._send(_previous(request, created.previous)))
        return created.input_most(count, previous)


def _replace_body(response: Any, stream: MeteredStream[bytes]) -> None:
    """Have the generated client read the metered stream, and settle it when it closes the response early."""
    close_response = response.close

    def close() -> None:
        try:
            stream.close()
        finally:
            close_response()

    response.iter_bytes = lambda *_size, **_sizes: stream
    response.close = close


def _replace_async_body(response: Any, stream: AsyncMeteredStream[bytes]) -> None:
    """Do for an asynchronous response what ``_replace_body`` does."""
    close_response = response.aclose

    async def aclose() -> None:
        try:
            await stream.aclose()
        finally:
            await close_response()

    response.aiter_bytes = lambda *_size, **_sizes: stream
    response.aclose = aclose


def _is_events(response: Any) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/event-stream")


def _offered(request: Any) -> Route:
    """Understand a request. Raises NotOffered for one that would have models called past the meter."""
    route = route_of(request.method, str(request.url))
    if route.metered is Metered.REFUSED:
        asked = f"{request.method} {request.url.path}"
        raise NotOffered(f"{asked} is not metered", hint="a client that is not wrapped makes it, for nobody")
    return route


def _refused(response: Any) -> Rejected:
    return Rejected(f"the provider answered {response.status_code}")


def _body(request: Any) -> dict[str, Any]:
    body = json.loads(request.content or b"{}")
    return body if isinstance(body, dict) else {}


def _limited(hook: Hook, request: Any, limit: int | None) -> Any:
    """Give a request with the output limit put in. The client's own request is left: it may be sent again."""
    if limit is None:
        return request
    headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
    content = json.dumps(hook.limited(_body(request), limit)).encode()
    return type(request)(
        request.method, request.url, headers=headers, content=content, extensions=dict(request.extensions)
    )


def _told(response: Any) -> str | None:
    """Give what the provider answered, or None where it refused to."""
    return response.text if response.status_code < HTTPStatus.BAD_REQUEST else None


def _counting(request: Any, model: str, body: Mapping[str, Any]) -> Any:
    """Ask for a count with the credentials of the request that is counted, beside whose collection the models are."""
    collection = request.url.path.rstrip("/").rpartition("/")[0]
    models = f"{collection}/publishers/google/models" if "/projects/" in collection else f"{collection}/models"
    left_out = {"content-length", "accept"}
    headers = {header: value for header, value in request.headers.items() if header.lower() not in left_out}
    url = request.url.copy_with(path=f"{models}/{model}:countTokens")
    content = json.dumps(body).encode()
    return type(request)("POST", url, headers=headers, content=content, extensions=dict(request.extensions))


def _previous(request: Any, name: str) -> Any:
    """Ask for an interaction by its id, with the credentials of the request that goes on from it."""
    kept = {"content-length", "content-type", "accept"}
    headers = {header: value for header, value in request.headers.items() if header.lower() not in kept}
    url = request.url.copy_with(path=f"{request.url.path.rstrip('/')}/{name}")
    return type(request)("GET", url, headers=headers, extensions=dict(request.extensions))
