"""The most tokens that the input of a request can be: bytes of text, and published figures for media."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.providers.gemini.media import media_tokens_most

_FIXED_TOKENS = 64
_TURN_TOKENS = 16
_FRAMES_MOST = 1_000
_NOT_LOCAL = {
    "fileData",
    "file_data",
    "fileUri",
    "file_uri",
    "cachedContent",
    "cached_content",
    "continuationToken",
    "continuation_token",
    "previous_interaction_id",
    "gcsUri",
    "fileName",
    "file_name",
    "file_id",
    "video_url",
    "videoUrl",
    "audio_url",
    "audioUrl",
    "file_url",
    "fileUrl",
}
_INLINE = {"inlineData", "inline_data"}
_TAKEN = _NOT_LOCAL | _INLINE
_SPECIAL = _NOT_LOCAL | _INLINE | {"type", "uri", "image_url", "input_audio"}
"""The fields that make an object more than text; most objects have none of them."""
_INTERACTION_MEDIA = {"image", "audio", "video", "document"}
_DEPTH_MOST = 64
_LONG = 4_096
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


@dataclass(frozen=True, slots=True)
class InputScan:
    """The most tokens that a request brings along, and the fields that name what is kept elsewhere.

    An empty one stands for what cannot be bounded by anybody.
    """

    most: int
    elsewhere: tuple[Mapping[str, Any], ...]


def input_most(body: Mapping[str, Any]) -> int | None:
    """Bound the input of a request of any surface, or None where it names what is kept elsewhere."""
    found = input_scan(body)
    return None if found.elsewhere else found.most


def input_scan(body: Mapping[str, Any]) -> InputScan:
    """Bound what a request of any surface brings along, and find what it names beside."""
    scan = _Scan()
    text = scan.without_media(body, 0)
    written = _WRITER.encode(text).encode("utf-8", "surrogatepass")
    most = len(written) + scan.long + scan.media + scan.objects * _TURN_TOKENS + _FIXED_TOKENS
    return InputScan(most, tuple(scan.elsewhere))


class _Scan:
    """One walk through a request: media is bounded and taken out, what is left is text."""

    def __init__(self) -> None:
        self.media = 0
        self.long = 0
        self.objects = 0
        self.elsewhere: list[Mapping[str, Any]] = []

    def without_media(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._written(value)
        if depth > _DEPTH_MOST:
            self.elsewhere.append({})
            return None
        if isinstance(value, (list, tuple)):
            return [self.without_media(inner, depth + 1) for inner in value]
        if isinstance(value, (int, float)) or not isinstance(value, (dict, Mapping)):
            return value
        self.objects += 1
        if not _SPECIAL.isdisjoint(value) and self._is_all_media(value):
            return None
        return {str(key): self.without_media(inner, depth + 1) for key, inner in value.items() if key not in _TAKEN}

    def _written(self, text: str) -> str:
        """Give a text to be written with the rest; a long one is bounded here, so that it is not copied for that."""
        if len(text) <= _LONG:
            return text
        self.long += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return ""

    def _is_all_media(self, value: Mapping[str, Any]) -> bool:
        """Bound what an object holds or names beside text; tell whether no text of it is left."""
        elsewhere = {name: value[name] for name in _NOT_LOCAL if value.get(name)}
        if elsewhere:
            self.elsewhere.append(elsewhere)
        if self._take_media(value):
            return True
        if any(isinstance(value.get(name), Mapping) for name in _INLINE):
            self._take_inline(value)
        return False

    def _take_inline(self, part: Mapping[str, Any]) -> None:
        """Bound the inline data of a generateContent part."""
        blob = next(part[name] for name in _INLINE if isinstance(part.get(name), Mapping))
        metadata = part.get("videoMetadata", part.get("video_metadata"))
        frames = metadata.get("fps", 1) if isinstance(metadata, Mapping) else 1
        self._add(blob.get("mimeType", blob.get("mime_type")), blob.get("data"), frames)

    def _take_media(self, value: Mapping[str, Any]) -> bool:
        """Bound media of an interaction (``type`` and ``data``) or of an OpenAI message (``image_url``)."""
        if value.get("uri"):
            self.elsewhere.append({})
        if str(value.get("type")) in _INTERACTION_MEDIA and ("data" in value or "uri" in value):
            self._add(value.get("mime_type", f"{value['type']}/unknown"), value.get("data"), 1)
            return True
        image = value.get("image_url")
        address = image.get("url") if isinstance(image, Mapping) else image
        if isinstance(address, str):
            head, comma, data = address.partition(",")
            if not comma or not head.startswith("data:"):
                self.elsewhere.append({})
            else:
                self._add(head.removeprefix("data:"), data, 1)
            return True
        audio = value.get("input_audio")
        if isinstance(audio, Mapping):
            self._add(f"audio/{audio.get('format', 'unknown')}", audio.get("data"), 1)
            return True
        return False

    def _add(self, mime_type: object, data: object, frames: object) -> None:
        # Text that cannot be decoded here is bounded by its encoded length, which is longer.
        size = len(data) if isinstance(data, str | bytes) else 0
        most = media_tokens_most(str(mime_type), size, frames_per_second=_frames_per_second(frames))
        if most is None:
            self.elsewhere.append({})
        else:
            self.media += most


def _frames_per_second(given: object) -> int:
    """Read how many pictures a second of a video has; numbers may be texts, as JSON of protocol buffers has them."""
    try:
        frames = float(given) if isinstance(given, str | int | float) else 1.0
    except ValueError:
        return 1
    return math.ceil(frames) if 1 < frames < _FRAMES_MOST else 1
