"""What a verification finds: which invariant is broken, where, and by how much."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from jangbu.storage.verification import Difference

Told = Callable[["Mismatch"], None]
"""Told a mismatch as soon as it is found."""


class Invariant(StrEnum):
    """What must hold in every book."""

    ACCOUNTS = "accounts"
    """Every account has a token balance, and every balance an account."""
    BALANCES = "balances"
    """used = sum of the records = less the debits; granted = sum of all other entries."""
    HELD = "held"
    """held = sum of the holds that are open or of unknown outcome, and never below 0."""
    ENTRIES = "entries"
    """Entries are numbered 1 to version without gaps; each running balance is the one before it plus the delta."""
    CHAIN = "chain"
    """Each entry's hash is that of what it says after the hash before it; the balance has the latest."""
    POSTINGS = "postings"
    """The debits of a posting are the sum of its records, tokens and money, usage and overrun apart."""
    TOTALS = "totals"
    """Each user's running totals are the sums of the records, in every column."""
    DAILY = "daily"
    """Each user's figures by quarters, hours, six hours and days are the sums of the records, in every column."""
    HOURLY = "hourly"
    """Everybody's figures by minutes, quarters, hours, six hours and days are the sums of the project's records."""
    GRANTS = "grants"
    """Grants are what entries granted and expired, and never burn more than their amount."""
    OVERDUE = "overdue"
    """No hold is open long after its time."""
    COST = "cost"
    """Cost and charge recompute to the bit from the evidence and the record's price version."""
    SPOOL = "spool"
    """Nothing waits on the local disk for longer than a drain takes."""
    COUNTS = "counts"
    """Counts and total are what the evidence says, and what does not add up in it is flagged."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One figure that is not what it should be. ``account`` and ``user`` are None for figures of everybody.

    ``expected`` is derived from the records, entries or evidence and ``found`` is what stands in the book; None
    stands for a price that is not known.
    """

    invariant: Invariant
    account: UUID | None
    user: str | None
    what: str
    expected: int | str | None
    found: int | str | None


@dataclass(slots=True)
class Findings:
    """The mismatches so far: of each invariant the first ``limit``. ``tell`` hears of each that is listed."""

    limit: int
    tell: Told | None = None
    listed: list[Mismatch] = field(default_factory=list)
    accounts: set[UUID | None] = field(default_factory=set)
    """The accounts with mismatches; None where figures of everybody differ."""
    _numbers: Counter[Invariant] = field(default_factory=Counter)

    def room(self, invariant: Invariant) -> int:
        """Tell how many more mismatches of an invariant would be listed."""
        return self.limit - self._numbers[invariant]

    def add(self, mismatch: Mismatch) -> None:
        """List a mismatch where there is room for it."""
        if self.room(mismatch.invariant) <= 0:
            return
        self._numbers[mismatch.invariant] += 1
        self.accounts.add(mismatch.account)
        self.listed.append(mismatch)
        if self.tell is not None:
            self.tell(mismatch)

    def add_difference(self, invariant: Invariant, found: Difference) -> None:
        """List a difference that the database told."""
        self.add(Mismatch(invariant, found.account, found.user, found.what, found.expected, found.found))

    @property
    def cut(self) -> frozenset[Invariant]:
        """The invariants of which there may be more mismatches than are listed."""
        return frozenset(invariant for invariant in self._numbers if self.room(invariant) <= 0)

    @property
    def in_order(self) -> tuple[Mismatch, ...]:
        """What is listed, by invariant."""
        order = {invariant: number for number, invariant in enumerate(Invariant)}
        return tuple(sorted(self.listed, key=lambda mismatch: order[mismatch.invariant]))
