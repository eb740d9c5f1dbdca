"""The messages of Live, as far as a meter has to understand them: who asks, who answers, and how much was said.

Clients write camelCase and snake_case, the provider camelCase alone.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from jangbu.domain.flow import Bounds
from jangbu.domain.usage import COUNT_MAX
from jangbu.errors import InvalidInput, NotOffered
from jangbu.providers.gemini import request
from jangbu.providers.gemini.fields import fields, folded, listed
from jangbu.providers.gemini.input_bound import input_scan
from jangbu.providers.gemini.json_values import load
from jangbu.providers.gemini.media import AUDIO_TOKENS_PER_SECOND
from jangbu.providers.gemini.references import references, session_name
from jangbu.providers.gemini.tool_bound import fed_back_most

__all__ = ["TURN_ALLOWANCE", "ClientMessage", "ServerMessage", "Setup"]

CONTEXT_MOST = 131_072
"""The largest context of a model of Live: ai.google.dev/gemini-api/docs/live-guide, 128k tokens for native audio."""
TURN_ALLOWANCE = 2048
"""Tokens held for what a turn adds beside its first message: about a minute of speech, at 32 tokens a second."""
PCM_RATE = 16_000
"""Samples a second where a client does not say: what Live takes. A sample has two bytes."""

Message = Mapping[str, Any]

_MODEL = re.compile(
    r"(?:models/|(?:projects/[A-Za-z0-9._~-]{1,200}/locations/[A-Za-z0-9._~-]{1,200}/)?publishers/google/models/)?"
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,127})"
)
_PCM = re.compile(r"audio/(?:pcm|l16)\s*(?:;(?P<how>.*))?", re.IGNORECASE | re.DOTALL)
_RATE = re.compile(r"(?:^|;)\s*rate\s*=\s*(\d{1,6})\s*(?:;|$)", re.IGNORECASE)
_BLOBS = ("audio", "video")
_CHUNKS = ("mediaChunks", "media_chunks")
_REALTIME = ("realtimeInput", "realtime_input")
_TURN_ENDS = (("activityEnd", "activity_end"), ("text",))


@dataclass(frozen=True, slots=True)
class _Added:
    """The most tokens that a message adds to the prompt, and whether the model goes through media of it at will."""

    most: int
    is_gone_through: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """What a session is set up with, by its first message."""

    body: Message = field(repr=False)
    model_path: str
    """The model as the client names it: bare, or with the collection or the project that it is in."""
    model: str
    bounds: Bounds
    """The most tokens that the setup adds to each prompt, and that the model may write in a turn."""
    resumes: str | None
    """The name of the earlier session that this one goes on from."""

    @classmethod
    def read(cls, message: Message) -> Self:
        """Read the first message of a client.

        Raises InvalidInput where it sets nothing up or names no model, NotOffered for a model that is not Google's.
        """
        setup = message.get("setup")
        if len(message) != 1 or not isinstance(setup, Mapping):
            raise InvalidInput("the first message of a session is its setup, and nothing else")
        path = setup.get("model")
        if not isinstance(path, str) or not path:
            raise InvalidInput("the setup names no model")
        found = _MODEL.fullmatch(path)
        if found is None:
            raise NotOffered(f"{path[:60]} is not offered; name a model of Google's")
        # A setup limits the output as the body of a generateContent does, in the same words.
        bounds = request.bounds("generateContent", setup, found[1])
        resumes = next((name for name in references(fields(setup)) if name.startswith("sessions/")), None)
        return cls(setup, path, found[1], replace(bounds, input_most=_bounded(setup).most), resumes)

    @property
    def can_resume(self) -> bool:
        """Whether the client asks for handles with which the session can be resumed, or resumes one."""
        return any(folded(name) == "sessionresumption" for name in self.body)

    def with_model(self, path: str) -> Message:
        """Give the message that sets up the same with another name of the model."""
        return {"setup": {**self.body, "model": path}}


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """What a client says after the setup."""

    body: Message = field(repr=False)
    input_most: int
    """The most tokens that it adds to the prompt. Speech is bounded by its length in time."""
    is_gone_through: bool
    """Whether it has media that the model goes through at will."""
    asks: bool
    """Whether the model has to answer it. Speech does not ask, nor does its end: there may be only silence."""

    @classmethod
    def read(cls, message: Message) -> Self:
        """Read a message of the client. Raises InvalidInput where it sets up again."""
        if "setup" in message:
            raise InvalidInput("a session is set up once, by its first message")
        added = _added(message)
        return cls(message, added.most, added.is_gone_through, _ends_turn(message) or _answers_call(message))

    def fed_back_most(self, model: str) -> int:
        """Bound what is fed back in the turns that follow: by the tools that an update of the context puts in place of
        those of the setup (``LiveClientContextUpdate`` of google-genai 3.4.0), and where the model goes through media.
        """
        update = _object(_member(self.body, "contextUpdate", "context_update"))
        if not (update or self.is_gone_through):
            return 0
        given = _member(update, "tools")
        tools = given.get("tools") if isinstance(given, Mapping) else given
        return fed_back_most({"tools": tools}, model, is_gone_through=self.is_gone_through)


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """What the provider says."""

    body: Message = field(repr=False)
    begins: bool
    """Whether the model itself speaks, or calls a function."""
    calls: bool
    """Whether it calls a function, and then waits for what that gives."""
    answers: bool
    """Whether the client is given anything that the model made, transcripts included."""
    completes: bool
    """Whether a turn of the model ends here."""
    is_interrupted: bool
    is_error: bool
    resumable: str | None
    """The name under which the session can be resumed from here."""

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read a message of the provider; what is no JSON object says nothing."""
        try:
            found = load(raw)
        except ValueError:
            found = None
        message: Message = found if isinstance(found, dict) else {}
        content = _object(message.get("serverContent"))
        calls = bool(message.get("toolCall"))
        begins = calls or bool(content.get("modelTurn"))
        handle = _object(message.get("sessionResumptionUpdate")).get("newHandle")
        return cls(
            body=message,
            begins=begins,
            calls=calls,
            answers=begins or bool(content.get("outputTranscription") or content.get("inputTranscription")),
            completes=bool(content.get("turnComplete")),
            is_interrupted=bool(content.get("interrupted")),
            is_error="error" in message,
            resumable=session_name(handle) if isinstance(handle, str) and handle else None,
        )


def _added(message: Message) -> _Added:
    heard = _member(message, *_REALTIME)
    if not isinstance(heard, Mapping):
        return _bounded(message)
    given = [blob for name in (*_BLOBS, *_CHUNKS) for blob in listed(heard.get(name))]
    blobs = [_object_given(blob) for blob in given]
    beside = {name: value for name, value in heard.items() if name not in (*_BLOBS, *_CHUNKS)}
    beside |= {name: value for name, value in message.items() if value is not heard}
    told = _bounded(beside) if beside else _Added(0, is_gone_through=False)
    return replace(told, most=sum(_blob_bound(blob) for blob in blobs) + told.most)


def _ends_turn(message: Message) -> bool:
    """Tell whether the client has said what it had to say: the model answers, and breaks off what it is saying."""
    content = _object(_member(message, "clientContent", "client_content"))
    heard = _object(_member(message, *_REALTIME))
    is_complete = bool(_member(content, "turnComplete", "turn_complete"))
    return is_complete or any(_member(heard, *names) not in (None, "") for names in _TURN_ENDS)


def _answers_call(message: Message) -> bool:
    """Tell whether this is what a function gave, and the model is to go on with it."""
    given = _member(message, "toolResponse", "tool_response")
    if not isinstance(given, Mapping):
        return False
    responses = listed(_member(given, "functionResponses", "function_responses"))
    return not all(_object_given(each).get("scheduling") == "SILENT" for each in responses)


def _object(value: Any) -> Message:
    return value if isinstance(value, Mapping) else {}


def _object_given(value: Any) -> Message:
    """Give an object of the client. Raises InvalidInput for anything else in its place."""
    if not isinstance(value, Mapping):
        raise InvalidInput("the message holds something else where an object belongs")
    return value


def _member(holder: Message, *names: str) -> Any:
    """Give a member by either of its spellings."""
    return next((holder[name] for name in names if holder.get(name) is not None), None)


def _blob_bound(blob: Message) -> int:
    data, kind = blob.get("data"), str(_member(blob, "mimeType", "mime_type"))
    pcm = _PCM.fullmatch(kind)
    how = (pcm and pcm["how"]) or ""
    rate = _RATE.search(how)
    if pcm is None or not isinstance(data, str) or (rate is None and "rate" in how.lower()):
        return _bounded({"inlineData": blob}).most
    bytes_per_second = max(int(rate[1]) if rate else PCM_RATE, 1) * 2
    return len(data) * 3 // 4 * AUDIO_TOKENS_PER_SECOND // bytes_per_second + 1


def _bounded(message: Message) -> _Added:
    """Bound a message. What of it only the provider can bound may fill the context: Live has no countTokens."""
    found = input_scan(message)
    most = found.bound
    most = len(json.dumps(message, default=str)) + CONTEXT_MOST if most is None else most
    return _Added(min(most, COUNT_MAX), found.is_gone_through)
