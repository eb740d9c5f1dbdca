"""The sweeper: what has to happen by itself, on any number of nodes at once, by the database's clock only."""

import asyncio
from collections.abc import Awaitable, Callable

from jangbu import telemetry
from jangbu.metering.accounts import Accounts
from jangbu.metering.cache_storage import CacheStorage
from jangbu.metering.holds import Holds
from jangbu.metering.key_limits import KeyLimits
from jangbu.metering.pricing import Pricing
from jangbu.metering.refusals import Refusals
from jangbu.metering.resources import Resources
from jangbu.metering.retention import month_start
from jangbu.metering.sessions import Sessions
from jangbu.storage import usage
from jangbu.storage.chaining import complete_chains
from jangbu.storage.database import Database

_SECONDS_BETWEEN = 30
_MONTHS_AHEAD = 2


class Sweeper:
    """Makes partitions ahead, ends what has a time that is up (holds, grants, sessions), follows the price book.

    Every duty may be repeated without harm.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        holds: Holds,
        key_limits: KeyLimits,
        resources: Resources,
        pricing: Pricing,
        sessions: Sessions,
        refusals: Refusals,
    ) -> None:
        self._database = database
        self._duties: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
            ("partitions", self.make_partitions),
            ("chains", self.complete_chains),
            ("holds", holds.expire),
            ("closed holds", holds.purge),
            ("refused calls", refusals.purge),
            ("findings", holds.close_findings),
            ("calls of keys", key_limits.expire),
            ("uses of keys", key_limits.purge),
            ("resources", resources.expire),
            ("caches", CacheStorage(database, pricing).price_ended),
            ("sessions", sessions.purge),
            ("grants", accounts.expire_grants),
            ("prices", pricing.refresh),
        )
        self._task: asyncio.Task[None] | None = None

    async def sweep(self) -> None:
        """Do every duty once. A duty that fails is told and does not keep the others from being done."""
        for name, duty in self._duties:
            try:
                await duty()
            except Exception as error:
                telemetry.warn("sweeper.failed", str(error), duty=name)

    async def make_partitions(self) -> None:
        """Make the partitions of last month, this month and the months ahead."""
        now = await self._database.now()
        await usage.make_partitions(self._database, [month_start(now, ahead) for ahead in range(-1, _MONTHS_AHEAD + 1)])

    async def complete_chains(self) -> None:
        """Chain the entries that an upgrade by hand left unchained; elsewhere there is nothing to do."""
        async with self._database.connection() as connection:
            await complete_chains(connection)

    def start(self) -> None:
        """Sweep now and then until ``stop``."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the sweeping; what was begun is either done or undone by its transaction."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN)
            await self.sweep()
