"""Calls that are settled later: batches, background interactions and long operations report usage with their result.

Whoever sees the result first settles the call, in whichever process. The record bears the call's own id, so however
many see it at once, it is recorded and deducted once, and its hold is closed.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from jangbu import telemetry
from jangbu.domain.flow import Bounds, Call, MarkUnknown, Receipt, Release, Settle
from jangbu.domain.usage import Source, Usage
from jangbu.errors import IdempotencyConflict, NotPermitted
from jangbu.metering.meter import Metering
from jangbu.metering.owned import short_name
from jangbu.metering.resources import LaterCall, Owned, ResourceKind
from jangbu.providers.gemini.references import files_made
from jangbu.providers.gemini.work import Work, work_of

__all__ = [
    "FILE_SECONDS",
    "INTERACTION_SECONDS",
    "claim_made",
    "lose_later",
    "release_later",
    "settle_later",
    "settle_shown",
]

FILE_SECONDS = 48 * 3600
"""Google deletes a file after 48 hours (ai.google.dev/gemini-api/docs/files)."""
INTERACTION_SECONDS = 60 * 24 * 3600
"""How long an interaction is its owner's: Google keeps it 55 days at most."""

_FINAL = frozenset({Source.REPORTED, Source.COUNT_TOKENS})


async def settle_shown(
    metering: Metering, owned: Owned, usage: Usage | None, shown: Mapping[str, Any], *, is_error: bool = False
) -> Receipt | None:
    """Settle what a result shows. One that stands in a file belongs to the same user, and waits for the same call.

    ``shown`` is empty where the answer was too large to be kept, or is no object: then its usage alone tells.
    ``is_error`` tells that a file of results holds an error instead.
    """
    work = work_of(shown)
    if owned.kind in (ResourceKind.OPERATION, ResourceKind.INTERACTION):
        await claim_made(metering, owned.account, work.answer)
    if owned.call is None or not owned.is_owed:
        return None
    if owned.kind is ResourceKind.BATCH and work.has_ended:
        await metering.resources.unuse(owned.account, owned.call.id)
    if (file := _result_file(work)) is not None:
        await metering.resources.claim(owned.account, file, ResourceKind.FILE, call=owned.call, seconds=FILE_SECONDS)
        return None
    is_file = owned.kind is ResourceKind.FILE
    if (is_error if is_file else work.has_failed) and (usage is None or usage.source is Source.NONE):
        await release_later(metering, owned, "the work came to nothing")
        return None
    is_running = not is_file and bool(shown) and not work.has_ended
    # A file of results in which nothing is cannot be that: nobody has seen yet what they used.
    if usage is None or is_running or (is_file and usage.is_empty):
        return None
    return await settle_later(metering, owned, usage, ended=is_file or work.has_ended)


async def claim_made(metering: Metering, account: UUID, shown: Mapping[str, Any]) -> None:
    """Write down that the files that the provider made for an answer are the payer's, unless they are somebody's."""
    for name in files_made(shown):
        with suppress(NotPermitted):
            await metering.resources.claim(account, name, ResourceKind.FILE, seconds=FILE_SECONDS)


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
    return owned.call if owned.is_owed else None


def _result_file(work: Work) -> str | None:
    """Give the name of the file in which a batch's results are, as it is owned."""
    short = "" if work.results is None else short_name(work.results)
    return short if short.startswith("files/") else None


def _call(owned: Owned, call: LaterCall) -> Call:
    bounds = Bounds(input_most=0, output_most=0, output_chosen=True)
    return Call(call.id, owned.user, call.service, call.model, bounds, metadata=call.metadata)


def _identified(usage: Usage, owned: Owned) -> Usage:
    """Have the usage of an interaction name its id, which events that are fetched again may leave out."""
    if usage.response_id is not None or owned.kind is not ResourceKind.INTERACTION:
        return usage
    return replace(usage, response_id=owned.name.rpartition("/")[2])
