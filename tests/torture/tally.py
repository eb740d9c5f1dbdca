"""What happened, counted while it happens."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.torture.facts import Whole
from tests.torture.plan import Disk, Kind, Life
from tests.torture.points import POINTS

__all__ = ["Goals", "Tally"]


@dataclass(frozen=True, slots=True)
class Goals:
    """Until when it goes on: until each of them is reached."""

    seconds: int = 0
    kills: int = 0
    restarts: int = 0
    ambiguous: int = 0
    gateway_kills: int = 0
    point_kills: int = 0
    """How many at each named point. A slow machine gets to the last of them later, by its count of kills."""

    def reached(self, tally: "Tally") -> float:
        """Tell how far the one that is least reached is, from 0 to 1."""
        ways = (
            (tally.seconds, self.seconds),
            (tally.killed, self.kills),
            (tally.restarts, self.restarts),
            (tally.ambiguous.total(), self.ambiguous),
            (tally.kills[Kind.GATEWAY], self.gateway_kills),
            (min(tally.points[name] for name in POINTS), self.point_kills),
        )
        return min([1.0, *(done / wanted for done, wanted in ways if wanted)])


@dataclass(slots=True)
class Tally:
    """The figures of a run, and what was found wrong in it."""

    seconds: float = 0.0
    lives: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    """How often a process killed itself at each named point."""
    ready: int = 0
    """How many lives got as far as to call or to serve."""
    restarts: int = 0
    starts: list[tuple[float, float]] = field(default_factory=list)
    """For each restart how long the server took, and how long it took until the first record, in seconds."""
    ambiguous: Counter[str] = field(default_factory=Counter)
    committed: Counter[str] = field(default_factory=Counter)
    posthumous: int = 0
    answers: int = 0
    whole: int = 0
    records: int = 0
    orphans: int = 0
    partial: int = 0
    resolved: Counter[str] = field(default_factory=Counter)
    spooled: int = 0
    """How many records and ends of holds lay in the spools of dead processes at the end."""
    refused: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    left: int = 0
    closed: int = 0
    jumped: int = 0
    disks: Counter[str] = field(default_factory=Counter)
    top_ups: int = 0
    repeated_top_ups: int = 0
    looks: int = 0
    least: int | None = None
    """The least that was left to anybody at any time."""
    lost: int = 0
    twice: int = 0
    drift: int = 0
    leaked: int = 0
    untraceable: int = 0
    rounds: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many processes were killed."""
        return self.kills.total()

    def born(self, life: Life) -> None:
        """Count a life."""
        self.lives[life.kind] += 1
        if life.kind is Kind.GUIDE:
            # It has no spool, and asks no clock but the database's.
            return
        self.disks[life.disk] += life.disk is not Disk.AMPLE
        self.jumped += bool(life.jumps)

    def looked(self, least: int) -> None:
        """Count a look at all balances, and the least that was left to anybody."""
        self.looks += 1
        self.least = least if self.least is None else min(self.least, least)

    def found(self, what: str) -> None:
        """Note something that is wrong."""
        self.wrong.append(what)


def whole_of(facts: Mapping[str, Any]) -> Whole:
    """Give the answer that an app says it has."""
    return Whole(facts["answer"], (facts["prompt"], facts["candidates"], facts["thoughts"], facts["total"]))
