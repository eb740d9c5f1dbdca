"""Sessions: who is signed in. A browser holds a token, the ledger its digest; what ends here is over everywhere."""

import secrets
from collections.abc import Sequence
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import Clock, new_id
from jangbu.domain.members import Actor, Admission, Member, OpenSession, Session, Vouched, known_as, member_name
from jangbu.errors import InvalidInput, NotPermitted, Unauthenticated
from jangbu.metering.attempts import Attempts
from jangbu.metering.audit import Audit, Change
from jangbu.metering.members import target_of
from jangbu.metering.passwords import Passwords
from jangbu.metering.recognition import Recognition
from jangbu.metering.tokens import digest_of, is_token, new_token
from jangbu.storage import members, sessions
from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import translated
from jangbu.storage.members import KeptMember

__all__ = ["Sessions"]

_SECONDS = 12 * 3_600
_IDLE_SECONDS = 3_600
_SECRET_BYTES = 32
_LISTED_MOST = 200


class Sessions:
    """The sessions of one project's members. Belongs to one event loop.

    A session ends after 12 hours, after an hour in which nothing was asked for with it, when its member signs out, is
    blocked or gets another password.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        attempts: Attempts,
        recognition: Recognition,
        audit: Audit,
        *,
        project: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._attempts = attempts
        self._recognition = recognition
        self._audit = audit
        self._project = project

    async def sign_in(
        self, name: str, password: str, address: str | None, *, request_id: str | None = None
    ) -> tuple[Session, str]:
        """Let somebody in whose name and password fit; give the session with its token, which cannot be had again.

        Raises Unauthenticated in the same words, and after the same work, for a wrong password, a name that nobody has,
        a member who is blocked and one who has no password; LimitReached where one has to wait. ``address`` is where
        they come from, None where nothing tells.
        """
        self._passwords.require_room()
        await self._attempts.count(name, address)
        kept = await self._kept(name)
        digest = None if kept is None or kept.member.blocked_at is not None else kept.password
        if not await self._passwords.matches(password, digest) or kept is None or digest is None:
            raise _refusal()
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                begun = await self._begin(connection, kept.member, address, request_id, password=digest)
                await self._attempts.take_back(connection, name, address)
        if self._passwords.is_outdated(digest):
            await self._renew(kept.member, password, digest)
        return begun

    async def sign_in_by(
        self, vouched: Vouched, admission: Admission, address: str | None, *, request_id: str | None = None
    ) -> tuple[Session, str]:
        """Let somebody in for whom a provider vouches; give the session with its token.

        Raises NotPermitted where they were not invited and are not admitted, Unauthenticated where they are blocked.
        """
        member = await self._recognition.member(vouched, admission)
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                return await self._begin(connection, member, address, request_id)

    async def of(self, token: str) -> Session | None:
        """Give the session of a token, with its member as they are now, or None where it is over or never was."""
        if not is_token(token):
            return None
        return await sessions.find(self._database, self._project, digest_of(token), idle_seconds=_IDLE_SECONDS)

    async def end(self, token: str, *, request_id: str | None = None) -> None:
        """End a session, as its member does who signs out. To end it again, or what is over, changes nothing."""
        session = await self.of(token)
        if session is None:
            return
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                if await sessions.end_one(connection, self._project, session.member.id, session.id):
                    actor = Actor.of_member(session.member, request_id)
                    change = Change("sessions.end", target_of(session.member), after={"sessions": 1})
                    await self._audit.write(connection, actor, change)

    async def end_all(self, member: Member, actor: Actor, *, but: UUID | None = None) -> int:
        """End all sessions of a member, but for one where it is named; give how many."""
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                ended = await sessions.end_all(connection, self._project, member.id, but=but)
                if ended:
                    change = Change("sessions.end", target_of(member), after={"sessions": ended})
                    await self._audit.write(connection, actor, change)
                return ended

    async def end_one(self, member: Member, session: UUID, actor: Actor) -> None:
        """End one session of a member. To end it again, or what is not theirs, changes nothing."""
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                if await sessions.end_one(connection, self._project, member.id, session):
                    change = Change("sessions.end", target_of(member), after={"sessions": 1})
                    await self._audit.write(connection, actor, change)

    async def list(self, member: Member) -> Sequence[OpenSession]:
        """Give the sessions of a member that are in force, the one that was seen last first."""
        return await sessions.of_member(
            self._database, self._project, member.id, idle_seconds=_IDLE_SECONDS, limit=_LISTED_MOST
        )

    async def change_password(
        self, session: Session, present: str, chosen: str, address: str | None, actor: Actor
    ) -> int:
        """Give the member of a session another password; give how many of their other sessions that ended.

        Who holds a session need not be who knows the password: the present one is asked for, and to guess it is held
        up as at the door. Raises NotPermitted where there is none, Unauthenticated where it is another one,
        PasswordRefused, and LimitReached.
        """
        member = session.member
        if not member.has_password:
            raise NotPermitted("there is no password to change", hint="a provider vouches for this member")
        self._passwords.require_good(chosen, member.name)
        self._passwords.require_room()
        await self._attempts.count(member.name, address)
        kept = await members.find(self._database, self._project, member=member.id)
        digest = None if kept is None else kept.password
        if not await self._passwords.matches(present, digest) or digest is None:
            raise Unauthenticated("this is not the present password", hint="enter the one that you signed in with")
        renewed = await self._passwords.hashed(chosen)
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                if await members.keep_password(connection, self._project, member.id, renewed, former=digest) is None:
                    raise Unauthenticated("the password was changed meanwhile", hint="sign in again")
                # A link that was sent before would undo what the member just did.
                await members.withdraw_links(connection, self._project, member.id)
                ended = await sessions.end_all(connection, self._project, member.id, but=session.id)
                await self._attempts.take_back(connection, member.name, address)
                change = Change("members.set_password", target_of(member), after={"sessions": ended})
                await self._audit.write(connection, actor, change)
                return ended

    async def purge(self) -> None:
        """Remove what is over: sessions, links and failures to sign in."""
        await sessions.purge(self._database, self._project, idle_seconds=_IDLE_SECONDS)
        await members.purge_links(self._database, self._project)
        await self._attempts.purge()

    async def _kept(self, name: str) -> KeptMember | None:
        try:
            return await members.find(self._database, self._project, known_as=known_as(member_name(name)))
        except InvalidInput:
            return None

    async def _begin(
        self,
        connection: Connection,
        member: Member,
        address: str | None,
        request_id: str | None,
        *,
        password: str | None = None,
    ) -> tuple[Session, str]:
        """Begin a session, unless the member was blocked, or got another password, since they were looked at."""
        token = new_token()
        session = await sessions.create(
            connection,
            self._project,
            member.id,
            session=new_id(self._clock),
            digest=digest_of(token),
            csrf_secret=secrets.token_bytes(_SECRET_BYTES),
            seconds=_SECONDS,
            password=password,
        )
        if session is None:
            raise _refusal()
        change = Change("sessions.begin", target_of(member), after={"address": address or None})
        await self._audit.write(connection, Actor.of_member(session.member, request_id), change)
        return session, token

    async def _renew(self, member: Member, password: str, digest: str) -> None:
        """Hash a password again at the costs that are usual now. Where that fails, the old digest is as good."""
        try:
            renewed = await self._passwords.hashed(password)
            with translated():
                async with self._database.connection() as connection:
                    await members.keep_password(connection, self._project, member.id, renewed, former=digest)
        except Exception as error:
            telemetry.warn("sessions.password_not_renewed", str(error))


def _refusal() -> Unauthenticated:
    return Unauthenticated("the name or the password is wrong", hint="try again, or ask an owner for a new link")
