"""Where the book stands at this moment, in a few numbers: for whoever watches it."""

from collections.abc import Mapping
from dataclasses import dataclass

from jangbu.storage import alerts, holds, reports, verifications
from jangbu.storage.database import Database
from jangbu.storage.verifications import Verified

__all__ = ["Held", "Standing", "standing"]

_HOLDING = ("open", "unknown")
_FINDINGS = ("unpriced", "overrun", "late", "partial", "anomaly", "unknown_outcome")


@dataclass(frozen=True, slots=True)
class Held:
    """How many holds there are, and how many tokens they hold."""

    holds: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Holds by their state and open findings by their kind; what there is none of is there as 0.

    ``verified`` is the last verification that ended, or None; ``undelivered`` are alerts that a channel should have
    had: ``waiting``, or ``given_up`` within a day.
    """

    holds: Mapping[str, Held]
    findings: Mapping[str, int]
    verified: Verified | None
    undelivered: Mapping[str, int]


async def standing(database: Database, project: str, *, has_channels: bool = True) -> Standing:
    """Read where the book of a project stands. Raises DatabaseUnreachable.

    Without channels of one's own an alert is undelivered only if another process, which has some, tried it.
    """
    held = await holds.sums(database, project)
    found = await reports.findings_count(database, project)
    undelivered = await alerts.sums(database, project, untried=has_channels)
    return Standing(
        {state: Held(*held.get(state, (0, 0))) for state in _HOLDING},
        {kind: found.get(kind, 0) for kind in {**dict.fromkeys(_FINDINGS), **found}},
        await verifications.find(database, project),
        undelivered,
    )
