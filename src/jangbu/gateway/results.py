"""Results of work that was started earlier: its hold is settled once, when the result is first seen by anybody."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from jangbu.domain.flow import Answered, Receipt, Rejected
from jangbu.domain.usage import Platform, Source, Surface, Usage
from jangbu.errors import InvalidInput, NotOffered, NotPermitted, UpstreamUnreachable
from jangbu.gateway.bodies import ClientGone
from jangbu.gateway.client import charged_headers, own_headers
from jangbu.gateway.drains import Reading
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.holding import LastEvents, WholeBody
from jangbu.gateway.owning import owned, short_name
from jangbu.gateway.relay import Relay
from jangbu.gateway.resumption import keep_continuations
from jangbu.gateway.upstream import ERROR_BYTES_MAX, REDIRECT, Outgoing, Upstream, UpstreamAnswer, json_headers
from jangbu.gateway.vertex import Vertex
from jangbu.metering.later import lose_later, release_later, settle_later
from jangbu.metering.meter import Metering
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini import StreamMeter, parse
from jangbu.providers.gemini.gone import NOT_FOUND, cache_is_gone, file_is_gone
from jangbu.providers.gemini.references import files_made
from jangbu.providers.gemini.work import Work, operation_asked, work_of

__all__ = [
    "FILE_SECONDS",
    "claim_made",
    "is_gone",
    "json_or_nothing",
    "result",
    "settle_by_answer",
    "settle_by_asking",
]

FILE_SECONDS = 48 * 3600
"""Google deletes a file after 48 hours (ai.google.dev/gemini-api/docs/files)."""
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
    drains = exchange.parts.drains if _is_owed(found) else None
    async with Reading(exchange.client, exchange.receive, drains, exchange.payer.user) as reading:
        answer = await reading.begun(exchange.send(sent))
        headers = exchange.answer_headers(answer) + own_headers({"call-id": found.call.id if found.call else None})
        if answer.status >= REDIRECT:
            content = await reading.whole(answer, ERROR_BYTES_MAX)
            await exchange.client.answer(answer.status, content, headers)
        else:
            await _passed_on(exchange, found, answer, headers, reading)


async def settle_by_asking(ledger: Metering, upstream: Upstream, vertex: Vertex | None, found: Owned) -> bool:
    """Ask the provider for a result once more and settle what it reports; tell whether the work is over, or gone: then
    its outcome is unknown.

    Raises UpstreamUnreachable where the provider does not say, so that nothing is deleted that was not read, or
    NotConfigured or NotOffered where the gateway has no way to ask.
    """
    is_at_vertex = found.kind is ResourceKind.OPERATION and found.target is not None
    answer = await (_asked_vertex(vertex, found) if is_at_vertex else _asked_gemini(upstream, found))
    if answer.status >= REDIRECT:
        if not is_gone(found, answer.status, await answer.read(ERROR_BYTES_MAX)):
            raise UpstreamUnreachable(f"the result of {found.name} cannot be read", hint="try again")
        await lose_later(ledger, found, "the provider has the work no more")
        return True
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
    await _settle(ledger, found, None if is_error else usage, shown, is_error=is_error)
    return _is_over(found, usage, shown)


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
    await _settle(ledger, found, usage, json_or_nothing(content), is_error=False)
    return usage


async def claim_made(ledger: Metering, account: UUID, shown: Mapping[str, Any]) -> None:
    """Write down that the files that the provider made for an answer are the payer's, unless they are somebody's."""
    for name in files_made(shown):
        with suppress(NotPermitted):
            await ledger.resources.claim(account, name, ResourceKind.FILE, seconds=FILE_SECONDS)


def is_gone(found: Owned, status: int, content: bytes) -> bool:
    """Tell whether the provider says that it has a thing no more."""
    said = content.decode(errors="replace")
    match found.kind:
        case ResourceKind.CACHE:
            return cache_is_gone(status, said)
        case ResourceKind.FILE:
            return file_is_gone(status, said)
    return status == NOT_FOUND


def json_or_nothing(content: bytes) -> Mapping[str, Any]:
    """Read a JSON object of the provider's; nothing where it is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


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
    if relayed.failure is not None and client.is_gone and not _is_owed(found):
        raise ClientGone
    if relayed.failure is not None:
        raise relayed.failure
    outcome = relayed.outcome
    usage = outcome.usage if isinstance(outcome, Answered) else None
    receipt = await _settle(
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


async def _settle(
    ledger: Metering, found: Owned, usage: Usage | None, shown: Mapping[str, Any], *, is_error: bool
) -> Receipt | None:
    """Settle what a result shows. One that stands in a file belongs to the same user, and waits for the same call.

    ``shown`` is empty where the answer was too large to be kept, or is no object: then its usage alone tells.
    """
    work = work_of(shown)
    if found.kind in (ResourceKind.OPERATION, ResourceKind.INTERACTION):
        await claim_made(ledger, found.account, work.answer)
    if found.call is None or not _is_owed(found):
        return None
    if found.kind is ResourceKind.BATCH and work.has_ended:
        await ledger.resources.unuse(found.account, found.call.id)
    if (file := _result_file(work)) is not None:
        await ledger.resources.claim(found.account, file, ResourceKind.FILE, call=found.call, seconds=FILE_SECONDS)
        return None
    is_file = found.kind is ResourceKind.FILE
    if (is_error if is_file else work.has_failed) and (usage is None or usage.source is Source.NONE):
        await release_later(ledger, found, "the work came to nothing")
        return None
    is_running = not is_file and bool(shown) and not work.has_ended
    # A file of results in which nothing is cannot be that: nobody has seen yet what they used.
    if usage is None or is_running or (is_file and usage.is_empty):
        return None
    return await settle_later(ledger, found, usage, ended=is_file or work.has_ended)


def _result_file(work: Work) -> str | None:
    """Give the name of the file in which a batch's results are, as it is owned."""
    short = "" if work.results is None else short_name(work.results)
    return short if short.startswith("files/") else None


def _is_owed(found: Owned) -> bool:
    """Tell whether a result tells what a call used that is not recorded yet."""
    return found.call is not None and found.settled_at is None


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
