"""The class of service and the platform, as an answer tells them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.domain.usage import Anomaly, Platform, Tier

# Vertex: google-genai 3.4.0 types.py TrafficType; the numbers are those of google.cloud.aiplatform UsageMetadata.
_TRAFFIC = {
    "TRAFFIC_TYPE_UNSPECIFIED": None,
    "ON_DEMAND": Tier.STANDARD,
    "PROVISIONED_THROUGHPUT": Tier.PROVISIONED,
    "ON_DEMAND_PRIORITY": Tier.PRIORITY,
    "ON_DEMAND_FLEX": Tier.FLEX,
    "ON_DEMAND_OFFPEAK": Tier.OFFPEAK,
}
# Gemini API: "standard" in most recordings, "SERVICE_TIER_STANDARD" in others; unspecified is documented as standard.
_SERVICE = {
    "UNSPECIFIED": Tier.STANDARD,
    "STANDARD": Tier.STANDARD,
    "FLEX": Tier.FLEX,
    "PRIORITY": Tier.PRIORITY,
    "BATCH": Tier.BATCH,
    "DEFAULT": Tier.STANDARD,
    "AUTO": None,
}
_SERVICE_NUMBERS = ("UNSPECIFIED", "STANDARD", "FLEX", "PRIORITY")
_TRAFFIC_NUMBERS = tuple(_TRAFFIC)[:5]


@dataclass(frozen=True, slots=True)
class TierRead:
    """The tier, or None where nothing is said, and whether a word was not understood."""

    tier: Tier | None = None
    anomalies: tuple[Anomaly, ...] = ()


_NOTHING_SAID = TierRead()


def read_tier(*words: object) -> TierRead:
    """Read the first word that is said: the usage object's, then the answer's, then the header's."""
    for word in words:
        if word is None or word == "":
            continue
        name = _name(word)
        if name in _TRAFFIC:
            tier = _TRAFFIC[name]
        elif name in _SERVICE:
            tier = _SERVICE[name]
        else:
            return TierRead(None, (Anomaly.UNKNOWN_TIER,))
        if tier is not None:
            return TierRead(tier)
    return _NOTHING_SAID


def usage_tier_words(usage: Mapping[str, Any]) -> tuple[object, ...]:
    """Pick the words of a usage object that name a tier; numbers are told apart by the field they stand in."""
    service, traffic = usage.get("serviceTier", usage.get("service_tier")), usage.get("trafficType")
    return _numbered(service, _SERVICE_NUMBERS), _numbered(traffic, _TRAFFIC_NUMBERS)


def read_platform(answer: Mapping[str, Any], usage: Mapping[str, Any]) -> Platform | None:
    """Tell Vertex by the fields that only Vertex writes; None where the answer could be of either.

    A library writes each field that it knows, of all platforms: null where the answer had none.
    """
    written = (usage.get("trafficType"), usage.get("billablePromptUsage"), answer.get("totalBillableCharacters"))
    if any(value is not None for value in written):
        return Platform.VERTEX
    named = (answer.get("name"), answer.get("model"), answer.get("modelVersion"))
    if any(isinstance(name, str) and name.startswith("projects/") for name in named):
        return Platform.VERTEX
    return None


def _numbered(word: object, names: tuple[str, ...]) -> object:
    if word is None:
        return None
    if isinstance(word, int) and not isinstance(word, bool) and 0 <= word < len(names):
        return names[word]
    return word


def _name(word: object) -> str:
    value = getattr(word, "value", word)
    return value.upper().removeprefix("SERVICE_TIER_") if isinstance(value, str) else ""
