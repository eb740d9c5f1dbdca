"""The most tokens that the input of a request can be: bytes of text, and published figures for media."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.providers.gemini.counts import read_count
from jangbu.providers.gemini.media import media_tokens_most

_FIXED_TOKENS = 64
_TURN_TOKENS = 16
_NOT_LOCAL = {
    "fileData",
    "file_data",
    "fileUri",
    "file_uri",
    "cachedContent",
    "cached_content",
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
_CONTINUATION = ("continuationToken", "continuation_token")
_INLINE = {"inlineData", "inline_data"}
_TAKEN = _NOT_LOCAL | _INLINE
_RESOLUTION = ("mediaResolution", "media_resolution")
_TREATMENT = ("mediaProcessing", "media_processing")
_NUMBER = ("numTokens", "num_tokens")
_HOW = frozenset({*_RESOLUTION, *_TREATMENT})
_SPECIAL = {*_TAKEN, *_HOW, "type", "uri", "image_url", "input_audio"}
"""The fields that make an object more than text; most objects have none of them."""
_EXTRACTED = {"documentMetadata", "document_metadata", "spreadsheetMetadata", "spreadsheet_metadata", "processing"}
"""What may have more taken out of a document than its text: pictures of pages, whose number its size does not tell."""
_AS_IT_IS = frozenset({"static", "mediaprocessingunspecified"})
"""How media are read that are put into the context once. By any other way the model itself goes through them."""
_NAMED = "properties"
"""Where a schema has what an app named itself, as a function's parameter ``file_name``."""
_INTERACTION_MEDIA = {"image", "audio", "video", "document"}
_DEPTH_MOST = 64
_LONG = 4_096
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


@dataclass(frozen=True, slots=True)
class InputScan:
    """The most tokens that a request brings along, and the fields that name what is kept elsewhere.

    An empty one stands for what only the provider can bound.
    """

    most: int
    elsewhere: tuple[Mapping[str, Any], ...]
    is_gone_through: bool = False
    """Whether the model goes through media at will, and is fed what it looks at while the call runs."""

    @property
    def bound(self) -> int | None:
        """The most tokens of the whole input, or None where only the provider can tell."""
        return None if self.elsewhere else self.most


def input_most(body: Mapping[str, Any]) -> int | None:
    """Bound the input of a request of any surface, or None where only the provider can."""
    return input_scan(body).bound


def input_scan(body: Mapping[str, Any]) -> InputScan:
    """Bound what a request of any surface brings along, and find what it names beside."""
    scan = _Scan()
    # Deeper in a request it is a parameter of somebody's function, as of any that gives its answers page by page.
    if token := {name: body[name] for name in _CONTINUATION if body.get(name)}:
        scan.elsewhere.append(token)
    text = scan.without_media(body, 0)
    written = _WRITER.encode(text).encode("utf-8", "surrogatepass")
    most = len(written) + scan.long + scan.media + scan.objects * _TURN_TOKENS + _FIXED_TOKENS
    return InputScan(most, tuple(scan.elsewhere), scan.is_gone_through)


class _Scan:
    """One walk through a request: media is bounded and taken out, what is left is text."""

    def __init__(self) -> None:
        self.media = 0
        self.long = 0
        self.objects = 0
        self.is_gone_through = False
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
        return {
            str(key): self._named(inner, depth + 1) if key == _NAMED else self.without_media(inner, depth + 1)
            for key, inner in value.items()
            if key not in _TAKEN
        }

    def _named(self, value: Any, depth: int) -> Any:
        """Go through the properties of a schema: how an app calls them tells nothing of media."""
        if not isinstance(value, Mapping):
            return self.without_media(value, depth)
        self.objects += 1
        return {str(name): self.without_media(inner, depth + 1) for name, inner in value.items()}

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
        if not _HOW.isdisjoint(value):
            self._take_how(value)
        if self._take_media(value):
            return True
        for name in _INLINE:
            if isinstance(blob := value.get(name), Mapping):
                self._add(value, blob.get("mimeType", blob.get("mime_type")), blob.get("data"))
        return False

    def _take_how(self, part: Mapping[str, Any]) -> None:
        """Add the tokens that a part asks its media to have, to those that others of their kind have at most."""
        self.is_gone_through |= any(_goes_through(part.get(name)) for name in _TREATMENT)
        given = [inner for name in _RESOLUTION if isinstance(inner := part.get(name), Mapping)]
        for asked in (read_count(inner[name]) for inner in given for name in _NUMBER if name in inner):
            self.media += max(asked or 0, 0)
            if asked is not None and asked < 0:
                self.elsewhere.append({})

    def _take_media(self, value: Mapping[str, Any]) -> bool:
        """Bound media of an interaction (``type`` and ``data``) or of an OpenAI message (``image_url``)."""
        if value.get("uri"):
            self.elsewhere.append({})
        if str(value.get("type")) in _INTERACTION_MEDIA and ("data" in value or "uri" in value):
            self.is_gone_through |= _goes_through(value.get("processing"))
            self._add(value, value.get("mime_type", f"{value['type']}/unknown"), value.get("data"))
            return True
        image = value.get("image_url")
        address = image.get("url") if isinstance(image, Mapping) else image
        if isinstance(address, str):
            head, comma, data = address.partition(",")
            if not comma or not head.startswith("data:"):
                self.elsewhere.append({})
            else:
                self._add(value, head.removeprefix("data:"), data)
            return True
        audio = value.get("input_audio")
        if isinstance(audio, Mapping):
            self._add(value, f"audio/{audio.get('format', 'unknown')}", audio.get("data"))
            return True
        return False

    def _add(self, holder: Mapping[str, Any], mime_type: object, data: object) -> None:
        """Bound media that come along in an object, which may say what is taken out of them."""
        # Text that cannot be decoded here is bounded by its encoded length, which is longer.
        size = len(data) if isinstance(data, str | bytes) else 0
        most = media_tokens_most(str(mime_type), size)
        if most is None or any(holder.get(name) for name in _EXTRACTED):
            self.elsewhere.append({})
        else:
            self.media += most


def _goes_through(treatment: object) -> bool:
    """Tell whether media are treated so that the model goes through them: google-genai calls that ``agentic``."""
    kind = treatment.get("type") if isinstance(treatment, Mapping) else treatment
    return kind is not None and str(kind).replace("_", "").lower() not in _AS_IT_IS
