"""Calls that are settled later: batches, background interactions and long operations report usage with their result.

Whoever sees the result first settles the call, in whichever process. The record bears the call's own id, so however
many see it at once, it is recorded and deducted once, and its hold is closed.
"""

from dataclasses import replace

from jangbu import telemetry
from jangbu.domain.flow import Bounds, Call, MarkUnknown, Receipt, Release, Settle
from jangbu.domain.usage import Source, Usage
from jangbu.errors import IdempotencyConflict
from jangbu.metering.meter import Metering
from jangbu.metering.resources import LaterCall, Owned, ResourceKind

__all__ = ["lose_later", "release_later", "settle_later"]

_FINAL = frozenset({Source.REPORTED, Source.COUNT_TOKENS})


async def settle_later(metering: Metering, owned: Owned, usage: Usage, *, ended: bool = False) -> Receipt | None:
    """Settle the call that waits for a result, once, if an answer shows it; give the receipt where one was recorded.

    None, with nothing done, where no call waits any more, or where the answer shows no result: it says nothing of
    usage, or has running counts only, or broke off. ``ended`` is the caller's word that the answer is whole and that
    the work has ended well, so that nothing more will ever be reported: then what it says is recorded all the same, as
    for any other answer. A result that comes after the hold was given back is recorded, as late.
    """
    call = _waiting(owned)
    if call is None or not (ended or usage.source in _FINAL):
        return None
    try:
        receipt = await metering.execute(Settle(_call(owned, call), _identified(usage, owned)))
    except IdempotencyConflict as conflict:
        telemetry.warn("later.differs", str(conflict), usage_id=str(call.id), resource=owned.name)
        receipt = None
    is_first = await metering.resources.settled(owned.account, owned.name)
    assert receipt is None or isinstance(receipt, Receipt), "what is settled has a receipt"
    if receipt is not None and is_first and call.key is not None:
        await metering.keys.limits.spend(call.key, receipt.charged_tokens)
    return receipt


async def release_later(metering: Metering, owned: Owned, reason: str) -> None:
    """Give back what is held for work that failed or was cancelled and reports no usage: it costs nothing."""
    call = _waiting(owned)
    if call is None:
        return
    await metering.execute(Release(_call(owned, call), reason))
    await metering.resources.settled(owned.account, owned.name)


async def lose_later(metering: Metering, owned: Owned, reason: str) -> None:
    """Keep what is held for work that the provider has no more, and have somebody look: nobody knows what it used.

    It is asked for no more. A result that its owner sees after all is settled as ever.
    """
    call = _waiting(owned)
    if call is not None and await metering.resources.lost(owned.account, owned.name):
        await metering.execute(MarkUnknown(_call(owned, call), reason))


def _waiting(owned: Owned) -> LaterCall | None:
    """Give the call that waits; one that was settled before is left alone, also when its record is long gone."""
    return owned.call if owned.settled_at is None else None


def _call(owned: Owned, call: LaterCall) -> Call:
    bounds = Bounds(input_most=0, output_most=0, output_chosen=True)
    return Call(call.id, owned.user, call.service, call.model, bounds, metadata=call.metadata)


def _identified(usage: Usage, owned: Owned) -> Usage:
    """Have the usage of an interaction name its id, which events that are fetched again may leave out."""
    if usage.response_id is not None or owned.kind is not ResourceKind.INTERACTION:
        return usage
    return replace(usage, response_id=owned.name.rpartition("/")[2])
