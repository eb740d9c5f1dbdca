"""One planned call, made by google-genai as an app makes it, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from google import genai
from google.genai import errors, types

from jangbu import InsufficientBalance, Meter
from jangbu.cli.demo.calls import CUT, Kind, PlannedCall

__all__ = ["CALL_HEADER", "CALL_TAG", "Ended", "How", "make", "make_async"]

CALL_HEADER = "x-demo-call"
"""Tells the fake's log which planned call a request belongs to; the ledger is told by a tag."""
CALL_TAG = "call"
_USER_HEADER = "x-jangbu-user"
_BEHAVIOUR_HEADER = "x-fake-behaviour"
_SECOND_TURN = "그리고 그다음 이야기는?"


class How(StrEnum):
    """How a call ended for the app."""

    ANSWERED = "answered"
    FAILED = "failed"
    REFUSED = "refused"
    """The balance was too small, and the call was not made."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended. ``why`` tells it of a failure, ``needed`` and ``available`` (tokens) of a refusal."""

    call: PlannedCall
    how: How
    why: str = ""
    needed: int = 0
    available: int = 0


def make(meter: Meter, client: genai.Client, call: PlannedCall) -> Ended:
    """Make a call and wait for it. What a demo does not expect passes through."""
    try:
        with meter.attribute(user=call.user, service=call.service, tags={CALL_TAG: str(call.number)}):
            return _ended(call, _ask(client, call))
    except Exception as error:
        return _ended_by(call, error)


async def make_async(meter: Meter, client: genai.Client, call: PlannedCall) -> Ended:
    """Make a call as ``make`` does."""
    try:
        with meter.attribute(user=call.user, service=call.service, tags={CALL_TAG: str(call.number)}):
            return _ended(call, await _ask_async(client, call))
    except Exception as error:
        return _ended_by(call, error)


def _ask(client: genai.Client, call: PlannedCall) -> Any:
    model, text, config = call.model, call.text, _config(call)
    match call.kind:
        case Kind.STREAM:
            return list(client.models.generate_content_stream(model=model, contents=text, config=config))[-1]
        case Kind.FUNCTION:
            return client.chats.create(model=model, config=config).send_message(text)
        case Kind.CHAT:
            chat = client.chats.create(model=model, config=config)
            chat.send_message(text)
            return list(chat.send_message_stream(_SECOND_TURN))[-1]
        case Kind.EMBEDDING:
            return client.models.embed_content(model=model, contents=text, config=_embedding_config(call))
    return client.models.generate_content(model=model, contents=text, config=config)


async def _ask_async(client: genai.Client, call: PlannedCall) -> Any:
    model, text, config = call.model, call.text, _config(call)
    match call.kind:
        case Kind.STREAM:
            chunks = await client.aio.models.generate_content_stream(model=model, contents=text, config=config)
            return [chunk async for chunk in chunks][-1]
        case Kind.FUNCTION:
            return await client.aio.chats.create(model=model, config=config).send_message(text)
        case Kind.CHAT:
            chat = client.aio.chats.create(model=model, config=config)
            await chat.send_message(text)
            return [chunk async for chunk in await chat.send_message_stream(_SECOND_TURN)][-1]
        case Kind.EMBEDDING:
            return await client.aio.models.embed_content(model=model, contents=text, config=_embedding_config(call))
    return await client.aio.models.generate_content(model=model, contents=text, config=config)


def panels_in(chapter: str) -> int:
    """Count the panels of a chapter."""
    return len(chapter)


def _config(call: PlannedCall) -> types.GenerateContentConfig:
    options = types.HttpOptions(headers=dict(_headers(call)))
    config = types.GenerateContentConfig(http_options=options, max_output_tokens=call.output_limit)
    match call.kind:
        case Kind.SEARCH:
            config.tools = [types.Tool(google_search=types.GoogleSearch())]
        case Kind.CODE:
            config.tools = [types.Tool(code_execution=types.ToolCodeExecution())]
        case Kind.FUNCTION:
            config.tools = [panels_in]
        case Kind.IMAGE:
            config.response_modalities = ["TEXT", "IMAGE"]
    return config


def _embedding_config(call: PlannedCall) -> types.EmbedContentConfig:
    options = types.HttpOptions(headers=dict(_headers(call)))
    return types.EmbedContentConfig(http_options=options, output_dimensionality=8)


def _headers(call: PlannedCall) -> Mapping[str, str]:
    return {
        CALL_HEADER: str(call.number),
        _USER_HEADER: quote(call.user, safe=""),
        _BEHAVIOUR_HEADER: call.behaviour,
    }


def _ended(call: PlannedCall, answer: Any) -> Ended:
    feedback = getattr(answer, "prompt_feedback", None)
    if feedback is not None and feedback.block_reason:
        return Ended(call, How.FAILED, "prompt blocked")
    return Ended(call, How.ANSWERED)


def _ended_by(call: PlannedCall, error: Exception) -> Ended:
    """Judge an error. A cut stream may surface as any error of the HTTP library."""
    match error:
        case InsufficientBalance():
            return Ended(call, How.REFUSED, "balance too small", error.needed, error.available)
        case errors.APIError():
            return Ended(call, How.FAILED, f"{error.code} {error.status or ''}".strip())
        case _ if CUT in call.behaviour and type(error).__module__.startswith(("httpx", "httpcore", "aiohttp")):
            return Ended(call, How.FAILED, "stream cut")
    raise error
