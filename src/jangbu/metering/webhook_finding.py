"""What makes events for the app: what this process saw, and what the database has found."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from jangbu import telemetry
from jangbu.domain.ledger import Asset
from jangbu.domain.webhooks import EventKind, Low
from jangbu.errors import JangbuError
from jangbu.metering.webhook_watch import Watch
from jangbu.storage import webhooks
from jangbu.storage.database import Database

__all__ = ["BurnDown", "WebhookFinding"]

_LOOK_MAX = 1_000
_MADE_MAX = 500
_PAUSE_SECONDS = 30
"""How long after a round through all balances the next one begins."""

BurnDown = Callable[[UUID, Asset], Awaitable[int]]
"""Brings an account's grants up to its balance."""


class WebhookFinding:
    """Makes events of one project. What is made is in the outbox by then. Belongs to one event loop."""

    def __init__(
        self,
        database: Database,
        watch: Watch,
        burn_down: BurnDown,
        *,
        project: str,
        kinds: frozenset[EventKind],
        low: Low | None,
    ) -> None:
        self._database = database
        self._watch = watch
        self._burn_down = burn_down
        self._project = project
        self._kinds = kinds
        self._low = low if EventKind.BALANCE_LOW in kinds else None

    async def write_down(self) -> bool:
        """Write down what this process saw, and look at the balances it saw move; tell whether events were made.

        Asks nothing where nothing was seen. Raises DatabaseUnreachable.
        """
        made = False
        if failures := self._watch.failures():
            await webhooks.make_of_failures(self._database, self._project, failures)
            self._watch.told(failures)
            made = True
        if refused := self._watch.refusals():
            try:
                await webhooks.refuse(self._database, self._project, refused)
            except BaseException:
                self._watch.put_back(refused)
                raise
            made = await webhooks.make_of_refusals(self._database, self._project, _MADE_MAX) > 0 or made
        if waiting := self._watch.waiting(_LOOK_MAX):
            made = await self._look(waiting) or made
        return made

    async def find(self) -> None:
        """Make events of what the database has found, and look at a page of balances. Raises DatabaseUnreachable."""
        if EventKind.CALL_ANOMALY in self._kinds:
            await webhooks.make_of_findings(self._database, self._project, _MADE_MAX)
        if EventKind.CALL_REFUSED in self._kinds:
            await webhooks.make_of_refusals(self._database, self._project, _MADE_MAX)
        if EventKind.GRANT_USED_UP in self._kinds or self._low is not None:
            moved = await webhooks.walk(self._database, self._project, limit=_LOOK_MAX, pause_seconds=_PAUSE_SECONDS)
            if moved:
                await self._look(moved)
        if EventKind.GRANT_USED_UP in self._kinds:
            await webhooks.make_of_grants(self._database, self._project, _MADE_MAX)

    async def begin(self) -> None:
        """Begin the periodic look at all balances."""
        await webhooks.begin_walk(self._database, self._project)

    async def _look(self, accounts: Sequence[UUID]) -> bool:
        """Look at balances: tell of the low ones, burn down what is used up, and know when to look again."""
        seen, made = await webhooks.look(self._database, self._project, accounts, self._low)
        self._watch.learn(seen)
        if EventKind.GRANT_USED_UP in self._kinds:
            for each in seen:
                if each.is_used_up:
                    made += await self._burn(each.account)
            made += await webhooks.make_of_grants(self._database, self._project, _MADE_MAX) if made else 0
        return made > 0

    async def _burn(self, account: UUID) -> int:
        """Burn down one account's grants; one that fails keeps no other from being told."""
        try:
            await self._burn_down(account, Asset.TOKENS)
        except JangbuError as error:
            telemetry.warn("webhooks.burn_failed", str(error), account_id=str(account))
            return 0
        return 1
