"""What one answer of a provider used: the value that every part of Jangbu shares.

Counts keep the provider's words and are never repaired; what does not add up is named in ``anomalies``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

COUNT_MAX = 2**53 - 1
"""The largest count that is read: what every JSON reader can hold exactly."""

ANSWER_COUNT_MAX = 2**30
"""The largest count of one answer that is believed, 500 times what the largest context of a model holds.

The dearest token of any price list costs 120,000 nano-USD: it takes 70,000 such answers to leave a ledger's 2^63.
"""

SUM_COUNT_MAX = 2**40
"""The same of what sums many answers, a batch or a session: 200,000 lines, the most that a batch of Vertex AI has, of
four million tokens each are less.
"""

ANSWER_UNITS_MAX = 2**20
"""The most searches, or seconds of a video, that one answer is believed to have."""


class Surface(StrEnum):
    """Where an answer came from: each surface has its own normaliser."""

    GENERATE_CONTENT = "generate_content"
    STREAM_GENERATE_CONTENT = "stream_generate_content"
    LIVE = "live"
    INTERACTIONS = "interactions"
    BATCH = "batch"
    EMBED_CONTENT = "embed_content"
    COUNT_TOKENS = "count_tokens"
    CACHED_CONTENTS = "cached_contents"
    OPENAI = "openai"
    PREDICT = "predict"
    PREDICT_LONG_RUNNING = "predict_long_running"


class Platform(StrEnum):
    """Whose price list applies."""

    GEMINI_API = "gemini_api"
    VERTEX = "vertex"


class Tier(StrEnum):
    """The class of service that was given."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"
    OFFPEAK = "offpeak"
    PROVISIONED = "provisioned"


class Source(StrEnum):
    """How the counts came to be known."""

    REPORTED = "reported"
    """The provider's final word."""
    COUNT_TOKENS = "count_tokens"
    """The provider's countTokens, for surfaces that report nothing."""
    PARTIAL = "partial"
    """The last word of an answer that broke off."""
    NONE = "none"
    """The answer says nothing of usage."""


class Anomaly(StrEnum):
    """What does not add up in an answer; found, never repaired."""

    TOTAL_MISMATCH = "total_mismatch"
    """The total is not prompt + candidates + thoughts + tool, for no known reason."""
    TOTAL_ABSENT = "total_absent"
    """Counts without a total on a surface that reports one."""
    CACHED_EXCEEDS_PROMPT = "cached_exceeds_prompt"
    DETAILS_EXCEED_COUNT = "details_exceed_count"
    """A list of modalities sums to more than its count; the modalities are capped to it."""
    USAGE_INCOMPLETE = "usage_incomplete"
    """Output was counted and the prompt was not."""
    USAGE_MISSING = "usage_missing"
    """A successful answer with content and no counts on a surface that reports them."""
    INVALID_USAGE = "invalid_usage"
    """A count is no whole number, or more than any answer has (``ANSWER_COUNT_MAX``): the usage object is kept, nothing
    of it is charged."""
    COUNT_FELL = "count_fell"
    """The last candidates count of a stream is lower than an earlier one."""
    UNKNOWN_MODALITY = "unknown_modality"
    UNKNOWN_TIER = "unknown_tier"
    BLOCKED = "blocked"
    """The prompt was blocked before anything was generated."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The provider's counts, in tokens; an absent count is 0, an absent total is None.

    ``cached`` is a part of ``prompt``; ``tool`` is the prompt that tools fed back.
    """

    prompt: int = 0
    candidates: int = 0
    thoughts: int = 0
    tool: int = 0
    cached: int = 0
    total: int | None = None

    @property
    def summed(self) -> int:
        """Prompt, candidates, thoughts and tool together: what the total ought to be."""
        return self.prompt + self.candidates + self.thoughts + self.tool


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One count split by modality, in tokens; the remainder that no detail names is text."""

    text: int = 0
    image: int = 0
    audio: int = 0
    video: int = 0
    document: int = 0


@dataclass(frozen=True, slots=True)
class ByModality:
    """The counts that a price may split by modality (thoughts are always text)."""

    prompt: Breakdown = Breakdown()
    cached: Breakdown = Breakdown()
    tool: Breakdown = Breakdown()
    candidates: Breakdown = Breakdown()


@dataclass(frozen=True, slots=True)
class Units:
    """What is paid for by other units than tokens. For how long a cache is kept is known when it has ended, and 0 until
    then.
    """

    images: int = 0
    video_seconds: int = 0
    grounding_requests: int = 0
    grounding_queries: int = 0
    maps_queries: int = 0
    cache_storage_tokens: int = 0
    cache_storage_seconds: int = 0
    videos: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer used. ``raw`` holds the provider's usage objects verbatim, in order.

    ``members`` holds the single answers of a batch, which are priced one by one; the other fields are then their sums.
    """

    surface: Surface
    counts: Counts = Counts()
    source: Source = Source.NONE
    model: str | None = None
    response_id: str | None = None
    platform: Platform = Platform.GEMINI_API
    tier: Tier | None = None
    by_modality: ByModality = ByModality()
    units: Units = Units()
    anomalies: tuple[Anomaly, ...] = ()
    raw: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    members: "tuple[Usage, ...]" = ()
    is_empty: bool = False
    """Whether nothing at all was in the answer: not even an error, or why it reports nothing."""

    @property
    def tally(self) -> tuple[int, int, int, int, int]:
        """Prompt, candidates, thoughts, tool and what is charged: with its id they tell an answer from every other."""
        counts = self.counts
        return counts.prompt, counts.candidates, counts.thoughts, counts.tool, self.total_tokens

    @property
    def prompt_tokens(self) -> int:
        """Input tokens: prompt and what tools fed back."""
        return self.counts.prompt + self.counts.tool

    @property
    def completion_tokens(self) -> int:
        """Output tokens: candidates and thoughts."""
        return self.counts.candidates + self.counts.thoughts

    @property
    def says_nothing(self) -> bool:
        """Tell whether nothing in the answer tells what it used, or why it does not tell: then it proves nothing."""
        found = (self.raw, self.members, self.anomalies)
        return self.source is Source.NONE and self.units == Units() and not any(found)

    @property
    def total_tokens(self) -> int:
        """What is charged: the reported total, the sum where the provider gives none, 0 where nothing may be."""
        if self.source is Source.NONE:
            return 0
        return self.counts.summed if self.counts.total is None else self.counts.total
