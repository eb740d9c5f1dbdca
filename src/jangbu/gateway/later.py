"""Work that is started by one request and whose usage another one shows: batches and long operations."""

from jangbu.domain.flow import Bounds, Lost, Rejected
from jangbu.gateway.bodies import json_object
from jangbu.gateway.calls import MeteredCall, failed
from jangbu.gateway.client import own_headers
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.interactions import LATER_SECONDS, later_call
from jangbu.gateway.metered import check_model, check_references, open_call
from jangbu.gateway.results import RESULT_BYTES_MAX, json_or_nothing, kind_of, short_name
from jangbu.gateway.upstream import UpstreamFailure
from jangbu.providers.gemini import request

__all__ = ["started"]

UNBOUNDED = Bounds(input_most=0, output_most=1024, output_chosen=True)
"""What is held for a batch whose requests stand in a file: enough to refuse who has nothing."""


async def started(exchange: Exchange) -> None:
    """Start work: its hold stays until its result is seen."""
    body = await exchange.body()
    asked = json_object(body)
    check_model(exchange, asked)
    await check_references(exchange, asked)
    bounds = request.bounds(exchange.route.verb, asked, exchange.route.model)
    call = MeteredCall(
        exchange.parts.ledger, open_call(exchange, asked, UNBOUNDED if bounds.input_most is None else bounds)
    )
    await call.begin(_nothing)
    try:
        answer = await exchange.send(body)
        content = await answer.read(RESULT_BYTES_MAX)
    except UpstreamFailure as failure:
        await call.finish(failed(failure))
        raise
    name = json_or_nothing(content).get("name")
    if answer.status >= 400:
        await call.finish(Rejected(f"the provider answered {answer.status}"))
    elif isinstance(name, str) and "/" in name:
        short = short_name(name)
        ledger = exchange.parts.ledger
        await ledger.resources.claim(exchange.account, short, kind_of(short), call=later_call(call))
        await ledger.holds.extend(exchange.account, call.call.id, LATER_SECONDS)
    else:
        await call.finish(Lost("the provider did not say what it started"))
    own = own_headers({"call-id": call.call.id})
    await exchange.client.answer(answer.status, content, [*exchange.answer_headers(answer), *own])


async def _nothing() -> None:
    """Count nothing: the bounds of a batch are its own."""
