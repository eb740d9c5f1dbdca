"""Retention: records older than some months go, and every figure that they are part of stays.

A month's records are dropped with their partition, in the transaction that seals their sums; so balances, entries,
rollups and reports stay as they are, and verification still adds up to the token. What goes is what only a record
tells: the evidence of a call, its explanation, and that its id was used. A record of a dropped month that arrives late
is recorded as any other; one that arrives a second time, without a key of its caller, counts again.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import InvalidInput, JangbuError, NotFound
from jangbu.metering.audit import Audit, Change
from jangbu.metering.cache_storage import making_of
from jangbu.metering.drafts import call_name
from jangbu.storage import caches, retention
from jangbu.storage.database import Database
from jangbu.storage.failures import lacks_lock, translated
from jangbu.storage.retention import Partition
from jangbu.storage.usage import moment_of

__all__ = ["MONTHS_MAX", "Partition", "Retention", "dropped_by_retention", "month_start", "refusal"]

MONTHS_MAX = 1200
_MAKING = call_name(making_of(""))
"""What the keys begin with by which the making of a cache is known."""


class Retention:
    """Drops the old records of a database, of all its projects."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    async def due(self, months: int) -> Sequence[Partition]:
        """Give the partitions that are older than so many full months, by the database's clock, oldest first.

        The month under way and ``months`` (at least 1) before it are kept. Raises InvalidInput.
        """
        if not 1 <= months <= MONTHS_MAX:
            raise InvalidInput(f"{months} months cannot be kept", hint=f"keep 1 to {MONTHS_MAX:,}")
        before = month_start(await self._database.now(), -months)
        return await retention.partitions(self._database, before, _MAKING)

    async def drop(self, partition: Partition) -> int:
        """Seal and drop a partition; give how many records it held.

        Raises JangbuError, with nothing changed, where one of its calls is not finished, a cache that was made then
        still lives, or others use it just now.
        """
        if reason := refusal(partition):
            raise JangbuError(f"{partition.name} is kept: {reason}")
        try:
            with translated():
                async with self._database.together() as connection:
                    dropped = await retention.drop(self._database, partition.month)
                    # Nothing is recorded there since, so what was made then is known by now.
                    if dropped is not None and await caches.made(self._database, partition.month, _MAKING):
                        raise _changed(partition)
                    if dropped is not None:
                        change = Change("retention.drop", f"partition:{partition.name}", after={"records": dropped})
                        await self._audit.note(connection, change)
        except Exception as error:
            if not lacks_lock(error):
                raise
            raise JangbuError(
                f"{partition.name} is in use just now; nothing of it was dropped", hint="try again"
            ) from error
        if dropped is None:
            raise _changed(partition)
        telemetry.emit("retention.dropped", partition=partition.name, records=dropped)
        return dropped


def refusal(partition: Partition) -> str | None:
    """Say why a partition may not be dropped, and what to do about it; None where it may."""
    if partition.unpriced:
        return f"{_calls(partition.unpriced)} without a price; run `jangbu prices backfill`"
    if partition.held:
        return f"{_calls(partition.held)} with tokens on hold; see `jangbu holds list`"
    if partition.caches:
        return f"{_caches(partition.caches)}; wait until that has happened, or have the owner delete what is not used"
    return None


async def dropped_by_retention(
    database: Database, call: UUID, *, project: str | None = None, account: UUID | None = None
) -> NotFound | None:
    """Give the error that says so, where a call has no record because the records of its time were dropped."""
    if not await retention.has_dropped(database, call, project=project, account=account):
        return None
    return NotFound(
        f"there is no record of call {call}: retention dropped those of {moment_of(call):%Y-%m}",
        hint="their sums stay in every report, and what they were debited in `jangbu ledger`",
    )


def month_start(at: datetime, ahead: int) -> datetime:
    """Give the first moment of the month that lies ``ahead`` months after the month of ``at``."""
    months = at.year * 12 + at.month - 1 + ahead
    return at.replace(year=months // 12, month=months % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _changed(partition: Partition) -> JangbuError:
    return JangbuError(f"{partition.name} changed meanwhile; nothing of it was dropped", hint="look at it again")


def _caches(number: int) -> str:
    if number == 1:
        return "1 cache that was made then still lives, and its storage is priced there when it ends"
    return f"{number:,} caches that were made then still live, and their storage is priced there when they end"


def _calls(number: int) -> str:
    return f"{number:,} call" if number == 1 else f"{number:,} calls"
