"""A usage object read with the words of its surface: counts, their modalities, and what does not add up.

Field names: google-genai 3.4.0 ``types.py`` (GenerateContentResponseUsageMetadata, UsageMetadata) and
``_gaos/types/interactions/usage.py``; recorded answers showed ``promptTokenDetails`` (singular) on embeddings.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from jangbu.domain.usage import ANSWER_COUNT_MAX, COUNT_MAX, Anomaly, Breakdown, ByModality, Counts

_INVALID = -1
_DIGITS_MOST = len(str(COUNT_MAX))
_NOTHING = Breakdown()

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """What a surface calls each count, and the list that splits it by modality; the first one present is read."""

    prompt: Names
    candidates: Names = ()
    thoughts: Names = ()
    tool: Names = ()
    cached: Names = ()
    total: Names = ()
    prompt_details: Names = ()
    candidates_details: Names = ()
    tool_details: Names = ()
    cached_details: Names = ()
    detail_count: Names = ("tokenCount",)
    counts: Names = field(init=False)
    """Every name of a count: a usage object with none of them says nothing."""

    def __post_init__(self) -> None:
        """Put the names of all counts together once: they are asked for with every object."""
        counts = self.prompt + self.candidates + self.thoughts + self.tool + self.cached + self.total
        object.__setattr__(self, "counts", counts)


USAGE_METADATA = Words(
    prompt=("promptTokenCount",),
    # The Live API says response where every other surface, and Live on Vertex, says candidates.
    candidates=("candidatesTokenCount", "responseTokenCount"),
    thoughts=("thoughtsTokenCount",),
    tool=("toolUsePromptTokenCount",),
    cached=("cachedContentTokenCount",),
    total=("totalTokenCount",),
    prompt_details=("promptTokensDetails", "promptTokenDetails"),
    candidates_details=("candidatesTokensDetails", "responseTokensDetails"),
    tool_details=("toolUsePromptTokensDetails",),
    cached_details=("cacheTokensDetails",),
)

INTERACTIONS = Words(
    prompt=("total_input_tokens",),
    candidates=("total_output_tokens",),
    thoughts=("total_thought_tokens",),
    tool=("total_tool_use_tokens",),
    cached=("total_cached_tokens",),
    total=("total_tokens",),
    prompt_details=("input_tokens_by_modality",),
    candidates_details=("output_tokens_by_modality",),
    tool_details=("tool_use_tokens_by_modality",),
    cached_details=("cached_tokens_by_modality",),
    detail_count=("tokens",),
)

OPENAI = Words(prompt=("prompt_tokens",), candidates=("completion_tokens",), total=("total_tokens",))

EMBEDDING_STATISTICS = Words(prompt=("token_count", "tokenCount"))

# By name in any case, and by the number that old clients ask for (google.ai.generativelanguage Modality).
_MODALITIES = {
    "MODALITY_UNSPECIFIED": "text",
    "TEXT": "text",
    "IMAGE": "image",
    "VIDEO": "video",
    "AUDIO": "audio",
    "DOCUMENT": "document",
}
_MODALITY_BY_NUMBER = dict(enumerate(_MODALITIES.values()))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one usage object says. An invalid one counts for nothing."""

    counts: Counts = field(default_factory=Counts)
    by_modality: ByModality = field(default_factory=ByModality)
    anomalies: tuple[Anomaly, ...] = ()
    valid: bool = True


INVALID = Reading(anomalies=(Anomaly.INVALID_USAGE,), valid=False)


def has_counts(usage: object, words: Words) -> bool:
    """Tell whether the object is a usage object with any count; null is absent."""
    return isinstance(usage, (dict, Mapping)) and _first(usage, words.counts) is not None


def read_usage(usage: Mapping[str, Any], words: Words, *, total_expected: bool = True) -> Reading:
    """Read every count and its modalities. Nothing is repaired; the identity of the total is the caller's to check."""
    values = [
        read_count(_first(usage, names))
        for names in (words.prompt, words.candidates, words.thoughts, words.tool, words.cached, words.total)
    ]
    if _INVALID in values:
        return INVALID
    prompt, candidates, thoughts, tool, cached, total = values
    counts = Counts(prompt or 0, candidates or 0, thoughts or 0, tool or 0, cached or 0, total)
    details = _Details(usage, words.detail_count)
    by_modality = ByModality(
        prompt=details.split(counts.prompt, words.prompt_details),
        cached=details.split(counts.cached, words.cached_details),
        tool=details.split(counts.tool, words.tool_details),
        candidates=details.split(counts.candidates, words.candidates_details),
    )
    if not details.valid or counts.summed > COUNT_MAX:
        return INVALID
    anomalies = list(details.anomalies)
    if counts.cached > counts.prompt:
        anomalies.append(Anomaly.CACHED_EXCEEDS_PROMPT)
    if prompt is None and counts.candidates + counts.thoughts > 0:
        anomalies.append(Anomaly.USAGE_INCOMPLETE)
    if total is None and total_expected:
        anomalies.append(Anomaly.TOTAL_ABSENT)
    return Reading(counts, by_modality, once(anomalies))


def total_mismatch(counts: Counts) -> tuple[Anomaly, ...]:
    """Flag a total that is not prompt + candidates + thoughts + tool (1,798 of 1,807 recorded totals are)."""
    return () if counts.total is None or counts.total == counts.summed else (Anomaly.TOTAL_MISMATCH,)


def plausible(reading: Reading, most: int = ANSWER_COUNT_MAX) -> Reading:
    """Believe no count that no answer can have: a few of them would be more than the sums of a ledger hold.

    Evidence that was kept is read without this: what was charged before stands.
    """
    counts = reading.counts
    if counts.summed > most or counts.cached > most or (counts.total is not None and counts.total > most):
        return INVALID
    return reading


def read_candidates(usage: Mapping[str, Any], words: Words) -> int:
    """Read the count of candidates alone; 0 where it is absent or cannot be believed."""
    return max(0, read_count(_first(usage, words.candidates)) or 0)


def read_count(value: object) -> int | None:
    """Read a count: an integer, or one written as a string. None is absent; what cannot be believed is -1.

    A bool, any float (5.0 too, for a provider never writes one), a negative and what exceeds 2^53 - 1 are refused.
    """
    if value is None:
        return None
    if type(value) is int:
        return value if 0 <= value <= COUNT_MAX else _INVALID
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MOST:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_MAX:
        return _INVALID
    return value


def once(anomalies: Collection[Anomaly]) -> tuple[Anomaly, ...]:
    """Name each anomaly once, in the order found."""
    return tuple(dict.fromkeys(anomalies)) if anomalies else ()


class _Details:
    """The lists that split counts by modality, and what was found wrong in them."""

    def __init__(self, usage: Mapping[str, Any], count_names: Names) -> None:
        self._usage = usage
        self._count_names = count_names
        self.anomalies: list[Anomaly] = []
        self.valid = True

    def split(self, count: int, names: Names) -> Breakdown:
        """Split a count: what no detail names is text, and a modality never gets more than is left of the count.

        Where the details exceed the count, text gives way first: Live translation lists the whole context as text.
        """
        details = _first(self._usage, names)
        if not isinstance(details, (list, tuple)):
            return Breakdown(count) if count else _NOTHING
        named: dict[str, int] = {}
        for detail in details:
            if isinstance(detail, (dict, Mapping)):
                modality = self._modality(detail.get("modality"))
                named[modality] = named.get(modality, 0) + self._count(detail)
        if sum(named.values()) > count:
            self.anomalies.append(Anomaly.DETAILS_EXCEED_COUNT)
        named.pop("text", None)
        if not named:
            return Breakdown(count)
        left = count
        for modality, tokens in named.items():
            named[modality] = min(tokens, left)
            left -= named[modality]
        return Breakdown(text=left, **named)

    def _count(self, detail: Mapping[str, Any]) -> int:
        count = read_count(_first(detail, self._count_names))
        if count == _INVALID:
            self.valid = False
            return 0
        return count or 0

    def _modality(self, value: object) -> str:
        known: str | None = None
        if value is None:
            return "text"
        if isinstance(value, str):
            known = _MODALITIES.get(str(getattr(value, "value", value)).upper())
        elif isinstance(value, int):
            known = _MODALITY_BY_NUMBER.get(value)
        if known is None:
            self.anomalies.append(Anomaly.UNKNOWN_MODALITY)
        return known or "text"


def _first(usage: Mapping[str, Any], names: Names) -> Any:
    for name in names:
        value = usage.get(name)
        if value is not None:
            return value
    return None
