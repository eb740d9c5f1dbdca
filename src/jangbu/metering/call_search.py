"""Which call somebody means who knows one name of it: its id, that of Google's answer, or the key of the app's own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from jangbu.metering.drafts import answer_name, call_name
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import entries, holds, retention, usage

__all__ = ["NAME_LENGTH_MAX", "NamedCall", "Search", "search"]

NAME_LENGTH_MAX = 1_000
"""Longer than any id, and than the message of an error in which one stands."""
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call that a name stands for, recorded or held for."""

    user: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Search:
    """What a name stands for: calls, newest first, or none. ``was_dropped`` tells that retention dropped the records of
    the time of an id, so that nobody knows whether it was one, or of the call of a key.
    """

    calls: Sequence[NamedCall]
    was_dropped: bool = False


async def search(book: Snapshot, text: str, *, limit: int) -> Search:
    """Look for the calls that a text names, in all accounts of a project.

    It is one moment that is looked at, because a hold is gone when its call is recorded. An id is found within other
    words, too, because people copy a header or an error whole. What is no call's id may still be a key: apps choose
    what they like.
    """
    name = text.strip()
    if not name or len(name) > NAME_LENGTH_MAX or "\x00" in name:
        return Search(())
    ids = [UUID(each) for each in dict.fromkeys(_ID.findall(name))][:limit]
    named = [found for call in ids if (found := await _by_id(book, call)) is not None]
    if named:
        return Search(sorted(named, key=lambda call: call.id, reverse=True))
    keyed = await entries.search_keys(book.reader, book.project, [answer_name(name), call_name(name)])
    # A call may be recorded under a key that is its answer's own id.
    known = sorted({(row.result_id, account) for account, row in keyed}, reverse=True)[:limit]
    records = [await usage.find(book.reader, account, call) for call, account in known]
    recorded = [NamedCall(record.user, record.id) for record in records if record is not None]
    if recorded:
        return Search(recorded)
    return Search((), was_dropped=await _was_dropped(book, [*ids, *(call for call, _ in known)]))


async def _was_dropped(book: Snapshot, calls: Sequence[UUID]) -> bool:
    for call in calls:
        if await retention.has_dropped(book.reader, call, project=book.project, account=None):
            return True
    return False


async def _by_id(book: Snapshot, call: UUID) -> NamedCall | None:
    account = await usage.find_account(book.reader, book.project, call, by_figures=True)
    record = None if account is None else await usage.find(book.reader, account, call)
    if record is not None:
        return NamedCall(record.user, call)
    hold = await holds.show(book.reader, book.project, call)
    return None if hold is None else NamedCall(hold.user, call)
