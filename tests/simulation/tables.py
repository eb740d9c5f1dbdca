"""The rows of the in-memory ledger, with as much of their past as a statement that began earlier can still see."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from jangbu.storage.usage import UsageRow

TOKENS, MONEY = 1, 2


class Row(dict[str, Any]):
    """A row as the driver gives it: by name and by number."""

    def __missing__(self, number: object) -> Any:
        if isinstance(number, int):
            return list(self.values())[number]
        raise KeyError(number)


class Entry(NamedTuple):
    seq: int
    kind: str
    delta: int
    balance_after: int
    posting: int | None = None
    reference: UUID | None = None
    reason: str | None = None


@dataclass(slots=True)
class Balance:
    granted: int = 0
    used: int = 0
    held: int = 0
    version: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def available(self) -> int:
        return self.granted - self.used - self.held

    def copy(self) -> "Balance":
        return Balance(self.granted, self.used, self.held, self.version, list(self.entries))


@dataclass(slots=True)
class Hold:
    """``state`` is None while the row is deleted. ``born`` and ``versions`` say since which commit what is true."""

    id: UUID
    amount: int
    may_have_left: bool
    service: str
    model: str
    owner: str
    expires_at: float
    born: int
    state: str | None = "open"
    reason: str | None = None
    closed_at: float | None = None
    versions: list[tuple[int, str | None]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.state in ("open", "unknown")

    @property
    def is_again(self) -> bool:
        """Tell whether it was inserted again after it had gone."""
        return any(state is None for _, state in self.versions)

    def become(self, state: str | None, commit: int) -> None:
        self.state = state
        self.versions.append((commit, state))

    def state_at(self, snapshot: int) -> str | None:
        """Give the state as it was when ``snapshot`` was the latest commit; None where there was no row."""
        for commit, state in reversed(self.versions):
            if commit <= snapshot:
                return state
        return None


@dataclass(slots=True)
class Usage:
    row: UsageRow
    hold_amount: int | None
    late: bool
    posting: int
    money_posting: int | None
    born: int


@dataclass(slots=True)
class Key:
    digest: bytes
    result_id: UUID
    created_at: datetime
    born: int


@dataclass(slots=True)
class Finding:
    detail: str
    born: int
    is_open: bool = True


@dataclass(slots=True)
class Grant:
    id: UUID
    amount: int
    source: str
    priority: int
    expires_at: datetime | None
    created_at: datetime
    born: int = 0
    consumed: int = 0
    expired: int = 0

    def row(self) -> Row:
        return Row(
            id=self.id,
            amount=self.amount,
            consumed=self.consumed,
            expired=self.expired,
            source=self.source,
            priority=self.priority,
            expires_at=self.expires_at,
            created_at=self.created_at,
        )


@dataclass(slots=True)
class Account:
    id: UUID
    project: str
    user: str
    created_at: datetime
    states: list[tuple[int, str]] = field(default_factory=lambda: [(0, "active")])
    balances: dict[int, Balance] = field(default_factory=dict)
    grants: dict[int, dict[UUID, Grant]] = field(default_factory=lambda: {TOKENS: {}, MONEY: {}})
    holds: dict[UUID, Hold] = field(default_factory=dict)
    usage: dict[UUID, Usage] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    findings: dict[tuple[UUID, str], Finding] = field(default_factory=dict)

    def state_at(self, snapshot: int) -> str:
        """Give the state as it was when ``snapshot`` was the latest commit."""
        return next(state for commit, state in reversed(self.states) if commit <= snapshot)
