"""Calls that ended, or broke off, without a deduction: each left a hold that says which model was called for."""

from collections.abc import Mapping

from jangbu.domain.windows import Window
from jangbu.metering.snapshots import EVERYTHING, Filters, Snapshot
from jangbu.storage import holds

__all__ = ["undeducted"]


async def undeducted(look: Snapshot, window: Window, filters: Filters = EVERYTHING) -> Mapping[str, int]:
    """Give how many calls of a window were not deducted, by the model that was called for. Raises NotFound."""
    account = None if filters.user is None else await look.account(filters.user)
    named = (filters.models or None, filters.services or None)
    return await holds.undeducted(look.reader, look.project, account, window.start, window.end, *named)
