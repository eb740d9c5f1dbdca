"""What a number of calls used and cost, so that it can be added up."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter

__all__ = ["NOTHING", "Amounts", "average"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Sums over calls: tokens, and money in nano-USD.

    ``input_tokens`` are those of prompts and of what tools fed back, ``cached_tokens`` the part of them that came from
    a cache; ``output_tokens`` are those of answers without the ``thinking_tokens``. ``total_tokens`` is what was
    charged: Google's own total, which need not be the sum of its parts. ``cost_nano`` is what Google asks for,
    ``input_cost_nano`` the part of it that input makes, ``charge_nano`` what users are charged for it. The ``unpriced``
    calls add nothing to these three: where there are any, they are lower bounds.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0
    cost_nano: int = 0
    input_cost_nano: int = 0
    charge_nano: int = 0
    unpriced: int = 0

    @property
    def completion_tokens(self) -> int:
        """What models gave: answers and thinking."""
        return self.output_tokens + self.thinking_tokens

    @property
    def average_tokens(self) -> int:
        """What a call used on average, rounded half to even."""
        return average(self.total_tokens, self.calls)

    @property
    def output_cost_nano(self) -> int:
        """The part of the cost that output makes."""
        return self.cost_nano - self.input_cost_nano

    def __add__(self, other: "Amounts") -> "Amounts":
        # Most buckets of a chart have had nothing added to them yet.
        if self is NOTHING:
            return other
        return Amounts(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.thinking_tokens + other.thinking_tokens,
            self.cached_tokens + other.cached_tokens,
            self.total_tokens + other.total_tokens,
            self.cost_nano + other.cost_nano,
            self.input_cost_nano + other.input_cost_nano,
            self.charge_nano + other.charge_nano,
            self.unpriced + other.unpriced,
        )

    def __sub__(self, other: "Amounts") -> "Amounts":
        return Amounts(*(column(self) - column(other) for column in _COLUMNS))

    @classmethod
    def sum(cls, parts: Iterable["Amounts"]) -> "Amounts":
        """Add up; of nothing it is ``NOTHING``."""
        some = [part for part in parts if part is not NOTHING]
        # Column by column: a chart has thousands of parts, and each sum of two is an object of its own.
        return cls(*(sum(map(column, some)) for column in _COLUMNS)) if some else NOTHING


def average(total: int, number: int) -> int:
    """Divide, rounding half to even; the average of nothing is 0."""
    if number == 0:
        return 0
    quotient, rest = divmod(total, number)
    return quotient + (2 * rest > number or (2 * rest == number and quotient % 2 == 1))


_COLUMNS = tuple(attrgetter(field.name) for field in fields(Amounts))
NOTHING = Amounts()
