"""What answers say of accounts: a balance, what of it expires soon, grants and entries."""

from datetime import datetime
from uuid import UUID

from jangbu.api.rest.values import Number, Part
from jangbu.domain.ledger import EntryKind

__all__ = ["AccountFacts", "BalanceFacts", "EntryFacts", "ExpiringFacts", "GrantFacts"]


class BalanceFacts(Part):
    """What a user bought, used, holds and has left, in tokens."""

    balance: Number
    used_tokens: Number
    held_tokens: Number
    available: Number


class ExpiringFacts(Part):
    """What is left of grants that end within seven days, and when the first and the last of it go."""

    tokens: Number
    first_at: datetime
    last_at: datetime


class AccountFacts(BalanceFacts):
    """An account with its balance."""

    user: str
    account_id: UUID
    state: str
    created_at: datetime


class GrantFacts(Part):
    """A grant and what is left of it."""

    id: UUID
    amount: Number
    consumed: Number
    expired: Number
    remaining: Number
    source: str
    priority: Number
    expires_at: datetime | None
    created_at: datetime


class EntryFacts(Part):
    """One line of an account's history, with the balance after it. ``posting`` stands in the calls that a debit sums,
    ``key`` is the idempotency key that it was written under.
    """

    seq: Number
    kind: EntryKind
    delta: Number
    balance_after: Number
    created_at: datetime
    reference: UUID | None
    posting: Number | None
    key: str | None
    reason: str | None
