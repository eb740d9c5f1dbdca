"""Members and the links by which they choose a password. Digests of passwords come here; passwords never do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.domain.members import Identity, Member, MemberRole
from jangbu.storage.database import Connection, Database, Row
from jangbu.storage.statements import statement


@dataclass(frozen=True, slots=True)
class KeptMember:
    """A member with the digest of the password, if there is one."""

    member: Member
    password: str | None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A set-up link that is good. ``member`` is None for one that makes the first owner."""

    member: UUID | None
    expires_at: datetime


async def create(connection: Connection, project: str, member: Member, known_as: str) -> Member | None:
    """Keep a new member; give them as they are kept, or None where the name or the identity is taken."""
    identity = member.identity
    row = await connection.fetchrow(
        statement("member_create"),
        member.id,
        project,
        member.name,
        known_as,
        member.role,
        None if identity is None else identity.issuer,
        None if identity is None else identity.subject,
    )
    return None if row is None else member_of(row)


async def find(
    source: Database | Connection,
    project: str,
    *,
    member: UUID | None = None,
    known_as: str | None = None,
    identity: Identity | None = None,
) -> KeptMember | None:
    """Give the member of an id, a name or an identity, or None."""
    issuer, subject = (None, None) if identity is None else (identity.issuer, identity.subject)
    given = (project, member, known_as, issuer, subject)
    if isinstance(source, Database):
        row = await source.row("member_find", *given)
    else:
        row = await source.fetchrow(statement("member_find"), *given)
    return None if row is None else KeptMember(member_of(row), row["password"])


async def page(database: Database, project: str, after: str, limit: int) -> Sequence[Member]:
    """Give members in the order of the names that they are known by, from the one after ``after``."""
    return [member_of(row) for row in await database.rows("member_list", project, after, limit)]


async def is_any(source: Database | Connection, project: str) -> bool:
    """Tell whether a project has a member."""
    if isinstance(source, Database):
        return bool(await source.value("member_any", project))
    return bool(await source.fetchval(statement("member_any"), project))


async def lock_owners(connection: Connection, project: str) -> Sequence[UUID]:
    """Lock the owners who have a way in until the transaction ends; give their ids."""
    return [row["member_id"] for row in await connection.fetch(statement("member_owners"), project)]


async def give_role(connection: Connection, project: str, member: UUID, role: MemberRole) -> tuple[MemberRole, Member]:
    """Give a member a role; give the former one, and the member as they are then."""
    row = await connection.fetchrow(statement("member_role"), project, member, role)
    assert row is not None, "members are never deleted"
    return MemberRole(row["former_role"]), member_of(row)


async def block(connection: Connection, project: str, member: UUID, blocked: bool) -> tuple[bool, Member]:
    """Keep a member out, or let them in again; tell whether they were kept out, and give them as they are then."""
    row = await connection.fetchrow(statement("member_block"), project, member, blocked)
    assert row is not None, "members are never deleted"
    return row["was_blocked"], member_of(row)


async def keep_password(
    connection: Connection, project: str, member: UUID, password: str, former: str | None = None
) -> Member | None:
    """Keep the digest of a password, only in the place of a former one where that is named."""
    return _found(await connection.fetchrow(statement("member_password"), project, member, password, former))


async def identify(connection: Connection, project: str, member: UUID, identity: Identity) -> Member | None:
    """Tie a member to an identity; None where they are tied to one already."""
    return _found(
        await connection.fetchrow(statement("member_identify"), project, member, identity.issuer, identity.subject)
    )


async def create_link(
    connection: Connection, project: str, digest: bytes, member: UUID | None, *, seconds: int
) -> datetime:
    """Keep a link by its digest, in the place of the member's former ones; give when it ends."""
    ends_at: datetime = await connection.fetchval(statement("link_create"), digest, project, member, seconds)
    return ends_at


async def find_link(database: Database, project: str, digest: bytes) -> LinkRow | None:
    """Give the link of a digest while it is good, or None."""
    row = await database.row("link_find", project, digest)
    return None if row is None else LinkRow(row["member_id"], row["expires_at"])


async def use_link(connection: Connection, project: str, digest: bytes) -> bool:
    """Use a link up in this transaction; tell whether it was good until now."""
    return await connection.fetchval(statement("link_use"), project, digest) is not None


async def withdraw_links(connection: Connection, project: str, member: UUID) -> None:
    """Take a member's links back."""
    await connection.execute(statement("link_withdraw"), project, member)


async def purge_links(database: Database, project: str) -> None:
    """Remove the links whose time is over."""
    await database.rows("link_purge", project)


def member_of(row: Row) -> Member:
    """Read a member from a row that has one's columns."""
    return Member(
        row["member_id"],
        row["name"],
        MemberRole(row["role"]),
        row["has_password"],
        None if row["issuer"] is None else Identity(row["issuer"], row["subject"]),
        row["created_at"],
        row["last_signed_in_at"],
        row["blocked_at"],
    )


def _found(row: Row | None) -> Member | None:
    return None if row is None else member_of(row)
