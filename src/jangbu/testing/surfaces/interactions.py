"""The Interactions API: create (at once, in the background, or as events) and get."""

from collections.abc import Iterator, Mapping
from typing import Any

from jangbu.testing.composing.composition import Composition, Piece, compose, segments
from jangbu.testing.composing.counting import Tokens
from jangbu.testing.composing.failure import Failure
from jangbu.testing.composing.tally import distort, interactions_usage
from jangbu.testing.surfaces.exchange import Chunk, Exchange, Reply, encode, json_reply
from jangbu.testing.surfaces.generate import CHUNKS
from jangbu.testing.surfaces.resources import Resources, StoredInteraction, found

__all__ = ["cancel_interaction", "create_interaction", "delete_interaction", "show_interaction"]

_TOOLS = {"google_search": "googleSearch", "code_execution": "codeExecution", "url_context": "urlContext"}
_SETTINGS = {
    "max_output_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "seed": "seed",
}


def create_interaction(exchange: Exchange, resources: Resources) -> Reply:
    """Answer a new interaction; with ``background`` it is in progress, without usage, until it is asked for."""
    previous = exchange.body.get("previous_interaction_id")
    context = found(resources.interactions, f"interactions/{previous}").context if previous else Tokens()
    composition = compose(exchange.model_version, _as_contents(exchange.body), exchange.behaviour)
    composition.tally.prompt.update(context)
    counted = interactions_usage(composition.tally)
    shown = _shown(exchange, composition, distort(counted, exchange.behaviour.usage))
    stored = StoredInteraction(shown, composition.tally.prompt + composition.tally.candidates)
    resources.interactions[f"interactions/{shown['id']}"] = stored
    if exchange.body.get("stream"):
        return _streamed(exchange, composition, shown, counted)
    if exchange.body.get("background"):
        hidden = {name: value for name, value in shown.items() if name not in {"usage", "steps"}}
        return json_reply({**hidden, "status": "in_progress"}, response_id=shown["id"], model=exchange.model_version)
    return _complete(exchange, shown, counted)


def show_interaction(exchange: Exchange, resources: Resources) -> Reply:
    """Answer an interaction that was created before, with the usage that it had."""
    shown = found(resources.interactions, exchange.route.name).shown
    return json_reply(shown, usage=shown.get("usage"), response_id=shown["id"], model=shown["model"])


def cancel_interaction(exchange: Exchange, resources: Resources) -> Reply:
    """Cancel an interaction that runs in the background: nothing of it was generated."""
    stored: StoredInteraction = found(resources.interactions, exchange.route.name)
    shown = {name: value for name, value in stored.shown.items() if name not in {"usage", "steps"}}
    cancelled = StoredInteraction({**shown, "status": "cancelled"}, Tokens())
    resources.interactions[exchange.route.name] = cancelled
    return json_reply(cancelled.shown, response_id=shown["id"], model=shown["model"])


def delete_interaction(exchange: Exchange, resources: Resources) -> Reply:
    """Forget an interaction."""
    found(resources.interactions, exchange.route.name)
    del resources.interactions[exchange.route.name]
    return json_reply({})


def _complete(exchange: Exchange, shown: dict[str, Any], counted: Mapping[str, Any]) -> Reply:
    return json_reply(
        shown,
        usage=shown.get("usage"),
        counted=counted,
        response_id=shown["id"],
        model=exchange.model_version,
    )


def _shown(exchange: Exchange, composition: Composition, usage: Any) -> dict[str, Any]:
    status = {"STOP": "completed", "MAX_TOKENS": "incomplete"}.get(composition.finish, "failed")
    calls = any("functionCall" in piece.part for piece in composition.pieces)
    shown: dict[str, Any] = {"id": exchange.ids.new("v1_"), "status": "requires_action" if calls else status}
    if usage is not None:
        shown["usage"] = usage
    moment = exchange.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    shown |= {"created": moment, "updated": moment, "service_tier": "standard"}
    shown["steps"] = [_step(piece) for piece in composition.pieces]
    return {**shown, "object": "interaction", "model": exchange.model_version}


def _step(piece: Piece) -> dict[str, Any]:
    part = piece.part
    if "functionCall" in part:
        call = part["functionCall"]
        return {"type": "function_call", "id": "call_1", "name": call["name"], "arguments": call["args"]}
    if part.get("thought"):
        return {"type": "thought", "signature": "c2lnbmF0dXJl"}
    if "inlineData" in part:
        media = part["inlineData"]
        kind = str(media["mimeType"]).split("/", 1)[0]
        return {
            "type": "model_output",
            "content": [{"type": kind, "data": media["data"], "mime_type": media["mimeType"]}],
        }
    return {"type": "model_output", "content": [{"type": "text", "text": part.get("text", "")}]}


def _streamed(exchange: Exchange, composition: Composition, shown: dict[str, Any], counted: Mapping[str, Any]) -> Reply:
    chunks: list[Chunk] = []
    usage: Mapping[str, Any] | None = None
    for number, event in enumerate(_events(composition, shown, exchange.behaviour.chunks or CHUNKS)):
        if number == exchange.behaviour.error_after:
            error = {"event_type": "error", "error": {"code": "unavailable", "message": "The model is overloaded."}}
            chunks.append(Chunk(_frame(error), usage))
            break
        usage = event.get("interaction", {}).get("usage", usage)
        chunks.append(Chunk(_frame(event), usage))
    else:
        chunks.append(Chunk(b"event: done\ndata: [DONE]\n\n", usage))
    return Reply(
        tuple(chunks),
        content_type="text/event-stream",
        streamed=True,
        response_id=shown["id"],
        model=exchange.model_version,
        counted=counted,
    )


def _events(composition: Composition, shown: Mapping[str, Any], chunks: int) -> Iterator[dict[str, Any]]:
    named = {"id": shown["id"], "status": "in_progress", "object": "interaction", "model": shown["model"]}
    yield {"interaction": named, "event_type": "interaction.created"}
    yield {"interaction_id": shown["id"], "status": "in_progress", "event_type": "interaction.status_update"}
    for index, (piece, step) in enumerate(zip(composition.pieces, shown["steps"], strict=True)):
        writes = step["type"] == "model_output" and "text" in piece.part
        yield {
            "index": index,
            "step": {"type": "model_output"} if writes else step,
            "event_type": "step.start",
        }
        if writes:
            single = Composition((piece,), composition.finish, composition.tally)
            for (small,) in segments(single, chunks):
                delta = {"text": small.part["text"], "type": "text"}
                yield {"index": index, "delta": delta, "event_type": "step.delta"}
        yield {"index": index, "event_type": "step.stop"}
    final = {name: value for name, value in shown.items() if name != "steps"}
    yield {"interaction": final, "event_type": "interaction.completed"}


def _frame(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['event_type']}\n".encode() + b"data: " + encode(event) + b"\n\n"


def _as_contents(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read an interaction's words as generateContent's. Raises Failure where there is no input."""
    if not body.get("input"):
        raise Failure(400, "input is required.")
    settings = body.get("generation_config") or {}
    config: dict[str, Any] = {_SETTINGS[name]: value for name, value in settings.items() if name in _SETTINGS}
    if settings.get("thinking_level"):
        config["thinkingConfig"] = {"thinkingLevel": settings["thinking_level"]}
    if body.get("response_modalities"):
        config["responseModalities"] = body["response_modalities"]
    return {
        "contents": [{"role": "user", "parts": list(_parts(body["input"]))}],
        "systemInstruction": {"parts": [{"text": body.get("system_instruction") or ""}]},
        "tools": [_tool(tool) for tool in body.get("tools") or ()],
        "generationConfig": config,
    }


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    match value:
        case str():
            yield {"text": value}
        case list():
            for item in value:
                yield from _parts(item)
        case {"type": "text", "text": text}:
            yield {"text": text}
        case {"type": "function_result"}:
            yield {"functionResponse": {"name": value.get("name"), "response": value.get("result")}}
        case {"content": content}:
            yield from _parts(content)
        case {"type": "image" | "audio" | "video" | "document" as kind}:
            usual = {"document": "application/pdf"}.get(kind, f"{kind}/*")
            yield {"inlineData": {"mimeType": value.get("mime_type") or usual, "data": ""}}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") == "function":
        names = ("name", "description", "parameters")
        return {"functionDeclarations": [{name: tool[name] for name in names if name in tool}]}
    return {_TOOLS.get(str(tool.get("type")), "googleSearch"): {}}
