"""Live sessions that can be resumed. A handle belongs to the user to whom it was given, as all that is kept at Google.

What was said before a session was resumed is in each prompt that follows. So it is written down with the handle how
long that context can be, and the first turn of the resumed session is held for it.
"""

from jangbu import telemetry
from jangbu.errors import JangbuError, NotFound
from jangbu.gateway.exchange import Exchange
from jangbu.metering.resources import ResourceKind

__all__ = ["context_of", "keep"]

KEPT_SECONDS = 48 * 3600
"""How long a handle is its user's: longer than Google takes it (the Gemini API for two hours after a session)."""
_CONTEXT = "context_tokens"


async def keep(exchange: Exchange, name: str, context_tokens: int) -> None:
    """Write down, durably, whose a session is, before its client can resume it, and how long its context can be."""
    digest, resources = {_CONTEXT: context_tokens}, exchange.parts.ledger.resources
    try:
        await resources.claim(exchange.account, name, ResourceKind.INTERACTION, digest=digest, seconds=KEPT_SECONDS)
    except JangbuError as error:
        # The session goes on; all that its user loses is to resume it.
        telemetry.warn("gateway.unclaimed", str(error), resource=name)


async def context_of(exchange: Exchange, name: str) -> int:
    """Give the most tokens that a session's context has. Raises NotFound where it is not the payer's."""
    digest = await exchange.parts.ledger.resources.digest(exchange.account, name)
    if _CONTEXT not in digest:
        raise NotFound(f"{name} was not found")
    return int(digest[_CONTEXT])
