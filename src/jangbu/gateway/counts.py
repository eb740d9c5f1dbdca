"""What countTokens says of a request's input. It is free, and asked only where nothing else tells."""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.errors import JangbuError
from jangbu.gateway.bodies import json_object
from jangbu.gateway.exchange import Exchange
from jangbu.providers.gemini import counting

__all__ = ["asked_count", "asked_tokens"]

COUNT_BYTES_MAX = 1_000_000


async def asked_tokens(exchange: Exchange, asked: Mapping[str, Any], model: str) -> int | None:
    """Give the tokens of the input; None where the provider cannot tell."""
    return counting.tokens_counted(await asked_count(exchange, asked, model))


async def asked_count(exchange: Exchange, asked: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
    """Give the provider's answer, or None."""
    route = exchange.route
    body = counting.count_body(route.surface, route.platform, model, asked)
    if body is None:
        return None
    beside = f"/{route.version}/models/{model}" if route.model is None else route.target.rpartition(":")[0]
    try:
        sent = json.dumps(body, ensure_ascii=False).encode()
        answer = await exchange.send(sent, f"{beside}:countTokens", "POST")
        content = await answer.read(COUNT_BYTES_MAX)
        return json_object(content) if answer.status == 200 else None
    except JangbuError:
        return None
