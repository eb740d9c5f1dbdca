"""What a record keeps of an answer: the provider's own words, from which everything else is derived again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from jangbu.domain.usage import Anomaly, Platform, Source, Surface, Tier, Units, Usage
from jangbu.errors import InvalidAnswer
from jangbu.providers import gemini
from jangbu.storage.usage import UsageRecord

_NO_UNITS = Units()
_SAYS_NOTHING = "the answer says nothing of what it used"


def require_answer(usage: Usage) -> None:
    """Let only what is an answer be recorded. Raises InvalidAnswer: an empty object is none that cost nothing."""
    if usage.is_empty:
        raise InvalidAnswer(
            "the answer is empty, and says nothing of what it used",
            hint="give it whole, as Gemini sent it; if there was no answer, there is nothing to record",
        )


def require_told(usage: Usage) -> None:
    """Let only an answer that somebody hands over be recorded that says what it used, or why it does not. Raises
    InvalidAnswer: an error, or a run that is still under way, is no call that cost nothing.

    Embeddings are taken all the same: some of Google's models report nothing of them (gemini-embedding-001), so theirs
    would be kept nowhere. It is found that their usage is missing.
    """
    require_answer(usage)
    if usage.says_nothing and usage.surface is not Surface.EMBED_CONTENT:
        raise InvalidAnswer(
            _SAYS_NOTHING,
            hint="give it whole, as Gemini sent it, with its usage (`usageMetadata`); a call that failed deducts"
            " nothing, and is not recorded",
        )


def require_evidence(usage: Usage) -> None:
    """Let only an answer end a hold that says what it used, or why it does not. Raises InvalidAnswer: what says
    nothing (an empty object, an error, a run that is still under way) does not prove that nothing was used.
    """
    if usage.says_nothing:
        raise InvalidAnswer(
            _SAYS_NOTHING,
            hint="give it whole, as Gemini sent it, with its usage (`usageMetadata`); if there was no answer, or an"
            " error, release the hold and say why",
        )


def evidence(usage: Usage) -> dict[str, Any]:
    """Give the usage objects verbatim, with the units that no usage object reports; a batch's answers one by one."""
    if usage.members:
        return {"members": [_member(member) for member in usage.members]}
    return {"usage": [dict(part) for part in usage.raw], **_units(usage)}


def restated(record: UsageRecord) -> Usage:
    """Rebuild the usage of a record from its evidence alone."""
    kept = json.loads(record.raw)
    if "text" in kept:
        kept = json.loads(kept["text"])
    platform = Platform(record.platform)
    tier = Tier(record.tier) if record.tier else None
    if "members" not in kept:
        usage = _restate(Surface(record.surface), kept, platform, record.model, tier, Source(record.source))
        return replace(usage, anomalies=_anomalies(record.anomalies))
    members = tuple(
        replace(
            _restate(Surface(member["surface"]), member, platform, None, tier, Source(member["source"])),
            model=member["model"],
            tier=tier,
            anomalies=_anomalies(member["anomalies"]),
        )
        for member in kept["members"]
    )
    return Usage(
        Surface(record.surface),
        source=Source(record.source),
        model=record.model,
        platform=platform,
        tier=tier,
        anomalies=_anomalies(record.anomalies),
        members=members,
    )


def _member(usage: Usage) -> dict[str, Any]:
    return {
        "surface": usage.surface.value,
        "source": usage.source.value,
        "model": usage.model,
        "anomalies": list(usage.anomalies),
        "usage": [dict(part) for part in usage.raw],
        **_units(usage),
    }


def _anomalies(names: Iterable[str]) -> tuple[Anomaly, ...]:
    """Give the anomalies that were found in the answer itself: the evidence alone no longer shows all of them."""
    return tuple(Anomaly(name) for name in names)


def _units(usage: Usage) -> dict[str, Any]:
    if usage.units == _NO_UNITS:
        return {}
    return {"units": {name: count for name, count in asdict(usage.units).items() if count}}


def _restate(
    surface: Surface, kept: Mapping[str, Any], platform: Platform, model: str | None, tier: Tier | None, source: Source
) -> Usage:
    units = Units(**kept.get("units", {}))
    return gemini.restate(surface, kept["usage"], platform, model, tier, units, source=source)
