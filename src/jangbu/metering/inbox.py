"""The inbox of findings: what is new, who looks into it, and what came of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from jangbu.clock import new_id
from jangbu.domain.reasons import REASON_LENGTH_MAX, is_reason
from jangbu.errors import InvalidInput, NotFound
from jangbu.metering.accounts import Accounts
from jangbu.metering.alert_facts import finding_state
from jangbu.metering.audit import Audit, Change, whoever_acts
from jangbu.metering.content import digest
from jangbu.metering.once import done_once
from jangbu.storage import findings
from jangbu.storage.database import Connection, Database
from jangbu.storage.findings import InboxRow, Place

__all__ = ["FindingKind", "Inbox", "InboxState", "Looked", "resolves_itself", "state_of"]


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
    return InboxState(finding_state(row))


@dataclass(frozen=True, slots=True)
class Looked:
    """What somebody did about a finding: how that stands now, whether this changed it, and whether it was asked for
    before with the same key.
    """

    finding: InboxRow
    is_new: bool
    replayed: bool


class Inbox:
    """The findings of one project."""

    def __init__(self, database: Database, accounts: Accounts, *, project: str) -> None:
        self._database = database
        self._accounts = accounts
        self._project = project
        self._audit = Audit(database, accounts.clock, project=project)

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

    async def acknowledge(self, user: str, call: UUID, kind: FindingKind, *, key: str | None = None) -> Looked:
        """Say that whoever acts looks into a finding. Under a ``key`` that is done once. Raises NotFound."""
        account, who = self._accounts.id_of(user), whoever_acts().name

        async def act(connection: Connection) -> bool:
            return await findings.acknowledge(connection, account, call, kind.value, who)

        change = Change("finding.acknowledge", f"call:{call}", after={"user": user, "kind": kind.value})
        return await self._once(account, call, kind, key, change, act)

    async def resolve(self, user: str, call: UUID, kind: FindingKind, *, reason: str, key: str | None = None) -> Looked:
        """Resolve a finding by the word of whoever acts. Under a ``key`` that is done once.

        Raises NotFound, and InvalidInput for what is resolved only by what is done about it.
        """
        if resolves_itself(kind):
            raise InvalidInput(f"a finding of this kind ({kind.value}) ends by itself", hint=_ENDED_BY[kind])
        why = reason.strip()
        if not is_reason(why):
            raise InvalidInput("why is it resolved?", hint=f"give a reason of 1 to {REASON_LENGTH_MAX} characters")
        account, who = self._accounts.id_of(user), whoever_acts().name

        async def act(connection: Connection) -> bool:
            return await findings.resolve(connection, account, call, kind.value, who, why)

        facts = {"user": user, "kind": kind.value, "reason": why}
        return await self._once(account, call, kind, key, Change("finding.resolve", f"call:{call}", after=facts), act)

    async def _once(
        self,
        account: UUID,
        call: UUID,
        kind: FindingKind,
        key: str | None,
        change: Change,
        act: Callable[[Connection], Awaitable[bool]],
    ) -> Looked:
        await self._find(account, call, kind)
        is_new = False

        async def noted(connection: Connection) -> None:
            nonlocal is_new
            is_new = await act(connection)
            if is_new:
                await self._audit.note(connection, change)

        made, content = new_id(self._accounts.clock), digest(change.action, change.target, change.after)
        known = await done_once(self._database, account, key, content, made, noted)
        return Looked(await self._find(account, call, kind), is_new, known != made)

    async def _find(self, account: UUID, call: UUID, kind: FindingKind) -> InboxRow:
        found = await findings.find(self._database, account, call, kind.value)
        if found is None:
            raise NotFound(
                f"there is no finding {kind.value} of call {call}", hint="`jangbu alerts findings` lists them"
            )
        return found
