"""What may befall a statement between its process and the database, drawn from the seed."""

import random
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """One thing that befalls a statement."""

    NONE = "none"
    DROPPED_BEFORE = "dropped before"
    """The connection breaks before the statement arrives."""
    DROPPED_AFTER = "dropped after"
    """The statement is committed and its acknowledgement lost."""
    OVERTAKEN = "overtaken"
    """The connection breaks at once, and the server carries the statement out later: a repetition may come first."""
    CONFLICT = "conflict"
    """A serialisation failure or a deadlock: nothing is done, and the statement may be sent again."""
    SLOW = "slow"
    """The statement begins, waits, and is carried out with its old view of what it did not lock."""
    STALLED = "stalled"
    """It lies about for longer than anybody waits, and is carried out then."""
    MUTE = "mute"
    """It is carried out, and the answer takes longer than anybody waits."""


_FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)


@dataclass(slots=True)
class Weather:
    """How much goes wrong: ``rate`` is the part of statements that something befalls."""

    rate: float
    chance: random.Random
    likely: tuple[Fault, ...] = _FAULTS
    seconds_most: float = 40.0

    @classmethod
    def drawn(cls, chance: random.Random) -> "Weather":
        rate = chance.choice((0.0, 0.03, 0.1, 0.25, 0.5))
        likely = tuple(chance.sample(_FAULTS, chance.randint(1, len(_FAULTS))))
        return cls(rate, chance, likely, chance.choice((3.0, 15.0, 40.0)))

    def clear_up(self) -> None:
        """Let nothing go wrong any more."""
        self.rate = 0.0

    def fault(self) -> Fault:
        if self.chance.random() >= self.rate:
            return Fault.NONE
        return self.chance.choice(self.likely)

    def moment(self) -> float:
        """Give the seconds that a way over the network or a short statement takes."""
        return self.chance.random() * 0.002

    def while_(self, least: float = 0.0) -> float:
        """Give the seconds that something takes too long."""
        return least + self.chance.random() * self.seconds_most
