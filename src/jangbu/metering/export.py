"""Writing an account's history down for somebody who has nothing but the file."""

from collections.abc import AsyncIterator
from uuid import UUID

from jangbu.domain.chain import FIRST
from jangbu.errors import IntegrityMismatch
from jangbu.metering.export_lines import End, closing, entry, header, line_of, root
from jangbu.metering.signing import ALGORITHM, Signer
from jangbu.storage import chains
from jangbu.storage.chains import Head
from jangbu.storage.database import Database

__all__ = ["export"]


async def export(
    database: Database, account: UUID, *, project: str, user: str, signer: Signer | None
) -> AsyncIterator[bytes]:
    """Give the lines of an account's history up to now, each with its end.

    Raises IntegrityMismatch where the entries do not make a chain: what does not hold is not handed out as if it did.
    """
    heads = await chains.heads(database, account)
    first = line_of(header(project, user, str(account), await database.now()))
    yield first + b"\n"
    ends: list[End] = []
    for head in heads:
        last = FIRST
        async for link, written in chains.links(database, account, head.asset, head.seq):
            if written != link.hash_after(last):
                raise _broken(link.seq)
            last = written
            yield line_of(entry(link, written)) + b"\n"
        if last != head.hash:
            raise _unfinished(head)
        ends.append(End(head.asset, head.seq, last))
    facts = closing(first, ends)
    if signer is not None:
        signature = signer.sign(root(first, ends))
        facts |= {"algorithm": ALGORITHM, "public_key": signer.public_key, "signature": signature}
    yield line_of(facts) + b"\n"


def _broken(seq: int) -> IntegrityMismatch:
    return IntegrityMismatch(f"the chain of the ledger breaks at entry {seq}", hint="run `jangbu verify --full`")


def _unfinished(head: Head) -> IntegrityMismatch:
    if head.hash is None:
        return IntegrityMismatch("the entries are not chained yet", hint="run `jangbu db upgrade`")
    return _broken(head.seq)
