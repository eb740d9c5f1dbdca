"""Work that was begun through a wrapped client or a gateway: whose it is, and what its result settles.

The ledger keeps it, so that any process may fetch the result. What it could not be told of is kept here, and told when
the result is asked for.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jangbu.domain.flow import Call
from jangbu.domain.usage import Source, Usage
from jangbu.providers.gemini.work import batch_of_file
from jangbu.sdk.hook import Hook
from jangbu.telemetry import warn

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["Reads", "note_begun", "settled"]

Reads = Callable[[str], tuple[Usage, bool]]
"""Reads what a result reports of a model, and whether it is an error instead."""


async def note_begun(hook: Hook, metering: "Metering", name: str, call: Call) -> bool:
    """Write down whose work it is, and which call waits for it; tell whether that could be. Where it could not, it is
    tried again when this process is asked for the result.
    """
    try:
        await _claim(metering, name, call)
    except Exception as error:
        hook.unnoted[name] = call
        warn("sdk.work_not_noted", f"whose {name} is cannot be noted: {error}", resource=name, error=error)
        return False
    return True


async def settled(hook: Hook, metering: "Metering", name: str, reads: Reads, shown: Mapping[str, Any]) -> bool:
    """Settle what a result shows, for whoever began the work; tell whether the ledger knows who that is."""
    from jangbu.metering.later import settle_shown
    from jangbu.metering.resources import ResourceKind

    if (unnoted := hook.unnoted.get(name)) is not None:
        await _claim(metering, name, unnoted)
        hook.unnoted.pop(name, None)
    begun = await metering.resources.begun(name)
    if begun is None and (batch := batch_of_file(name)) is not None:
        begun = await metering.resources.begun(batch)
    if begun is None or begun.call is None:
        return False
    usage, is_error = reads(begun.call.model)
    # That a batch has ended does not tell what it used: its counts may show later, or in the file of its results.
    is_counted = usage.source is not Source.NONE or begun.kind not in (ResourceKind.BATCH, ResourceKind.FILE)
    await settle_shown(metering, begun, usage if is_counted else None, shown, is_error=is_error)
    return True


async def _claim(metering: "Metering", name: str, call: Call) -> None:
    from jangbu.metering.later import INTERACTION_SECONDS
    from jangbu.metering.owned import kind_of
    from jangbu.metering.resources import LaterCall, ResourceKind

    kind = kind_of(name)
    seconds = INTERACTION_SECONDS if kind is ResourceKind.INTERACTION else None
    account = metering.accounts.id_of(call.user)
    later = LaterCall(call.id, call.service, call.model, call.metadata, begun_by_app=True)
    await metering.resources.claim(account, name, kind, call=later, seconds=seconds)
    await metering.holds.extend(account, call.id)
