"""Response objects of client libraries, back into the JSON that the provider wrote.

Nothing is imported for it: objects are known by what they can do, so that any version of a library will serve.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jangbu.errors import InvalidAnswer

_SNAKE = re.compile(r"_([a-z0-9])")
# Keys that only a snake-cased copy of a Gemini answer has; Interactions and OpenAI are written so by the provider.
_SNAKE_MARKS = {
    "usage_metadata",
    "model_version",
    "prompt_feedback",
    "server_content",
    "setup_complete",
    "response_id",
    "inlined_responses",
    "total_billable_characters",
    "prompt_tokens_details",
    "generated_images",
    "display_name",
}
_NATIVE_MARKS = {"usage", "object", "choices", "event_type"}


@dataclass(frozen=True, slots=True)
class Found:
    """What an object held: the body as sent, or else its JSON objects; header names in lower case."""

    objects: tuple[Mapping[str, Any], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_stream: bool = False


def answers_in(answer: object) -> Found:
    """Take the JSON out of a dict, a response object, or a list of them. Raises InvalidAnswer for anything else."""
    if isinstance(answer, list | tuple):
        parts = [answers_in(each) for each in answer]
        objects = tuple(each for part in parts for each in part.objects)
        headers = next((part.headers for part in parts if part.headers), {})
        return Found(objects, headers=headers, is_stream=True)
    if isinstance(answer, Mapping):
        return Found((_camel_cased(answer),))
    sent = _attribute(answer, "sdk_http_response")
    headers = _headers(_attribute(sent, "headers"))
    body = _attribute(sent, "body")
    if isinstance(body, str) and body.strip():
        # The library has undone the compression already.
        kept = {name: value for name, value in headers.items() if name != "content-encoding"}
        return Found(body=body.encode("utf-8", "replace"), headers=kept)
    return Found((_camel_cased(_dumped(answer)),), headers=headers)


def library_text(body: bytes) -> Any:
    """Give what a text holds that a library wrote in its own words, as google-genai's ``model_dump_json`` does; None
    for every other text.
    """
    if not any(f'"{mark}"'.encode() in body for mark in _SNAKE_MARKS):
        return None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    objects = found if isinstance(found, list) else [found]
    is_library = bool(objects) and all(isinstance(each, Mapping) and _is_snake_cased(each) for each in objects)
    return found if is_library else None


def _dumped(answer: object) -> Mapping[str, Any]:
    """Have the object write itself as a dict."""
    try:
        if callable(getattr(answer, "model_dump", None)):
            dumped: Any = answer.model_dump(by_alias=True, exclude_none=True, warnings=False)  # type: ignore[attr-defined]
        elif callable(getattr(answer, "to_dict", None)):
            dumped = answer.to_dict()  # type: ignore[attr-defined]
        else:
            dumped = None
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidAnswer(f"a {type(answer).__name__} cannot be written as JSON: {error}") from error
    if not isinstance(dumped, Mapping):
        raise InvalidAnswer(
            f"this is {type(answer).__name__}, and no answer of a provider",
            hint="give the response object, the dict or the bytes that the client returned",
        )
    return dumped


def _camel_cased(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if not _is_snake_cased(answer):
        return answer
    return {_SNAKE.sub(_upper, str(key)): _camel(value, 1) for key, value in answer.items()}


def _is_snake_cased(answer: Mapping[str, Any]) -> bool:
    keys = answer.keys()
    return bool(keys & _SNAKE_MARKS) and not keys & _NATIVE_MARKS


def _camel(value: Any, depth: int) -> Any:
    if depth > 32:
        return None
    if isinstance(value, Mapping):
        return {_SNAKE.sub(_upper, str(key)): _camel(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_camel(inner, depth + 1) for inner in value]
    return value


def _upper(match: re.Match[str]) -> str:
    return match.group(1).upper()


def _headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _attribute(holder: object, name: str) -> object:
    try:
        return getattr(holder, name, None)
    except (TypeError, ValueError, KeyError):
        return None
