"""Which record was there first, where another of the same call or of the same answer was not new.

A call is settled by one answer. Another one that comes for it, because somebody settled the call by other evidence
while it was under way, is recorded on its own where both bear ids: those prove that the provider made two. Where
nothing but the counts tells them apart, the first record stands and the other is a conflict.

The answers of a batch are known by their own ids, too: what was charged for one of them already, alone or with others,
is not charged again with the batch.
"""

import hashlib
import json
from typing import NamedTuple
from uuid import UUID

from jangbu.errors import IdempotencyConflict
from jangbu.metering.drafts import known_answers, other_answer, other_settlement
from jangbu.storage import entries, usage
from jangbu.storage.database import Database
from jangbu.storage.usage import UsageRecord, UsageRow

__all__ = ["First", "first_record", "id_on_its_own"]


class First(NamedTuple):
    """The record that was there first, or None where retention dropped it. ``conflict`` says that it is of another
    answer; ``is_another`` tells that this is certain, by the ids of both. ``charged`` are the answers of a batch for
    which other records are charged, by their keys and digests.
    """

    id: UUID
    record: UsageRecord | None
    conflict: IdempotencyConflict | None = None
    is_another: bool = False
    charged: frozenset[tuple[str, bytes]] = frozenset()


async def first_record(database: Database, row: UsageRow) -> First:
    """Give what kept a row from being new: the record of its answer, or that of its call."""
    known = None if row.key is None else await entries.find_key(database, row.account_id, row.key)
    if known is not None and known.digest == row.digest:
        return First(known.result_id, await usage.find(database, row.account_id, known.result_id))
    record = await usage.find(database, row.account_id, row.id)
    if known is None and row.members is not None and not row.was_held:
        first = await _first_of_members(database, row, record)
        if first is not None:
            return first
    if record is None:
        named = "this batch" if row.response_id is None else repr(row.response_id)
        return First(row.id, None, None if known is None else other_answer(named, known))
    if None not in (row.response_id, record.response_id) and row.response_id != record.response_id:
        return First(row.id, record, other_settlement(record), is_another=True)
    if _counts(row) != _counts(record):
        return First(row.id, record, other_settlement(record))
    if row.key is not None and row.digest is not None and known is None:
        # What settled the call bore no id: from now on the answer is known by its own, too.
        await entries.claim_key(database, row.account_id, row.key, row.digest, row.id)
    return First(row.id, record)


def id_on_its_own(row: UsageRow) -> UUID:
    """Give the id under which an answer is recorded whose call another one settled: of the time of its call, and the
    same whoever records it, and however often.
    """
    drawn = int.from_bytes(hashlib.sha256(row.id.bytes + (row.response_id or "").encode()).digest()[:10])
    random = (drawn >> 62 & 0xFFF) << 64 | drawn & (1 << 62) - 1
    return UUID(int=row.id.int >> 80 << 80 | 7 << 76 | 2 << 62 | random)


async def _first_of_members(database: Database, row: UsageRow, record: UsageRecord | None) -> First | None:
    """Say which answers of a batch other records are charged for, or which record is of all of them; None where none
    is but its own.
    """
    members = json.loads(row.members or "{}")
    keys = await entries.list_keys(database, row.account_id, list(members))
    known = {
        key: each.result_id
        for key, each in keys.items()
        if each.digest.hex() == members[key] and each.result_id != row.id
    }
    if not known:
        return None
    if len(known) == len(members) and len(results := set(known.values())) == 1:
        whole = await usage.find(database, row.account_id, results.pop())
        if whole is not None and _counts(whole) == _counts(row):
            return First(whole.id, whole)
    charged = frozenset((key, keys[key].digest) for key in known)
    return First(row.id, record, known_answers(list(known), len(members)), charged=charged)


def _counts(of: UsageRow | UsageRecord) -> tuple[int, ...]:
    return of.prompt, of.candidates, of.thoughts, of.tool, of.total
