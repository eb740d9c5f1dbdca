"""Accounts, balances, grants and entries: what they are, and how grants burn down."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import lru_cache
from uuid import NAMESPACE_URL, UUID, uuid5

from jangbu.errors import InvalidInput, NoAccount

TOKENS_MAX = 2**62
"""The most that one grant or adjustment may move: far from where a bigint ends."""
USER_LENGTH_MAX = 200
"""Characters of an app's own user id."""
_USER_HINT = f"use 1 to {USER_LENGTH_MAX} printable characters"

_NAMESPACE = uuid5(NAMESPACE_URL, "jangbu:account")
_PROJECTS = uuid5(NAMESPACE_URL, "jangbu:project")
_ERASED = "erased:"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Asset(IntEnum):
    """What a balance counts."""

    TOKENS = 1
    MONEY = 2
    """Nano-USD."""


class EntryKind(StrEnum):
    """Why a balance moved."""

    GRANT = "grant"
    EXPIRY = "expiry"
    USAGE = "usage"
    OVERRUN = "overrun"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    VOID = "void"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Balance:
    """What one account has of one asset: bought or given, used, and held for calls under way."""

    granted: int = 0
    used: int = 0
    held: int = 0

    @property
    def posted(self) -> int:
        """What the entries sum to: granted less used."""
        return self.granted - self.used

    @property
    def available(self) -> int:
        """What may still be held; below zero only where usage exceeded its hold."""
        return self.granted - self.used - self.held


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens (or money) bought or given, with what is left of them."""

    id: UUID
    amount: int
    consumed: int = 0
    expired: int = 0
    source: str = "purchase"
    priority: int = 0
    expires_at: datetime | None = None
    created_at: datetime | None = None

    @property
    def remaining(self) -> int:
        """What is neither consumed nor expired."""
        return self.amount - self.consumed - self.expired


@dataclass(frozen=True, slots=True)
class BurnDown:
    """Grants after a burn-down, and how much of the balance expired with them."""

    grants: tuple[Grant, ...]
    expired: int


@lru_cache(maxsize=65_536)
def account_id(project: str, user: str) -> UUID:
    """Give the account of an app's user: the same for the same names on every machine.

    Raises InvalidInput, and NoAccount for what an erased account is listed as: from there no way leads to it.
    """
    if not isinstance(user, str):
        raise InvalidInput(f"the user is {type(user).__name__}, not text", hint=_USER_HINT)
    if not user or len(user) > USER_LENGTH_MAX or "\x00" in user or not user.isprintable():
        raise InvalidInput(f"{user[:40]!r} is no user id", hint=_USER_HINT)
    if is_erased(user):
        raise NoAccount(user, hint="the user was erased; what they used stays in every sum, and names nobody")
    return uuid5(_NAMESPACE, f"{project}\x1f{user}")


def erased_name(account: UUID) -> str:
    """Give what an account is listed as once its user was erased."""
    return f"{_ERASED}{account}"


def is_erased(user: str) -> bool:
    """Tell whether this is the name of an account whose user was erased; no user of an app has such an id."""
    return user.startswith(_ERASED) and _UUID.fullmatch(user, len(_ERASED)) is not None


def project_id(project: str) -> UUID:
    """Give the id under which a project keeps what concerns no account; it is that of no account."""
    return uuid5(_PROJECTS, project)


def burn_down(grants: Iterable[Grant], balance: Balance, now: datetime) -> BurnDown:
    """Consume grants until what remains of them is no more than the balance, then let the due ones expire.

    The grant that expires first burns first, then the one of the lower priority number, then the older. What a
    refund gave back belongs to no grant and never expires. Held tokens are not taken by an expiry: what they cover
    expires once their holds are closed.
    """
    ordered = sorted(grants, key=_burning_order)
    excess = max(0, sum(grant.remaining for grant in ordered) - max(0, balance.posted))
    free = max(0, balance.available)
    burnt: list[Grant] = []
    expired = 0
    for grant in ordered:
        consumed = min(excess, grant.remaining)
        excess -= consumed
        after = replace(grant, consumed=grant.consumed + consumed)
        if after.expires_at is not None and after.expires_at <= now:
            lost = min(after.remaining, free)
            free -= lost
            expired += lost
            after = replace(after, expired=after.expired + lost)
        burnt.append(after)
    return BurnDown(tuple(burnt), expired)


def changed(before: Iterable[Grant], after: Sequence[Grant]) -> tuple[Grant, ...]:
    """Give the grants of ``after`` that differ from what they were."""
    known = {grant.id: grant for grant in before}
    return tuple(grant for grant in after if known.get(grant.id) != grant)


def _burning_order(grant: Grant) -> tuple[bool, datetime | int, int, datetime | int, UUID]:
    never = grant.expires_at is None
    return (never, grant.expires_at or 0, grant.priority, grant.created_at or 0, grant.id)
