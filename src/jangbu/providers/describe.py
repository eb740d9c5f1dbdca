"""A usage as the JSON object that is shown to people and programs."""

from dataclasses import asdict
from typing import Any

from jangbu.domain.usage import Usage


def describe(usage: Usage) -> dict[str, Any]:
    """Give the object that ``jangbu usage parse`` prints.

    ``counts`` are the provider's words (absent counts 0, an absent total null); ``total_tokens`` is what is charged.
    A batch lists its single answers as ``members``.
    """
    described: dict[str, Any] = {
        "surface": usage.surface.value,
        "platform": usage.platform.value,
        "model": usage.model,
        "response_id": usage.response_id,
        "tier": None if usage.tier is None else usage.tier.value,
        "source": usage.source.value,
        "counts": asdict(usage.counts),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "by_modality": asdict(usage.by_modality),
        "units": asdict(usage.units),
        "anomalies": [anomaly.value for anomaly in usage.anomalies],
    }
    if usage.members:
        described["members"] = [describe(member) for member in usage.members]
    return described
