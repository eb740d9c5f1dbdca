"""Who somebody is for whom an OpenID provider vouches: a member who is known, was invited, or may come in uninvited."""

from jangbu import telemetry
from jangbu.clock import Clock, new_id
from jangbu.domain.members import Actor, Admission, Member, MemberRole, Vouched, known_as, member_name
from jangbu.errors import InvalidInput, LastOwner, NotPermitted
from jangbu.metering.audit import Audit, Change
from jangbu.metering.members import Members, target_of
from jangbu.storage import members
from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import translated

__all__ = ["Recognition"]


class Recognition:
    """Finds the members of one project by what a provider proves."""

    def __init__(self, database: Database, clock: Clock, ledger: Members, audit: Audit, *, project: str) -> None:
        self._database = database
        self._clock = clock
        self._members = ledger
        self._audit = audit
        self._project = project

    async def member(self, vouched: Vouched, admission: Admission) -> Member:
        """Give the member whom a provider vouches for, with the role that it gives them now.

        A member is known by the provider's name for them. Who comes the first time is the member that has their
        verified e-mail address as a name, else becomes one where they are admitted. Raises NotPermitted, and
        InvalidInput where their address cannot be a name.
        """
        kept = await members.find(self._database, self._project, identity=vouched.identity)
        member = None if kept is None else kept.member
        if member is None:
            with translated():
                async with self._database.connection() as connection, connection.transaction():
                    member = await self._tied(connection, vouched) or await self._joined(connection, vouched, admission)
        if vouched.role is None or vouched.role is member.role:
            return member
        return await self._with_role(member, vouched, vouched.role)

    async def _tied(self, connection: Connection, vouched: Vouched) -> Member | None:
        """Tie the member who has somebody's verified address to them, once: addresses may change hands."""
        if vouched.email is None:
            return None
        kept = await members.find(connection, self._project, known_as=known_as(vouched.email))
        if kept is None:
            return None
        tied = await members.identify(connection, self._project, kept.member.id, vouched.identity)
        if tied is None:
            raise NotPermitted("somebody else signs in under this address", hint="ask an owner")
        await self._write(connection, "members.identify", tied)
        return tied

    async def _joined(self, connection: Connection, vouched: Vouched, admission: Admission) -> Member:
        role = admission.role_for(vouched)
        if role is None or vouched.email is None:
            raise NotPermitted("nobody invited you", hint="ask an owner to add you under your e-mail address")
        name = member_name(vouched.email)
        draft = Member(new_id(self._clock), name, role, False, vouched.identity, self._clock.now(), None, None)
        made = await members.create(connection, self._project, draft, known_as(name))
        if made is None:
            raise InvalidInput("somebody came in under this address at this very moment", hint="try again")
        await self._write(connection, "members.join", made)
        return made

    async def _with_role(self, member: Member, vouched: Vouched, role: MemberRole) -> Member:
        """Give a member the role that the provider gives them; the last owner stays one, whatever it says."""
        try:
            return await self._members.give_role(member.id, role, Actor.of_provider(vouched.identity.issuer))
        except LastOwner as error:
            telemetry.warn("members.role_kept", f"{member.name} keeps the role of an owner: {error.message}")
            return member

    async def _write(self, connection: Connection, action: str, member: Member) -> None:
        identity = member.identity
        assert identity is not None, "a provider vouches for them"
        facts = {"role": member.role.value, "issuer": identity.issuer, "subject": identity.subject}
        await self._audit.write(connection, Actor.of_member(member), Change(action, target_of(member), after=facts))
