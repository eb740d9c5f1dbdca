"""Accounts: opening them, granting to them, correcting them. Corrections are entries with a reason, never edits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import Clock, new_id
from jangbu.domain.forecast import Expiring, expiring_soon
from jangbu.domain.ledger import (
    TOKENS_MAX,
    Asset,
    Balance,
    EntryKind,
    Grant,
    account_id,
    is_erased,
)
from jangbu.domain.moments import require_expiry
from jangbu.domain.reasons import REASON_LENGTH_MAX, is_reason
from jangbu.errors import InvalidInput, JangbuError, NoAccount
from jangbu.metering.audit import Audit, Change
from jangbu.metering.bulk_grants import BulkGrants
from jangbu.metering.burning import burn_within
from jangbu.metering.content import digest
from jangbu.metering.holds import erased_user
from jangbu.metering.once import done_once, nothing_more, own_key
from jangbu.metering.postings import Posted, Postings, account_target, grant_posting
from jangbu.metering.retry import repeated
from jangbu.metering.snapshots import snapshot
from jangbu.storage import accounts, entries
from jangbu.storage.accounts import AccountRow
from jangbu.storage.database import Connection, Database
from jangbu.storage.entries import EntryRow, Posting
from jangbu.storage.failures import translated

_SWEEP_MAX = 200
_PRIORITY_MAX = 2**31


class Accounts:
    """The accounts of one project."""

    def __init__(self, database: Database, clock: Clock, *, project: str, retry_seconds: int) -> None:
        self._database = database
        self.clock = clock
        self._project = project
        self._retry_seconds = retry_seconds
        self._audit = Audit(database, clock, project=project)
        self._postings = Postings(database, clock, self._audit, retry_seconds=retry_seconds)
        self.in_bulk = BulkGrants(database, clock, self._audit, project=project, retry_seconds=retry_seconds)

    def id_of(self, user: str) -> UUID:
        """Give the account id of a user of this project, whether it was opened or not."""
        return account_id(self._project, user)

    async def user_named(self, name: str) -> str:
        """Give the user whom a person names, by the app's own user id or by a full account id of this project.

        Only what a person typed is looked up this way: a user id that an app passes on never names another's account.
        """
        try:
            given = UUID(name)
        except ValueError:
            return name
        account = await accounts.find(self._database, given)
        if account is None or is_erased(account.user) or self.id_of(account.user) != given:
            return name
        return account.user

    async def create(self, user: str, *, key: str | None = None) -> bool:
        """Open an account for a user; tell whether it is new. A ``key`` stands for that from then on."""
        account, is_new = self.id_of(user), False

        async def open_it(connection: Connection) -> None:
            nonlocal is_new
            is_new = await accounts.create(connection, account, self._project, user)
            if is_new:
                await self._audit.note(connection, Change("account.create", account_target(user)))

        await done_once(self._database, account, key, digest("create", user), new_id(self.clock), open_it)
        return is_new

    async def open_new(self, user: str, *, key: str) -> bool:
        """Open an account for a user who has none; tell whether this key did so, now or before."""
        account = self.id_of(user)

        async def open_it(connection: Connection) -> None:
            if not await accounts.create(connection, account, self._project, user):
                raise _HadOne
            await self._audit.note(connection, Change("account.create", account_target(user)))

        try:
            await done_once(self._database, account, key, digest("create", user), new_id(self.clock), open_it)
        except _HadOne:
            return False
        return True

    async def find(self, user: str, *, hint: str = "") -> AccountRow:
        """Give a user's account. Raises NotFound; ``hint`` says what to do then, where that is not to open one."""
        found = await accounts.find(self._database, self.id_of(user))
        if found is None:
            raise NoAccount(user, hint=hint)
        return found

    async def page(self, after: str = "", limit: int = 100) -> Sequence[AccountRow]:
        """Give accounts in the order of their users, from the one after ``after``."""
        return await accounts.page(self._database, self._project, after, limit)

    async def block(self, user: str, blocked: bool = True, *, key: str | None = None) -> bool:
        """Refuse new calls of a user, or admit them again. Raises NotFound, and NotPermitted for who was erased.

        Under a ``key`` it is done once: to repeat an old block does not undo a later unblock. Tells whether it was
        done now.
        """
        account, made = self.id_of(user), new_id(self.clock)
        if not blocked and is_erased((await self.find(user)).user):
            raise erased_user()

        async def act(connection: Connection) -> None:
            was_blocked = await accounts.block(connection, account, blocked)
            if was_blocked is None:
                raise NoAccount(user)
            if was_blocked is not blocked:
                action = "account.block" if blocked else "account.unblock"
                await self._audit.note(connection, Change(action, account_target(user)))

        return await done_once(self._database, account, key, digest("block", blocked), made, act) == made

    async def balance(self, user: str, asset: Asset = Asset.TOKENS) -> Balance:
        """Give what a user has of an asset. Raises NotFound."""
        return await self.open_balance(user, asset) or Balance()

    async def open_balance(self, user: str, asset: Asset) -> Balance | None:
        """Give what a user has of an asset, None where they have no balance of it. Raises NotFound."""
        found = await accounts.balances(self._database, self.id_of(user))
        if not found:
            raise NoAccount(user)
        return found.get(asset)

    async def balance_and_expiring(self, user: str) -> tuple[Balance, Expiring | None]:
        """Give what a user has in tokens and what of it expires within a week, both of one moment. Raises NotFound.

        What grants burn is worked out here and not written: to look changes nothing.
        """
        account = self.id_of(user)
        async with snapshot(self._database, self._project) as book:
            found = await accounts.find(book.reader, account)
            if found is None:
                raise NoAccount(user)
            grants = await entries.grants(book.reader, account, Asset.TOKENS)
        return found.balance, expiring_soon(found.balance, grants, book.as_of)

    async def expiring(self, user: str) -> Expiring | None:
        """Give what of a user's tokens expires within a week; None where nothing does. Raises NotFound."""
        _, found = await self.balance_and_expiring(user)
        return found

    async def grants(self, user: str, asset: Asset = Asset.TOKENS, *, spent_too: bool = False) -> tuple[Grant, ...]:
        """Give a user's grants as they stand now, in the order in which they burn."""
        account = self.id_of(user)
        await self.burn(account, asset)
        return await entries.grants(self._database, account, asset, spent_too=spent_too)

    async def history(
        self, user: str, asset: Asset = Asset.TOKENS, before: int | None = None, limit: int = 100
    ) -> Sequence[EntryRow]:
        """Give a user's ledger entries, newest first."""
        await self.find(user)
        return await entries.page(self._database, self.id_of(user), asset, before, limit)

    async def grant(
        self,
        user: str,
        amount: int,
        *,
        key: str,
        asset: Asset = Asset.TOKENS,
        source: str = "purchase",
        priority: int = 0,
        expires_at: datetime | None = None,
    ) -> Posted:
        """Give a user tokens (or nano-USD) that were bought or are a gift, once for the key."""
        _require_grantable(amount, source, priority, expires_at)
        account = self.id_of(user)
        known = await entries.find_key(self._database, account, own_key(key))
        if known is None and expires_at is not None and expires_at <= await self._database.now():
            raise InvalidInput("the expiry has passed already", hint="give a time to come, or none")
        posting = grant_posting(
            account,
            amount,
            new_id(self.clock),
            own_key(key),
            asset=asset,
            source=source,
            priority=priority,
            expires_at=expires_at,
        )
        return await self._postings.post(user, posting)

    async def adjust(self, user: str, delta: int, *, reason: str, key: str, asset: Asset = Asset.TOKENS) -> Posted:
        """Correct a balance by ``delta``, for a reason that stays in the history."""
        if type(delta) is not int or not 0 < abs(delta) <= TOKENS_MAX:
            raise InvalidInput(f"{delta!r} is no adjustment", hint=f"up to {TOKENS_MAX:,} either way, and not 0")
        return await self._correct(user, EntryKind.ADJUSTMENT, delta, None, reason, own_key(key), asset)

    async def refund(self, user: str, call: UUID, amount: int, *, reason: str, key: str) -> Posted:
        """Give back part of what a call was charged. The record of the call stays as it is."""
        if type(amount) is not int or amount <= 0:
            raise InvalidInput(f"{amount!r} tokens cannot be refunded", hint="refund at least 1")
        return await self._correct(user, EntryKind.REFUND, amount, call, reason, own_key(key), Asset.TOKENS)

    async def void(self, user: str, call: UUID, *, reason: str, key: str | None = None) -> Posted:
        """Give back all of what a call was charged and was not given back yet, once: its tokens, and the money where a
        money balance was debited for it. The record stays as it is. A ``key`` stands for that from then on.
        """
        _require_reason(EntryKind.VOID, reason)
        record = await self._postings.record(user, self.id_of(user), call)
        if key is not None:
            # Claimed first and done then: to void a call again changes nothing, so a claim that was left is made good.
            content = digest("void", str(call), reason)
            await done_once(self._database, record.account_id, key, content, call, nothing_more)
        posted = None
        if record.money_posting is None or not await self._postings.is_returned(record):
            posted = await self._correct(user, EntryKind.VOID, 0, call, reason, f"void:{call}", Asset.TOKENS)
            # It may have got its price meanwhile; from now on it is priced without a debit.
            record = await self._postings.record(user, record.account_id, call)
        if record.money_posting is not None and record.charge_nano:
            money = await self._correct(
                user, EntryKind.VOID, record.charge_nano, call, reason, f"void-money:{call}", Asset.MONEY
            )
            posted = posted or replace(money, balance=await self.balance(user))
        assert posted is not None, "a call that was debited in money has a charge"
        return posted

    async def expire_grants(self) -> int:
        """Burn down the accounts whose grants' time is up; give how many accounts lost something."""
        lost, after = 0, (UUID(int=0), Asset.TOKENS)
        while due := await entries.accounts_with_due_grants(self._database, after, _SWEEP_MAX):
            for account, asset in due:
                try:
                    lost += await self.burn(account, asset) > 0
                except JangbuError as error:
                    telemetry.warn("accounts.expiry_failed", str(error), account_id=str(account))
            after = due[-1]
        return lost

    async def _correct(
        self, user: str, kind: EntryKind, delta: int, call: UUID | None, reason: str, key: str, asset: Asset
    ) -> Posted:
        _require_reason(kind, reason)
        content = digest(kind.value, int(asset), delta, call and str(call), reason)
        account = self.id_of(user)
        posting = Posting(account, asset, kind, delta, new_id(self.clock), key, content, reference=call, reason=reason)
        return await self._postings.post(user, posting)

    async def burn(self, account: UUID, asset: Asset) -> int:
        """Bring an account's grants up to its balance, and write an entry for what expired; give how much that was.

        To do it again burns nothing more, so it is repeated until it is done.
        """
        with translated():
            return await repeated("accounts", lambda: self._burn_once(account, asset), seconds=self._retry_seconds)

    async def _burn_once(self, account: UUID, asset: Asset) -> int:
        now = await self._database.now()
        async with self._database.connection() as connection, connection.transaction():
            _, expired = await burn_within(connection, self.clock, account, asset, now)
            return expired


class _HadOne(Exception):
    """A user had an account before; raised within a transaction, it leaves the key unclaimed."""


def _require_reason(kind: EntryKind, reason: str) -> None:
    if not is_reason(reason):
        raise InvalidInput(f"{kind.value} needs a reason", hint=f"say why in 1 to {REASON_LENGTH_MAX} characters")


def _require_grantable(amount: object, source: object, priority: object, expires_at: object) -> None:
    """Refuse what no grant holds, before anything is asked of the database. Raises InvalidInput."""
    if not (type(amount) is int and 0 < amount <= TOKENS_MAX):
        raise InvalidInput(f"{amount!r} cannot be granted", hint=f"grant a whole number from 1 to {TOKENS_MAX:,}")
    if not isinstance(source, str):
        raise InvalidInput(f"the source is {type(source).__name__}, not text", hint="say where the tokens come from")
    if not (type(priority) is int and -_PRIORITY_MAX <= priority < _PRIORITY_MAX):
        raise InvalidInput(f"{priority!r} is no priority", hint="give a whole number of 32 bits")
    require_expiry(expires_at)
