"""Who calls: the key, wherever a client puts it, and whom an app's call is for."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from jangbu.domain.keys import Key, KeyKind, is_wellformed
from jangbu.domain.ledger import USER_LENGTH_MAX
from jangbu.errors import InvalidInput, InvalidMetadata, MissingUser, NotPermitted, Unauthenticated
from jangbu.metering.attached_tags import admitted_metadata
from jangbu.metering.content import service_name
from jangbu.metering.keyed import with_key
from jangbu.metering.keys import Keys
from jangbu.metering.meter import Metering
from jangbu.metering.strict_json import json_object

__all__ = ["Payer", "accepted", "admitted_payer", "secret_of"]

_BEARER = b"bearer "
_ENCODED = b"utf-8''"
_ESCAPED = re.compile(rb"(?:[^%]|%[0-9a-fA-F]{2})*+", re.DOTALL)
_OWN = b"x-jangbu-"
_NAMES = (b"x-jangbu-service", b"x-jangbu-tags", b"x-jangbu-user")
_WRITTEN = 'write name=value, name=value, or {"name": "value"}'
_PLAIN = "send UTF-8, or ASCII as RFC 8187 writes it, like UTF-8''%EA%B9%80"


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for a call, for which service (None: the call itself tells), and with which tags.

    ``metadata`` is what a record keeps beside the user and the service: the tags, and by which key the call came.
    """

    key: Key
    user: str
    service: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    metadata: Mapping[str, object] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Write the metadata once for all that is asked of a call."""
        tags = {"tags": dict(self.tags)} if self.tags else {}
        object.__setattr__(self, "metadata", with_key(tags, self.key.id))


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
    _require_known(headers)
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
        raise InvalidMetadata(f"the user has {len(user):,} characters", hint=f"keep it to {USER_LENGTH_MAX}")
    service = _text(headers.get(b"x-jangbu-service"), "x-jangbu-service")
    tags = _tags(_text(headers.get(b"x-jangbu-tags"), "x-jangbu-tags"))
    payer = Payer(key, user, None if service is None else service_name(service), tags)
    admitted_metadata(payer.metadata)
    return payer


def _require_known(names: Iterable[bytes]) -> None:
    """Refuse a header of Jangbu's that there is not: what somebody says of a call would be lost, silently."""
    for name in names:
        if name.startswith(_OWN) and name not in _NAMES:
            known = ", ".join(each.decode() for each in _NAMES)
            raise InvalidMetadata(f"there is no header {name[:40].decode('ascii')}", hint=f"there are {known}")


def _text(value: bytes | None, name: str) -> str | None:
    """Read a header as UTF-8, or as RFC 8187 writes it where a client may send ASCII only (UTF-8''%EA%B9%80)."""
    if value is None or not value.strip():
        return None
    value = value.strip()
    if value.lower().startswith(_ENCODED):
        value = value[len(_ENCODED) :]
        if _ESCAPED.fullmatch(value) is None:
            raise InvalidMetadata(f"{name} holds a % that begins no escape", hint="write % as %25")
        value = unquote_to_bytes(value)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidMetadata(f"{name} is no UTF-8", hint=_PLAIN) from None
    if not text.isprintable():
        raise InvalidMetadata(f"{name} holds what cannot be printed", hint="send text of one line")
    return text


def _tags(text: str | None) -> Mapping[str, str]:
    """Read ``name=value, name=value``, or a JSON object of texts, in which a value may hold commas: each name once; all
    else is the one rule of tags.
    """
    if text is None:
        return MappingProxyType({})
    if text.startswith("{"):
        return MappingProxyType(_tags_in_json(text))
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(sign and name.strip() for name, sign, _ in pairs):
        raise InvalidMetadata("x-jangbu-tags cannot be read", hint=_WRITTEN)
    tags = {name.strip(): value.strip() for name, _, value in pairs}
    if len(tags) < len(pairs):
        raise InvalidMetadata("x-jangbu-tags gives a name twice", hint="give each tag one value")
    return MappingProxyType(tags)


def _tags_in_json(text: str) -> dict[str, str]:
    try:
        tags = json_object(text.encode())
    except InvalidInput:
        raise InvalidMetadata("x-jangbu-tags cannot be read", hint=_WRITTEN) from None
    if not all(name.strip() and isinstance(value, str) for name, value in tags.items()):
        raise InvalidMetadata("x-jangbu-tags cannot be read", hint=_WRITTEN)
    return tags
