"""Keys of the gateway and of the API: how a secret is written and known again, and what its holder may do.

A secret is a prefix, 43 base-62 digits of 256 random bits, and 6 digits of the CRC-32 of all that precedes: whoever
scans texts for leaked secrets knows one by its looks, and a mistyped one is refused without being looked up.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID
from zlib import crc32

from jangbu.domain.moments import require_expiry
from jangbu.errors import InvalidInput

__all__ = [
    "RANDOM_BYTES",
    "Key",
    "KeyKind",
    "KeyState",
    "Role",
    "Scope",
    "check",
    "digest",
    "encode",
    "hint",
    "is_wellformed",
]

RANDOM_BYTES = 32

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS = 43
_CHECK_DIGITS = 6
_PREFIX_LENGTH = 4
_HINT_LENGTH = _PREFIX_LENGTH + 4
_LOOKS = re.compile(rf"jb[au]_[0-9A-Za-z]{{{_RANDOM_DIGITS + _CHECK_DIGITS}}}")

_NAME_LENGTH_MAX = 200
_PATTERN = re.compile(r"[^*\s]{0,200}\*|[^*\s]{1,200}")
_PATTERNS_MAX = 100
_INTEGER_MAX = 2**31 - 1
_BIGINT_MAX = 2**63 - 1


class KeyKind(StrEnum):
    """Who holds a key: an app, which names the user of each call, or one user, who is named by the key."""

    APP = "app"
    USER = "user"


class KeyState(StrEnum):
    """Whether a key is accepted, and why not."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Scope(StrEnum):
    """What a key may be allowed to do: to call the provider, or, as a user's key, to read the user's own account."""

    GENERATE = "generate"
    EMBED = "embed"
    FILES = "files"
    CACHES = "caches"
    BATCHES = "batches"
    INTERACTIONS = "interactions"
    LIVE = "live"
    MODELS = "models"
    OPENAI = "openai"
    ACCOUNT = "account"


class Role(StrEnum):
    """What an app's key may do through the API: it has each role that stands among its scopes, and no other.

    A key without scopes calls the provider, as it did before there were roles, and has none.
    """

    OWNER = "api:owner"
    FINANCE = "api:finance"
    DEVELOPER = "api:developer"
    VIEWER = "api:viewer"
    ANALYTICS = "api:analytics"
    VIEWS = "api:views"
    """Makes tokens by which users see their own accounts, for an app that shall do nothing else."""
    USER = "user"
    """A user's own key: it reads its own account. No key is given this role, its kind tells."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. ``user`` is None for an app's key.

    A limit that is None limits nothing; an empty tuple of scopes or models allows nothing. ``made_by`` is the key that
    made it, None where people did; ``counted_under`` are those of its makers, near and far, that have limits: what it
    uses counts under theirs, too.
    """

    id: UUID
    kind: KeyKind
    name: str
    user: str | None
    hint: str
    scopes: tuple[str, ...] | None
    models: tuple[str, ...] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_calls: int | None
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    made_by: UUID | None = None
    counted_under: tuple[UUID, ...] = ()

    @property
    def has_limits(self) -> bool:
        """Whether what the key uses has to be counted."""
        return (
            self.requests_per_minute is not None
            or self.tokens_per_minute is not None
            or self.concurrent_calls is not None
            or bool(self.counted_under)
        )

    def allows_model(self, model: str) -> bool:
        """Tell whether the key may call a model: it is named, or a pattern that ends in ``*`` begins its name."""
        if self.models is None:
            return True
        name = model.removeprefix("models/")
        return any(
            name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in self.models
        )

    def allows_scope(self, scope: str | None) -> bool:
        """Tell whether the key may do what a scope covers; no key allows what no scope covers."""
        return scope is not None and (self.scopes is None or scope in self.scopes)

    @property
    def roles(self) -> frozenset[Role]:
        """Give the roles that the key has."""
        if self.kind is KeyKind.USER:
            return frozenset({Role.USER}) if self.allows_scope(Scope.ACCOUNT) else frozenset()
        return frozenset(Role(scope) for scope in self.scopes or () if scope in _ROLES)

    def state(self, now: datetime) -> KeyState:
        """Tell whether the key is accepted at a moment."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        is_over = self.expires_at is not None and self.expires_at <= now
        return KeyState.EXPIRED if is_over else KeyState.ACTIVE


_ROLES = frozenset(role.value for role in Role if role is not Role.USER)


def encode(kind: KeyKind, random: bytes) -> str:
    """Write 32 random bytes as the secret of a key."""
    if len(random) != RANDOM_BYTES:
        raise InvalidInput(f"a secret is made of {RANDOM_BYTES} random bytes")
    prefix = "jba_" if kind is KeyKind.APP else "jbu_"
    body = prefix + _base_62(int.from_bytes(random, "big"), _RANDOM_DIGITS)
    return body + _checksum(body)


def is_wellformed(text: str) -> bool:
    """Tell whether a text looks like a secret and its checksum is right; nothing is looked up for this."""
    return _LOOKS.fullmatch(text) is not None and text[-_CHECK_DIGITS:] == _checksum(text[:-_CHECK_DIGITS])


def digest(text: str) -> bytes:
    """Give the SHA-256 of a secret: all that is ever stored of it or asked for."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def hint(text: str) -> str:
    """Give the first characters of a secret, by which its owner knows it in a list."""
    return text[:_HINT_LENGTH]


def check(key: Key) -> None:
    """Refuse a new key whose name or limits cannot be kept. Raises InvalidInput."""
    if not (key.name.strip() and len(key.name) <= _NAME_LENGTH_MAX and key.name.isprintable()):
        raise InvalidInput(
            f"{key.name[:40]!r} is no name of a key", hint=f"use 1 to {_NAME_LENGTH_MAX} printable characters"
        )
    known = set(Scope) if key.kind is KeyKind.USER else {*Scope, *_ROLES}
    for scope in key.scopes or ():
        if scope in _ROLES - known:
            raise InvalidInput("a user's key has no role", hint="give roles to an app's key")
        if scope not in known:
            raise InvalidInput(f"{scope[:40]!r} is no scope of a key", hint=f"one of {', '.join(Scope)}")
    for pattern in key.models or ():
        if not (pattern.isprintable() and _PATTERN.fullmatch(pattern)):
            raise InvalidInput(
                f"{pattern[:60]!r} is no model of a key", hint="name a model, or the beginning of its name and then *"
            )
    if len(key.models or ()) > _PATTERNS_MAX:
        raise InvalidInput(f"a key names at most {_PATTERNS_MAX} models", hint="let patterns stand for several")
    _check_limit("requests a minute", key.requests_per_minute, _INTEGER_MAX)
    _check_limit("tokens a minute", key.tokens_per_minute, _BIGINT_MAX)
    _check_limit("concurrent calls", key.concurrent_calls, _INTEGER_MAX)
    require_expiry(key.expires_at)


def _check_limit(what: str, limit: int | None, most: int) -> None:
    if limit is not None and not (type(limit) is int and 0 < limit <= most):
        raise InvalidInput(f"{limit!r} {what} cannot be a limit", hint=f"give a whole number from 1 to {most:,}")


def _checksum(body: str) -> str:
    return _base_62(crc32(body.encode("ascii")), _CHECK_DIGITS)


def _base_62(number: int, width: int) -> str:
    """Write a number in base 62, with leading zeros up to the width."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
