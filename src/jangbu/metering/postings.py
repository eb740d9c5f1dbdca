"""Entries that somebody makes by hand: grants, corrections and what is given back, each once for a key.

The line of the audit is written with the entry, so what is sent again writes neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import Clock
from jangbu.domain.ledger import Asset, Balance, EntryKind, is_erased
from jangbu.errors import InvalidInput, NoAccount, NotFound
from jangbu.metering.audit import Audit, Change
from jangbu.metering.burning import burn_within
from jangbu.metering.content import digest
from jangbu.metering.holds import erased_user
from jangbu.metering.once import used_otherwise
from jangbu.metering.retention import dropped_by_retention
from jangbu.metering.retry import repeated
from jangbu.storage import accounts, entries, usage
from jangbu.storage.database import Connection, Database
from jangbu.storage.entries import Posting
from jangbu.storage.failures import translated
from jangbu.storage.usage import UsageRecord

__all__ = ["Posted", "Postings", "account_target", "change_of", "grant_posting"]

_ACTIONS = {
    EntryKind.GRANT: "account.grant",
    EntryKind.ADJUSTMENT: "account.adjust",
    EntryKind.REFUND: "account.refund",
    EntryKind.VOID: "account.void",
}


@dataclass(frozen=True, slots=True)
class Posted:
    """An entry that stands, and the balance. ``replayed`` tells that its key was used before with the same content."""

    id: UUID
    balance: Balance
    replayed: bool


class Postings:
    """Writes entries to the accounts of one project."""

    def __init__(self, database: Database, clock: Clock, audit: Audit, *, retry_seconds: int) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._retry_seconds = retry_seconds

    async def post(self, user: str, posting: Posting) -> Posted:
        """Write an entry, once for its key. Raises NotFound, IdempotencyConflict, and InvalidInput where more would be
        given back of a call than it was charged, and NotPermitted where the user was erased: the keys by which what is
        sent again would be known are gone.
        """
        found = await accounts.find(self._database, posting.account)
        if found is not None and is_erased(found.user):
            raise erased_user()
        charged = 0
        if posting.reference is not None:
            record = await self.record(user, posting.account, posting.reference)
            charged = record.total if posting.asset is Asset.TOKENS else record.charge_nano or 0
        with translated():
            balance = await repeated(
                "accounts", lambda: self._post_once(user, posting, charged), seconds=self._retry_seconds
            )
        if balance is not None:
            telemetry.emit("accounts.posted", account=posting.account)
            return Posted(posting.id, balance, replayed=False)
        known = await entries.find_key(self._database, posting.account, posting.key)
        if known is not None and known.digest != posting.digest:
            raise used_otherwise(posting.key, known)
        now = (await accounts.balances(self._database, posting.account)).get(posting.asset)
        if known is None or now is None:
            if await accounts.find(self._database, posting.account) is None:
                raise NoAccount(user)
            raise NotFound(f"user {user!r} has no balance of {posting.asset.name.lower()}", hint="a grant opens one")
        return Posted(known.result_id, now, replayed=known.result_id != posting.id)

    async def record(self, user: str, account: UUID, call: UUID) -> UsageRecord:
        """Give the record of a user's call. Raises NotFound."""
        record = await usage.find(self._database, account, call)
        if record is None:
            dropped = await dropped_by_retention(self._database, call, account=account)
            raise dropped or NotFound(f"user {user!r} has no call {call}")
        return record

    async def is_returned(self, record: UsageRecord) -> bool:
        """Tell whether no tokens of a call are left to give back, and no void of them stands for its money, too."""
        if await entries.find_key(self._database, record.account_id, f"void:{record.id}") is not None:
            return False
        async with self._database.connection() as connection:
            returned = await entries.returned(connection, record.account_id, Asset.TOKENS, record.id)
        return returned >= record.total

    async def _post_once(self, user: str, posting: Posting, charged: int) -> Balance | None:
        """Write the entry, or nothing at all where its key was used before or there is no such balance: then None."""
        now = await self._database.now()
        try:
            async with self._database.connection() as connection, connection.transaction():
                return await self._post_within(connection, user, posting, charged, now)
        except _NotPosted:
            return None

    async def _post_within(
        self, connection: Connection, user: str, posting: Posting, charged: int, now: datetime
    ) -> Balance:
        """Write the entry once grants are burnt down to the balance before it: what is given belongs to none of those
        whose time is up. What is given back of a call is checked under the lock of the balance. Raises _NotPosted.
        """
        if posting.kind is EntryKind.GRANT and posting.asset is not Asset.TOKENS:
            await accounts.open_balance(connection, posting.account, posting.asset)
        await burn_within(connection, self._clock, posting.account, posting.asset, now)
        returned = 0
        if posting.reference is not None:
            returned = await entries.returned(connection, posting.account, posting.asset, posting.reference)
            if posting.kind is EntryKind.VOID:
                posting = replace(posting, delta=charged - returned)
        balance = await entries.post(connection, posting)
        if balance is None:
            raise _NotPosted
        if posting.reference is not None and not 0 < posting.delta <= charged - returned:
            what = "tokens" if posting.asset is Asset.TOKENS else "nano-USD"
            raise InvalidInput(
                f"{posting.delta:,} {what} cannot be given back: the call was charged {charged:,} "
                f"and {returned:,} were given back already"
            )
        if not await _is_told(connection, posting):
            await self._audit.note(connection, change_of(user, posting))
        return balance


class _NotPosted(Exception):
    """Nothing was written: what was done towards it is undone."""


async def _is_told(connection: Connection, posting: Posting) -> bool:
    """Tell whether the line of a call's tokens, which went before, tells of this, its money, too."""
    if posting.kind is not EntryKind.VOID or posting.asset is not Asset.MONEY:
        return False
    return await entries.find_key(connection, posting.account, f"void:{posting.reference}") is not None


def grant_posting(
    account: UUID,
    amount: int,
    grant: UUID,
    key: str,
    *,
    asset: Asset = Asset.TOKENS,
    source: str = "purchase",
    priority: int = 0,
    expires_at: datetime | None = None,
) -> Posting:
    """Give the entry of a grant, with the digest by which its key tells it from another one: an expiry is the same in
    whichever zone it is written, as the API takes it, too.
    """
    expires_at = expires_at and expires_at.astimezone(UTC)
    content = digest("grant", int(asset), amount, source, priority, expires_at and expires_at.isoformat())
    return Posting(
        account,
        asset,
        EntryKind.GRANT,
        amount,
        grant,
        key,
        content,
        source=source,
        priority=priority,
        expires_at=expires_at,
    )


def change_of(user: str, posting: Posting, **more: str) -> Change:
    """Give the line of the audit that tells of an entry."""
    return Change(_ACTIONS[posting.kind], account_target(user), after={**_facts(posting), **more})


def account_target(user: str) -> str:
    """Name a user's account in the audit."""
    return f"account:{user}"


def _facts(posting: Posting) -> Mapping[str, Any]:
    facts: dict[str, Any] = {} if posting.asset is Asset.TOKENS else {"asset": posting.asset.name.lower()}
    if posting.reference is not None:
        facts["call"] = str(posting.reference)
    if posting.kind is EntryKind.ADJUSTMENT:
        facts["delta"] = posting.delta
    else:
        facts["amount"] = posting.delta
    if posting.kind is EntryKind.GRANT:
        expires_at = posting.expires_at and posting.expires_at.isoformat()
        facts |= {"source": posting.source, "priority": posting.priority, "expires_at": expires_at}
    else:
        facts["reason"] = posting.reason
    return facts | {"id": str(posting.id)}
