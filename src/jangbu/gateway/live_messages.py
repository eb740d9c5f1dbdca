"""The messages of Live, as far as the gateway has to understand them: who asks, who answers, and how much was said."""

import json
import re
from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import COUNT_MAX
from jangbu.errors import InvalidInput, NotOffered
from jangbu.gateway.bodies import json_object
from jangbu.providers.gemini.input_bound import input_most

__all__ = [
    "Message",
    "answers",
    "asks",
    "begins",
    "completes",
    "input_bound",
    "interrupts",
    "is_interrupted",
    "model_of",
    "read_client",
    "read_server",
    "read_setup",
]

PCM_RATE = 16_000
"""Samples a second where a client does not say: what Live takes. A sample has two bytes."""
AUDIO_TOKENS_PER_SECOND = 32

Message = Mapping[str, Any]

_MODEL = re.compile(
    r"(?:models/|(?:projects/[A-Za-z0-9._~-]{1,200}/locations/[A-Za-z0-9._~-]{1,200}/)?publishers/google/models/)?"
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,127})"
)
_PCM_RATE = re.compile(r"audio/(?:pcm|l16)(?:;[^,]*?rate=(\d{4,6}))?", re.IGNORECASE)
_BLOBS = ("audio", "video")
_CHUNKS = ("mediaChunks", "media_chunks")
_REALTIME = ("realtimeInput", "realtime_input")
_TURN_ENDS = (("activityEnd", "activity_end"), ("text",))


def read_client(raw: bytes) -> Message:
    """Read a message of the client. Raises InvalidInput where it is no JSON object, or sets up again."""
    message = json_object(raw)
    if "setup" in message:
        raise InvalidInput("a session is set up once, by its first message")
    return message


def read_setup(raw: bytes) -> Message:
    """Read what the first message sets up. Raises InvalidInput where it is anything else."""
    message = json_object(raw)
    setup = message.get("setup")
    if len(message) != 1 or not isinstance(setup, Mapping):
        raise InvalidInput("the first message of a session is its setup, and nothing else")
    return setup


def read_server(raw: bytes) -> Message:
    """Read a message of the provider; what is no JSON object says nothing to the gateway."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def model_of(setup: Message) -> str:
    """Give the model of a session. Raises InvalidInput where none is named, NotOffered for what is not Google's."""
    named = setup.get("model")
    if not isinstance(named, str) or not named:
        raise InvalidInput("the setup names no model")
    found = _MODEL.fullmatch(named)
    if found is None:
        raise NotOffered(f"{named[:60]} is not offered; name a model of Google's")
    return found[1]


def input_bound(message: Message) -> int:
    """Bound what a message of the client adds to the prompt, in tokens. Speech is bounded by its length in time."""
    heard = _member(message, *_REALTIME)
    if not isinstance(heard, Mapping):
        return _bounded(message)
    blobs = [heard[name] for name in _BLOBS if isinstance(heard.get(name), Mapping)]
    blobs += [blob for name in _CHUNKS for blob in heard.get(name) or () if isinstance(blob, Mapping)]
    beside = {name: value for name, value in heard.items() if name not in (*_BLOBS, *_CHUNKS)}
    beside |= {name: value for name, value in message.items() if name not in _REALTIME}
    return sum(_blob_bound(blob) for blob in blobs) + (_bounded(beside) if beside else 0)


def asks(message: Message) -> bool:
    """Tell whether the model has to answer this. Speech does not ask, nor does its end: there may be only silence."""
    if interrupts(message):
        return True
    given = _member(message, "toolResponse", "tool_response")
    if not isinstance(given, Mapping):
        return False
    responses = _member(given, "functionResponses", "function_responses") or ()
    return not all(isinstance(each, Mapping) and each.get("scheduling") == "SILENT" for each in responses)


def interrupts(message: Message) -> bool:
    """Tell whether this asks for a turn of its own, also while the model speaks."""
    content = _member(message, "clientContent", "client_content")
    if isinstance(content, Mapping) and _member(content, "turnComplete", "turn_complete"):
        return True
    heard = _member(message, *_REALTIME)
    return isinstance(heard, Mapping) and any(_member(heard, *names) not in (None, "") for names in _TURN_ENDS)


def begins(message: Message) -> bool:
    """Tell whether the model itself speaks here, or calls a function."""
    return bool(message.get("toolCall")) or bool(_content(message).get("modelTurn"))


def answers(message: Message) -> bool:
    """Tell whether the client is given anything here that the model made, transcripts included."""
    content = _content(message)
    return begins(message) or bool(content.get("outputTranscription") or content.get("inputTranscription"))


def completes(message: Message) -> bool:
    """Tell whether a turn of the model ends here."""
    return bool(_content(message).get("turnComplete"))


def is_interrupted(message: Message) -> bool:
    """Tell whether the model was interrupted here."""
    return bool(_content(message).get("interrupted"))


def _content(message: Message) -> Message:
    content = message.get("serverContent")
    return content if isinstance(content, Mapping) else {}


def _member(holder: Message, *names: str) -> Any:
    """Give a member by either of its spellings."""
    return next((holder[name] for name in names if holder.get(name) is not None), None)


def _blob_bound(blob: Message) -> int:
    data, kind = blob.get("data"), str(_member(blob, "mimeType", "mime_type"))
    pcm = _PCM_RATE.match(kind)
    if pcm is None or not isinstance(data, str):
        return _bounded({"inlineData": blob})
    bytes_per_second = max(int(pcm[1] or PCM_RATE), 1) * 2
    return len(data) * 3 // 4 * AUDIO_TOKENS_PER_SECOND // bytes_per_second + 1


def _bounded(message: Message) -> int:
    """Bound a message by its bytes where it names what is kept elsewhere: Live has no countTokens."""
    most = input_most(message)
    return min(len(json.dumps(message, default=str)) if most is None else most, COUNT_MAX)
