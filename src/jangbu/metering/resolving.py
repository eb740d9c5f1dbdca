"""Holds that an operator ends: by the answer that came after all, or by their word that there was none.

What is done under a caller's own key is claimed first and done then: to do it again changes nothing, so that a claim
after which nothing was done is made good by the next attempt.
"""

from uuid import UUID

from jangbu.clock import new_id
from jangbu.domain.flow import Call, Receipt, Settle
from jangbu.domain.usage import Usage
from jangbu.errors import NotFound
from jangbu.metering.content import digest
from jangbu.metering.drafts import receipt_again
from jangbu.metering.evidence import evidence, require_evidence
from jangbu.metering.meter import Metering
from jangbu.metering.once import done_once, nothing_more, was_done
from jangbu.storage import usage as records

__all__ = ["charge_hold", "release_hold", "settle_ended"]


async def release_hold(ledger: Metering, hold: UUID, reason: str, *, key: str) -> tuple[bool, bool]:
    """Give a hold back; tell whether it was held until now, and whether that was asked for before with the key.

    Raises NotFound or IdempotencyConflict.
    """
    account = ledger.accounts.id_of((await ledger.holds.call_of(hold)).user)
    asked, content = new_id(ledger.clock), digest("holds.release", str(hold), reason)
    known = await done_once(ledger.database, account, key, content, asked, nothing_more)
    return await ledger.holds.release(account, hold, reason), known != asked


async def charge_hold(ledger: Metering, project: str, hold: UUID, usage: Usage, *, key: str) -> Receipt:
    """Settle a hold by an answer; where it is settled already, give the receipt again to who settled it.

    Raises InvalidAnswer, NotFound, StillRunning or IdempotencyConflict.
    """
    require_evidence(usage)
    content = digest("holds.charge", str(hold), evidence(usage))
    try:
        call = await ledger.holds.call_of(hold)
    except NotFound:
        account = await records.find_account(ledger.database, project, hold)
        record = None if account is None else await records.find(ledger.database, account, hold)
        if account is None or record is None:
            raise
        if not await was_done(ledger.database, account, key, content):
            raise
        return receipt_again(record, (await ledger.accounts.balance(record.user)).available)
    await done_once(ledger.database, ledger.accounts.id_of(call.user), key, content, hold, nothing_more)
    return await settle_ended(ledger, call, usage)


async def settle_ended(ledger: Metering, call: Call, usage: Usage) -> Receipt:
    """Settle a call by evidence, once it is not under way any more. Raises InvalidAnswer or StillRunning."""
    require_evidence(usage)
    await ledger.holds.require_ended(call.id)
    receipt = await ledger.execute(Settle(call, usage))
    assert isinstance(receipt, Receipt), "what is settled has a receipt"
    return receipt
