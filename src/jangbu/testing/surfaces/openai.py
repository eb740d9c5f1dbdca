"""The OpenAI-compatible endpoint: chat completions (whole and streamed), embeddings, images, models."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jangbu.testing.composing.composition import Composition, compose, segments
from jangbu.testing.composing.counting import count_text
from jangbu.testing.composing.limits import DIMENSIONS_MOST, EMBEDDINGS_MOST, IMAGES_MOST, number_asked, require_at_most
from jangbu.testing.composing.media import png
from jangbu.testing.composing.tally import distort, openai_usage
from jangbu.testing.surfaces.counting import MODELS
from jangbu.testing.surfaces.exchange import Chunk, Exchange, Reply, encode, json_reply
from jangbu.testing.surfaces.failures import error_object
from jangbu.testing.surfaces.generate import CHUNKS
from jangbu.testing.surfaces.resources import Resources

__all__ = ["chat", "embeddings", "images", "models"]

_FINISHES = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}
_EFFORTS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576}


def chat(exchange: Exchange, _resources: Resources) -> Reply:
    """Answer chat/completions; a stream ends with usage where ``stream_options.include_usage`` asks for it."""
    composition = compose(exchange.model_version, _as_contents(exchange.body), exchange.behaviour)
    counted = openai_usage(composition.tally)
    usage = distort(counted, exchange.behaviour.usage)
    response_id = exchange.ids.new()
    about = {"id": response_id, "model": exchange.model_version, "created": int(exchange.now.timestamp())}
    if exchange.body.get("stream"):
        options = exchange.body.get("stream_options") or {}
        chunks = _stream(exchange, composition, about, usage if options.get("include_usage") else None)
        return Reply(
            tuple(chunks),
            content_type="text/event-stream",
            streamed=True,
            response_id=response_id,
            model=exchange.model_version,
            counted=counted,
        )
    choices = [
        {"index": index, "finish_reason": _finish(composition), "message": _message(composition)}
        for index in range(composition.candidates)
    ]
    body: dict[str, Any] = {**about, "object": "chat.completion", "choices": choices}
    if usage is not None:
        body["usage"] = usage
    return json_reply(body, usage=usage, counted=counted, response_id=response_id, model=exchange.model_version)


def embeddings(exchange: Exchange, _resources: Resources) -> Reply:
    """Answer embeddings, with the prompt's tokens as usage."""
    given = exchange.body.get("input") or ""
    texts = [str(text) for text in given] if isinstance(given, list) else [str(given)]
    require_at_most("input", len(texts), EMBEDDINGS_MOST)
    asked = exchange.body.get("dimensions")
    dimensions = number_asked("dimensions", asked, most=DIMENSIONS_MOST, usual=DIMENSIONS_MOST)
    data = [
        {"object": "embedding", "index": index, "embedding": [0.0156] * dimensions} for index, _ in enumerate(texts)
    ]
    tokens = sum(count_text(text) for text in texts)
    usage = distort({"prompt_tokens": tokens, "total_tokens": tokens}, exchange.behaviour.usage)
    body = {"object": "list", "data": data, "model": exchange.model_version, "usage": usage}
    return json_reply(body, usage=usage, model=exchange.model_version)


def images(exchange: Exchange, _resources: Resources) -> Reply:
    """Answer images/generations: pictures, and no usage."""
    number = number_asked("n", exchange.body.get("n"), most=IMAGES_MOST)
    data = [{"b64_json": png(exchange.behaviour.image_bytes or 0)}] * number
    return json_reply({"created": int(exchange.now.timestamp()), "data": data}, model=exchange.model_version)


def models(_exchange: Exchange, _resources: Resources) -> Reply:
    """Answer the list of models."""
    data = [{"id": f"models/{name}", "object": "model", "owned_by": "google"} for name in MODELS]
    return json_reply({"object": "list", "data": data})


def _message(composition: Composition) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    calls = _tool_calls(composition)
    if calls:
        return {**message, "tool_calls": calls}
    texts = [str(piece.part["text"]) for piece in composition.pieces if "text" in piece.part]
    return {**message, "content": "".join(texts)} if texts else message


def _tool_calls(composition: Composition) -> list[dict[str, Any]]:
    calls = [piece.part["functionCall"] for piece in composition.pieces if "functionCall" in piece.part]
    return [
        {
            "id": f"function-call-{index}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["args"])},
        }
        for index, call in enumerate(calls)
    ]


def _finish(composition: Composition) -> str:
    return "tool_calls" if _tool_calls(composition) else _FINISHES.get(composition.finish, "stop")


def _stream(exchange: Exchange, composition: Composition, about: Mapping[str, Any], usage: Any) -> Iterator[Chunk]:
    parts = segments(composition, exchange.behaviour.chunks or CHUNKS)
    shown = {**about, "object": "chat.completion.chunk"}
    for index, pieces in enumerate(parts):
        if index == exchange.behaviour.error_after:
            yield Chunk(_frame([error_object(503)]))
            return
        delta = _message(Composition(pieces, composition.finish, composition.tally))
        finish = _finish(composition) if index == len(parts) - 1 else None
        yield Chunk(_frame({**shown, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
    if usage is not None:
        yield Chunk(_frame({**shown, "choices": [], "usage": usage}), usage)
    yield Chunk(b"data: [DONE]\n\n", usage)


def _frame(value: object) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def _as_contents(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read a chat in OpenAI's words as generateContent's."""
    messages = body.get("messages") or []
    systems = [message for message in messages if message.get("role") in {"system", "developer"}]
    turns = [message for message in messages if message.get("role") not in {"system", "developer"}]
    config: dict[str, Any] = {"candidateCount": body.get("n")}
    config["maxOutputTokens"] = body.get("max_completion_tokens") or body.get("max_tokens")
    if body.get("reasoning_effort"):
        config["thinkingConfig"] = {"thinkingBudget": _EFFORTS.get(body["reasoning_effort"], 1024)}
    if (body.get("response_format") or {}).get("type") in {"json_object", "json_schema"}:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = (body["response_format"].get("json_schema") or {}).get("schema")
    functions = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    return {
        "contents": [_content(message) for message in turns],
        "systemInstruction": {"parts": [part for message in systems for part in _parts(message.get("content"))]},
        "tools": [{"functionDeclarations": functions}] if functions else [],
        "generationConfig": config,
    }


def _content(message: Mapping[str, Any]) -> dict[str, Any]:
    role = message.get("role")
    if role == "tool":
        result = {"name": message.get("name"), "response": {"result": message.get("content")}}
        return {"role": "user", "parts": [{"functionResponse": result}]}
    parts = list(_parts(message.get("content")))
    parts += [{"functionCall": call.get("function")} for call in message.get("tool_calls") or ()]
    return {"role": "model" if role == "assistant" else "user", "parts": parts}


def _parts(content: Any) -> Iterator[dict[str, Any]]:
    match content:
        case str():
            yield {"text": content}
        case list():
            for item in content:
                yield from _parts(item)
        case {"type": "text", "text": text}:
            yield {"text": text}
        case {"type": "image_url"}:
            yield {"inlineData": {"mimeType": "image/*", "data": ""}}
        case {"type": "input_audio"}:
            yield {"inlineData": {"mimeType": "audio/*", "data": ""}}
