"""Who calls: the key, wherever a client puts it, and whom an app's call is for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from jangbu.domain.keys import Key, KeyKind, is_wellformed
from jangbu.errors import InvalidMetadata, MissingUser, NotPermitted, Unauthenticated
from jangbu.metering.content import metadata_text, service_name
from jangbu.metering.keys import Keys
from jangbu.metering.meter import Metering

__all__ = ["Payer", "accepted", "admitted_payer", "secret_of"]

USER_LENGTH_MAX = 200
_BEARER = b"bearer "
_ENCODED = b"utf-8''"


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for a call, for which service (None: the call itself tells), and with which tags."""

    key: Key
    user: str
    service: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def metadata(self) -> Mapping[str, object]:
        """What a record keeps of it, beside the user and the service."""
        return {"tags": dict(self.tags)} if self.tags else {}


def secret_of(headers: Mapping[bytes, bytes], in_query: str | None) -> str:
    """Find the caller's key in ``x-goog-api-key``, ``Authorization: Bearer`` or ``?key=``.

    Clients that were given a provider's credentials too send both: the one that is a key of ours is taken. Raises
    Unauthenticated where there is none, or two of them differ.
    """
    authorization = headers.get(b"authorization", b"")
    bearer = authorization[len(_BEARER) :] if authorization.lower().startswith(_BEARER) else b""
    found = {
        text.strip()
        for text in (headers.get(b"x-goog-api-key", b"").decode("latin-1"), bearer.decode("latin-1"), in_query or "")
        if text.strip()
    }
    if not found:
        raise Unauthenticated("no key was given", hint="send one of Jangbu's keys as x-goog-api-key")
    ours = {text for text in found if is_wellformed(text)}
    if len(ours) != 1:
        raise Unauthenticated("this is no key of Jangbu's", hint="ask whoever runs the gateway for one")
    return ours.pop()


async def accepted(keys: Keys, secret: str) -> Key:
    """Give the key that a secret opens. Raises Unauthenticated in one wording, whatever is the matter with it."""
    try:
        return await keys.authenticate(secret)
    except NotPermitted:
        raise Unauthenticated("this key is not accepted", hint="ask whoever runs the gateway for another") from None


async def admitted_payer(ledger: Metering, key: Key, headers: Mapping[bytes, bytes]) -> Payer:
    """Say who pays for a call with this key, and for which service.

    Raises MissingUser, NotPermitted, InvalidMetadata or DatabaseUnreachable.
    """
    payer = _payer_of(key, headers)
    service, services = payer.service, ledger.services
    if service is not None and service not in services.names:
        await ledger.briefly(lambda: services.admit(service, may_begin=key.kind is KeyKind.APP))
    return payer


def _payer_of(key: Key, headers: Mapping[bytes, bytes]) -> Payer:
    """Say who pays for a call with this key. Raises MissingUser, NotPermitted or InvalidMetadata."""
    named = _text(headers.get(b"x-jangbu-user"), "x-jangbu-user")
    if key.kind is KeyKind.USER:
        assert key.user is not None, "a user's key names its user"
        if named is not None and named != key.user:
            raise NotPermitted(
                "this key pays for its own user only", hint="leave x-jangbu-user out, or use an app's key"
            )
        user = key.user
    elif named is None:
        raise MissingUser("the call names no user", hint="send x-jangbu-user with an app's key")
    else:
        user = named
    if len(user) > USER_LENGTH_MAX:
        raise InvalidMetadata(f"the user has {len(user):,} characters, more than {USER_LENGTH_MAX}")
    service = _text(headers.get(b"x-jangbu-service"), "x-jangbu-service")
    tags = _tags(_text(headers.get(b"x-jangbu-tags"), "x-jangbu-tags"))
    payer = Payer(key, user, None if service is None else service_name(service), tags)
    metadata_text(payer.metadata)
    return payer


def _text(value: bytes | None, name: str) -> str | None:
    """Read a header as UTF-8, or as RFC 8187 writes it where a client may send ASCII only (UTF-8''%EA%B9%80)."""
    if value is None or not value.strip():
        return None
    value = value.strip()
    if value.lower().startswith(_ENCODED):
        value = unquote_to_bytes(value[len(_ENCODED) :])
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidMetadata(f"{name} is no UTF-8") from None
    if not text.isprintable():
        raise InvalidMetadata(f"{name} holds what cannot be printed")
    return text


def _tags(text: str | None) -> Mapping[str, str]:
    """Read ``name=value, name=value``."""
    if text is None:
        return MappingProxyType({})
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(sign and name.strip() for name, sign, _ in pairs):
        raise InvalidMetadata("x-jangbu-tags is not of the form name=value, name=value")
    return MappingProxyType({name.strip(): value.strip() for name, _, value in pairs})
