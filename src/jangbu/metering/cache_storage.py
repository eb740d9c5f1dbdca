"""What Google keeps caches for: by the token and hour, so that it is known when a cache has ended what it cost.

The making of a cache is recorded with its tokens and without a price. When the cache ends, because its owner deletes it
or its time is up, the seconds for which it was kept are written down with that record, it gets its price like any other
call that had none, and the cache is forgotten: all of that at once, by whichever process comes first.
"""

from datetime import datetime
from uuid import UUID

from jangbu import telemetry
from jangbu.domain.usage import Surface
from jangbu.metering.drafts import call_name
from jangbu.metering.pricing import Pricing
from jangbu.storage import accounts, caches
from jangbu.storage.database import Database
from jangbu.storage.failures import is_unreachable, translated

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
        """Price the storage of the caches that have ended, and forget them; give how many.

        One that cannot be priced is told, tried again by the next who asks, and does not keep the others from it.
        """
        ended = 0
        after: tuple[datetime, str] | None = None
        while due := await caches.due(self._database, self._pricing.project, after, _SWEEP_MAX):
            for account, name, at in due:
                after = at, name
                try:
                    ended += await self._price(account, name)
                except Exception as error:
                    if is_unreachable(error):
                        raise
                    telemetry.warn("cache.not_priced", str(error), account_id=str(account), resource=name)
        return ended

    async def _price(self, account: UUID, name: str) -> bool:
        """Price the storage of one; tell whether it is forgotten, which whoever was quicker did otherwise."""
        with translated():
            async with self._database.together() as connection:
                await accounts.lock_all(connection, {account})
                is_over, call = await caches.complete(self._database, account, name, call_name(making_of(name)))
                if call is not None:
                    await self._pricing.fill_in(account, call)
                return is_over
