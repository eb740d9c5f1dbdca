"""The service of a call that names none, and which calls are not paid for by the token."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jangbu.domain.usage import Surface

__all__ = ["SERVICES", "draws", "is_unit_priced", "service_of"]

_TEXT, _IMAGE, _AUDIO, _VIDEO = "text_generation", "image_generation", "audio_generation", "video_generation"
_EMBEDDING, _LIVE = "embedding", "live"
SERVICES = frozenset({_TEXT, _IMAGE, _AUDIO, _VIDEO, _EMBEDDING, _LIVE})
"""All that there are."""

_IMAGE_MODELS = ("imagen", "-image", "nano-banana")
_SPEECH_MODELS = ("-tts",)
_CONFIGURATIONS = ("generationConfig", "generation_config")
_ASKED = ("responseModalities", "response_modalities", "modalities")
_PREDICTS = frozenset({"predict", "predictLongRunning", "images/generations"})
"""What calls Imagen, Veo and their like, and embeddings of Vertex AI's older models."""
_PIECES = ("lyria-", "multimodalembedding")
"""Models that are paid for by the song, or by the image and second, whatever calls them: Lyria is also called by
generateContent and by interactions (cloud.google.com/vertex-ai/generative-ai/pricing, ai.google.dev/gemini-api/docs/
pricing)."""


def service_of(surface: Surface, model: str, body: Mapping[str, Any]) -> str:
    """Name the service by the surface, the model and the output that is asked for, in the guide's words."""
    if "embedding" in model or surface is Surface.EMBED_CONTENT:
        return _EMBEDDING
    match surface:
        case Surface.LIVE:
            return _LIVE
        case Surface.PREDICT_LONG_RUNNING:
            return _VIDEO
    if surface is Surface.PREDICT or draws(model, body):
        return _IMAGE
    speaks = any(part in model for part in _SPEECH_MODELS) or "AUDIO" in _modalities(body)
    return _AUDIO if speaks else _TEXT


def draws(model: str, body: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for a picture, by its model or by its own words."""
    return any(part in model for part in _IMAGE_MODELS) or "IMAGE" in _modalities(body)


def is_unit_priced(verb: str, models: Collection[str]) -> bool:
    """Tell whether a call of these models is paid for by the image, the second or the piece, and reports no tokens."""
    if any(model.startswith(_PIECES) for model in models):
        return True
    return verb in _PREDICTS and not any("embedding" in model for model in models)


def _modalities(body: Mapping[str, Any]) -> set[str]:
    """Give what a request asks its output to be of, by the words of whichever surface and in either spelling."""
    holders = [body, *(body[name] for name in _CONFIGURATIONS if isinstance(body.get(name), Mapping))]
    asked = [each for holder in holders for name in _ASKED for each in _each(holder.get(name))]
    formats = [each.get("type") for each in _each(body.get("response_format")) if isinstance(each, Mapping)]
    return {str(modality).upper() for modality in (*asked, *formats)}


def _each(given: object) -> Sequence[Any]:
    return given if isinstance(given, list) else [] if given is None else [given]
