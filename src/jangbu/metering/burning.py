"""Burning grants down to what is left of a balance, in a transaction that is under way."""

from datetime import datetime
from uuid import UUID

from jangbu.clock import Clock, new_id
from jangbu.domain.ledger import Asset, Balance, EntryKind, burn_down, changed
from jangbu.storage import accounts, entries
from jangbu.storage.database import Connection
from jangbu.storage.entries import Posting

__all__ = ["burn_within"]


async def burn_within(
    connection: Connection, clock: Clock, account: UUID, asset: Asset, now: datetime
) -> tuple[Balance | None, int]:
    """Bring an account's grants up to its balance, and write an entry for what expired.

    Give the balance before that, which is locked from then on, None where there is none; and how much expired.
    """
    balance = await accounts.lock_balance(connection, account, asset)
    if balance is None:
        return None, 0
    before = await entries.grants_within(connection, account, asset)
    after = burn_down(before, balance, now)
    touched = changed(before, after.grants)
    if touched:
        await entries.write_burn_down(connection, account, touched)
    if after.expired:
        expiry = new_id(clock)
        posting = Posting(
            account, asset, EntryKind.EXPIRY, -after.expired, expiry, f"expiry:{expiry}", b"", reason="grants expired"
        )
        posted = await entries.post(connection, posting)
        assert posted is not None, "an expiry has a key of its own"
    return balance, after.expired
