"""The inbox of findings: what is new, who looks into it, and what came of it."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from jangbu.errors import InvalidInput, NotFound
from jangbu.metering.accounts import Accounts
from jangbu.storage import findings
from jangbu.storage.database import Database
from jangbu.storage.findings import InboxRow, Place

__all__ = ["FindingKind", "Inbox", "InboxState", "resolves_itself", "state_of"]


class FindingKind(StrEnum):
    """What there is to look at."""

    UNPRICED = "unpriced"
    OVERRUN = "overrun"
    LATE = "late"
    PARTIAL = "partial"
    ANOMALY = "anomaly"
    UNKNOWN_OUTCOME = "unknown_outcome"


class InboxState(StrEnum):
    """How far somebody is with it; ``open`` is what is new or acknowledged."""

    OPEN = "open"
    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


_ENDED_BY = {
    FindingKind.UNKNOWN_OUTCOME: "charge the call by its answer, or give its tokens back",
    FindingKind.UNPRICED: "give the model a price (0 where it costs nothing) and run `jangbu prices backfill`",
}
"""What resolves a finding where nobody's word can: money depends on it."""


def resolves_itself(kind: str) -> bool:
    """Tell whether a finding is resolved by what is done about it, and by nobody's word."""
    return kind in _ENDED_BY


def state_of(row: InboxRow) -> InboxState:
    """Give how far somebody is with a finding."""
    if row.resolved_at is not None:
        return InboxState.RESOLVED
    return InboxState.NEW if row.acknowledged_at is None else InboxState.ACKNOWLEDGED


class Inbox:
    """The findings of one project."""

    def __init__(self, database: Database, accounts: Accounts, *, project: str) -> None:
        self._database = database
        self._accounts = accounts
        self._project = project

    async def page(
        self,
        *,
        state: InboxState | None = InboxState.OPEN,
        kind: FindingKind | None = None,
        user: str | None = None,
        before: Place | None = None,
        limit: int = 100,
    ) -> Sequence[InboxRow]:
        """Give findings, newest first, from the one before that place."""
        return await findings.page(
            self._database,
            self._project,
            state="" if state is None else state.value,
            kind=None if kind is None else kind.value,
            user=user,
            before=before,
            limit=limit,
        )

    async def acknowledge(self, user: str, call: UUID, kind: FindingKind, *, by: str) -> bool:
        """Say that somebody looks into a finding; tell whether nobody did so far. Raises NotFound."""
        account = self._accounts.id_of(user)
        if await findings.acknowledge(self._database, account, call, kind.value, by):
            return True
        await self._require(account, call, kind)
        return False

    async def resolve(self, user: str, call: UUID, kind: FindingKind, *, reason: str, by: str) -> bool:
        """Resolve a finding by somebody's word; tell whether it was open. Raises NotFound, and InvalidInput for what is
        resolved only by what is done about it.
        """
        if resolves_itself(kind):
            raise InvalidInput(f"a finding of this kind ({kind.value}) ends by itself", hint=_ENDED_BY[kind])
        account = self._accounts.id_of(user)
        if await findings.resolve(self._database, account, call, kind.value, by, reason):
            return True
        await self._require(account, call, kind)
        return False

    async def _require(self, account: UUID, call: UUID, kind: FindingKind) -> None:
        if not await findings.is_there(self._database, account, call, kind.value):
            raise NotFound(f"there is no finding {kind.value} of call {call}", hint="load the page again")
