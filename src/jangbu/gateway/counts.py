"""What countTokens says of a request's input. It is free, and asked only where nothing else tells."""

from collections.abc import Mapping
from typing import Any

from jangbu.errors import JangbuError
from jangbu.gateway.bodies import json_object
from jangbu.gateway.exchange import Exchange
from jangbu.metering.resources import CACHE_TOKENS
from jangbu.providers.gemini import counting
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.references import references

__all__ = ["asked_count", "asked_tokens"]

COUNT_BYTES_MAX = 1_000_000


async def asked_tokens(exchange: Exchange, asked: Mapping[str, Any], model: str) -> int | None:
    """Give the most tokens of the input; None where the provider cannot tell."""
    platform = exchange.route.platform
    cached = await _cached_tokens(exchange, asked) if counting.caches_uncounted(platform, asked) else None
    return counting.input_counted(await asked_count(exchange, asked, model), platform, model, asked, cached)


async def _cached_tokens(exchange: Exchange, asked: Mapping[str, Any]) -> int | None:
    """Give what the caches that a request names have, as it was written down when they were made; None where not."""
    resources, found = exchange.parts.ledger.resources, 0
    for name in references(fields(asked)):
        if name.startswith("cachedContents/"):
            tokens = (await resources.digest(exchange.account, name)).get(CACHE_TOKENS)
            if tokens is None:
                return None
            found += int(tokens)
    return found


async def asked_count(exchange: Exchange, asked: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
    """Give the provider's answer, or None."""
    route = exchange.route
    body = counting.count_body(route.surface, route.platform, model, asked)
    if body is None:
        return None
    beside = f"/{route.version}/models/{model}" if route.model is None else route.target.rpartition(":")[0]
    try:
        sent = await exchange.written(body)
        answer = await exchange.send(sent, f"{beside}:countTokens", "POST")
        content = await answer.read(COUNT_BYTES_MAX)
        return json_object(content) if answer.status == 200 else None
    except JangbuError:
        return None
