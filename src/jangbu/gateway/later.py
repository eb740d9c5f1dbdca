"""Work that is started by one request and whose usage another one shows: batches and long operations."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jangbu.domain.flow import Bounds, Call, Lost, Rejected, ShortBalance
from jangbu.domain.usage import COUNT_MAX
from jangbu.errors import UpstreamUnreachable
from jangbu.gateway.bodies import json_object
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.client import own_headers
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.interactions import LATER_SECONDS, later_call
from jangbu.gateway.metered import check_model, check_references, open_call
from jangbu.gateway.owning import kind_of, require_admitted, short_name
from jangbu.gateway.results import json_or_nothing
from jangbu.gateway.upstream import REDIRECT, UpstreamAnswer
from jangbu.providers.gemini import request
from jangbu.providers.gemini.batch_request import batch_bounds, file_bytes, with_output_limits
from jangbu.providers.gemini.references import references

__all__ = ["started"]

STARTED_BYTES_MAX = 32_000_000
FILE_SHOWN_BYTES_MAX = 1_000_000
_BATCH = "batchGenerateContent"


async def started(exchange: Exchange) -> None:
    """Start work: its hold stays until its result is seen."""
    body = await exchange.body()
    asked = json_object(body)
    check_model(exchange, asked)
    await check_references(exchange, asked)
    opened, is_seen = await _opened(exchange, asked)
    call = MeteredCall(exchange.parts.ledger, opened)
    async with call.held(_nothing) as affordable:
        limit = affordable if is_seen else None
        if limit is not None and exchange.route.verb == _BATCH:
            body = json.dumps(with_output_limits(asked, limit), ensure_ascii=False).encode()
        answer, content = await _made(exchange, call, body)
    own = own_headers({"call-id": call.call.id, "output-limit": limit})
    await exchange.client.answer(answer.status, content, [*exchange.answer_headers(answer), *own])


async def _opened(exchange: Exchange, asked: Mapping[str, Any]) -> tuple[Call, bool]:
    """Open the call; tell whether its requests are seen. Those that stand in a file cannot be limited to what the
    balance affords, so such a call is refused instead.
    """
    bounds = _bounds(exchange, asked)
    if bounds is not None:
        return open_call(exchange, asked, bounds), True
    call = open_call(exchange, asked, await _file_bounds(exchange, asked))
    return replace(call, short_balance=ShortBalance.REFUSE), False


def _bounds(exchange: Exchange, asked: Mapping[str, Any]) -> Bounds | None:
    """Bound work by its request; None where what it works on stands in a file."""
    route = exchange.route
    if route.verb == _BATCH:
        return batch_bounds(asked, route.model)
    found = request.bounds(route.verb, asked, route.model)
    return None if found.input_most is None else found


async def _file_bounds(exchange: Exchange, asked: Mapping[str, Any]) -> Bounds:
    """Bound a batch whose requests stand in a file by the file's bytes: text never has more tokens than bytes.

    What the requests name in turn is not seen, nor are the limits of their output: a batch that reads other files, or
    writes more than half of what is left, is an overrun when it is settled.
    """
    await require_admitted(exchange)
    sizes = [await _size(exchange, name) for name in references(asked) if name.startswith("files/")]
    writes = exchange.route.verb == _BATCH
    return Bounds(min(sum(sizes), COUNT_MAX), COUNT_MAX if writes else 0, output_chosen=not writes)


async def _size(exchange: Exchange, name: str) -> int:
    """Ask how many bytes a file has. Raises UpstreamUnreachable where the provider does not say."""
    answer = await exchange.send(None, f"/{exchange.route.version}/{name}", "GET")
    size = file_bytes(json_or_nothing(await answer.read(FILE_SHOWN_BYTES_MAX)))
    if answer.status >= REDIRECT or size is None:
        raise UpstreamUnreachable(f"the size of {name} cannot be read", hint="try again")
    return size


async def _made(exchange: Exchange, call: MeteredCall, body: bytes) -> tuple[UpstreamAnswer, bytes]:
    """Send a call whose hold is taken, and write down whose is what it starts."""
    answer = await exchange.send(body)
    content = await answer.read(STARTED_BYTES_MAX)
    name = json_or_nothing(content).get("name")
    if answer.status >= REDIRECT:
        await call.finish(Rejected(f"the provider answered {answer.status}"))
    elif isinstance(name, str) and "/" in name:
        short = short_name(name)
        ledger = exchange.parts.ledger
        await ledger.resources.claim(exchange.account, short, kind_of(short), call=later_call(exchange, call))
        await ledger.holds.extend(exchange.account, call.call.id, LATER_SECONDS)
        call.hand_over()
    else:
        await call.finish(Lost("the provider did not say what it started"))
    return answer, content


async def _nothing() -> None:
    """Count nothing: the bounds of a batch are its own."""
