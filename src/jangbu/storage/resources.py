"""Who owns what lives at the provider."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.storage.database import Database, Row


@dataclass(frozen=True, slots=True)
class ResourceClaim:
    """A resource to write down as an account's. ``metadata`` is a JSON text; ``seconds`` None means for ever."""

    account: UUID
    name: str
    kind: str
    call: UUID | None = None
    service: str | None = None
    model: str | None = None
    metadata: str | None = None
    key: UUID | None = None
    target: str | None = None
    seconds: int | None = None
    begun_by_app: bool = False


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A resource as it is written down. ``metadata`` is a JSON text."""

    account: UUID
    user: str
    name: str
    kind: str
    call: UUID | None
    service: str | None
    model: str | None
    metadata: str | None
    key: UUID | None
    target: str | None
    created_at: datetime
    settled_at: datetime | None
    size: int | None
    begun_by_app: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What an account has the provider keep: how many files it uploaded, or uploads, and how many bytes they have; and
    how many caches, with how many tokens.
    """

    files: int
    bytes: int
    caches: int = 0
    cache_tokens: int = 0


@dataclass(frozen=True, slots=True)
class FileUser:
    """A call that reads a file. ``holds`` tells whether it still holds anything; ``work`` is the name of the batch that
    it started, None where that is not known or has shown its result.
    """

    call: UUID
    holds: bool
    work: str | None


async def claim(database: Database, project: str, claimed: ResourceClaim) -> tuple[bool, ResourceRow | None]:
    """Write down whose a resource is; tell whether the account exists, and give what is written down.

    The second is None, and nothing changed, where the name is another account's of the project.
    """
    row = await database.row(
        "resource_claim",
        claimed.account,
        project,
        claimed.name,
        claimed.kind,
        claimed.call,
        claimed.service,
        claimed.model,
        claimed.metadata,
        claimed.target,
        claimed.seconds,
        claimed.key,
        claimed.begun_by_app,
    )
    if row is None:
        return False, None
    return True, None if row["name"] is None else _resource(row)


async def finish_upload(
    database: Database,
    project: str,
    account: UUID,
    upload: str,
    file: str,
    *,
    seconds: int,
    digest: str | None,
    size: int,
) -> bool:
    """Write down whose the file of an upload is, once; tell whether that is news.

    It is not, and nothing changed, where the name is another account's of the project, or there is no such upload.
    """
    row = await database.row("upload_finish", account, project, upload, file, seconds, digest, size)
    return row is not None


async def find(database: Database, account: UUID, name: str) -> ResourceRow | None:
    """Give a resource of an account, or None."""
    row = await database.row("resource_find", account, name)
    return None if row is None else _resource(row)


async def begun(database: Database, project: str, name: str) -> ResourceRow | None:
    """Give work of a project that a call waits for, or waited for, by the provider's name; None where there is none."""
    row = await database.row("resource_begun", project, name)
    return None if row is None else _resource(row)


async def digest(database: Database, account: UUID, name: str) -> str | None:
    """Give what was written down of a resource's content, as a JSON text, or None."""
    found = await database.value("resource_digest", account, name)
    return None if found is None else str(found)


async def lacking(database: Database, account: UUID, names: Sequence[str]) -> Sequence[str]:
    """Give those of the names that are not the account's."""
    return [row["name"] for row in await database.rows("resource_lack", account, names)]


async def page(
    database: Database, account: UUID, kind: str, limit: int, after: tuple[datetime, str] | None
) -> Sequence[ResourceRow]:
    """Give an account's resources of a kind, newest first, from the one after (moment, name)."""
    moment, name = after or (None, None)
    return [_resource(row) for row in await database.rows("resource_list", account, kind, moment, name, limit)]


async def waiting(
    database: Database, project: str, seconds: int, limit: int, after: tuple[datetime, str] | None
) -> Sequence[ResourceRow]:
    """Give what has waited so many seconds for a result, the oldest first, from the one after (moment, name)."""
    moment, name = after or (None, None)
    return [_resource(row) for row in await database.rows("resource_wait", project, seconds, moment, name, limit)]


async def lose(database: Database, account: UUID, name: str) -> bool:
    """Note that the provider has a result no more; tell whether something else may still show it."""
    return bool(await database.value("resource_lose", account, name))


async def forget(database: Database, account: UUID, name: str) -> bool:
    """Forget a resource that no call reads; tell whether it was the account's until now, and is no more."""
    return await database.value("resource_forget", account, name) is not None


async def kept(database: Database, account: UUID) -> Kept:
    """Give what an account has the provider keep."""
    row = await database.row("resource_kept", account)
    assert row is not None, "a count has a row"
    return Kept(row["files"], row["bytes"], row["caches"], row["cache_tokens"])


async def resize(database: Database, account: UUID, name: str, size: int | None) -> None:
    """Note how many bytes a resource takes of the provider's room; None where it takes none any more."""
    await database.rows("resource_resize", account, name, size)


async def use(database: Database, account: UUID, names: Sequence[str], call: UUID) -> Sequence[tuple[str, str | None]]:
    """Note that a call reads files of an account; give those that are there, each with its content as a JSON text."""
    rows = await database.rows("resource_use", account, names, call)
    return [(row["name"], row["metadata"]) for row in rows]


async def unuse(database: Database, account: UUID, call: UUID) -> None:
    """Note that a call reads its files no more."""
    await database.rows("resource_unuse", account, call)


async def users(database: Database, account: UUID, name: str) -> Sequence[FileUser]:
    """Give the calls that read a file of an account."""
    rows = await database.rows("resource_users", account, name)
    return [FileUser(row["call_id"], row["holds"], row["work"]) for row in rows]


async def used(database: Database, project: str, names: Sequence[str]) -> Sequence[str]:
    """Give those of the names by which a call that has not ended reads a file of anybody's in the project."""
    return [row["name"] for row in await database.rows("resource_used", project, names)]


async def settle(database: Database, account: UUID, name: str) -> bool:
    """Note that the result of a resource was seen; tell whether this was the first time."""
    return name in {row["name"] for row in await database.rows("resource_settle", account, name)}


async def expire(database: Database, limit: int) -> int:
    """Forget resources whose time is up; give how many."""
    return int(await database.value("resource_expire", limit))


def _resource(row: Row) -> ResourceRow:
    return ResourceRow(
        row["account_id"],
        row["user_id"],
        row["name"],
        row["kind"],
        row["call_id"],
        row["service"],
        row["model"],
        row["metadata"],
        row["key_id"],
        row["target"],
        row["created_at"],
        row["settled_at"],
        row["size"],
        row["begun_by_app"],
    )
