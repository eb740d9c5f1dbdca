"""Who lives, how, and what kills them: drawn from a seed, so that it can be drawn again."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

__all__ = ["HOUR", "YEAR", "Disk", "Kind", "Life", "Line", "Planner"]

HOUR, YEAR = 3_600, 31_536_000
_NAMED_SHARE = 0.6
_CLOSING_SHARE = 0.06
_PATIENCE_SECONDS = 4.0
"""How long a life may go on that was to end at a named point, before it ends anyhow."""


class Kind(StrEnum):
    """What a process is."""

    SDK = "sdk"
    GATEWAY = "gateway"
    GUIDE = "guide"


class Line(StrEnum):
    """How the way to the database treats a process."""

    PLAIN = "plain"
    LOSSY = "lossy"
    """Some statements are committed and their acknowledgement is lost, with the connection."""
    CUT = "cut"
    """No record gets through: all of them go to the spool."""
    AWAY = "away"
    """The first record is committed unheard, or not at all; none gets through for a while; then all is well."""
    LATE = "late"
    """Some statements are carried out late, even after the process has died; some answers come when it gave up."""


class Disk(StrEnum):
    """What room a process has for its spool."""

    AMPLE = "ample"
    TINY = "tiny"
    """For the records of three calls."""
    FULL = "full"
    """For none."""


@dataclass(frozen=True, slots=True)
class Life:
    """One process from its birth to its end. ``jumps`` are of its wall clock: after how long, by how many seconds."""

    number: int
    kind: Kind
    seed: int
    ends_after: float
    """When it is killed at the latest, in seconds after its birth."""
    point: str | None = None
    """Where it kills itself, and at which pass."""
    passes: int = 1
    line: Line = Line.PLAIN
    disk: Disk = Disk.AMPLE
    jumps: tuple[tuple[float, int], ...] = ()
    closes_after: float | None = None
    """When an app closes its meter in order, to be killed while it does so or soon after."""
    listener: int = 0
    """On which address a gateway listens."""

    def text(self) -> str:
        """Write it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        """Read what ``text`` wrote."""
        facts = json.loads(text)
        facts["jumps"] = tuple((after, seconds) for after, seconds in facts["jumps"])
        return cls(**{**facts, "kind": Kind(facts["kind"]), "line": Line(facts["line"]), "disk": Disk(facts["disk"])})


class Planner:
    """Draws lives. ``points`` are the named ones of each kind; the one that was hit least often comes next."""

    def __init__(self, seed: int, points: dict[Kind, Sequence[str]]) -> None:
        self._dice = random.Random(seed)
        self._points = points
        self._lives = 0
        self._planned: dict[Kind, Counter[str]] = {kind: Counter() for kind in Kind}
        self.hits: Counter[str] = Counter()
        """How often each point was hit, which whoever hears of it counts here."""

    def next(self, kind: Kind, listener: int = 0) -> Life:
        """Draw the next life."""
        self._lives += 1
        point = self._point(kind)
        disk = self._disk(point)
        if disk is Disk.FULL:
            point = None
        return Life(
            number=self._lives,
            kind=kind,
            seed=self._dice.getrandbits(48),
            ends_after=self._seconds(kind, point),
            point=point,
            passes=self._passes(point),
            line=self._line(point),
            disk=disk,
            jumps=self._jumps(),
            closes_after=self._dice.uniform(0.1, 0.7) if self._dice.random() < _CLOSING_SHARE else None,
            listener=listener,
        )

    def _point(self, kind: Kind) -> str | None:
        known = self._points.get(kind, ())
        if not known or self._dice.random() >= _NAMED_SHARE:
            return None
        planned = self._planned[kind]
        # Lives that are on their way count a little, so that several at once do not all go to one point.
        chosen = min(known, key=lambda each: (self.hits[each] + planned[each] / 4, self._dice.random()))
        planned[chosen] += 1
        return chosen

    def _seconds(self, kind: Kind, point: str | None) -> float:
        if point is not None:
            return _PATIENCE_SECONDS
        if kind is Kind.GATEWAY:
            return self._dice.uniform(0.3, 2.0)
        return self._dice.uniform(0.03, 0.9)

    def _passes(self, point: str | None) -> int:
        if point is None or point.startswith(("spool", "drain", "release")):
            return self._dice.randint(1, 2)
        return self._dice.randint(1, 5)

    def _line(self, point: str | None) -> Line:
        if point is not None and point.startswith("spool"):
            return Line.CUT
        if point is not None and point.startswith("drain"):
            return Line.AWAY
        weights = (50, 20, 8, 12, 10) if point is None else (80, 12, 0, 0, 8)
        return self._dice.choices(tuple(Line), weights=weights)[0]

    def _disk(self, point: str | None) -> Disk:
        if point is not None and point.startswith(("spool", "drain")):
            return Disk.AMPLE
        return self._dice.choices((Disk.AMPLE, Disk.TINY, Disk.FULL), weights=(90, 6, 4))[0]

    def _jumps(self) -> tuple[tuple[float, int], ...]:
        if self._dice.random() >= 0.2:
            return ()
        seconds = self._dice.choice((HOUR, -HOUR, YEAR, -YEAR))
        after = self._dice.choice((0.0, self._dice.uniform(0.1, 0.5)))
        back = ((after + self._dice.uniform(0.05, 0.3), -seconds),) if self._dice.random() < 0.3 else ()
        return ((after, seconds), *back)
