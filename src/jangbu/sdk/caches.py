"""Caches of a wrapped client. The ledger knows until when each of them lives, so that it has a price when it has ended.

That is noted beside what the app does: where it cannot be noted, the app has done it all the same, and the log tells.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import wait
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jangbu.providers.gemini.gone import cache_is_gone
from jangbu.sdk.hook import Hook
from jangbu.sdk.routes import work_name
from jangbu.telemetry import warn

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["CacheChange", "note_made"]

_PATIENCE_SECONDS = 2
"""How long the app waits for a note. While the ledger is away, the note is tried for longer, and the app goes on."""


async def note_made(hook: Hook, user: str, name: str, answer: str) -> None:
    """Note that a cache was made for a user, as Google's ``answer`` shows it."""

    async def note(metering: "Metering") -> None:
        async with _in_turn(hook, name):
            await metering.resources.keep_cache(metering.accounts.id_of(user), name, json.loads(answer))

    await _noted(hook, name, note)


class CacheChange:
    """A request that makes a cache live for longer or shorter, or deletes it: no user has to be named for it."""

    def __init__(self, hook: Hook, http_request: Any) -> None:
        self._hook = hook
        self._deletes = http_request.method.lower() == "delete"
        self._name = work_name(urlsplit(http_request.url).path)

    def note(self, answer: str) -> None:
        """Note what Google has done."""
        self._wait(lambda metering: self._note(metering, answer))

    async def note_async(self, answer: str) -> None:
        """Do what ``note`` does."""
        await _noted(self._hook, self._name, lambda metering: self._note(metering, answer))

    def note_failure(self, error: Exception) -> None:
        """Note that the cache has ended, where that is why Google has not done it."""
        if _says_gone(error):
            self._wait(lambda metering: self._note(metering, None))

    async def note_failure_async(self, error: Exception) -> None:
        """Do what ``note_failure`` does."""
        if _says_gone(error):
            await _noted(self._hook, self._name, lambda metering: self._note(metering, None))

    def _wait(self, note: Callable[["Metering"], Coroutine[Any, Any, None]]) -> None:
        with _telling(self._name):
            wait([self._hook.background.submit(note, begun=True)], _PATIENCE_SECONDS)

    async def _note(self, metering: "Metering", answer: str | None) -> None:
        """Note what an answer says; None says that the cache is gone."""
        async with _in_turn(self._hook, self._name):
            account = await metering.resources.owner_of_cache(self._name)
            if account is None:
                return
            if self._deletes or answer is None:
                await metering.resources.end_cache(account, self._name)
            else:
                await metering.resources.change_cache(account, self._name, json.loads(answer))


def _says_gone(error: Exception) -> bool:
    """Tell it by what google-genai raises for an answer that is an error: its ``code`` is the HTTP status."""
    status = getattr(error, "code", None)
    return isinstance(status, int) and cache_is_gone(status, str(getattr(error, "message", "")))


async def _noted(hook: Hook, name: str, note: Callable[["Metering"], Coroutine[Any, Any, None]]) -> None:
    with _telling(name):
        noting = hook.background.submit(note, begun=True)
        await asyncio.wait([asyncio.wrap_future(noting)], timeout=_PATIENCE_SECONDS)


@asynccontextmanager
async def _in_turn(hook: Hook, name: str) -> AsyncIterator[None]:
    """Note what was done to a cache after what was done to it before: one is deleted that is known to be made."""
    with _telling(name):
        async with hook.notes.setdefault(name, asyncio.Lock()):
            yield


@contextmanager
def _telling(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        warn("cache.not_noted", str(error), resource=name)
