"""What a record keeps of an answer: the provider's own words, so that everything else can be derived again."""

from dataclasses import asdict
from typing import Any

from jangbu.domain.usage import Usage


def evidence(usage: Usage) -> dict[str, Any]:
    """Give the usage objects verbatim, with the units that no usage object reports."""
    kept: dict[str, Any] = {"usage": [dict(part) for part in usage.raw]}
    units = {name: count for name, count in asdict(usage.units).items() if count}
    if units:
        kept["units"] = units
    if usage.members:
        kept["members"] = [
            {"model": member.model, "response_id": member.response_id, **evidence(member)} for member in usage.members
        ]
        del kept["usage"]
    return kept
