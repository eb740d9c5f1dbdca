"""The service of a call that names none."""

from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import Surface

__all__ = ["service_of"]

_IMAGE_MODELS = ("imagen", "-image")


def service_of(surface: Surface, model: str, body: Mapping[str, Any]) -> str:
    """Name the service by the surface, the model and the output that is asked for, in the guide's words."""
    if "embedding" in model:
        return "embedding"
    match surface:
        case Surface.EMBED_CONTENT:
            return "embedding"
        case Surface.LIVE:
            return "live"
        case Surface.PREDICT_LONG_RUNNING:
            return "video_generation"
    pictures = "IMAGE" in _modalities(body)
    if pictures or surface is Surface.PREDICT or any(part in model for part in _IMAGE_MODELS):
        return "image_generation"
    return "text_generation"


def _modalities(body: Mapping[str, Any]) -> set[str]:
    configuration = body.get("generationConfig") or body.get("generation_config") or {}
    asked = configuration.get("responseModalities") or body.get("response_modalities") or ()
    return {str(modality).upper() for modality in asked}
