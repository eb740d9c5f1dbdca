"""generateContent and streamGenerateContent, on the Gemini API and on Vertex."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jangbu.testing.composing.composition import Composition, Piece, compose, segments
from jangbu.testing.composing.counting import Tokens, field
from jangbu.testing.composing.tally import distort, generate_usage
from jangbu.testing.surfaces.exchange import JSON, Chunk, Exchange, Reply, encode, json_reply
from jangbu.testing.surfaces.failures import error_object
from jangbu.testing.surfaces.resources import Resources, found

__all__ = ["compose_exchange", "count_usage", "generate", "response_body", "stream_generate"]

CHUNKS = 4
"""Into how many chunks a streamed text is cut where no behaviour says otherwise."""
PROMPT_OVERSTATED = 2
"""How many times the first chunk of a gemini-2.0 stream over-states the prompt (as recorded: 169 became 79)."""


def generate(exchange: Exchange, resources: Resources) -> Reply:
    """Answer generateContent."""
    composition = compose_exchange(exchange, resources)
    counted = count_usage(exchange, composition)
    usage = distort(counted, exchange.behaviour.usage)
    response_id = exchange.ids.new()
    body = response_body(exchange, composition, composition.pieces, usage, response_id)
    return json_reply(
        body,
        usage=usage,
        counted=counted or {},
        headers=_tier(exchange),
        response_id=response_id,
        model=exchange.model_version,
    )


def stream_generate(exchange: Exchange, resources: Resources) -> Reply:
    """Answer streamGenerateContent: as server-sent events with ``alt=sse``, else as a JSON array that grows."""
    composition = compose_exchange(exchange, resources)
    response_id = exchange.ids.new()
    sse = exchange.request.query.get("alt") == "sse"
    bodies = list(_stream_bodies(exchange, composition, response_id))
    chunks: list[Chunk] = []
    seen: Mapping[str, Any] | None = None
    for index, body in enumerate(bodies):
        seen = body.get("usageMetadata", seen)
        chunks.append(Chunk(_frame(encode(body), index, len(bodies), sse=sse), seen))
    return Reply(
        tuple(chunks),
        content_type="text/event-stream" if sse else JSON,
        headers=_tier(exchange),
        streamed=True,
        response_id=response_id,
        model=exchange.model_version,
        counted=count_usage(exchange, composition),
    )


def compose_exchange(exchange: Exchange, resources: Resources) -> Composition:
    """Compose the answer, with the cache that the request names. Raises Failure where there is no such cache."""
    cache = field(exchange.body, "cachedContent")
    stored: Tokens | None = found(resources.cache_tokens, cache) if cache else None
    return compose(exchange.model_version, exchange.body, exchange.behaviour, stored)


def count_usage(exchange: Exchange, composition: Composition) -> dict[str, Any] | None:
    """Give the usage object of a whole answer; a blocked prompt has none (on Vertex: one without counts)."""
    if composition.blocked:
        return {"trafficType": "ON_DEMAND"} if exchange.route.vertex else None
    return generate_usage(composition.tally, vertex=exchange.route.vertex)


def response_body(
    exchange: Exchange,
    composition: Composition,
    pieces: tuple[Piece, ...],
    usage: Any,
    response_id: str,
    *,
    last: bool = True,
) -> dict[str, Any]:
    """Give one GenerateContentResponse with the given pieces; the last one of a stream says why it ended."""
    body: dict[str, Any] = {}
    if composition.blocked:
        body["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
    else:
        body["candidates"] = [
            _candidate(composition, pieces, index, last=last) for index in range(composition.candidates)
        ]
    if usage is not None:
        body["usageMetadata"] = usage
    body["modelVersion"] = exchange.model_version
    if exchange.route.vertex:
        body["createTime"] = exchange.moment
    body["responseId"] = response_id
    return body


def _candidate(composition: Composition, pieces: tuple[Piece, ...], index: int, *, last: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"role": "model"}
    if pieces:
        content["parts"] = [piece.part for piece in pieces]
    candidate: dict[str, Any] = {"content": content, "index": index}
    if last:
        candidate["finishReason"] = composition.finish
        if composition.finish == "CONTINUATION":
            candidate["continuationToken"] = "Y29udGludWU="
        if composition.finish == "SAFETY":
            rating = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
            candidate["safetyRatings"] = [rating]
        if composition.grounding:
            candidate["groundingMetadata"] = composition.grounding
    return candidate


def _stream_bodies(exchange: Exchange, composition: Composition, response_id: str) -> Iterator[dict[str, Any]]:
    behaviour = exchange.behaviour
    parts = segments(composition, behaviour.chunks or CHUNKS)
    seen: Tokens = Counter()
    for index, pieces in enumerate(parts):
        if index == behaviour.error_after:
            yield error_object(503)
            return
        for piece in pieces:
            seen[piece.modality] += piece.tokens * composition.candidates
        last = index == len(parts) - 1
        usage = distort(_running_usage(exchange, composition, seen, last=last), behaviour.usage)
        yield response_body(exchange, composition, pieces, usage, response_id, last=last)


def _running_usage(exchange: Exchange, composition: Composition, seen: Tokens, *, last: bool) -> dict[str, Any] | None:
    """Give the usage that a chunk carries: Vertex counts in the last one only, the Gemini API in every one."""
    if last or composition.blocked:
        return count_usage(exchange, composition)
    if exchange.route.vertex:
        return {"trafficType": "ON_DEMAND"}
    tally = replace(composition.tally, candidates=+seen)
    if exchange.behaviour.shrinking_prompt:
        overstated = {modality: count * PROMPT_OVERSTATED for modality, count in tally.prompt.items()}
        tally = replace(tally, prompt=Counter(overstated))
    return generate_usage(tally)


def _frame(body: bytes, index: int, number: int, *, sse: bool) -> bytes:
    if sse:
        return b"data: " + body + b"\r\n\r\n"
    return (b"[" if index == 0 else b",\r\n") + body + (b"]" if index == number - 1 else b"")


def _tier(exchange: Exchange) -> Mapping[str, str]:
    return {} if exchange.route.vertex else {"x-gemini-service-tier": "standard"}
