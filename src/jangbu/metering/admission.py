"""How a user stands: what is looked at before anything is done for them that costs the app something."""

from jangbu.errors import InsufficientBalance, NotPermitted
from jangbu.metering.meter import Metering
from jangbu.storage.accounts import AccountRow

__all__ = ["require_able_to_pay", "require_unblocked"]

_BLOCKED = "blocked"


async def require_unblocked(ledger: Metering, user: str) -> None:
    """Refuse a user whose account is blocked. Raises NotPermitted, or NotFound for who has no account."""
    await _unblocked(ledger, user)


async def require_able_to_pay(ledger: Metering, user: str) -> None:
    """Refuse a user without any tokens, too. Raises InsufficientBalance."""
    balance = (await _unblocked(ledger, user)).balance
    if balance.available < 1:
        ledger.refused(user)
        raise InsufficientBalance(user=user, needed=1, available=balance.available)


async def _unblocked(ledger: Metering, user: str) -> AccountRow:
    account = await ledger.briefly(lambda: ledger.accounts.find(user))
    if account.state == _BLOCKED:
        raise NotPermitted(f"the account of user {user!r} is blocked")
    return account
