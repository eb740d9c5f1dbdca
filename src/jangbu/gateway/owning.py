"""Whose a resource is, by the names that the provider gives: what is not the payer's does not exist for them."""

from jangbu.errors import NotFound
from jangbu.gateway.exchange import Exchange
from jangbu.metering.admission import require_able_to_pay, require_unblocked
from jangbu.metering.resources import Owned

__all__ = ["owned", "require_admitted", "require_something_left"]


async def owned(exchange: Exchange, name: str | None = None) -> Owned:
    """Give the resource of a name, else the one that the path names. Raises NotFound where it is not the payer's, and
    for what an app began through its own client, with a key of its own.
    """
    name = name or exchange.route.resource
    assert name is not None, "the route names a resource"
    found = await exchange.parts.ledger.resources.find(exchange.account, name)
    if found is None or (found.call is not None and found.call.begun_by_app):
        raise NotFound(f"{name[:100]} was not found")
    return found


async def require_admitted(exchange: Exchange) -> None:
    """Let only those use what is free who could also call. Raises NotFound for who has no account, or NotPermitted.

    What an account has it may look at, and let go, also when it is blocked: neither costs the app anything.
    """
    await require_unblocked(exchange.parts.ledger, exchange.payer.user)


async def require_something_left(exchange: Exchange) -> None:
    """Let nobody without tokens have the provider keep things that the app pays for. Raises InsufficientBalance, and
    what ``require_admitted`` raises.

    No tokens are deducted for what is kept, so there is nothing to hold.
    """
    await require_able_to_pay(exchange.parts.ledger, exchange.payer.user)
