"""What a page shows that is filtered by a user whom nobody knows: that nothing matches, beneath its filters."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.choices import chosen
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import Answered, Show
from jangbu.errors import NoAccount
from jangbu.metering.snapshots import snapshot

__all__ = ["or_nothing"]


def or_nothing(show: Show, *carried: str) -> Show:
    """Show a page, or that nothing matches its filters. ``carried`` is what the form of filters takes along."""

    async def shown(look: Look) -> Mapping[str, Any] | Answered | str:
        try:
            return await show(look)
        except NoAccount:
            async with snapshot(look.ledger.database, look.settings.project) as book:
                choices = await chosen(look, book)
            kept = {name: look.query[name] for name in carried if look.asked(name)}
            return Answered("unmatched.html", {"choices": choices, "carried": kept})

    return shown
