"""Results of work that was started earlier: its hold is settled once, when the result is first seen by anybody."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from jangbu.domain.flow import Answered, Rejected
from jangbu.domain.usage import Platform, Source, Surface, Usage
from jangbu.errors import InvalidInput, NotOffered, UpstreamUnreachable
from jangbu.gateway.bodies import ClientGone
from jangbu.gateway.client import charged_headers, own_headers
from jangbu.gateway.drains import Reading
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.holding import LastEvents, WholeBody
from jangbu.gateway.owning import owned
from jangbu.gateway.relay import Relay
from jangbu.gateway.resumption import keep_continuations
from jangbu.gateway.upstream import ERROR_BYTES_MAX, REDIRECT, Outgoing, Upstream, UpstreamAnswer, json_headers
from jangbu.gateway.vertex import Vertex
from jangbu.metering.later import settle_shown
from jangbu.metering.meter import Metering
from jangbu.metering.owned import short_name
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini import StreamMeter, parse
from jangbu.providers.gemini.gone import NOT_FOUND, cache_is_gone, file_is_gone
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.providers.gemini.work import operation_asked, work_of

__all__ = [
    "Shows",
    "is_gone",
    "result",
    "settle_by_answer",
    "settle_by_asking",
]


class Shows(Enum):
    """What asking for a result has shown."""

    RUNNING = auto()
    END = auto()
    NOTHING = auto()
    """The provider says that it has no such work, or no more: nobody knows what it used."""


_VERSION = "v1beta"
_SURFACES = {
    ResourceKind.FILE: Surface.BATCH,
    ResourceKind.BATCH: Surface.BATCH,
    ResourceKind.OPERATION: Surface.PREDICT_LONG_RUNNING,
    ResourceKind.INTERACTION: Surface.INTERACTIONS,
}
"""How the results of each kind report what they used; a file is one of a batch's."""


async def result(exchange: Exchange) -> None:
    """Show how work stands; what its result reports is settled before the client has it whole."""
    body = await exchange.body()
    if exchange.route.resource is None:
        found = await owned(exchange, _operation_named(await exchange.json(body)))
        sent: bytes | None = body
    else:
        # The path says it all, and what a body adds could only contradict it.
        found, sent = await owned(exchange), None
    # What is recorded already, or never was to be, is asked for again where it is wanted: it is read for nobody.
    drains = exchange.parts.drains if found.is_owed else None
    async with Reading(exchange.client, exchange.receive, drains, exchange.payer.user) as reading:
        answer = await reading.begun(exchange.send(sent))
        headers = exchange.answer_headers(answer) + own_headers({"call-id": found.call.id if found.call else None})
        if answer.status >= REDIRECT:
            content = await reading.whole(answer, ERROR_BYTES_MAX)
            await exchange.client.answer(answer.status, content, headers)
        else:
            await _passed_on(exchange, found, answer, headers, reading)


async def settle_by_asking(ledger: Metering, upstream: Upstream, vertex: Vertex | None, found: Owned) -> Shows:
    """Ask the provider for a result once more, and settle what it reports.

    Raises UpstreamUnreachable where the provider does not say, so that nothing is deleted that was not read, or
    NotConfigured or NotOffered where the gateway has no way to ask.
    """
    is_at_vertex = found.kind is ResourceKind.OPERATION and found.target is not None
    answer = await (_asked_vertex(vertex, found) if is_at_vertex else _asked_gemini(upstream, found))
    if answer.status >= REDIRECT:
        if not is_gone(found, answer.status, await answer.read(ERROR_BYTES_MAX)):
            raise UpstreamUnreachable(f"the result of {found.name} cannot be read", hint="try again")
        return Shows.NOTHING
    platform = Platform.VERTEX if is_at_vertex else Platform.GEMINI_API
    meter, body = _meter(found, answer, platform), WholeBody()
    is_small = True
    async for piece in answer.chunks():
        meter.feed(piece)
        is_small = not body.push(piece) and is_small
    usage = meter.finish()
    is_error = meter.error_seen and usage.source is Source.NONE
    tells_nothing = meter.broke_off or meter.is_unreadable or (found.kind is ResourceKind.FILE and usage.is_empty)
    if usage.source is Source.NONE and not is_error and tells_nothing:
        raise UpstreamUnreachable(f"the result of {found.name} cannot be read", hint="try again")
    shown = json_or_nothing(body.rest()) if is_small else {}
    await settle_shown(ledger, found, None if is_error else usage, shown, is_error=is_error)
    return Shows.END if _is_over(found, usage, shown) else Shows.RUNNING


async def _asked_gemini(upstream: Upstream, found: Owned) -> UpstreamAnswer:
    target = f"/{_VERSION}/{found.name}"
    if found.kind is ResourceKind.FILE:
        target = f"/download{target}:download?alt=media"
    return await upstream.send(Outgoing("GET", target, json_headers()), at_home=True)


async def _asked_vertex(vertex: Vertex | None, found: Owned) -> UpstreamAnswer:
    if vertex is None:
        raise NotOffered(f"{found.name} is Vertex AI's, which is not offered", hint="set JANGBU_VERTEX_PROJECT")
    assert found.target is not None, "an operation of Vertex AI has its full name"
    return await vertex.operation(found.target)


async def settle_by_answer(ledger: Metering, found: Owned, content: bytes) -> Usage:
    """Settle what an answer shows that was asked for with something else in mind; give what it reports."""
    usage = parse(content, surface=_SURFACES[found.kind])
    await settle_shown(ledger, found, usage, json_or_nothing(content))
    return usage


def is_gone(found: Owned, status: int, content: bytes) -> bool:
    """Tell whether the provider says that it has a thing no more."""
    said = content.decode(errors="replace")
    match found.kind:
        case ResourceKind.CACHE:
            return cache_is_gone(status, said)
        case ResourceKind.FILE:
            return file_is_gone(status, said)
    return status == NOT_FOUND


def _operation_named(asked: Mapping[str, Any]) -> str:
    """Give the operation that a body asks for. Raises InvalidInput unless it names one, in one spelling."""
    named = operation_asked(asked)
    if named is None:
        raise InvalidInput("the body names no operation", hint="send operationName")
    return short_name(named)


async def _passed_on(
    exchange: Exchange, found: Owned, answer: UpstreamAnswer, headers: list[tuple[bytes, bytes]], reading: Reading
) -> None:
    """Pass an answer on as it comes, however large; its last bytes wait for the record."""
    parts, client = exchange.parts, exchange.client
    streams = (answer.header("content-type") or "").startswith("text/event-stream")
    holding = LastEvents() if streams else WholeBody()
    meter = _meter(found, answer, exchange.route.platform)
    relay = Relay(answer, meter, holding, reading, seconds=parts.limits.upstream_seconds)
    relayed = await relay.run(client, headers, at_once=streams)
    if relayed.failure is not None and client.is_gone and not found.is_owed:
        raise ClientGone
    if relayed.failure is not None:
        raise relayed.failure
    outcome = relayed.outcome
    usage = outcome.usage if isinstance(outcome, Answered) else None
    receipt = await settle_shown(
        parts.ledger,
        found,
        usage,
        {} if client.has_begun else json_or_nothing(relayed.rest),
        is_error=isinstance(outcome, Rejected),
    )
    if relayed.continuations:
        model = "" if found.call is None else found.call.model
        await keep_continuations(exchange, relayed.continuations, usage, model)
    if client.has_begun:
        await client.end(relayed.rest)
    else:
        await client.answer(answer.status, relayed.rest, [*headers, *charged_headers(receipt)])


class _NoMeter(StreamMeter):
    """Reads nothing: a file that nobody waits for is only passed on."""

    def feed(self, chunk: bytes) -> None:
        """Take bytes that report nothing."""


def _meter(found: Owned, answer: UpstreamAnswer, platform: Platform) -> StreamMeter:
    if found.kind is ResourceKind.FILE and found.call is None:
        return _NoMeter()
    return StreamMeter(
        _SURFACES[found.kind],
        platform=platform,
        model=found.call.model if found.call else None,
        content_encoding=answer.header("content-encoding"),
    )


def _is_over(found: Owned, usage: Usage, shown: Mapping[str, Any]) -> bool:
    """Tell whether work has ended; of an answer that was too large to be kept, its usage tells."""
    if found.kind is ResourceKind.FILE:
        return True
    return work_of(shown).has_ended if shown else usage.source is not Source.NONE
