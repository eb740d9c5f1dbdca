"""The chain of an account's entries: what each of them is hashed as, so that whoever has the entries can check it.

An entry's hash is the SHA-256 of a line of text that begins with the hash before it (in hexadecimal, nothing for the
first entry) and says all that the entry says. The database makes the same line; see ``jangbu.entry_hash``.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from jangbu.domain.ledger import Asset

FIRST = b""
"""What stands before the first entry."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Link:
    """All that an entry says; tokens or nano-USD, and a time with a zone, to the microsecond."""

    account: UUID
    asset: Asset
    seq: int
    kind: str
    delta: int
    balance_after: int
    posting: int | None
    reference: UUID | None
    reason: str | None
    created_at: datetime

    def hash_after(self, previous: bytes) -> bytes:
        """Give the entry's hash, where ``previous`` is the hash of the entry before it, or FIRST."""
        return hashlib.sha256(self.line(previous).encode()).digest()

    def line(self, previous: bytes) -> str:
        """Give the text that is hashed. The reason is last, because it may hold the separator itself."""
        since = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        parts = [
            previous.hex(),
            str(self.account),
            str(int(self.asset)),
            str(self.seq),
            self.kind,
            str(self.delta),
            str(self.balance_after),
            "" if self.posting is None else str(self.posting),
            "" if self.reference is None else str(self.reference),
            f"{since // _MICROSECONDS}.{since % _MICROSECONDS:06d}",
        ]
        return "|".join(parts if self.reason is None else [*parts, self.reason])
