"""An OpenID provider on this machine: it asks nobody anything, is strict, and may be told to lie."""

import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from time import time
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

CLIENT, SECRET = "jangbu", "a secret:with a colon"
KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}
OTHER = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
NEWER = RSAKey.generate_key(2048, {"kid": "newer", "use": "sig"})


def no_change(_values: dict[str, Any]) -> None: ...


@dataclass
class OpenIdProvider:
    """What the provider knows, and what it is told to do wrong."""

    issuer: str = ""
    claims: dict[str, Any] = field(
        default_factory=lambda: {"sub": "user-1", "email": "kim@shop.example", "email_verified": True}
    )
    algorithm: str = "RS256"
    keys: list[Any] = field(default_factory=lambda: list(KEYS.values()))
    change_claims: Callable[[dict[str, Any]], None] = no_change
    change_metadata: Callable[[dict[str, Any]], None] = no_change
    sign: Callable[[dict[str, Any]], str | None] | None = None
    error: str | None = None
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    async def metadata(self, _request: web.Request) -> web.Response:
        self.asked.append("metadata")
        found: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        self.change_metadata(found)
        return web.json_response(found)

    async def published(self, _request: web.Request) -> web.Response:
        self.asked.append("keys")
        found = KeySet(self.keys).as_dict()
        unknown = {"kty": "AKP", "alg": "ML-DSA-44", "kid": "later", "pub": "AA"}
        shared = {"kty": "oct", "k": "AA", "kid": "shared"}
        return web.json_response({"keys": [unknown, shared, {"kty": "RSA"}, 7, *found["keys"]]})

    async def authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        assert (query["response_type"], query["client_id"], query["code_challenge_method"]) == ("code", CLIENT, "S256")
        assert "openid" in query["scope"].split()
        back = {"state": query["state"], "iss": self.issuer}
        if self.error is None:
            back["code"] = token_urlsafe()
            self.codes[back["code"]] = query
        else:
            back["error"] = self.error
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        asked = self.codes.pop(str(form.get("code")), None)
        if self._client(request, form) != (CLIENT, SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        proof = urlsafe_b64encode(sha256(str(form.get("code_verifier")).encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != proof or asked["redirect_uri"] != form.get("redirect_uri"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time())
        claims = {"iss": self.issuer, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": asked["nonce"]}
        claims |= self.claims
        self.change_claims(claims)
        signed = self.sign(claims) if self.sign is not None else signed_by(KEYS[self.algorithm], self.algorithm, claims)
        return web.json_response({"access_token": "unused", "token_type": "Bearer", "id_token": signed})

    def _client(self, request: web.Request, form: dict[str, Any]) -> tuple[str, str]:
        given = request.headers.get("authorization", "")
        if given.startswith("Basic "):
            name, _, secret = b64decode(given.removeprefix("Basic ")).decode().partition(":")
            return unquote(name), unquote(secret)
        return str(form.get("client_id")), str(form.get("client_secret"))


def signed_by(key: Any, algorithm: str, claims: dict[str, Any], **header: Any) -> str:
    """Sign claims as a provider does."""
    return jwt.encode({"alg": algorithm, "kid": key.kid, **header}, claims, key, algorithms=[algorithm])


def signed_by_hand(claims: dict[str, Any], algorithm: str, secret: bytes | None = None) -> str:
    """Give a token that no library would make: with a shared secret, whatever that is, or with no signature."""
    parts = [json.dumps({"alg": algorithm, "kid": "rsa"}), json.dumps(claims)]
    body = ".".join(urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
    signature = b"" if secret is None else hmac.digest(secret, body.encode(), "sha256")
    return f"{body}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@asynccontextmanager
async def openid_provider() -> AsyncIterator[OpenIdProvider]:
    """Serve a provider until the block ends."""
    provider = OpenIdProvider()
    app = web.Application()
    app.router.add_get("/realm/.well-known/openid-configuration", provider.metadata)
    app.router.add_get("/realm/keys", provider.published)
    app.router.add_get("/realm/authorize", provider.authorize)
    app.router.add_post("/realm/token", provider.token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    provider.issuer = f"http://127.0.0.1:{port}/realm"
    try:
        yield provider
    finally:
        await runner.cleanup()
