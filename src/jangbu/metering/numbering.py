"""The names in a record, its service and its model, and the numbers that stand for them in the ledger."""

import asyncio

from jangbu.errors import InvalidInput
from jangbu.metering.drafts import Draft
from jangbu.metering.retry import has_ended
from jangbu.metering.services import Services
from jangbu.metering.spooling import Spooling
from jangbu.storage.names import Names

__all__ = ["Numbering"]


class Numbering:
    """Knows the numbers that were asked for once."""

    def __init__(self, services: Services, models: Names) -> None:
        self._services = services
        self._models = models

    def knows(self, draft: Draft) -> bool:
        """Tell whether a record's names have numbers, without asking."""
        return draft.service in self._services.names and draft.model in self._models

    def of(self, draft: Draft) -> tuple[int, int]:
        """Give the numbers of a record's service and model, as far as they are known."""
        return self._services.names.number(draft.service), self._models.number(draft.model)

    async def learn(self, draft: Draft) -> None:
        """Have a record's names numbered. What was called for is recorded for whatever service it was.

        Raises InvalidInput for a service that may not be begun.
        """
        if not draft.was_held:
            await self._services.admit(draft.service)
        await self._services.names.learn([draft.service])
        await self._models.learn([draft.model])

    async def learn_in_time(self, draft: Draft, spooling: Spooling) -> bool:
        """Do so before the spool has to stand in; where that was too late, the database counts as away."""
        learning = asyncio.create_task(self.learn(draft))
        learning.add_done_callback(lambda each: each.cancelled() or each.exception())
        if await has_ended(learning, seconds=spooling.after_seconds):
            error = learning.exception()
            if error is None:
                return True
            if isinstance(error, InvalidInput):
                raise error
        learning.cancel()
        spooling.note_away()
        return False
