"""Members: who may sign in at the dashboard. They are invited, given roles and kept out, as the audit tells."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from jangbu.clock import Clock, new_id
from jangbu.domain.ledger import project_id
from jangbu.domain.members import Actor, ActorKind, Member, MemberRole, known_as, member_name
from jangbu.errors import InvalidInput, LastOwner, NotFound, NotPermitted
from jangbu.metering.attempts import Attempts
from jangbu.metering.audit import Audit, Change
from jangbu.metering.content import digest
from jangbu.metering.once import done_once, nothing_more
from jangbu.metering.passwords import Passwords
from jangbu.metering.tokens import digest_of, new_token
from jangbu.storage import entries, members, sessions
from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import translated

__all__ = ["Members", "SetUpLink", "target_of"]

Result = TypeVar("Result")

_FIRST_SECONDS = 86_400
_INVITED_SECONDS = 3 * 86_400
_FIRST = "members:first"


@dataclass(frozen=True, slots=True)
class SetUpLink:
    """A link by which a password is chosen, once. ``member`` is None where it makes the first owner."""

    token: str
    member: Member | None
    expires_at: datetime

    @property
    def path(self) -> str:
        """Give the page that the link leads to, below the address of the server."""
        return f"/dashboard/set-up?token={self.token}"


class Members:
    """The members of one project. Belongs to one event loop."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        attempts: Attempts,
        audit: Audit,
        *,
        project: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._attempts = attempts
        self._audit = audit
        self._project = project

    def close(self) -> None:
        """Stop hashing passwords."""
        self._passwords.close()

    async def is_empty(self) -> bool:
        """Tell whether there is no member yet."""
        return not await members.is_any(self._database, self._project)

    async def list(self, after: str = "", limit: int = 100) -> Sequence[Member]:
        """Give members in the order of their names, from the one after the name ``after``."""
        return await members.page(self._database, self._project, known_as(after), limit)

    async def find(self, named: UUID | str) -> Member:
        """Give a member by id or name. Raises NotFound."""
        kept = await members.find(self._database, self._project, **_given(named))
        if kept is None:
            raise _unknown(named)
        return kept.member

    async def invite(self, name: str, role: MemberRole, actor: Actor) -> tuple[Member, SetUpLink]:
        """Make a member, with a link by which they choose a password. Raises InvalidInput for a name that is taken."""
        named = member_name(name)
        draft = Member(new_id(self._clock), named, role, False, None, self._clock.now(), None, None)

        async def make(connection: Connection) -> tuple[Member, SetUpLink]:
            made = await members.create(connection, self._project, draft, known_as(named))
            if made is None:
                raise InvalidInput(f"there is a member {named[:60]!r} already", hint="`jangbu members list` shows them")
            await self._audit.write(
                connection, actor, Change("members.invite", target_of(made), after={"role": role.value})
            )
            return made, await self._link(connection, made)

        return await self._as_owner(actor, make)

    async def reset(self, named: UUID | str, actor: Actor) -> SetUpLink:
        """Give a member another link. Their password is what it was until the link is used. Raises NotFound."""
        member = await self.find(named)
        if member.blocked_at is not None:
            raise NotPermitted(f"member {member.name!r} is blocked", hint=f"run `jangbu members unblock {member.name}`")

        async def renew(connection: Connection) -> SetUpLink:
            await self._attempts.forget(connection, member.name)
            await self._audit.write(connection, actor, Change("members.reset", target_of(member)))
            return await self._link(connection, member)

        return await self._as_owner(actor, renew)

    async def invite_once(
        self, name: str, role: MemberRole, actor: Actor, *, key: str
    ) -> tuple[Member, SetUpLink | None]:
        """Make a member once for a key of the caller's. Where it was done before there is no link: it is kept nowhere.

        Raises what ``invite`` raises.
        """
        content = digest("members.invite", member_name(name), role)
        made = await self._once(key, content, lambda: self.invite(name, role, actor))
        return (await self.find(name), None) if made is None else made

    async def reset_once(self, named: UUID, actor: Actor, *, key: str) -> SetUpLink | None:
        """Give a member another link once for a key of the caller's, None where that was done before."""
        return await self._once(key, digest("members.reset", str(named)), lambda: self.reset(named, actor))

    async def give_role(self, named: UUID | str, role: MemberRole, actor: Actor) -> Member:
        """Give a member another role, which open sessions have at once. Raises NotFound or LastOwner."""
        member = await self.find(named)

        async def give(connection: Connection) -> Member:
            former, after = await members.give_role(connection, self._project, member.id, role)
            if former is not role:
                change = Change("members.role", target_of(after), {"role": former.value}, {"role": role.value})
                await self._audit.write(connection, actor, change)
            return after

        return await self._as_owner(actor, give, losing=None if role is MemberRole.OWNER else member.id)

    async def block(self, named: UUID | str, blocked: bool = True, *, actor: Actor) -> Member:
        """Keep a member out and end their sessions, or let them in again. Raises NotFound or LastOwner."""
        member = await self.find(named)

        async def act(connection: Connection) -> Member:
            was_blocked, after = await members.block(connection, self._project, member.id, blocked)
            if blocked:
                await sessions.end_all(connection, self._project, member.id)
                await members.withdraw_links(connection, self._project, member.id)
            else:
                await self._attempts.forget(connection, member.name)
            if was_blocked is not blocked:
                action = "members.block" if blocked else "members.unblock"
                await self._audit.write(connection, actor, Change(action, target_of(after)))
            return after

        return await self._as_owner(actor, act, losing=member.id if blocked else None)

    async def end_sessions(self, named: UUID | str, actor: Actor) -> int:
        """Sign a member out everywhere; they may sign in again. Give how many sessions that ended. Raises NotFound."""
        member = await self.find(named)

        async def end(connection: Connection) -> int:
            ended = await sessions.end_all(connection, self._project, member.id)
            if ended:
                change = Change("sessions.end", target_of(member), after={"sessions": ended})
                await self._audit.write(connection, actor, change)
            return ended

        return await self._as_owner(actor, end)

    async def first_link(self) -> SetUpLink:
        """Give a link that makes the first owner, for a ledger that nobody can sign in to yet."""
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                return await self._link(connection, None)

    async def offered(self, token: str) -> SetUpLink:
        """Give a link that somebody opened, with whose it is. Raises NotFound where it is good no more."""
        found = await members.find_link(self._database, self._project, digest_of(token))
        if found is None or (found.member is None and not await self.is_empty()):
            raise _spent()
        return SetUpLink(token, None if found.member is None else await self.find(found.member), found.expires_at)

    async def set_up(self, token: str, name: str, password: str) -> Member:
        """Use a link up: give its member a password, or make the first owner under a name of their own.

        A member's own link needs no name, and no other one than theirs is taken. Their sessions end. Raises NotFound
        where the link is good no more, PasswordRefused, InvalidInput, and LimitReached.
        """
        link = await self.offered(token)
        named = member_name(name) if link.member is None or name.strip() else link.member.name
        if link.member is not None and known_as(named) != known_as(link.member.name):
            raise InvalidInput("this link is another member's", hint=f"it is for {link.member.name}")
        self._passwords.require_good(password, named)
        kept = await self._passwords.hashed(password)
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                member = link.member or await self._first(connection, named)
                made = await members.keep_password(connection, self._project, member.id, kept)
                assert made is not None, "members are never deleted"
                await sessions.end_all(connection, self._project, made.id)
                await self._attempts.forget(connection, made.name)
                if not await members.use_link(connection, self._project, digest_of(token)):
                    raise _spent()
                action = "members.first" if link.member is None else "members.set_password"
                await self._audit.write(connection, Actor.of_member(made), Change(action, target_of(made)))
                return made

    async def _first(self, connection: Connection, name: str) -> Member:
        """Make the first owner. Of several who try at once, with links of several servers, the ledger has one."""
        draft = Member(new_id(self._clock), name, MemberRole.OWNER, False, None, self._clock.now(), None, None)
        is_first = await entries.reserve_key(connection, project_id(self._project), _FIRST, b"", draft.id)
        made = None
        if is_first and not await members.is_any(connection, self._project):
            made = await members.create(connection, self._project, draft, known_as(name))
        if made is None:
            raise _spent()
        return made

    async def _once(self, key: str, content: bytes, act: Callable[[], Awaitable[Result]]) -> Result | None:
        """Do something with the claim of a key, both or neither; nothing where that was done before."""
        asked = new_id(self._clock)
        with translated():
            async with self._database.together():
                known = await done_once(self._database, project_id(self._project), key, content, asked, nothing_more)
                return await act() if known == asked else None

    async def _as_owner(
        self,
        actor: Actor,
        act: Callable[[Connection], Awaitable[Result]],
        losing: UUID | None = None,
    ) -> Result:
        """Change members in one transaction, while nobody else changes who is an owner.

        A member who acts has to be an owner still, whatever the page thought a moment ago. Raises NotPermitted, and
        LastOwner where the owner ``losing`` is the last one who has a way in.
        """
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                owners = await members.lock_owners(connection, self._project)
                if actor.kind is ActorKind.MEMBER and actor.id not in owners:
                    raise NotPermitted("members are changed by owners", hint="ask an owner")
                if losing is not None and tuple(owners) == (losing,):
                    raise LastOwner("this is the last owner", hint="make another member an owner first")
                return await act(connection)

    async def _link(self, connection: Connection, member: Member | None) -> SetUpLink:
        token = new_token()
        seconds = _FIRST_SECONDS if member is None else _INVITED_SECONDS
        whose = None if member is None else member.id
        ends_at = await members.create_link(connection, self._project, digest_of(token), whose, seconds=seconds)
        return SetUpLink(token, member, ends_at)


def target_of(member: Member) -> str:
    """Give what the audit calls a member."""
    return f"member:{member.name}"


def _given(named: UUID | str) -> dict[str, Any]:
    return {"member": named} if isinstance(named, UUID) else {"known_as": known_as(member_name(named))}


def _unknown(named: UUID | str) -> NotFound:
    return NotFound(f"there is no member {str(named)[:60]!r}", hint="`jangbu members list` shows them")


def _spent() -> NotFound:
    return NotFound("this link was used before, or its time is over", hint="ask an owner for another")
