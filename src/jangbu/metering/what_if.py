"""What calls would have cost if another model had answered them with the same usage: each priced one by one."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from jangbu.domain.pricing import charge
from jangbu.domain.usage import Usage
from jangbu.metering.editions import Edition
from jangbu.metering.evidence import restated
from jangbu.metering.lacks import Lack, lacks_of, most
from jangbu.metering.stretches import Meant, in_time, walk
from jangbu.storage.stretches import records
from jangbu.storage.usage import UsageRecord

__all__ = ["SECONDS", "SIZE", "Compared", "Lack", "WhatIf", "what_if"]

SECONDS = 8
"""How long calls are looked at for a page: from the latest on, as many as can be."""
SIZE = 500
"""How many calls are looked at at a time: fewer than by tag, because each is read whole."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Some calls as they were recorded, and at the other model's prices. Money is in nano-USD.

    The sums are of the same calls on both sides: ``unpriced_there`` calls have no price at the other model and
    ``unpriced_then`` others had none when they were recorded; neither adds anything.
    """

    calls: int = 0
    cost_nano: int = 0
    charge_nano: int = 0
    other_cost_nano: int = 0
    other_charge_nano: int = 0
    unpriced_there: int = 0
    unpriced_then: int = 0

    @property
    def compared(self) -> int:
        """How many calls have a price on both sides."""
        return self.calls - self.unpriced_there - self.unpriced_then

    @property
    def difference_nano(self) -> int:
        """What the other model would have cost more; below zero, less."""
        return self.other_cost_nano - self.cost_nano

    def __add__(self, other: "Compared") -> "Compared":
        return Compared(
            self.calls + other.calls,
            self.cost_nano + other.cost_nano,
            self.charge_nano + other.charge_nano,
            self.other_cost_nano + other.other_cost_nano,
            self.other_charge_nano + other.other_charge_nano,
            self.unpriced_there + other.unpriced_there,
            self.unpriced_then + other.unpriced_then,
        )


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What calls cost and would have cost, by the models that answered, the dearest first.

    ``lacks`` says of how many calls what has no price there. ``is_whole`` tells whether all calls that are meant were
    looked at; where not, they are the latest ones.
    """

    model: str
    at: datetime
    lines: tuple[tuple[str, Compared], ...] = ()
    total: Compared = Compared()
    lacks: tuple[tuple[Lack, int], ...] = ()
    is_whole: bool = True


@dataclass(slots=True)
class _Sums:
    edition: Edition
    model: str
    at: datetime
    lines: dict[str, Compared] = field(default_factory=dict)
    lacks: Counter[Lack] = field(default_factory=Counter)

    def add(self, page: Sequence[UsageRecord]) -> None:
        """Price some calls by the other model, and add them to those of the models that answered."""
        for record in page:
            cost = self.edition.cost(_as_if(restated(record), self.model), self.model, self.at)
            other, other_charge = cost.amount_nano, charge(cost, self.edition.terms)
            if other is None or other_charge is None:
                found = Compared(1, unpriced_there=1)
                self.lacks.update(lacks_of(cost))
            elif record.cost_nano is None or record.charge_nano is None:
                found = Compared(1, unpriced_then=1)
            else:
                found = Compared(1, record.cost_nano, record.charge_nano, other, other_charge)
            self.lines[record.model] = self.lines.get(record.model, Compared()) + found


async def what_if(meant: Meant, edition: Edition, model: str, *, seconds: int | None = SECONDS) -> WhatIf:
    """Price the calls that are meant by another model's prices of the moment as of which they are read.

    They are priced from the latest on, for so many seconds at most; None is for as long as it takes. Raises NotFound
    for a user without an account.
    """
    sums, is_whole = _Sums(edition, model, meant.as_of), True
    async with aclosing(in_time(walk(meant, records, SIZE), seconds)) as walked:
        async for page in walked:
            if page is None:
                is_whole = False
                break
            await asyncio.to_thread(sums.add, page)
    return WhatIf(
        model, meant.as_of, _dearest(sums.lines), sum(sums.lines.values(), Compared()), most(sums.lacks), is_whole
    )


def _as_if(usage: Usage, model: str) -> Usage:
    """Have another model give an answer, and each member of a batch."""
    members = tuple(replace(member, model=model) for member in usage.members)
    return replace(usage, model=model, members=members)


def _dearest(lines: Mapping[str, Compared]) -> tuple[tuple[str, Compared], ...]:
    return tuple(sorted(lines.items(), key=lambda line: (-line[1].cost_nano, line[0])))
