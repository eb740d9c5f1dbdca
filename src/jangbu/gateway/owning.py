"""Whose a resource is, by the names that the provider gives: what is not the payer's does not exist for them."""

from jangbu.errors import NotFound
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.standing import require_able_to_pay, require_unblocked
from jangbu.metering.resources import Owned, ResourceKind

__all__ = ["kind_of", "owned", "require_admitted", "require_something_left", "short_name"]

_KINDS = {
    "files": ResourceKind.FILE,
    "cachedContents": ResourceKind.CACHE,
    "batches": ResourceKind.BATCH,
    "interactions": ResourceKind.INTERACTION,
}


def kind_of(name: str) -> ResourceKind:
    """Tell what a resource is by its name (``files/…``); what is nothing else is an operation."""
    return _KINDS.get(name.strip("/").split("/")[-2:][0], ResourceKind.OPERATION)


def short_name(name: str) -> str:
    """Give the name by which a resource is owned: its kind and its id, an operation's with its model."""
    parts = name.strip("/").split("/")
    return "/".join(parts[-4:] if parts[-4:-3] == ["models"] and parts[-2] == "operations" else parts[-2:])


async def owned(exchange: Exchange, name: str | None = None) -> Owned:
    """Give the resource of a name, else the one that the path names. Raises NotFound where it is not the payer's."""
    name = name or exchange.route.resource
    assert name is not None, "the route names a resource"
    found = await exchange.parts.ledger.resources.find(exchange.account, name)
    if found is None:
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
