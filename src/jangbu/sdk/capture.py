"""Streams keep the attribution of the moment in which they were asked for.

google-genai sends a stream's request when the stream is first read, which may be outside of the block, or in another
task or thread. The methods that give streams are therefore replaced, on the one client object, by methods that note the
attribution and let it hold whenever the stream is read.
"""

import functools
from collections.abc import Callable
from typing import Any, Self

from jangbu.sdk import attribution
from jangbu.sdk.attribution import Attribution

__all__ = ["AsyncCapturedStream", "CapturedStream", "async_captured", "captured"]


class CapturedStream:
    """A stream that is read under the attribution it was asked for; otherwise it behaves as the stream it wraps."""

    def __init__(self, stream: Any, payer: Attribution) -> None:
        self._stream = stream
        self._iterator = iter(stream)
        self._payer = payer

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        with attribution.scope(self._payer):
            return next(self._iterator)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the stream; what was reported until now is settled."""
        with attribution.scope(self._payer):
            self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class AsyncCapturedStream:
    """An asynchronous stream that is read under the attribution it was asked for."""

    def __init__(self, stream: Any, payer: Attribution) -> None:
        self._stream = stream
        self._iterator = aiter(stream)
        self._payer = payer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        with attribution.scope(self._payer):
            return await anext(self._iterator)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the stream; what was reported until now is settled."""
        with attribution.scope(self._payer):
            await (self._stream.aclose() if hasattr(self._stream, "aclose") else self._stream.close())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def captured(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a method give its stream as a captured one; what is no stream passes unchanged."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        payer = attribution.required()
        result = method(*args, **kwargs)
        return CapturedStream(result, payer) if hasattr(result, "__next__") else result

    return call


def async_captured(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a coroutine method give its stream as a captured one; what is no stream passes unchanged."""

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        payer = attribution.required()
        result = await method(*args, **kwargs)
        return AsyncCapturedStream(result, payer) if hasattr(result, "__anext__") else result

    return call
