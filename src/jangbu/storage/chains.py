"""The chains of entries as they are stored: what an export reads."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from jangbu.domain.chain import Link
from jangbu.domain.ledger import Asset
from jangbu.storage.database import Database

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain of a balance ends; no hash where entries of earlier releases are not chained yet."""

    asset: Asset
    seq: int
    hash: bytes | None


async def heads(database: Database, account: UUID) -> Sequence[Head]:
    """Give the ends of an account's chains, by asset."""
    rows = await database.rows("balance_heads", account)
    return [Head(Asset(row["asset"]), row["version"], row["head"]) for row in rows]


async def links(database: Database, account: UUID, asset: Asset, upto: int) -> AsyncIterator[tuple[Link, bytes | None]]:
    """Give the entries of a balance up to a number, oldest first, each with its hash."""
    after = 0
    while rows := await database.rows("entry_chain", account, int(asset), after, upto, _PAGE):
        for row in rows:
            values = dict(row)
            written = values.pop("hash")
            yield Link(account=account, asset=asset, **values), written
        after = rows[-1]["seq"]
