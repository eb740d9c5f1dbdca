"""Calls whose own answer reports what they used: hold, send, pass on, settle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jangbu.clock import new_id
from jangbu.domain.flow import Answered, Bounds, Call, Outcome, Rejected
from jangbu.domain.usage import Source, Surface
from jangbu.errors import InvalidInput, NotFound, NotPermitted
from jangbu.gateway import interactions
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.client import charged_headers, own_headers
from jangbu.gateway.counts import asked_count, asked_tokens
from jangbu.gateway.drains import Reading
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.holding import LastEvents, WholeBody
from jangbu.gateway.openai_streams import UsageEvents, asks_usage, require_plain_options, with_usage_asked
from jangbu.gateway.relay import Relay
from jangbu.gateway.resumption import begun_anew, keep_continuations, mark_of, with_context
from jangbu.gateway.routes import is_model
from jangbu.gateway.upstream import ERROR_BYTES_MAX, REDIRECT, UpstreamAnswer
from jangbu.metering.content import UNKNOWN_MODEL
from jangbu.providers.gemini import StreamMeter, counting, request
from jangbu.providers.gemini.app_resources import Use, app_resources
from jangbu.providers.gemini.fields import Field, fields, models_named
from jangbu.providers.gemini.references import references
from jangbu.providers.gemini.services import is_unit_priced, service_of

__all__ = ["check_model", "check_references", "metered", "open_call", "service_for"]

_ASKED = (("model",), ("agent",))
"""What a call is asked of: a model, or an agent that chooses its own."""


@dataclass(slots=True)
class _Request:
    """What a client asks for. It is let go of when the call is made, whose answer may take minutes."""

    body: bytes
    asked: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What has to be known of a request while it is answered. ``counted`` is what countTokens may be asked about."""

    limit: int | None
    streams: bool
    hides_usage: bool
    counted: Mapping[str, Any]


async def metered(exchange: Exchange) -> None:
    """Make one metered call for a client. Raises what refuses the call, before anything is answered."""
    given = await _read(exchange)
    call = MeteredCall(exchange.parts.ledger, open_call(exchange, given.asked, await _bounds(exchange, given.asked)))
    async with (
        call.held(lambda: _input_tokens(exchange, given.asked, call.call.model)) as limit,
        Reading(exchange.client, exchange.receive, exchange.parts.drains, exchange.payer.user) as reading,
    ):
        answer, wanted = await _made(exchange, call, given, limit, reading)
        if answer.status >= REDIRECT:
            await _refused(exchange, call, answer, reading)
        else:
            await _answered(exchange, call, answer, wanted, reading)


async def _read(exchange: Exchange) -> _Request:
    """Read a request, and refuse what it may not name or ask for."""
    body = await exchange.body()
    asked = await exchange.json(body)
    found = await exchange.walked(fields, asked)
    check_model(exchange, found)
    await check_references(exchange, found)
    if exchange.route.surface is Surface.OPENAI:
        require_plain_options(asked)
    elif exchange.route.surface is Surface.EMBED_CONTENT:
        counting.require_contents(asked)
    return _Request(body, asked)


async def _made(
    exchange: Exchange, call: MeteredCall, given: _Request, limit: int | None, reading: Reading
) -> tuple[UpstreamAnswer, _Wanted]:
    """Send a call whose hold is taken."""
    route, asked = exchange.route, given.asked
    asks_stream = route.surface in (Surface.OPENAI, Surface.INTERACTIONS) and bool(asked.get("stream"))
    wanted = _Wanted(
        limit,
        streams=asks_stream or route.verb == "streamGenerateContent",
        hides_usage=asks_stream and route.surface is Surface.OPENAI and not asks_usage(asked),
        counted=asked if route.surface is Surface.EMBED_CONTENT or route.verb == "embeddings" else {},
    )
    del asked
    mark = await mark_of(exchange)
    sent = await _sent(exchange, given, wanted)
    return await reading.begun(
        exchange.send(sent, leaving=call.leaves, refused=call.comes_to_nothing, mark=mark)
    ), wanted


async def _sent(exchange: Exchange, given: _Request, wanted: _Wanted) -> bytes:
    """Write what is sent in the place of a request, and let go of the request."""
    body, changed = given.body, given.asked
    if wanted.limit is not None:
        changed = request.with_output_limit(exchange.route.verb, changed, wanted.limit)
    if wanted.hides_usage:
        changed = with_usage_asked(changed)
    if changed is not given.asked:
        given.body = body = b""
        body = await exchange.written(changed)
    given.body, given.asked = b"", {}
    if not wanted.counted:
        exchange.lease.shrink(len(body))
    return body


async def _bounds(exchange: Exchange, asked: Mapping[str, Any]) -> Bounds:
    model = _named_model(exchange, asked)
    if exchange.route.surface is Surface.INTERACTIONS:
        return await interactions.bounds_of(exchange, asked, model)
    alone = begun_anew(exchange, asked)
    found: Bounds = await exchange.walked(request.bounds, exchange.route.verb, alone, model)
    most = await with_context(exchange, found.input_most, model)
    return found if most == found.input_most else replace(found, input_most=most)


async def _input_tokens(exchange: Exchange, asked: Mapping[str, Any], model: str) -> int | None:
    """Have the input of a call counted, with what it goes on from; None where nobody can tell."""
    if exchange.route.surface is Surface.INTERACTIONS:
        return await interactions.input_tokens(exchange, asked, model)
    count = await asked_tokens(exchange, begun_anew(exchange, asked), model)
    return await with_context(exchange, count, model)


def open_call(exchange: Exchange, asked: Mapping[str, Any], bounds: Bounds) -> Call:
    """Open a call: who pays, for what, and the most that it can cost."""
    payer, model = exchange.payer, _named_model(exchange, asked)
    return Call(
        id=new_id(exchange.parts.clock),
        user=payer.user,
        service=service_for(exchange, asked, model),
        model=model,
        bounds=bounds,
        short_balance=exchange.parts.short_balance,
        metadata=payer.metadata,
    )


def service_for(exchange: Exchange, asked: Mapping[str, Any], model: str | None) -> str:
    """Give the service that the caller named, else the one that the call itself tells."""
    surface = exchange.route.surface
    assert surface is not None, "a metered route has a surface"
    return exchange.payer.service or service_of(surface, model or "", asked)


def check_model(exchange: Exchange, found: Sequence[Field], *, model: str | None = None) -> None:
    """Refuse a body that asks for a model that the key may not call, for two, or for another than the path names, or
    than the session that it is said in has (``model``), or for one that is paid for by the piece where none is offered.

    Raises NotPermitted or InvalidInput.
    """
    model = model or exchange.route.model
    wanted = {*models_named(found), *([model] if model else [])}
    if len(wanted) > 1 or len({path for path, value in found if path in _ASKED and value is not None}) > 1:
        raise InvalidInput("the request names more than one model", hint="name the one that the path names")
    for each in wanted:
        if not is_model(each):
            raise InvalidInput("the body names no model that there can be")
        if not exchange.payer.key.allows_model(each):
            raise NotPermitted(f"this key may not call {each[:100]}")
    if not exchange.parts.unit_priced_models and is_unit_priced(exchange.route.verb, wanted):
        raise NotPermitted(
            "models that are paid for by the piece or the second are not offered: no tokens are deducted for them",
            hint="JANGBU_UNIT_PRICED_MODELS opens them, where the gateway runs",
        )


async def check_references(exchange: Exchange, found: Sequence[Field]) -> None:
    """Refuse a body that uses what is the app's own and not open to its users. Raises NotPermitted.

    Somebody else's files and caches do not exist: raises NotFound.
    """
    await _check_app_resources(exchange, found)
    named = await exchange.walked(references, found)
    if named:
        exchange.named.extend(named)
        ledger = exchange.parts.ledger
        foreign = await ledger.briefly(lambda: ledger.resources.owns_all(exchange.account, named))
        if foreign:
            raise NotFound(f"{foreign[0]} was not found")


async def _check_app_resources(exchange: Exchange, found: Sequence[Field]) -> None:
    for named in await exchange.walked(app_resources, found, exchange.route.platform):
        if named.use is Use.MODEL and exchange.parts.vertex is not None:
            exchange.parts.vertex.model_name(named.name)
        else:
            exchange.parts.allowed.require(exchange.payer.user, named)
            exchange.named.append(named.name)


async def _refused(exchange: Exchange, call: MeteredCall, answer: UpstreamAnswer, reading: Reading) -> None:
    """Give the hold back and pass the provider's error on as it is."""
    try:
        body = await reading.whole(answer, ERROR_BYTES_MAX)
    finally:
        await call.finish(Rejected(f"the provider answered {answer.status}"))
    own = own_headers({"call-id": call.call.id})
    await exchange.client.answer(answer.status, body, [*exchange.answer_headers(answer), *own])


async def _answered(
    exchange: Exchange,
    call: MeteredCall,
    answer: UpstreamAnswer,
    wanted: _Wanted,
    reading: Reading,
) -> None:
    """Pass an answer on; its end reaches the client when the record is durable."""
    parts = exchange.parts
    shape = UsageEvents() if wanted.hides_usage else None
    relay = Relay(
        answer,
        _meter(exchange, call, answer),
        LastEvents() if wanted.streams else WholeBody(answer.length),
        reading,
        seconds=parts.limits.upstream_seconds,
        shape=shape.feed if shape else lambda piece: piece,
    )
    headers = exchange.answer_headers(answer) + own_headers({"call-id": call.call.id, "output-limit": wanted.limit})
    relayed = await relay.run(exchange.client, headers, at_once=wanted.streams)
    outcome = await _with_count(exchange, relayed.outcome, wanted.counted)
    if relayed.continuations:
        usage = outcome.usage if isinstance(outcome, Answered) else None
        await keep_continuations(exchange, relayed.continuations, usage, call.call.model, answer.key_mark)
    receipt = await interactions.finish(exchange, call, outcome, relayed)
    if receipt is not None:
        exchange.spent(receipt.charged_tokens)
    if relayed.failure is not None:
        raise relayed.failure
    rest = relayed.rest + (shape.rest() if shape else b"")
    await _end(exchange, answer, rest, headers + charged_headers(receipt))


async def _end(exchange: Exchange, answer: UpstreamAnswer, rest: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    if exchange.client.has_begun:
        await exchange.client.end(rest)
    else:
        await exchange.client.answer(answer.status, rest, headers)


def _meter(exchange: Exchange, call: MeteredCall, answer: UpstreamAnswer) -> StreamMeter:
    # The answer says itself whether a prediction is of images or of embeddings.
    surface = None if exchange.route.surface is Surface.PREDICT else exchange.route.surface
    return StreamMeter(
        surface,
        platform=exchange.route.platform,
        model=call.call.model,
        content_encoding=answer.header("content-encoding"),
        service_tier=answer.header("x-gemini-service-tier"),
    )


async def _with_count(exchange: Exchange, outcome: Outcome, asked: Mapping[str, Any]) -> Outcome:
    """Put the provider's count into an answer with embeddings that reports none (gemini-embedding-001). Models that
    Vertex AI predicts with are paid for in other units: nothing is ``asked`` about them.
    """
    if not asked or not isinstance(outcome, Answered) or outcome.usage.source is not Source.NONE:
        return outcome
    model = _named_model(exchange, asked)
    count = await asked_count(exchange, asked, model) or await asked_count(exchange, asked, model)
    return counting.with_count(outcome, count)


def _named_model(exchange: Exchange, asked: Mapping[str, Any]) -> str:
    return exchange.route.model or _model_of(asked) or UNKNOWN_MODEL


def _model_of(asked: Mapping[str, Any]) -> str | None:
    named = asked.get("model") or asked.get("agent")
    if named and not isinstance(named, str):
        raise InvalidInput("the body's model is no text")
    return named.rpartition("/")[2] if named else None
