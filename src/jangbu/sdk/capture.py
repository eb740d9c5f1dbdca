"""Streams keep the attribution of the moment in which they were asked for, and are settled when the app leaves them.

google-genai sends a stream's request when the stream is first read, which may be outside of the block, or in another
task or thread. The methods that give streams are therefore replaced, on the one client object, by methods that note the
attribution and let it hold whenever the stream is read.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from jangbu.errors import JangbuError
from jangbu.sdk import attribution
from jangbu.sdk.attribution import Attribution
from jangbu.sdk.streams import AsyncMeteredStream, MeteredStream, opened_streams

__all__ = ["AsyncCapturedStream", "CapturedStream", "async_captured", "async_surfaced", "captured", "surfaced"]


class CapturedStream:
    """A stream that is read under the attribution it was asked for; otherwise it behaves as the stream it wraps."""

    def __init__(self, stream: Any, payer: Attribution, opened: list[Any]) -> None:
        self._stream = stream
        self._iterator = iter(stream)
        self._payer = payer
        self._opened: list[MeteredStream[Any]] = opened

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        with _reading(self._payer, self._opened):
            return next(self._iterator)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the stream. When this returns, what was reported until now is settled."""
        with _reading(self._payer, self._opened):
            self._stream.close()
        for stream in self._opened:
            stream.close()

    def __del__(self) -> None:
        for stream in self._opened:
            stream.abandon()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class AsyncCapturedStream:
    """An asynchronous stream that is read under the attribution it was asked for."""

    def __init__(self, stream: Any, payer: Attribution, opened: list[Any]) -> None:
        self._stream = stream
        self._iterator = aiter(stream)
        self._payer = payer
        self._opened: list[AsyncMeteredStream[Any]] = opened

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        with _reading(self._payer, self._opened):
            return await anext(self._iterator)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the stream. When this returns, what was reported until now is settled."""
        with _reading(self._payer, self._opened):
            await (self._stream.aclose() if hasattr(self._stream, "aclose") else self._stream.close())
        for stream in self._opened:
            await stream.aclose()

    async def close(self) -> None:
        """Close the stream, by the name that interactions use."""
        await self.aclose()

    def __del__(self) -> None:
        for stream in self._opened:
            stream.abandon()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def captured(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a method give its stream as a captured one; what is no stream passes unchanged."""
    surfacing = surfaced(method)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        payer = attribution.required()
        opened: list[Any] = []
        with _reading(payer, opened):
            result = surfacing(*args, **kwargs)
        return CapturedStream(result, payer, opened) if hasattr(result, "__next__") else result

    return call


def async_captured(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a coroutine method give its stream as a captured one; what is no stream passes unchanged."""
    surfacing = async_surfaced(method)

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        payer = attribution.required()
        opened: list[Any] = []
        with _reading(payer, opened):
            result = await surfacing(*args, **kwargs)
        return AsyncCapturedStream(result, payer, opened) if hasattr(result, "__anext__") else result

    return call


def surfaced(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a method raise an error of ours as it is, where a client (interactions of 1.x) has wrapped it in its own."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _surfacing():
            return method(*args, **kwargs)

    return call


def async_surfaced(method: Callable[..., Any]) -> Callable[..., Any]:
    """Do for a coroutine method what ``surfaced`` does."""

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with _surfacing():
            return await method(*args, **kwargs)

    return call


@contextmanager
def _reading(payer: Attribution, opened: list[Any]) -> Iterator[None]:
    token = opened_streams.set(opened)
    try:
        with attribution.scope(payer):
            yield
    finally:
        opened_streams.reset(token)


@contextmanager
def _surfacing() -> Iterator[None]:
    try:
        yield
    except JangbuError:
        raise
    except Exception as error:
        if isinstance(error.__cause__, JangbuError):
            raise error.__cause__ from None
        raise
