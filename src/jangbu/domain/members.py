"""Members: people who sign in at the dashboard, what they may do there, and in whose name something is done."""

import hmac
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from jangbu.domain.keys import Key, Role
from jangbu.errors import InvalidInput

__all__ = [
    "Actor",
    "ActorKind",
    "Admission",
    "Identity",
    "Member",
    "MemberRole",
    "MemberState",
    "OpenSession",
    "Session",
    "Vouched",
    "known_as",
    "member_name",
]

_NAME_LENGTH_MAX = 200
_CSRF = b"csrf:"


class MemberRole(StrEnum):
    """What a member may do: the same as an app's key that has the role of this name."""

    OWNER = "owner"
    FINANCE = "finance"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class MemberState(StrEnum):
    """Whether a member is let in: yes, not before they have used their link, or no."""

    ACTIVE = "active"
    INVITED = "invited"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is to an OpenID provider: the issuer's name and the subject, which never changes there."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a provider proved of somebody. An e-mail address that it did not verify is None, as is no role."""

    identity: Identity
    email: str | None
    role: MemberRole | None


@dataclass(frozen=True, slots=True)
class Admission:
    """Who comes in by a provider's word without having been invited: with which role, and of which domains.

    ``*`` among the domains stands for everybody; a role that the provider gives needs no domain where none is named.
    """

    role: MemberRole | None = None
    domains: frozenset[str] = frozenset()

    def role_for(self, vouched: Vouched) -> MemberRole | None:
        """Give the role with which somebody may become a member, or None where they may not."""
        if vouched.email is None:
            return None
        is_of_ours = "*" in self.domains or vouched.email.rpartition("@")[2].casefold() in self.domains
        if self.domains and not is_of_ours:
            return None
        return vouched.role or (self.role if is_of_ours else None)


@dataclass(frozen=True, slots=True)
class Member:
    """A person who may sign in. ``has_password`` is False until a link was used, or where a provider vouches."""

    id: UUID
    name: str
    role: MemberRole
    has_password: bool
    identity: Identity | None
    created_at: datetime
    last_signed_in_at: datetime | None
    blocked_at: datetime | None

    @property
    def roles(self) -> frozenset[Role]:
        """Give the role in the words of the API, whose routes declare who may use them."""
        return frozenset({Role(f"api:{self.role}")})

    @property
    def state(self) -> MemberState:
        """Tell whether they are let in."""
        if self.blocked_at is not None:
            return MemberState.BLOCKED
        return MemberState.ACTIVE if self.can_sign_in else MemberState.INVITED

    @property
    def can_sign_in(self) -> bool:
        """Whether there is a way in: not blocked, and with a password or a provider's word."""
        return self.blocked_at is None and (self.has_password or self.identity is not None)


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of a member. ``csrf_secret`` leaves the server only as the token that is made of it."""

    id: UUID
    member: Member
    csrf_secret: bytes
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime

    @property
    def csrf_token(self) -> str:
        """Give what every form of this session carries, so that no other site can send one."""
        return hmac.digest(self.csrf_secret, _CSRF + self.id.bytes, "sha256").hex()

    def accepts(self, token: str) -> bool:
        """Tell whether a form carries this session's token; how much of it is right shows in no time."""
        return hmac.compare_digest(self.csrf_token.encode(), token.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that is in force, as its member sees it beside their others: it holds nothing that opens it."""

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


class ActorKind(StrEnum):
    """Who acts: a member at the dashboard, an app's key at the API, whoever runs the command (or an app with the ledger
    in it) on the machine, or the provider that says which role somebody has.
    """

    MEMBER = "member"
    KEY = "key"
    COMMAND = "command"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Actor:
    """In whose name something is done, and in which request."""

    kind: ActorKind
    id: UUID | None
    name: str
    request_id: str | None = None

    @classmethod
    def of_member(cls, member: Member, request_id: str | None = None) -> Self:
        """Give a member as who acts."""
        return cls(ActorKind.MEMBER, member.id, member.name, request_id)

    @classmethod
    def of_key(cls, key: Key, request_id: str | None = None) -> Self:
        """Give a key as who acts."""
        return cls(ActorKind.KEY, key.id, key.name, request_id)

    @classmethod
    def of_command(cls, person: str) -> Self:
        """Give whoever runs the command, by the name that the machine knows them by."""
        return cls(ActorKind.COMMAND, None, person)

    @classmethod
    def of_provider(cls, issuer: str) -> Self:
        """Give an OpenID provider as who acts."""
        return cls(ActorKind.PROVIDER, None, issuer)


def member_name(name: str) -> str:
    """Give a name as it is kept: one spelling for what looks the same. Raises InvalidInput."""
    kept = unicodedata.normalize("NFC", name).strip()
    if not (kept.isprintable() and 0 < len(kept) <= _NAME_LENGTH_MAX):
        raise InvalidInput(
            f"{name[:40]!r} is no name of a member", hint=f"use 1 to {_NAME_LENGTH_MAX} printable characters"
        )
    return kept


def known_as(name: str) -> str:
    """Give what a name is looked up by: capitals, and ways to write the same letters, make no difference."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
