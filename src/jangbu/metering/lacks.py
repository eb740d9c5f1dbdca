"""Why calls have no price: what of them is not priced, where that is known, and how many calls lack it."""

from collections import Counter
from dataclasses import dataclass

from jangbu.domain.pricing import Cost, Meter, Modality, Reason, Unpriced

__all__ = ["Lack", "lacks_of", "most"]


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a call has no price: what of it is not priced, where that is known."""

    reason: Reason
    meter: Meter | None
    modality: Modality | None


_TOO_LARGE = Lack(Reason.AMOUNT_TOO_LARGE, None, None)


def lacks_of(cost: Cost) -> set[Lack]:
    """Say why a call has no price."""
    return {_lack(each) for each in cost.unpriced} or {_TOO_LARGE}


def most(lacks: Counter[Lack]) -> tuple[tuple[Lack, int], ...]:
    """Give of how many calls something has no price, the most first."""
    return tuple(sorted(lacks.items(), key=lambda each: (-each[1], str(each[0]))))


def _lack(each: Unpriced) -> Lack:
    """Say what is not priced; where it is the tier or the model, that all the same whatever the call used."""
    is_of_meter = each.reason in {Reason.METER_UNPRICED, Reason.DURATION_UNKNOWN}
    return Lack(each.reason, each.meter, each.modality) if is_of_meter else Lack(each.reason, None, None)
