"""What one answer used, and how each surface words it: the rules of Gemini's usage, from the other side."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jangbu.testing.composing.counting import Tokens

__all__ = ["Tally", "distort", "generate_usage", "interactions_usage", "live_usage", "openai_usage"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Tokens that one answer used. ``cached`` is a part of ``prompt``."""

    prompt: Tokens = field(default_factory=Counter)
    cached: Tokens = field(default_factory=Counter)
    candidates: Tokens = field(default_factory=Counter)
    thoughts: int = 0
    tool: int = 0

    @property
    def total(self) -> int:
        """The identity that Google's own documentation states: the sum of all four."""
        return self.prompt.total() + self.candidates.total() + self.thoughts + self.tool


def generate_usage(tally: Tally, *, vertex: bool = False) -> dict[str, Any]:
    """Word a tally as generateContent does: counts that are 0 are left out.

    Image models list only their image tokens in the details; what is left of the count is text.
    """
    usage: dict[str, Any] = {"promptTokenCount": tally.prompt.total()}
    if tally.candidates.total():
        usage["candidatesTokenCount"] = tally.candidates.total()
    usage["totalTokenCount"] = tally.total
    usage["promptTokensDetails"] = _details(tally.prompt)
    if tally.candidates.total():
        image = tally.candidates["IMAGE"]
        usage["candidatesTokensDetails"] = _details(Counter(IMAGE=image) if image else tally.candidates)
    if tally.cached.total():
        usage["cachedContentTokenCount"] = tally.cached.total()
        usage["cacheTokensDetails"] = _details(tally.cached)
    if tally.thoughts:
        usage["thoughtsTokenCount"] = tally.thoughts
    if tally.tool:
        usage["toolUsePromptTokenCount"] = tally.tool
        usage["toolUsePromptTokensDetails"] = _details(Counter(TEXT=tally.tool))
    usage |= {"trafficType": "ON_DEMAND"} if vertex else {"serviceTier": "standard"}
    return usage


def live_usage(tally: Tally, *, vertex: bool = False) -> dict[str, Any]:
    """Word a tally as Live does: ``response…``, on Vertex ``candidates…``, and thoughts outside the total."""
    name = "candidates" if vertex else "response"
    usage: dict[str, Any] = {
        "promptTokenCount": tally.prompt.total(),
        f"{name}TokenCount": tally.candidates.total(),
        "totalTokenCount": tally.prompt.total() + tally.candidates.total(),
        "promptTokensDetails": _details(tally.prompt),
        f"{name}TokensDetails": _details(tally.candidates),
    }
    if tally.thoughts:
        usage["thoughtsTokenCount"] = tally.thoughts
    return usage


def interactions_usage(tally: Tally) -> dict[str, Any]:
    """Word a tally as the Interactions API does: explicit zeros and lower-case modalities, of an output that is text
    none (of 8 recorded ones with tokens by modality).
    """
    is_text = tally.candidates.keys() <= {"TEXT"}
    return {
        "total_tokens": tally.total,
        "total_input_tokens": tally.prompt.total(),
        "input_tokens_by_modality": _by_modality(tally.prompt),
        "total_cached_tokens": tally.cached.total(),
        "total_output_tokens": tally.candidates.total(),
        **({} if is_text else {"output_tokens_by_modality": _by_modality(tally.candidates)}),
        "total_tool_use_tokens": tally.tool,
        "total_thought_tokens": tally.thoughts,
    }


def _by_modality(tokens: Tokens) -> list[dict[str, Any]]:
    return [{"modality": modality.lower(), "tokens": number} for modality, number in sorted(tokens.items())]


def openai_usage(tally: Tally) -> dict[str, Any]:
    """Word a tally as the OpenAI-compatible endpoint does: thoughts show only in the total."""
    return {
        "completion_tokens": tally.candidates.total(),
        "prompt_tokens": tally.prompt.total() + tally.tool,
        "total_tokens": tally.total,
    }


def distort(usage: Mapping[str, Any] | None, oddity: str | None) -> Any:
    """Make a usage object odd in one of the ways of ``ODD_USAGES``; None stands for a usage that is left out."""
    if usage is None or oddity is None:
        return usage
    counts = {name: count for name, count in usage.items() if isinstance(count, int)}
    totals = {name: count for name, count in counts.items() if "total" in name.lower()}
    odd: dict[str, dict[str, Any]] = {
        "negative": {name: -count for name, count in counts.items()},
        "string": {name: str(count) for name, count in counts.items()},
        "word": dict.fromkeys(counts, "many"),
        "float": {name: count + 0.5 for name, count in counts.items()},
        "nan": dict.fromkeys(counts, float("nan")),
        "bool": dict.fromkeys(counts, True),
        "huge": dict.fromkeys(counts, 2**63),
        "mismatch": {name: count + 1000 for name, count in totals.items()},
    }
    match oddity:
        case "missing":
            return None
        case "empty":
            return {}
        case "null":
            return dict.fromkeys(counts)
        case _:
            return {**usage, **odd[oddity]}


def _details(tokens: Tokens) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": count} for modality, count in sorted(tokens.items()) if count]
