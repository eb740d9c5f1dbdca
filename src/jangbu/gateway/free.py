"""Requests that cost nothing: they need a key, and are passed on as they are."""

from jangbu.gateway.drains import Reading
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.metered import check_model, check_references
from jangbu.gateway.owning import require_admitted
from jangbu.gateway.resources import LIST_BYTES_MAX
from jangbu.gateway.routes import Action
from jangbu.providers.gemini.fields import fields

__all__ = ["passed"]


async def passed(exchange: Exchange) -> None:
    """Pass a request on, and its answer back. One that names files or caches names the payer's own."""
    body = await exchange.body()
    if exchange.route.action is Action.CALL:
        await require_admitted(exchange)
        found = await exchange.walked(fields, await exchange.json(body))
        check_model(exchange, found)
        await check_references(exchange, found)
    # Nobody pays for it: where its client leaves, it ends.
    async with Reading(exchange.client, exchange.receive, None, exchange.payer.user) as reading:
        answer = await reading.begun(exchange.send(body or None))
        content = await reading.whole(answer, LIST_BYTES_MAX)
    await exchange.client.answer(answer.status, content, exchange.answer_headers(answer))
