"""The gateway's driver of ``domain.flow.metered_call``: one call between its hold and its end."""

from collections.abc import Awaitable, Callable

from jangbu.domain.flow import Call, CountInput, Lost, Outcome, Receipt, Rejected, Send, metered_call
from jangbu.gateway.upstream import UpstreamFailure
from jangbu.metering.meter import Metering

__all__ = ["MeteredCall", "failed"]


class MeteredCall:
    """One call. ``begin`` comes once, then ``finish`` once, whatever happened in between."""

    def __init__(self, ledger: Metering, call: Call) -> None:
        self.call = call
        self._ledger = ledger
        self._steps = metered_call(call)

    async def begin(self, count_input: Callable[[], Awaitable[int | None]]) -> int | None:
        """Take the hold, durably; give the output limit for each candidate to put into the request, if any.

        Raises InsufficientBalance, and what the ledger raises; nothing is held then.
        """
        effect = next(self._steps)
        while not isinstance(effect, Send):
            if isinstance(effect, CountInput):
                effect = self._steps.send(await count_input())
            else:
                effect = self._steps.send(await self._ledger.execute(effect))
        return effect.output_limit

    async def finish(self, outcome: Outcome) -> Receipt | None:
        """Settle, release or mark the call, and wait until that is durable; the receipt of what was charged."""
        try:
            effect = self._steps.send(outcome)
            while True:
                assert not isinstance(effect, Send | CountInput), "a call is sent once"
                effect = self._steps.send(await self._ledger.execute(effect))
        except StopIteration as end:
            receipt: Receipt | None = end.value
            return receipt


def failed(failure: UpstreamFailure) -> Outcome:
    """Judge a call that came to nothing before anything of an answer was seen."""
    return Lost(failure.message) if failure.may_have_left else Rejected(failure.message)
