"""Forgetting who a user was, and keeping what was used: the book still adds up, and names nobody.

The account stays under a name that is made of its own id. That id is a hash of the user's: it leads back to nobody, but
whoever knows a user's id can still find what was charged under it. What people wrote as reasons stays, because entries
are chained by what they say.
"""

from dataclasses import dataclass
from uuid import UUID

from jangbu import telemetry
from jangbu.domain.ledger import erased_name
from jangbu.errors import NoAccount, StillRunning
from jangbu.metering.audit import Change, whoever_acts
from jangbu.metering.meter import Metering
from jangbu.metering.once import own_key, used_otherwise
from jangbu.metering.postings import account_target
from jangbu.storage import accounts, entries, erasing
from jangbu.storage.accounts import AccountRow
from jangbu.storage.failures import translated

__all__ = ["Erased", "erase", "to_erase"]

_FIRST = UUID(int=0)
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Erased:
    """An account that names nobody. ``name`` is what it is listed as; ``is_new`` tells that it was not so before."""

    account: UUID
    name: str
    is_new: bool


async def to_erase(ledger: Metering, user: str) -> AccountRow:
    """Give the account of a user who is to be forgotten. Raises NotFound: to open one first would forget nobody."""
    return await ledger.accounts.find(user, hint="`jangbu accounts list` shows who has one")


async def erase(ledger: Metering, project: str, user: str, *, key: str | None = None) -> Erased:
    """Forget who a user was; their keys end, and their calls are refused for good. Again it forgets what came since.

    The names go in one transaction, and then what the app attached to records and the keys of writes, some at a time:
    where that breaks off, erasing again goes on. A ``key`` of the caller's is not kept, because it may hold the user's
    name, too. Raises NotFound; IdempotencyConflict where the key stands for another write; and with nothing changed
    StillRunning while calls hold tokens, and NotPermitted where this process may not change the audit.
    """
    found = await to_erase(ledger, user)
    if key is not None:
        await _require_free(ledger, found.id, own_key(key))
    erased = Erased(found.id, erased_name(found.id), found.user != erased_name(found.id))
    with translated():
        # Committed before the names go: whoever takes a hold from then on sees it, and no call goes on afterwards.
        was_blocked = await _block(ledger, erased.account, True)
        try:
            await _rename(ledger, project, user, erased)
        except BaseException:
            if not was_blocked:
                await _block(ledger, erased.account, False)
            raise
    last: UUID | None = _FIRST
    while last is not None:
        last = await erasing.forget_attached(ledger.database, erased.account, last, _AT_ONCE)
    while await erasing.forget_keys(ledger.database, erased.account, _AT_ONCE):
        pass
    telemetry.emit("accounts.erased", account=erased.account)
    return erased


async def _require_free(ledger: Metering, account: UUID, key: str) -> None:
    """Refuse a key that stands for something: no key stands for erasing, so what it stands for is another write."""
    with translated():
        known = await entries.find_key(ledger.database, account, key)
    if known is not None:
        raise used_otherwise(key, known)


async def _block(ledger: Metering, account: UUID, blocked: bool) -> bool:
    async with ledger.database.connection() as connection, connection.transaction():
        return bool(await accounts.block(connection, account, blocked))


async def _rename(ledger: Metering, project: str, user: str, erased: Erased) -> None:
    async with ledger.database.connection() as connection, connection.transaction():
        held = await erasing.rename(connection, erased.account, erased.name)
        if held is None:
            raise NoAccount(user)
        if held:
            raise StillRunning(
                f"{held:,} {'token is' if held == 1 else 'tokens are'} held for calls of this user",
                hint="block the user, and erase them once their calls have ended; see `jangbu holds list`",
            )
        await erasing.forget(connection, project, erased.account, user, erased.name, whoever_acts().name)
        if erased.is_new:
            await ledger.audit.note(connection, Change("account.erase", account_target(erased.name)))
