"""What Google keeps caches for: by the token and hour, so that it is known when a cache has ended what it cost.

The making of a cache is recorded with its tokens and without a price. When the cache ends, because its owner deletes it
or its time is up, the seconds for which it was kept are written down with that record, and it gets its price like any
other call that had none. Each step may be repeated, by whichever process.
"""

from uuid import UUID

from jangbu.domain.usage import Surface
from jangbu.metering.drafts import call_name
from jangbu.metering.pricing import Pricing
from jangbu.storage import caches, resources
from jangbu.storage.database import Database

__all__ = ["CacheStorage", "making_of"]

_SWEEP_MAX = 100


def making_of(name: str) -> str:
    """Give the name by which the record of a cache's making is known."""
    return f"{Surface.CACHED_CONTENTS}:{name}"


class CacheStorage:
    """The caches of the users of one project: that of the ``pricing``."""

    def __init__(self, database: Database, pricing: Pricing) -> None:
        self._database = database
        self._pricing = pricing

    async def price_ended(self) -> int:
        """Price the storage of the caches that have ended, and forget them; give how many."""
        ended = 0
        while due := await caches.due(self._database, self._pricing.project, _SWEEP_MAX):
            gone = sum([await self._price(account, name) for account, name in due])
            ended += gone
            if not gone:
                break
        return ended

    async def _price(self, account: UUID, name: str) -> bool:
        """Price the storage of one; tell whether it is forgotten, which whoever was quicker did otherwise."""
        call = await caches.complete(self._database, account, name, call_name(making_of(name)))
        if call is not None:
            await self._pricing.fill_in(account, call)
        return await resources.forget(self._database, account, name)
