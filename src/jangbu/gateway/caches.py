"""Caches: Google takes money for each hour that it keeps one, for which no tokens are deducted, so each has an end."""

from collections.abc import Mapping, Sequence
from typing import Any

from jangbu.domain.usage import Source, Units, Usage
from jangbu.errors import InvalidAnswer, InvalidInput
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.keeping import require_cache_room
from jangbu.gateway.metered import check_model, check_references, service_for
from jangbu.gateway.owning import require_admitted, require_something_left
from jangbu.gateway.upstream import REDIRECT
from jangbu.metering.cache_storage import making_of
from jangbu.metering.owned import short_name
from jangbu.providers.gemini import parse
from jangbu.providers.gemini.caches import SECONDS_UNASKED, seconds_asked
from jangbu.providers.gemini.fields import Field, fields
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.providers.gemini.tool_bound import reads_at_will

__all__ = ["create_cache", "require_end"]

CACHE_BYTES_MAX = 32_000_000


async def create_cache(exchange: Exchange) -> None:
    """Have the provider keep content; what it stores is recorded, and no tokens are deducted for it.

    What that costs is known when the cache has ended (``metering/cache_storage.py``).
    """
    await require_admitted(exchange)
    await require_something_left(exchange)
    await require_cache_room(exchange)
    body = await exchange.body()
    asked = await exchange.json(body)
    found = await exchange.walked(fields, asked)
    check_model(exchange, found)
    require_end(exchange, found, unasked=SECONDS_UNASKED)
    await check_references(exchange, found)
    if reads_at_will(asked):
        # A call that uses the cache would use its tools, and nothing in that call would tell.
        raise InvalidInput("a cache brings no tools but functions and searches along", hint="name them in each call")
    answer = await exchange.send(body)
    content = await answer.read(CACHE_BYTES_MAX)
    if answer.status < REDIRECT and (name := await _keep(exchange, content)) is not None:
        await _record(exchange, asked, name, content)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))


def require_end(exchange: Exchange, found: Sequence[Field], *, unasked: int = 0) -> None:
    """Refuse to have a cache kept for longer than the operator allows; ``unasked`` is how long it lives where the
    request does not say. Raises InvalidInput.
    """
    most = exchange.parts.limits.cache_seconds
    asked = seconds_asked(found, exchange.parts.clock.now())
    if (unasked if asked is None else asked) > most:
        raise InvalidInput(f"a cache is kept for {most:,} s at most", hint=f'ask for a ttl of "{most}s" or less')


async def _keep(exchange: Exchange, content: bytes) -> str | None:
    """Write down whose a cache is, and what is known of it; give its name."""
    answer = json_or_nothing(content)
    name = answer.get("name")
    if not isinstance(name, str) or "/" not in name:
        return None
    short = short_name(name)
    await exchange.parts.ledger.resources.keep_cache(exchange.account, short, answer)
    return short


async def _record(exchange: Exchange, asked: Mapping[str, Any], name: str, content: bytes) -> None:
    try:
        usage = parse(content, surface=exchange.route.surface, platform=exchange.route.platform)
    except InvalidAnswer:
        return
    if not _says_nothing(usage):
        await exchange.parts.ledger.record(
            exchange.payer.user,
            service_for(exchange, asked, usage.model),
            usage,
            call_key=making_of(name),
            metadata=exchange.payer.metadata,
        )


def _says_nothing(usage: Usage) -> bool:
    return usage.source is Source.NONE and usage.units == Units()
