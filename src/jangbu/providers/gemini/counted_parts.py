"""A chat or an interaction as countTokens takes it: its media as parts, and all else as one text.

The text holds the JSON around what is said, so the count is a little too high and never too low.
"""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.providers.gemini.treatment import treatment

__all__ = ["count_request"]

_MEDIA = {"image": "image/jpeg", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}
_UNKNOWN = "application/octet-stream"
_CACHE_FIELDS = ("cached_content", "cachedContent")


def count_request(model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Give the generateContent request whose input has as many tokens as that of a chat or an interaction."""
    taken = _Taken()
    rest = taken.without_media({name: value for name, value in body.items() if name != "model"})
    text = {"text": json.dumps(rest, ensure_ascii=False)}
    request: dict[str, Any] = {
        "model": f"models/{model}",
        "contents": [{"role": "user", "parts": [text, *taken.parts]}],
    }
    return request if taken.cache is None else {**request, "cachedContent": taken.cache}


class _Taken:
    """What was taken out of a body on one walk through it."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.cache: str | None = None

    def without_media(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.without_media(member) for member in value]
        if not isinstance(value, Mapping):
            return value
        part = _interaction_media(value) or _chat_media(value)
        if part is not None:
            self.parts.append(part)
            return None
        for name in _CACHE_FIELDS:
            if isinstance(value.get(name), str):
                self.cache = value[name]
        return {name: self.without_media(member) for name, member in value.items() if name not in _CACHE_FIELDS}


def _interaction_media(value: Mapping[str, Any]) -> dict[str, Any] | None:
    usual = _MEDIA.get(str(value.get("type")))
    if usual is None and "uri" not in value:
        return None
    kind = value.get("mime_type") or usual or _UNKNOWN
    if isinstance(value.get("uri"), str):
        return {"fileData": {"fileUri": value["uri"], "mimeType": kind}, **treatment(value)}
    if isinstance(value.get("data"), str):
        return {"inlineData": {"data": value["data"], "mimeType": kind}, **treatment(value)}
    return None


def _chat_media(value: Mapping[str, Any]) -> dict[str, Any] | None:
    image = value.get("image_url")
    address = image.get("url") if isinstance(image, Mapping) else image
    file = value.get("file")
    if address is None and isinstance(file, Mapping):
        address = file.get("file_data") or file.get("file_id")
    if isinstance(address, str):
        return _at(address)
    audio = value.get("input_audio")
    if isinstance(audio, Mapping) and isinstance(audio.get("data"), str):
        return {"inlineData": {"data": audio["data"], "mimeType": f"audio/{audio.get('format', 'wav')}"}}
    return None


def _at(address: str) -> dict[str, Any]:
    head, comma, data = address.partition(",")
    if comma and head.startswith("data:"):
        return {"inlineData": {"data": data, "mimeType": head.removeprefix("data:").partition(";")[0]}}
    return {"fileData": {"fileUri": address, "mimeType": _MEDIA["image"]}}
