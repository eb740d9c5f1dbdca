"""The seam of ``models``, ``chats``, ``caches``, ``batches`` and ``operations``: an attempt of the client's transport.

google-genai 1.21 to 3.x sends each attempt of each request through ``_request_once`` or ``_async_request_once`` of its
API client, beneath automatic function calling, continuation and retries, and above the HTTP library (httpx, httpx2,
requests or aiohttp). What passes there is one request and one HTTP answer, as JSON with Google's own field names.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jangbu.providers.gemini.counting import with_count
from jangbu.sdk.caches import CacheChange
from jangbu.sdk.counting import TokenCount, needs_count, read_count
from jangbu.sdk.drivers import CallInProgress
from jangbu.sdk.hook import Hook
from jangbu.sdk.later import Later, listed
from jangbu.sdk.outcomes import failed
from jangbu.sdk.routes import Metered, Route, route_of
from jangbu.sdk.started import StartedWork, telling
from jangbu.sdk.streams import AsyncMeteredStream, MeteredStream, StreamReading

__all__ = ["instrument_api_client"]

Attempt = Callable[..., Any]
AsyncAttempt = Callable[..., Awaitable[Any]]


def instrument_api_client(api_client: Any, hook: Hook) -> None:
    """Put the meter into the transport of one client object; no class is changed."""
    api_client._request_once = _Transport(api_client._request_once, hook).request_once
    api_client._async_request_once = _AsyncTransport(api_client._async_request_once, hook).request_once


class _Transport:
    """Stands where the synchronous transport stood."""

    def __init__(self, attempt: Attempt, hook: Hook) -> None:
        self._attempt = attempt
        self._hook = hook

    def request_once(self, http_request: Any, stream: bool = False, **options: Any) -> Any:
        """Send one attempt, metered as its route asks."""
        route = route_of(http_request.method, http_request.url)
        match route.metered:
            case Metered.FREE:
                return self._attempt(http_request, stream, **options)
            case Metered.NOW:
                return self._metered(route, http_request, stream, options)
            case Metered.KEPT:
                return self._kept(http_request, stream, options)
            case Metered.STARTED:
                return self._started(route, http_request, stream, options)
            case Metered.LISTED:
                response = self._attempt(http_request, stream, **options)
                if (work := listed(self._hook, route, _text(response))) is not None:
                    self._hook.background.wait(work)
                return response
        later = Later(self._hook, route, http_request.url, _body(http_request))
        response = self._attempt(http_request, stream, **options)
        if (work := later.work(_text(response))) is not None:
            self._hook.background.wait(work)
        return response

    def _started(self, route: Route, http_request: Any, stream: bool, options: Mapping[str, Any]) -> Any:
        work = StartedWork(self._hook, route, http_request)
        if work.names:
            self._hook.background.wait(work.require_able_to_pay)
        for name, request in work.asked():
            with telling(name):
                work.told(name, _text(self._attempt(request, False)))
        call = work.opened()
        try:
            limited = work.limited(call.begin(lambda: None))
            call.sending()
            response = self._attempt(limited, stream, **options)
        except BaseException as error:
            call.finish_after_error(failed(error))
            raise
        work.handed_over(call, _text(response)).result()
        return response

    def _kept(self, http_request: Any, stream: bool, options: Mapping[str, Any]) -> Any:
        change = CacheChange(self._hook, http_request)
        try:
            response = self._attempt(http_request, stream, **options)
        except Exception as error:
            change.note_failure(error)
            raise
        change.note(_text(response))
        return response

    def _metered(self, route: Route, http_request: Any, stream: bool, options: Mapping[str, Any]) -> Any:
        call = self._hook.open(route, _body(http_request))
        count = TokenCount(route, http_request)
        try:
            limited = _limited(self._hook, http_request, call.begin(lambda: count.tokens(self._count(count))))
            call.sending()
            response = self._attempt(limited, stream, **options)
        except BaseException as error:
            call.finish_after_error(failed(error))
            raise
        if stream:
            segments = copy.copy(response).segments()
            response.segments = _Once(MeteredStream(segments, _reading(self._hook, route, call, response), call))
            return response
        outcome = self._hook.outcome(_text(response), route, call, _headers(response))
        if needs_count(outcome, count):
            outcome = with_count(outcome, self._count(count))
        call.finish(outcome)
        return response

    def _count(self, count: TokenCount) -> Mapping[str, Any] | None:
        """Ask countTokens, which is free. None where it cannot tell."""
        if count.request is None:
            return None
        try:
            return read_count(_text(self._attempt(count.request, False)))
        except Exception as error:
            count.warn(error)
            return None


class _AsyncTransport:
    """Stands where the asynchronous transport stood."""

    def __init__(self, attempt: AsyncAttempt, hook: Hook) -> None:
        self._attempt = attempt
        self._hook = hook

    async def request_once(self, http_request: Any, stream: bool = False, **options: Any) -> Any:
        """Send one attempt, metered as its route asks."""
        route = route_of(http_request.method, http_request.url)
        match route.metered:
            case Metered.FREE:
                return await self._attempt(http_request, stream, **options)
            case Metered.NOW:
                return await self._metered(route, http_request, stream, options)
            case Metered.KEPT:
                return await self._kept(http_request, stream, options)
            case Metered.STARTED:
                return await self._started(route, http_request, stream, options)
            case Metered.LISTED:
                response = await self._attempt(http_request, stream, **options)
                if (work := listed(self._hook, route, _text(response))) is not None:
                    await self._hook.background.wait_async(work)
                return response
        later = Later(self._hook, route, http_request.url, _body(http_request))
        response = await self._attempt(http_request, stream, **options)
        if (work := later.work(_text(response))) is not None:
            await self._hook.background.wait_async(work)
        return response

    async def _started(self, route: Route, http_request: Any, stream: bool, options: Mapping[str, Any]) -> Any:
        work = StartedWork(self._hook, route, http_request)
        if work.names:
            await self._hook.background.wait_async(work.require_able_to_pay)
        for name, request in work.asked():
            with telling(name):
                work.told(name, _text(await self._attempt(request, False)))
        call = work.opened()

        async def nothing() -> None:
            return None

        try:
            limited = work.limited(await call.begin_async(nothing))
            call.sending()
            response = await self._attempt(limited, stream, **options)
        except BaseException as error:
            await call.finish_after_error_async(failed(error))
            raise
        await asyncio.shield(asyncio.wrap_future(work.handed_over(call, _text(response))))
        return response

    async def _kept(self, http_request: Any, stream: bool, options: Mapping[str, Any]) -> Any:
        change = CacheChange(self._hook, http_request)
        try:
            response = await self._attempt(http_request, stream, **options)
        except Exception as error:
            await change.note_failure_async(error)
            raise
        await change.note_async(_text(response))
        return response

    async def _metered(self, route: Route, http_request: Any, stream: bool, options: Mapping[str, Any]) -> Any:
        call = self._hook.open(route, _body(http_request))
        count = TokenCount(route, http_request)

        async def count_input() -> int | None:
            return count.tokens(await self._count(count))

        try:
            limited = _limited(self._hook, http_request, await call.begin_async(count_input))
            call.sending()
            response = await self._attempt(limited, stream, **options)
        except BaseException as error:
            await call.finish_after_error_async(failed(error))
            raise
        if stream:
            segments = copy.copy(response).async_segments()
            response.async_segments = _Once(
                AsyncMeteredStream(segments, _reading(self._hook, route, call, response), call)
            )
            return response
        outcome = self._hook.outcome(_text(response), route, call, _headers(response))
        if needs_count(outcome, count):
            outcome = with_count(outcome, await self._count(count))
        await call.finish_async(outcome)
        return response

    async def _count(self, count: TokenCount) -> Mapping[str, Any] | None:
        """Ask countTokens, which is free. None where it cannot tell."""
        if count.request is None:
            return None
        try:
            return read_count(_text(await self._attempt(count.request, False)))
        except Exception as error:
            count.warn(error)
            return None


class _Once:
    """Stands where a response's method for its segments stood. Dropped with the response, it drops the stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __call__(self) -> Any:
        return self._stream


def _reading(hook: Hook, route: Route, call: CallInProgress, response: Any) -> StreamReading[Any]:
    meter = hook.stream_meter(route, call.call.model, _headers(response))
    return StreamReading(meter, meter.feed_object, may_be_last=_may_be_last, is_error=_is_error)


def _may_be_last(chunk: Any) -> bool:
    """Tell whether an answer may end with this chunk. Some streams say so twice, so what follows is read on."""
    if not isinstance(chunk, dict):
        return True
    candidates = chunk.get("candidates") or ()
    return not candidates or any(candidate.get("finishReason") for candidate in candidates)


def _is_error(chunk: Any) -> bool:
    return isinstance(chunk, dict) and bool(chunk.get("error"))


def _limited(hook: Hook, http_request: Any, limit: int | None) -> Any:
    """Give a request with the output limit put in. The app's own request is left as it is: it may be sent again."""
    if limit is None:
        return http_request
    limited = copy.copy(http_request)
    limited.data = hook.limited(_body(http_request), limit)
    return limited


def _body(http_request: Any) -> Mapping[str, Any]:
    return http_request.data if isinstance(http_request.data, dict) else {}


def _text(response: Any) -> str:
    """Give an answer as the HTTP library read it: JSON with Google's own field names."""
    pieces = response.response_stream
    return str(pieces[0]) if isinstance(pieces, list) and pieces else ""


def _headers(response: Any) -> Mapping[str, str]:
    return {name.lower(): value for name, value in (response.headers or {}).items()}
