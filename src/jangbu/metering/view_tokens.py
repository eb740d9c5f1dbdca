"""Tokens that open one user's own view: for one account, for a while, and for nothing but reading it.

A token is a JWT that is signed with HMAC-SHA-256 by the project's secret in the database. Nothing but the ledger itself
checks one, and who reads the secret reads the accounts, too: a pair of keys would keep nobody out. Tokens are stored
nowhere, so one alone cannot be called back; they are short-lived, and another secret ends all of them at once.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jangbu.clock import Clock, new_id
from jangbu.domain.ledger import account_id, project_id
from jangbu.errors import InvalidInput, NoAccount, TokenExpired, Unauthenticated
from jangbu.metering.audit import Audit, Change
from jangbu.metering.content import digest
from jangbu.metering.once import done_once
from jangbu.storage import accounts, view_keys
from jangbu.storage.database import Connection, Database

__all__ = ["SECONDS", "SECONDS_LEAST", "SECONDS_MAX", "ViewToken", "ViewTokens"]

SECONDS = 900
SECONDS_LEAST, SECONDS_MAX = 1, 3_600

_AUDIENCE = "jangbu-view"
_ALGORITHM = "HS256"
_SECRET_BYTES = 32
_LENGTH_MAX = 2_000
_LOOKS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_ADVICE = "have the app make another one"


@dataclass(frozen=True, slots=True)
class ViewToken:
    """A token, whose view it opens, and until when by the database's clock."""

    text: str
    user: str
    expires_at: datetime


class ViewTokens:
    """The tokens of one project's users."""

    def __init__(self, database: Database, clock: Clock, *, project: str) -> None:
        self._database = database
        self._clock = clock
        self._project = project
        self._audit = Audit(database, clock, project=project)

    async def make(self, user: str, seconds: int = SECONDS) -> ViewToken:
        """Make a token for a user. Raises NotFound, and InvalidInput for one that would live too long."""
        if not (type(seconds) is int and SECONDS_LEAST <= seconds <= SECONDS_MAX):
            raise InvalidInput(
                f"a view's token cannot live for {seconds!r} seconds", hint=f"give {SECONDS_LEAST} to {SECONDS_MAX:,}"
            )
        account = account_id(self._project, user)
        if await accounts.find(self._database, account) is None:
            raise NoAccount(user)
        secret, now = await self._key()
        expires_at = now.replace(microsecond=0) + timedelta(seconds=seconds)
        claims = {
            "aud": _AUDIENCE,
            "project": self._project,
            "sub": str(account),
            "iat": _seconds(now),
            "exp": _seconds(expires_at),
        }
        return ViewToken(_signed(claims, secret), user, expires_at)

    async def account_of(self, text: str) -> UUID:
        """Give the account that a token opens.

        Raises TokenExpired for one that was good, and Unauthenticated in the same words for all that never were: that
        are altered, signed by another secret, made for something else or for another project.
        """
        if len(text) > _LENGTH_MAX or _LOOKS.fullmatch(text) is None:
            raise _refusal()
        known = await view_keys.find(self._database, self._project)
        if known is None:
            raise _refusal()
        secret, now = known
        claims = _verified(text, secret)
        ends, subject = claims.get("exp"), claims.get("sub")
        is_ours = claims.get("aud") == _AUDIENCE and claims.get("project") == self._project
        if not is_ours or type(ends) is not int or not isinstance(subject, str):
            raise _refusal()
        if ends <= _seconds(now):
            raise TokenExpired("this view's token has expired", hint=_ADVICE)
        return UUID(subject)

    async def revoke_all(self, *, once: str | None = None) -> bool:
        """Have no token accepted any more that was made until now; tell whether that was done now.

        Under a key it is done once: to send an old request again ends no token that was made since.
        """
        made, result = secrets.token_bytes(_SECRET_BYTES), new_id(self._clock)

        async def replace(connection: Connection) -> None:
            await view_keys.replace(connection, self._project, made)
            await self._audit.note(connection, Change("view_tokens.revoke", "view_tokens"))

        content = digest("view_tokens.revoke")
        return await done_once(self._database, project_id(self._project), once, content, result, replace) == result

    async def _key(self) -> tuple[bytes, datetime]:
        known = await view_keys.find(self._database, self._project)
        if known is None:
            await view_keys.make(self._database, self._project, secrets.token_bytes(_SECRET_BYTES))
            known = await view_keys.find(self._database, self._project)
        assert known is not None, "secrets are replaced and never removed"
        return known


def _signed(claims: Mapping[str, Any], secret: bytes) -> str:
    from joserfc import jwt
    from joserfc.jwk import OctKey

    return jwt.encode({"alg": _ALGORITHM}, dict(claims), OctKey.import_key(secret), algorithms=[_ALGORITHM])


def _verified(text: str, secret: bytes) -> Mapping[str, Any]:
    """Give what a token says. Raises Unauthenticated where the secret did not sign it."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import OctKey

    try:
        claims: Mapping[str, Any] = jwt.decode(text, OctKey.import_key(secret), algorithms=[_ALGORITHM]).claims
    except JoseError:
        raise _refusal() from None
    return claims


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _refusal() -> Unauthenticated:
    return Unauthenticated("this view's token is not accepted", hint=_ADVICE)
