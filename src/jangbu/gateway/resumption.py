"""What can be gone on from by a secret: a Live session by its handle, a decode that stopped short by its token.

Either belongs to the user to whom it was given, as all that is kept at Google. What was said before is in each prompt
that follows. So it is written down with the handle or the token how long that context can be, and it is held for.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jangbu import telemetry
from jangbu.domain.usage import Source, Usage
from jangbu.errors import JangbuError, NotFound
from jangbu.gateway.exchange import Exchange
from jangbu.metering.resources import ResourceKind
from jangbu.providers.gemini.continuation import without_continuation
from jangbu.providers.gemini.limits import input_limit, largest_input
from jangbu.providers.gemini.references import continuation_name

__all__ = ["begun_anew", "context_of", "keep", "keep_continuations", "mark_of", "with_context"]

KEPT_SECONDS = 48 * 3600
"""How long a handle is its user's: longer than Google takes it (the Gemini API for two hours after a session)."""
_CONTEXT = "context_tokens"
_KEY = "key_mark"
_CONTINUATIONS = "continuations/"


async def keep(exchange: Exchange, name: str, context_tokens: int, mark: str | None = None) -> None:
    """Write down, durably, whose it is, before its client can go on from it, how long its context can be, and by which
    key's mark it was made.
    """
    digest = {_CONTEXT: context_tokens} | ({} if mark is None else {_KEY: mark})
    resources = exchange.parts.ledger.resources
    try:
        await resources.claim(exchange.account, name, ResourceKind.INTERACTION, digest=digest, seconds=KEPT_SECONDS)
    except JangbuError as error:
        # The answer is on its way; all that its user loses is to go on from it.
        telemetry.warn("gateway.unclaimed", str(error), resource=name)


async def keep_continuations(
    exchange: Exchange, tokens: Iterable[str], usage: Usage | None, model: str, mark: str | None = None
) -> None:
    """Write down whose the tokens of an answer are. Their context is at most what the answer used in all; where that is
    not known, as much as its model takes in.
    """
    known = None if usage is None or usage.source is Source.NONE else usage.total_tokens
    context = known or largest_input(model)
    for token in tokens:
        await keep(exchange, continuation_name(token), context, mark)


async def context_of(exchange: Exchange, name: str) -> int:
    """Give the most tokens that a context has. Raises NotFound where it is not the payer's."""
    digest = await exchange.parts.ledger.resources.digest(exchange.account, name)
    if _CONTEXT not in digest:
        raise NotFound(f"{name} was not found")
    return int(digest[_CONTEXT])


def begun_anew(exchange: Exchange, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a call without the token by which it goes on from an earlier one."""
    return without_continuation(asked) if any(_goes_on_from(exchange)) else asked


async def with_context(exchange: Exchange, most: int | None, model: str) -> int | None:
    """Add to the most tokens of a call's own input what was said before, where it goes on from an earlier one.

    A model takes in no more than its limit. Raises NotFound where what the call goes on from is not the payer's.
    """
    if most is None:
        return None
    context = 0
    for name in _goes_on_from(exchange):
        context += await context_of(exchange, name)
    return min(most + context, input_limit(model) or most + context) if context else most


async def mark_of(exchange: Exchange) -> str | None:
    """Give the mark of the key that began what a call goes on with: another key's project may not know the token."""
    for name in _goes_on_from(exchange):
        mark = (await exchange.parts.ledger.resources.digest(exchange.account, name)).get(_KEY)
        return None if mark is None else str(mark)
    return None


def _goes_on_from(exchange: Exchange) -> Iterable[str]:
    return (name for name in exchange.named if name.startswith(_CONTINUATIONS))
