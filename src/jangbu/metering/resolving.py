"""Holds that an operator ends: by the answer that came after all, or by their word that there was none.

A hold is given back in one transaction with its key and its line in the audit. A charge goes the way of all records, so
its key is claimed first and its line follows: to do either again changes nothing, so what was left out is made good by
the next attempt.
"""

from uuid import UUID

from jangbu.clock import new_id
from jangbu.domain.flow import Receipt, Settle
from jangbu.domain.usage import Usage
from jangbu.errors import IdempotencyConflict, NotFound
from jangbu.metering.audit import Change
from jangbu.metering.content import digest
from jangbu.metering.drafts import answer_key, receipt_again
from jangbu.metering.evidence import evidence, require_evidence
from jangbu.metering.meter import Metering
from jangbu.metering.once import done_once, note_once, nothing_more, was_done
from jangbu.storage import entries, holds
from jangbu.storage import usage as records
from jangbu.storage.database import Connection

__all__ = ["OtherCallsAnswer", "charge_hold", "release_hold"]


class OtherCallsAnswer(IdempotencyConflict):
    """An answer proves nothing of a hold's call, because it is that of another one."""

    def __init__(self, call: UUID) -> None:
        super().__init__(
            f"this answer was charged before, as that of call {call}",
            hint="give the answer of the hold's own call; if there was none, release the hold and say why",
        )
        self.call = call


async def release_hold(ledger: Metering, hold: UUID, reason: str, *, key: str | None = None) -> tuple[bool, bool]:
    """Give a hold back; tell whether it was held until now, and whether that was asked for before with the key.

    Raises NotFound or IdempotencyConflict.
    """
    (account, user), released = await ledger.holds.owner_of(hold), False

    async def release(connection: Connection) -> None:
        nonlocal released
        (released,) = await holds.release(connection, [(account, hold, reason)])
        if released:
            facts = {"user": user, "reason": reason}
            await ledger.audit.note(connection, Change("hold.release", f"hold:{hold}", after=facts))

    asked, content = new_id(ledger.clock), digest("holds.release", str(hold), reason)
    known = await done_once(ledger.database, account, key, content, asked, release)
    return released, known != asked


async def charge_hold(ledger: Metering, project: str, hold: UUID, usage: Usage, *, key: str | None = None) -> Receipt:
    """Settle a hold by an answer; where it is settled already, give the receipt again to who settled it.

    Raises InvalidAnswer, NotFound, StillRunning or IdempotencyConflict: OtherCallsAnswer, too.
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
        if key is None or not await was_done(ledger.database, account, key, content):
            raise
        receipt = receipt_again(record, (await ledger.accounts.balance(record.user)).available)
        await _tell(ledger, account, receipt)
        return receipt
    account = ledger.accounts.id_of(call.user)
    await _require_own(ledger, project, account, hold, usage)
    await done_once(ledger.database, account, key, content, hold, nothing_more)
    await ledger.holds.require_ended(hold)
    settled = await ledger.execute(Settle(call, usage))
    assert isinstance(settled, Receipt), "what is settled has a receipt"
    if not settled.replayed:
        await _tell(ledger, account, settled)
    return settled


async def _require_own(ledger: Metering, project: str, account: UUID, hold: UUID, usage: Usage) -> None:
    """Let no hold be ended by the answer of another call, whoever's it is. Raises OtherCallsAnswer.

    What the same user has a record of that was never held for may be the hold's own answer, handed over: it ends the
    hold, and charges nothing. With other counts it is refused as it would be there.
    """
    key = answer_key(usage)
    if key is None:
        return
    for owner, known in await entries.search_keys(ledger.database, project, [key[0]]):
        other = await records.find(ledger.database, owner, known.result_id)
        if other is None or other.id == hold:
            continue
        is_another = owner != account or known.digest != key[1]
        if is_another or other.hold_amount is not None or other.late:
            raise OtherCallsAnswer(other.id)


async def _tell(ledger: Metering, account: UUID, receipt: Receipt) -> None:
    facts = {"user": receipt.user, "charged_tokens": receipt.charged_tokens}
    change = Change("hold.charge", f"hold:{receipt.id}", after=facts)
    await note_once(ledger.database, ledger.audit, account, receipt.id, change)
