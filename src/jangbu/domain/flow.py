"""The life of one metered call, written once.

``metered_call`` is a generator without I/O: it yields effects and is sent their results. The SDK's drivers (sync and
async), the gateway and the simulator all drive this one generator, so a rule about money is changed in one place.

    take a hold ─ refused ─> count the input exactly, take again ─ refused ─> clamp, or InsufficientBalance
         │           └ next to nothing is left ─> InsufficientBalance, and nothing is counted
         │ taken
    send the call (the intent is durable before the first byte leaves)
         ├─ Answered   -> Settle: what the provider reported replaces the hold
         ├─ Rejected   -> Release: an error of the provider costs nothing
         └─ Lost       -> MarkUnknown: sent, and nobody knows; stays held until evidence comes
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from jangbu.domain.usage import Usage
from jangbu.errors import InsufficientBalance, UncountedInput

_ANYTHING = -(2**63)
"""However little is available."""
OUTPUT_LIMIT_LEAST = 1024
"""The smallest output limit that is put in for a client that set none."""


class ShortBalance(StrEnum):
    """What to do when the balance does not cover the output that a call may produce."""

    CLAMP = "clamp"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a call can cost, read from its request, in tokens.

    ``input_most`` is None where no local bound exists (a file named by URI, cached content, a film that comes along).
    ``output_most`` is for all candidates together, thinking included; ``output_chosen`` tells whether the client set
    it. Where it did not, a smaller limit may be put in, so that one call does not lock a whole balance; none is where
    all of the output is held for and ``output_ends`` tells that the model itself writes no more than that.
    ``fed_back_most`` is what the provider's own tools may feed back as input while the call runs. It is far more than
    they usually do, so it is held for as far as the balance goes: two such calls cannot both spend what is left.
    ``takes_limit`` is False where no limit can be written into the request: the whole output is held for, or the call
    is refused. ``output_least`` is the smallest limit of a candidate that is of any use: a picture that is broken off
    is paid for and is none, so who cannot pay for that much is refused, unless the client itself wants less.
    """

    input_most: int | None
    output_most: int
    output_chosen: bool
    candidates: int = 1
    fed_back_most: int = 0
    takes_limit: bool = True
    output_least: int = 1
    output_ends: bool = True

    @property
    def output_is_fixed(self) -> bool:
        """Whether nothing smaller is put in to leave room for the next call."""
        return self.output_chosen or not self.takes_limit

    @property
    def output_useful(self) -> int:
        """The fewest tokens that all candidates together can do something with."""
        return min(self.output_most, self.output_least * self.candidates)

    @property
    def output_put_in(self) -> int:
        """The fewest tokens for all candidates that a client is limited to who set no limit."""
        return min(self.output_most, max(self.output_least, OUTPUT_LIMIT_LEAST) * self.candidates)


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a provider: who pays, for what, and the most it can cost."""

    id: UUID
    user: str
    service: str
    model: str
    bounds: Bounds
    short_balance: ShortBalance = ShortBalance.REFUSE
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class TakeHold:
    """Hold tokens for the call. ``least`` and ``most`` differ where the amount may follow the balance:

    the hold is then ``most``, but no more than ``base`` plus half of what is left beyond it, and at least ``least``.
    The result is a ``Held`` or a ``Refused``.
    """

    call: Call
    base: int
    least: int
    most: int
    take_all: bool = False
    """Hold as much as is available between ``least`` and ``most`` (clamping), instead of half."""
    goes_on_with: int | None = None
    """From how much available on a refusal is not the call's end, because less may be asked for; None: it always is."""


@dataclass(frozen=True, slots=True)
class Held:
    """Tokens are held and the hold is durable."""

    amount: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The balance is too small; nothing is held."""

    needed: int
    available: int


@dataclass(frozen=True, slots=True)
class CountInput:
    """Ask the provider's countTokens for the exact input. The result is an int, or None if it cannot tell."""

    call: Call


@dataclass(frozen=True, slots=True)
class Send:
    """Make the call. ``output_limit`` is the output limit for each candidate to write into the request, or None.

    The result is an ``Answered``, a ``Rejected`` or a ``Lost``; for a stream it comes when the stream has ended.
    """

    call: Call
    output_limit: int | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The provider answered; this is what it reported."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider answered with an error, which costs nothing, or the call never left."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The call left, and whether it was answered cannot be known."""

    reason: str


Outcome = Answered | Rejected | Lost


@dataclass(frozen=True, slots=True)
class Settle:
    """Record the usage and replace the hold by it. The result is a ``Receipt``, or None where the call was settled by
    somebody else meanwhile, by evidence that says otherwise.
    """

    call: Call
    usage: Usage


@dataclass(frozen=True, slots=True)
class Release:
    """Give the hold back. The result is None."""

    call: Call
    reason: str


@dataclass(frozen=True, slots=True)
class MarkUnknown:
    """Keep the hold until evidence or an operator settles it, and raise an incident. The result is None."""

    call: Call
    reason: str


LedgerEffect = TakeHold | Settle | Release | MarkUnknown
Effect = LedgerEffect | CountInput | Send


@dataclass(frozen=True, slots=True)
class Receipt:
    """A usage record that is durable. Tokens; money in nano-USD, None where no price is known.

    ``available`` is None where the database was away: the record is in the spool then, and what it does to the balance
    shows later. ``replayed`` tells that the same record was there already and nothing changed.
    """

    id: UUID
    user: str
    model: str
    charged_tokens: int
    cost_nano: int | None
    available: int | None
    held_before: int = 0
    overrun: int = 0
    replayed: bool = False


def metered_call(call: Call) -> Generator[Effect, Any, Receipt | None]:
    """Walk through the life of one call. Returns the receipt, or None where nothing was charged.

    Raises InsufficientBalance or UncountedInput before anything is sent; nothing is held then.
    """
    output_limit = yield from _take_hold(call)
    outcome: Outcome = yield Send(call, output_limit)
    match outcome:
        case Answered(usage):
            receipt: Receipt | None = yield Settle(call, usage)
            return receipt
        case Rejected(reason):
            yield Release(call, reason)
        case Lost(reason):
            yield MarkUnknown(call, reason)
    return None


def _take_hold(call: Call) -> Generator[Effect, Any, int | None]:
    """Take a hold that covers the call; give the output limit for each candidate that has to be put in, if any."""
    bounds = call.bounds
    clamps = call.short_balance is ShortBalance.CLAMP and bounds.takes_limit
    input_most = bounds.input_most
    answer: Held | Refused | None = None
    if input_most is not None:
        answer = yield _hold_for(call, input_most, goes_on_with=_least(bounds))
    if isinstance(answer, Refused) and answer.available < _least(bounds):
        raise InsufficientBalance(user=call.user, needed=answer.needed, available=answer.available)
    if input_most is None or isinstance(answer, Refused):
        input_most = yield from _count_input(call)
        answer = yield _hold_for(call, input_most, goes_on_with=_ANYTHING if clamps else None)
    if isinstance(answer, Refused) and clamps:
        least = input_most + max(bounds.output_useful, bounds.candidates)
        most = input_most + bounds.output_most + bounds.fed_back_most
        answer = yield TakeHold(call, input_most, least, most, take_all=True)
    if isinstance(answer, Refused):
        raise InsufficientBalance(user=call.user, needed=answer.needed, available=answer.available)
    assert answer is not None, "a hold is taken or refused"
    output_held = _output_held(bounds, answer.amount - input_most)
    if output_held >= bounds.output_most and (bounds.output_is_fixed or bounds.output_ends):
        # To repeat a model's own limit changes nothing, and one that is off by a token is refused.
        return None
    return output_held // bounds.candidates


def _output_held(bounds: Bounds, held: int) -> int:
    """Give how many of the tokens that are held beyond the input the output may have."""
    if bounds.fed_back_most and not bounds.output_is_fixed:
        held = max(held // 2, min(held, bounds.output_put_in))
    return min(held, bounds.output_most)


def _least(bounds: Bounds) -> int:
    """Give what a call takes at the very least: whoever has less is refused, and nothing is counted for them."""
    return 1 + bounds.output_useful


def _count_input(call: Call) -> Generator[Effect, Any, int]:
    """Count the input exactly where the provider can, else fall back on the local bound."""
    counted: int | None = yield CountInput(call)
    if counted is not None:
        return counted
    if call.bounds.input_most is None:
        raise UncountedInput(
            "nothing tells how many tokens this input has: countTokens did not say",
            hint="try again, or send what the request names along, inline or as an uploaded file",
        )
    return call.bounds.input_most


def _hold_for(call: Call, input_most: int, *, goes_on_with: int | None) -> TakeHold:
    """Ask for the whole bound where the output is fixed, else for what leaves room for the next call."""
    bounds = call.bounds
    most = least = input_most + bounds.output_most
    if not bounds.output_is_fixed:
        least = input_most + bounds.output_put_in
    if bounds.fed_back_most:
        most += bounds.fed_back_most
    return TakeHold(call, input_most, least, most, take_all=bounds.fed_back_most > 0, goes_on_with=goes_on_with)
