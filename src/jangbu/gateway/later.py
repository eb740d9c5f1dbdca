"""Work that is started by one request and whose usage another one shows: batches and long operations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jangbu.domain.flow import Bounds, Call, Lost, Rejected, ShortBalance
from jangbu.domain.usage import Platform
from jangbu.errors import InvalidInput
from jangbu.gateway.batch_files import BatchFiles, file_bounds, files_among, judged
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.client import own_headers
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.interactions import later_call
from jangbu.gateway.metered import check_model, check_references, open_call
from jangbu.gateway.owning import require_something_left
from jangbu.gateway.resumption import context_of
from jangbu.gateway.upstream import REDIRECT, UpstreamAnswer
from jangbu.metering.owned import kind_of, short_name
from jangbu.providers.gemini import request
from jangbu.providers.gemini.batch_lines import source_file
from jangbu.providers.gemini.batch_request import batch_bounds, cache_tokens, file_tokens, with_output_limits
from jangbu.providers.gemini.fields import Field, fields
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.providers.gemini.references import references

__all__ = ["started"]

STARTED_BYTES_MAX = 32_000_000
SHOWN_BYTES_MAX = 1_000_000
NAMES_ASKED_MOST = 100
"""As many files and caches of a batch are asked for; a request that names others counts with all its model takes."""
_BATCH = "batchGenerateContent"
_INLINE = {_BATCH: "generateContent", "asyncBatchEmbedContent": "embedContent"}
"""What each request of a batch is a call of."""


async def started(exchange: Exchange) -> None:
    """Start work: its hold stays until its result is seen."""
    body = await exchange.body()
    asked = await exchange.json(body)
    found = await exchange.walked(fields, asked)
    check_model(exchange, found)
    await check_references(exchange, found)
    files = await _files(exchange, found)
    call = MeteredCall(exchange.parts.ledger, await _opened(exchange, asked, found, files))
    async with call.held(_nothing) as limit:
        await _kept(exchange, call, files)
        if limit is not None and exchange.route.verb == _BATCH:
            body = await exchange.written(with_output_limits(asked, limit))
        answer, content = await _made(exchange, call, body)
    own = own_headers({"call-id": call.call.id, "output-limit": limit})
    await exchange.client.answer(answer.status, content, [*exchange.answer_headers(answer), *own])


async def _files(exchange: Exchange, found: Sequence[Field]) -> BatchFiles:
    """Give the files that a batch reads, the lines of the one with its requests judged."""
    if exchange.route.verb not in _INLINE:
        return BatchFiles(())
    file = source_file(found)
    return BatchFiles(files_among(references(found))) if file is None else await judged(exchange, file)


async def _opened(exchange: Exchange, asked: Mapping[str, Any], found: Sequence[Field], files: BatchFiles) -> Call:
    """Open the call. Requests that stand in a file cannot be limited to what the balance affords, so such a call is
    refused instead.
    """
    if files.source is None:
        return open_call(exchange, asked, await _bounds(exchange, asked, found))
    bounds = file_bounds(files, exchange.route.model, writes=exchange.route.verb == _BATCH)
    return replace(open_call(exchange, asked, bounds), short_balance=ShortBalance.REFUSE)


async def _kept(exchange: Exchange, call: MeteredCall, files: BatchFiles) -> None:
    """Have the files of a batch stay what they are from here on. Where they do not, the call never leaves."""
    if files.names:
        await files.keep(exchange, call.call.id)


async def _bounds(exchange: Exchange, asked: Mapping[str, Any], found: Sequence[Field]) -> Bounds:
    """Bound work by its request. Raises InvalidInput for a batch without any."""
    route = exchange.route
    if route.verb not in _INLINE:
        return await exchange.walked(request.bounds, route.verb, asked, route.model)
    known = await _known_tokens(exchange, references(found))
    bounds = await exchange.walked(batch_bounds, asked, route.model, known, _INLINE[route.verb])
    if bounds is None:
        raise InvalidInput("the batch names no requests", hint="give inputConfig.requests or inputConfig.fileName")
    return bounds


async def _known_tokens(exchange: Exchange, named: Sequence[str]) -> Mapping[str, int]:
    """Give how many tokens the files, caches and earlier decodes have that inline requests name. The provider is asked
    about files and caches; what it does not tell is left out.
    """
    known = {name: await context_of(exchange, name) for name in named if name.startswith("continuations/")}
    kept = [name for name in named if name.startswith(("files/", "cachedContents/"))]
    if kept:
        await require_something_left(exchange)
    for name in kept[:NAMES_ASKED_MOST]:
        answer = await exchange.send(None, f"/{exchange.route.version}/{name}", "GET")
        shown = json_or_nothing(await answer.read(SHOWN_BYTES_MAX))
        tokens = file_tokens(shown) if name.startswith("files/") else cache_tokens(shown)
        if answer.status < REDIRECT and tokens is not None:
            known[name] = tokens
    return known


async def _made(exchange: Exchange, call: MeteredCall, body: bytes) -> tuple[UpstreamAnswer, bytes]:
    """Send a call whose hold is taken, and write down whose is what it starts."""
    answer = await exchange.send(body, leaving=call.leaves, refused=call.comes_to_nothing)
    content = await answer.read(STARTED_BYTES_MAX)
    name = json_or_nothing(content).get("name")
    if answer.status >= REDIRECT:
        await call.finish(Rejected(f"the provider answered {answer.status}"))
    elif isinstance(name, str) and "/" in name:
        short = short_name(name)
        ledger = exchange.parts.ledger
        later, target = later_call(exchange, call), _place(exchange, name)
        await ledger.resources.claim(exchange.account, short, kind_of(short), call=later, target=target)
        await ledger.holds.extend(exchange.account, call.call.id)
        call.hand_over()
    else:
        await call.finish(Lost("the provider did not say what it started"))
    return answer, content


def _place(exchange: Exchange, name: str) -> str | None:
    """Give where the work goes on that is asked for by more than its short name: an operation of Vertex AI."""
    vertex = exchange.parts.vertex if exchange.route.platform is Platform.VERTEX else None
    return None if vertex is None else vertex.operation_name(exchange.route, name)


async def _nothing() -> None:
    """Count nothing: the bounds of a batch are its own."""
