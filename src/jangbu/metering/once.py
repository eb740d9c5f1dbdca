"""Writes that callers name by keys of their own: what was done under a key is not done again, and nothing else is.

Grants, corrections and records keep their keys with their entries; what makes no entry is claimed here, in the same
table. A key belongs to one account, or to the project where the write concerns no account.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from jangbu.errors import IdempotencyConflict, InvalidInput
from jangbu.metering.audit import Audit, Change
from jangbu.storage import entries
from jangbu.storage.database import Connection, Database
from jangbu.storage.entries import OWN_KEY, KeyRow, as_given
from jangbu.storage.failures import translated

__all__ = ["KEY_LENGTH_MAX", "done_once", "note_once", "nothing_more", "own_key", "used_otherwise", "was_done"]

KEY_LENGTH_MAX = 250
_KEY_HINT = "use 1 to 250 printable characters"


def own_key(key: str) -> str:
    """Give the name under which a caller's own key is kept. Raises InvalidInput."""
    if not isinstance(key, str):
        raise InvalidInput(f"the idempotency key is {type(key).__name__}, not text", hint=_KEY_HINT)
    if not key or len(key) > KEY_LENGTH_MAX or not key.isprintable():
        raise InvalidInput(f"{key[:40]!r} is no idempotency key", hint=_KEY_HINT)
    return f"{OWN_KEY}{key}"


def used_otherwise(key: str, known: KeyRow) -> IdempotencyConflict:
    """Say that a key was used before for something else."""
    return IdempotencyConflict(
        f"key {as_given(key)!r} was used at {known.created_at:%Y-%m-%d %H:%M} UTC with other content",
        hint="use a new key for a new request",
    )


async def done_once(
    database: Database,
    owner: UUID,
    key: str | None,
    content: bytes,
    result: UUID,
    act: Callable[[Connection], Awaitable[None]],
) -> UUID:
    """Act in one transaction with the claim of a key; give the result that the key stands for.

    Where that is another one than ``result``, it was done before and nothing was done now. What ``act`` raises leaves
    the key unclaimed. Without a key it is done each time. Raises IdempotencyConflict where the key was used with other
    content.
    """
    named = None if key is None else own_key(key)
    with translated():
        async with database.connection() as connection, connection.transaction():
            if named is None or await entries.reserve_key(connection, owner, named, content, result):
                await act(connection)
                return result
        known = await entries.find_key(database, owner, named)
    assert known is not None, "keys are never forgotten"
    if known.digest != content:
        raise used_otherwise(named, known)
    return known.result_id


async def was_done(database: Database, owner: UUID, key: str, content: bytes) -> bool:
    """Tell whether a key stands for this very content."""
    known = await entries.find_key(database, owner, own_key(key))
    return known is not None and known.digest == content


async def nothing_more(_connection: Connection) -> None:
    """Only claim a key, for what may be done again without changing anything."""


async def note_once(database: Database, audit: Audit, account: UUID, record: UUID, change: Change) -> None:
    """Write down once that somebody had a record made. The record went its own way, so its line follows it: whoever
    asks for it again makes good what was left out.
    """
    with translated():
        async with database.connection() as connection, connection.transaction():
            if await entries.reserve_key(connection, account, f"told:{record}", b"", record):
                await audit.note(connection, change)
