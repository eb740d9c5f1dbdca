"""How an interaction has its media read, in the words of a part of generateContent, which countTokens knows.

The words of google-genai 3.4.0: ``processing`` and ``resolution`` beside a film, a recording, a document or an image
become ``videoMetadata``, ``audioMetadata``, ``documentMetadata``, ``spreadsheetMetadata`` and ``mediaResolution``.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["treatment"]

_METADATA = {"video": "videoMetadata", "audio": "audioMetadata"}
_OPTIONS = {"page_options": "documentMetadata", "spreadsheet_options": "spreadsheetMetadata"}
_LAYERS = "content_layers"


def treatment(media: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a part by which its media have as many tokens as those of an interaction.

    A film that the model goes through at will is counted as one that it is shown: what it is fed is in no count.
    """
    found: dict[str, Any] = {}
    processing, resolution = media.get("processing"), media.get("resolution")
    if isinstance(processing, Mapping):
        if (name := _METADATA.get(str(media.get("type")))) is not None:
            found[name] = _renamed(processing)
        found |= {
            name: _renamed(options)
            for option, name in _OPTIONS.items()
            if isinstance(options := processing.get(option), Mapping)
        }
    if isinstance(resolution, str):
        found["mediaResolution"] = {"level": f"MEDIA_RESOLUTION_{resolution.upper()}"}
    return found


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the members of an object as protocol buffers name them; a word for a layer is a constant there."""
    return {
        _camel(name): [str(layer).upper() for layer in value] if name == _LAYERS and isinstance(value, list) else value
        for name, value in given.items()
        if name != "type"
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
