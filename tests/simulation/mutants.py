"""Wrong parts, each with one bug that costs somebody money: the auditor has to find every one of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from jangbu.domain.flow import Held, LedgerEffect, MarkUnknown, Receipt, Refused, Release, TakeHold
from jangbu.errors import BalanceLocked, JangbuError
from jangbu.metering import spool
from jangbu.metering.holds import Holds
from jangbu.metering.meter import Metering
from jangbu.metering.recorder import Named, Outcome, Recorder
from jangbu.metering.spool.disk import File
from jangbu.metering.spool_drain import Fate, Write
from jangbu.metering.spooling import Spooling
from jangbu.storage.usage import Flushed
from tests.simulation.book import Book
from tests.simulation.machine import ProcessDisk
from tests.simulation.process import Parts
from tests.simulation.tables import TOKENS, Row


class NewIdAfterAmbiguousCommit(Recorder):
    """Sends a record again under another id, as whoever makes ids in the retry does."""

    async def record(self, named: Named) -> Outcome:
        row = named.row
        try:
            return (await self._flushing.every([row], 1))[0]
        except asyncpg.PostgresConnectionError:
            return await super().record(named._replace(row=row._replace(id=UUID(int=row.id.int ^ 1))))


class AcknowledgedTooEarly(Recorder):
    """Tells its caller that a row is durable when the database only did not say no."""

    async def record(self, named: Named) -> Outcome:
        try:
            return (await self._flushing.every([named.row], 1))[0]
        except Exception:
            return Flushed(True, True, 0, 0)


class NeverSynced(ProcessDisk):
    """Calls written what only the kernel knows of."""

    def _wrapped(self, file: File) -> File:
        wrapped = super()._wrapped(file)
        wrapped.sync = lambda: None  # type: ignore[method-assign]
        return wrapped


class DrainedIntoNothing(Spooling):
    """Notes records as committed before the database has them."""

    def __init__(self, directory: Path, write: Write, **given: Any) -> None:
        async def written(spooled: Sequence[spool.Spooled]) -> Sequence[Fate]:
            try:
                return await write(spooled)
            except JangbuError:
                return [None] * len(spooled)

        super().__init__(directory, written, **given)


class DrainedWhileLocked(Spooling):
    """Notes records as committed whose balance is locked."""

    def __init__(self, directory: Path, write: Write, **given: Any) -> None:
        async def written(spooled: Sequence[spool.Spooled]) -> Sequence[Fate]:
            return [None if isinstance(fate, BalanceLocked) else fate for fate in await write(spooled)]

        super().__init__(directory, written, **given)


class SettledUnseen(Spooling):
    """Takes it for granted that the database has what it was given beside the spool."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.copies.let_wait = self.copies.settle  # type: ignore[method-assign]


class ForgottenCopies(Spooling):
    """Never sends again what the database has once had."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.copies.settle = self.copies.refuse  # type: ignore[method-assign]


class KeysNotClaimed(Spooling):
    """Drains records without looking at the keys that their callers gave them."""

    def __init__(self, directory: Path, write: Write, **given: Any) -> None:
        async def written(spooled: Sequence[spool.Spooled]) -> Sequence[Fate]:
            return await write(
                [replace(each, claim=None) if isinstance(each, spool.SpooledUsage) else each for each in spooled]
            )

        super().__init__(directory, written, **given)


class LossesGivenBack(Metering):
    """Gives the hold of a lost call back, as if nothing that did not come back had been used."""

    async def execute(self, effect: LedgerEffect) -> Held | Refused | Receipt | None:
        if isinstance(effect, MarkUnknown):
            effect = Release(effect.call, effect.reason)
        return await super().execute(effect)


class SentWhileHolding(Metering):
    """Lets a call leave while its hold is still on its way."""

    async def execute(self, effect: LedgerEffect) -> Held | Refused | Receipt | None:
        if isinstance(effect, TakeHold):
            taking = asyncio.ensure_future(super().execute(effect))
            done, _ = await asyncio.wait((taking,), timeout=0.0015)
            taking.add_done_callback(lambda each: each.cancelled() or each.exception())
            return taking.result() if done else Held(effect.least)
        return await super().execute(effect)


class HeldTwice(Holds):
    """Asks for a hold again under another id when it does not hear from the first."""

    async def take(self, account: UUID, effect: TakeHold) -> Held | Refused:
        try:
            return await super().take(account, effect)
        except Exception:
            call = replace(effect.call, id=UUID(int=effect.call.id.int ^ 1))
            return await super().take(account, replace(effect, call=call))


class WithoutIdempotency(Book):
    """Debits and enters whatever it is told to record, also where the row is there."""

    def usage_flush(self, *arguments: Any) -> list[Row]:
        rows = super().usage_flush(*arguments)
        for row, account_id, total in zip(rows, arguments[0], arguments[13], strict=True):
            if not row["is_new"] and account_id in self.accounts:
                self.accounts[account_id].balances[TOKENS].used += total
        return rows


class ClaimedForNothing(Book):
    """Lets an answer that is not recorded stand for the record of another one of its call."""

    def usage_flush(self, *arguments: Any) -> list[Row]:
        rows = super().usage_flush(*arguments)
        for row, account_id, key, digest in zip(rows, arguments[0], arguments[23], arguments[24], strict=True):
            if not row["is_new"] and key is not None and account_id in self.accounts:
                self.key_claim(account_id, key, digest, row["id"])
        return rows


class PurchasedInWords(Book):
    """Acknowledges what is bought beyond the first purchase, and writes nothing down."""

    def entry_post(self, *arguments: Any) -> list[Row]:
        rows = super().entry_post(*arguments)
        balance = self.accounts[arguments[0]].balances[TOKENS]
        if rows and arguments[2] == "grant" and arguments[6] != "key:first":
            entry = balance.entries.pop()
            balance.granted -= entry.delta
            balance.version -= 1
        return rows


class ExpiredByTheClock(Book):
    """Gives holds back when their time is up, whatever may have left under them."""

    def hold_expire(self, limit: int) -> list[Row]:
        for account in self.accounts.values():
            for hold in account.holds.values():
                hold.may_have_left = False
        return super().hold_expire(limit)


class HeldWithoutALock(Book):
    """Admits holds against the balance as it was when the statement began."""

    def hold_take(self, *arguments: Any) -> list[Row]:
        balances = [self.accounts[id_].balances[TOKENS] for id_ in set(arguments[0]) if id_ in self.accounts]
        for balance in balances:
            balance.granted += 10_000
        rows = super().hold_take(*arguments)
        for balance in balances:
            balance.granted -= 10_000
        return rows


class HoldsLeftOpen(Book):
    """Records usage and forgets the hold of a call that was of unknown outcome."""

    def usage_flush(self, *arguments: Any) -> list[Row]:
        kept = [
            hold for account in self.accounts.values() for hold in account.holds.values() if hold.state == "unknown"
        ]
        for hold in kept:
            hold.state = "kept"
        rows = super().usage_flush(*arguments)
        for hold in kept:
            hold.state = "unknown"
        return rows


def with_parts(**given: Any) -> type[Parts]:
    """Give the usual parts with some others in their places."""
    return type("Mutant", (Parts,), given)


MUTANTS = {
    "a retry makes a new id": with_parts(recorder=NewIdAfterAmbiguousCommit),
    "a record is acknowledged too early": with_parts(recorder=AcknowledgedTooEarly),
    "the spool is not synced": with_parts(disk=NeverSynced),
    "the spool is drained into nothing": with_parts(spooling=DrainedIntoNothing),
    "what waits for a locked balance counts as recorded": with_parts(spooling=DrainedWhileLocked),
    "a copy counts as recorded": with_parts(spooling=SettledUnseen),
    "a copy is kept for nobody": with_parts(spooling=ForgottenCopies),
    "a key is not claimed when it drains": with_parts(spooling=KeysNotClaimed),
    "a lost call is given back": with_parts(metering=LossesGivenBack),
    "a call leaves before its hold is durable": with_parts(metering=SentWhileHolding),
    "a hold is taken twice": with_parts(holds=HeldTwice),
    "a replay is debited": with_parts(book=WithoutIdempotency),
    "an answer is taken for another": with_parts(book=ClaimedForNothing),
    "a purchase is acknowledged and not written": with_parts(book=PurchasedInWords),
    "the clock gives holds back": with_parts(book=ExpiredByTheClock),
    "holds are admitted beyond the balance": with_parts(book=HeldWithoutALock),
    "evidence leaves the hold open": with_parts(book=HoldsLeftOpen),
}
