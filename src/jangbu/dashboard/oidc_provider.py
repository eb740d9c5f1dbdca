"""An OpenID provider over the network: what it says of itself, its keys, and the exchange of a code for tokens.

All that is asked goes to addresses of https, but for a provider on this machine: no redirects, no proxies, no cookies,
and bounded in time and size.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from jangbu.errors import Unauthenticated, UpstreamUnreachable

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

__all__ = ["Metadata", "Provider"]

_SECONDS_MAX = 10
_BYTES_MAX = 1_000_000
_KNOWN_SECONDS = 3_600
_KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
_BASIC, _POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    tells_issuer: bool
    """Whether every answer of its names the issuer (RFC 9207), so that one that does not is not its own."""
    takes_basic: bool


class Provider:
    """One provider. What it says is asked once an hour. Belongs to one event loop."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def metadata(self) -> Metadata:
        """Give what the provider says of itself. Raises UpstreamUnreachable."""
        now = asyncio.get_running_loop().time()
        if self._metadata is None or now >= self._metadata[0] + _KNOWN_SECONDS:
            address = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
            self._metadata = (now, self._read(await self._asked(address)))
        return self._metadata[1]

    async def keys(self, metadata: Metadata, *, anew: bool = False) -> "KeySet":
        """Give the keys by which the provider signs. Raises UpstreamUnreachable."""
        now = asyncio.get_running_loop().time()
        if anew or self._keys is None or now >= self._keys[0] + _KNOWN_SECONDS:
            self._keys = (now, _key_set(await self._asked(metadata.jwks_uri)))
        return self._keys[1]

    async def exchange(
        self, metadata: Metadata, form: Mapping[str, str], client_id: str, client_secret: str | None
    ) -> Mapping[str, Any]:
        """Exchange a code for tokens. Raises Unauthenticated where the provider refuses it, and UpstreamUnreachable."""
        from authlib.oauth2.auth import ClientAuth
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        if client_secret is None:
            client = ClientAuth(client_id, None, "none")
        elif metadata.takes_basic:
            # RFC 6749, 2.3.1: both are written as a form writes them before they are joined by a colon.
            client = ClientAuth(quote(client_id, safe=""), quote(client_secret, safe=""), _BASIC)
        else:
            client = ClientAuth(client_id, client_secret, _POST)
        headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
        address, headers, body = client.prepare("POST", metadata.token_endpoint, headers, prepare_token_request(**form))
        status, answer = await self._sent(address, body, headers)
        if status != 200:
            why = str(answer.get("error", status))[:60]
            raise Unauthenticated(f"the provider does not take the code: {why}", hint="begin again at the sign-in page")
        return answer

    def _read(self, found: Mapping[str, Any]) -> Metadata:
        if found.get("issuer") != self._issuer:
            raise _unusable("it says that it is another issuer than JANGBU_OIDC_ISSUER")
        methods = found.get("token_endpoint_auth_methods_supported", [_BASIC])
        return Metadata(
            _address(found, "authorization_endpoint"),
            _address(found, "token_endpoint"),
            _address(found, "jwks_uri"),
            tells_issuer=found.get("authorization_response_iss_parameter_supported") is True,
            takes_basic=not isinstance(methods, list) or _BASIC in methods or _POST not in methods,
        )

    async def _asked(self, address: str) -> Mapping[str, Any]:
        status, found = await self._sent(address, None, {"accept": "application/json"})
        if status != 200:
            raise _unusable(f"it answered {status}")
        return found

    async def _sent(self, address: str, form: str | None, headers: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        """Ask something, or send a form, and give the status and the JSON that came back."""
        import aiohttp

        if not _is_safe(address):
            raise _unusable("it is no address of https")
        timeout = aiohttp.ClientTimeout(total=_SECONDS_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as client,
                client.request(
                    "GET" if form is None else "POST", address, data=form, headers=headers, allow_redirects=False
                ) as answer,
            ):
                body = bytearray()
                async for piece in answer.content.iter_chunked(65_536):
                    body += piece
                    if len(body) > _BYTES_MAX:
                        raise _unusable("its answer is too large")
                return answer.status, _read_json(bytes(body), answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unusable(str(error) or type(error).__name__) from None


def _address(found: Mapping[str, Any], name: str) -> str:
    address = found.get(name)
    if not isinstance(address, str) or not _is_safe(address):
        raise _unusable(f"it names no {name}, or not by https")
    return address


def _is_safe(address: str) -> bool:
    """Tell whether an address is one of https, or on this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host) and parts.username is None
    return parts.scheme == "http" and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _read_json(body: bytes, status: int) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if status != 200:
        return {}
    raise _unusable("its answer is no JSON object")


def _key_set(found: Mapping[str, Any]) -> "KeySet":
    """Give the keys that sign; a provider may publish others, also of kinds that nobody here knows."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet

    listed = found.get("keys")
    keys = []
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("kty") not in _KEY_TYPES or each.get("use", "sig") != "sig":
            continue
        try:
            keys.append(JWKRegistry.import_key(each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not keys:
        raise _unusable("it publishes no key that signs")
    return KeySet(keys)


def _unusable(why: str) -> UpstreamUnreachable:
    return UpstreamUnreachable(
        f"the OpenID provider cannot be used: {why[:200]}", hint="try again, or sign in with a password"
    )
