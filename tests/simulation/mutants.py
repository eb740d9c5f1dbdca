"""Wrong parts, each with one bug that costs somebody money: the auditor has to find every one of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg

from jangbu.domain.flow import Held, LedgerEffect, MarkUnknown, Receipt, Refused, Release, TakeHold
from jangbu.metering.holds import Holds
from jangbu.metering.meter import Metering
from jangbu.metering.recorder import Recorder
from jangbu.storage.usage import Flushed, UsageRow
from tests.simulation.book import Book
from tests.simulation.process import Parts
from tests.simulation.tables import TOKENS, Row


class NewIdAfterAmbiguousCommit(Recorder):
    """Sends a record again under another id, as whoever makes ids in the retry does."""

    async def _flush(self, rows: Sequence[UsageRow], lane: int) -> dict[UUID, Flushed]:
        try:
            return await super()._flush(rows, lane)
        except asyncpg.PostgresConnectionError:
            renamed = {UUID(int=row.id.int ^ 1): row.id for row in rows}
            again = [row._replace(id=new) for row, new in zip(rows, renamed, strict=True)]
            return {renamed[id_]: found for id_, found in (await super()._flush(again, lane)).items()}


class AcknowledgedTooEarly(Recorder):
    """Tells its caller that a row is durable when the database only did not say no."""

    async def _flush(self, rows: Sequence[UsageRow], lane: int) -> dict[UUID, Flushed]:
        try:
            return await super()._flush(rows, lane)
        except asyncpg.PostgresConnectionError:
            return {row.id: Flushed(True, True, 0, 0) for row in rows}


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
    "a lost call is given back": with_parts(metering=LossesGivenBack),
    "a call leaves before its hold is durable": with_parts(metering=SentWhileHolding),
    "a hold is taken twice": with_parts(holds=HeldTwice),
    "a replay is debited": with_parts(book=WithoutIdempotency),
    "the clock gives holds back": with_parts(book=ExpiredByTheClock),
    "holds are admitted beyond the balance": with_parts(book=HeldWithoutALock),
    "evidence leaves the hold open": with_parts(book=HoldsLeftOpen),
}
