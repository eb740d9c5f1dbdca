"""Caches of a wrapped client. The ledger knows until when each of them lives, so that it has a price when it has ended.

That is noted beside what the app does: where it cannot be noted, the app has done it all the same, and the log tells.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jangbu.errors import JangbuError
from jangbu.sdk.hook import Hook
from jangbu.sdk.routes import work_name
from jangbu.telemetry import warn

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["CacheChange", "note_made"]


async def note_made(metering: "Metering", user: str, name: str, answer: str) -> None:
    """Note that a cache was made for a user, as Google's ``answer`` shows it."""
    with _telling(name):
        await metering.resources.keep_cache(metering.accounts.id_of(user), name, json.loads(answer))


class CacheChange:
    """A request that makes a cache live for longer or shorter, or deletes it: no user has to be named for it."""

    def __init__(self, hook: Hook, http_request: Any) -> None:
        self._hook = hook
        self._deletes = http_request.method.lower() == "delete"
        self._name = work_name(urlsplit(http_request.url).path)

    def note(self, answer: str) -> None:
        """Note what Google has done."""
        with _telling(self._name):
            self._hook.background.wait(lambda metering: self._note(metering, answer))

    async def note_async(self, answer: str) -> None:
        """Do what ``note`` does."""
        with _telling(self._name):
            await self._hook.background.wait_async(lambda metering: self._note(metering, answer))

    async def _note(self, metering: "Metering", answer: str) -> None:
        account = await metering.resources.owner_of_cache(self._name)
        if account is None:
            return
        if self._deletes:
            await metering.resources.end_cache(account, self._name)
        else:
            await metering.resources.change_cache(account, self._name, json.loads(answer))


@contextmanager
def _telling(name: str) -> Iterator[None]:
    try:
        yield
    except (JangbuError, ValueError) as error:
        warn("cache.not_noted", str(error), resource=name)
