"""Which call somebody means who knows one name of it: its id, that of Google's answer, the key of the app's own, or the
cache that it made.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.metering.cache_storage import making_of
from jangbu.metering.drafts import answer_name, call_name
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import entries, holds, retention, usage
from jangbu.storage.entries import KeyRow

__all__ = ["NAME_LENGTH_MAX", "NamedCall", "Search", "search"]

NAME_LENGTH_MAX = 1_000
"""Longer than any id, and than the message of an error in which one stands."""
_CACHES = "cachedContents/"
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call that a name stands for, recorded or held for."""

    user: str
    id: UUID

    @property
    def created_at(self) -> datetime:
        """The moment of the call, in UTC."""
        return usage.moment_of(self.id)


@dataclass(frozen=True, slots=True)
class Search:
    """What a name stands for: calls, newest first, or none. ``was_dropped`` tells that retention dropped the records of
    the time of an id, so that nobody knows whether it was one, or of the call of a key.
    """

    calls: Sequence[NamedCall]
    was_dropped: bool = False


async def search(book: Snapshot, text: str, *, limit: int, user: str | None = None) -> Search:
    """Look for the calls that a text names, in all accounts of a project or in that of a user. Raises NotFound for a
    user without one.

    It is one moment that is looked at, because a hold is gone when its call is recorded. An id is found within other
    words, too, because people copy a header or an error whole. What is no call's id may still be a key: apps choose
    what they like, also a key that begins or ends with a blank, so it is looked for as it stands and without them.
    """
    account = None if user is None else await book.account(user)
    if len(text) > NAME_LENGTH_MAX or "\x00" in text:
        return Search(())
    ids = [UUID(each) for each in dict.fromkeys(_ID.findall(text))][:limit]
    named = [found for call in ids if (found := await _by_id(book, call, account, user)) is not None]
    if named:
        return Search(sorted(named, key=lambda call: call.id, reverse=True))
    known = (await _by_key(book, text, account, limit))[:limit]
    records = [await usage.find(book.reader, owner, call) for call, owner in known]
    recorded = [NamedCall(record.user, record.id) for record in records if record is not None]
    if recorded:
        return Search(recorded)
    return Search((), was_dropped=await _was_dropped(book, [*ids, *(call for call, _ in known)], account))


async def _was_dropped(book: Snapshot, calls: Sequence[UUID], account: UUID | None) -> bool:
    for call in calls:
        if await retention.has_dropped(book.reader, call, project=book.project, account=account):
            return True
    return False


async def _by_key(book: Snapshot, text: str, account: UUID | None, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Give (call, account) of so many that a text is the key of or more, newest first, each once: the id of an answer
    may be the app's own key of the call, too.
    """
    names = [name for name in dict.fromkeys((text, text.strip())) if name]
    keys = [made for name in names for made in (answer_name(name), call_name(name))]
    keys += [call_name(making_of(name)) for name in names if name.startswith(_CACHES)]
    if account is None:
        most = limit * len(keys)
        return _newest(await entries.search_keys(book.reader, book.project, keys, most)) if keys else ()
    return _newest([each for key in keys for each in (await entries.gather_keys(book.reader, [account], key)).items()])


def _newest(keyed: Iterable[tuple[UUID, KeyRow]]) -> Sequence[tuple[UUID, UUID]]:
    return sorted({(row.result_id, account) for account, row in keyed}, reverse=True)


async def _by_id(book: Snapshot, call: UUID, account: UUID | None, user: str | None) -> NamedCall | None:
    owner = account or await usage.find_account(book.reader, book.project, call, by_figures=True)
    record = None if owner is None else await usage.find(book.reader, owner, call)
    if record is not None:
        return NamedCall(record.user, call)
    hold = await holds.show(book.reader, book.project, call)
    return None if hold is None or user not in (None, hold.user) else NamedCall(hold.user, call)
