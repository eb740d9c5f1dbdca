"""Signing in by the word of an OpenID provider: the authorization code flow with PKCE, and what its ID token proves.

The browser carries a journey's secrets in a cookie that no other site can set; what comes back has to fit to them. A
token is believed when a key of the provider signed it by a known algorithm, for us, for this journey, and just now.
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Self

from jangbu.clock import Clock
from jangbu.config import Settings
from jangbu.dashboard.oidc_provider import Metadata, Provider
from jangbu.domain.members import Admission, Identity, MemberRole, Vouched
from jangbu.errors import Unauthenticated

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

__all__ = ["Journey", "OpenId", "admission_of"]

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
"""Signatures by a private key alone: with a shared secret, or with none, anybody could be the provider."""
_SCOPE = "openid email profile"
_LEEWAY_SECONDS = 60
_AGE_SECONDS_MAX = 600
_SUBJECT_LENGTH_MAX = 255
_GROUP = "jangbu-"
_RANKED = (MemberRole.OWNER, MemberRole.FINANCE, MemberRole.DEVELOPER, MemberRole.VIEWER)


@dataclass(frozen=True, slots=True)
class Journey:
    """One way to the provider and back; a cookie of ten minutes keeps its text meanwhile."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def begun(cls) -> Self:
        """Begin one."""
        return cls(token_urlsafe(32), token_urlsafe(32), token_urlsafe(48))

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read what a cookie kept; None where that is no journey."""
        parts = text.split(".")
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    @property
    def text(self) -> str:
        """Give what a cookie keeps."""
        return f"{self.state}.{self.nonce}.{self.verifier}"

    @property
    def challenge(self) -> str:
        """Give what proves to the provider later that the code was asked for here."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        return str(create_s256_code_challenge(self.verifier))


class OpenId:
    """The provider that the settings name. Belongs to one event loop."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        clock: Clock,
        role_claim: str | None = None,
    ) -> None:
        self._provider = Provider(issuer)
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._role_claim = role_claim
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Self | None:
        """Give the provider of the settings, None where they name none."""
        if settings.oidc_issuer is None or settings.oidc_client_id is None:
            return None
        secret = settings.oidc_client_secret
        return cls(
            settings.oidc_issuer,
            settings.oidc_client_id,
            None if secret is None else secret.get_secret_value(),
            clock=clock,
            role_claim=settings.oidc_role_claim,
        )

    async def begin(self, return_address: str) -> tuple[str, Journey]:
        """Give the address at the provider to send somebody to, and what to keep until they are back.

        ``return_address`` is ours, as the provider knows it. Raises UpstreamUnreachable.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

        metadata, journey = await self._provider.metadata(), Journey.begun()
        address = prepare_grant_uri(
            metadata.authorization_endpoint,
            self._client_id,
            "code",
            redirect_uri=return_address,
            scope=_SCOPE,
            state=journey.state,
            nonce=journey.nonce,
            code_challenge=journey.challenge,
            code_challenge_method="S256",
        )
        return address, journey

    async def finish(self, journey: Journey | None, query: Mapping[str, str], return_address: str) -> Vouched:
        """Give who came back from the provider, by the query that they brought and the journey that was kept.

        Raises Unauthenticated where the provider does not vouch for them, and UpstreamUnreachable.
        """
        if journey is None or not _is_same(query.get("state", ""), journey.state):
            raise _refused("this sign-in was not begun in this browser, or long ago")
        metadata = await self._provider.metadata()
        issuer = query.get("iss")
        if (issuer is None and metadata.tells_issuer) or (issuer is not None and issuer != self._issuer):
            raise _refused("another provider answered")
        code = query.get("code")
        if not code or "error" in query:
            raise _refused(f"the provider lets nobody in: {query.get('error', 'no code')[:60]}")
        token = await self._exchanged(metadata, code, journey, return_address)
        return self._vouched(await self._claims(metadata, token, journey))

    async def _exchanged(self, metadata: Metadata, code: str, journey: Journey, return_address: str) -> str:
        """Give the ID token that the provider gives for a code, over a connection of our own to it."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": return_address,
            "code_verifier": journey.verifier,
        }
        answer = await self._provider.exchange(metadata, form, self._client_id, self._client_secret)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _refused("the provider gave no ID token")
        return token

    async def _claims(self, metadata: Metadata, token: str, journey: Journey) -> Mapping[str, Any]:
        """Give what a token says, once it is proven. A key that is not known may be newer than those that are."""
        from joserfc.errors import InvalidKeyIdError, JoseError

        try:
            try:
                claims = await self._signed(token, await self._provider.keys(metadata))
            except InvalidKeyIdError:
                claims = await self._signed(token, await self._provider.keys(metadata, anew=True))
        except (JoseError, ValueError, TypeError) as error:
            raise _refused(f"the provider's ID token is not signed as it should be ({type(error).__name__})") from None
        self._require_ours(claims, journey)
        return claims

    async def _signed(self, token: str, keys: "KeySet") -> Mapping[str, Any]:
        from joserfc import jwt

        decoded = await asyncio.to_thread(jwt.decode, token, keys, algorithms=_ALGORITHMS)
        return decoded.claims

    def _require_ours(self, claims: Mapping[str, Any], journey: Journey) -> None:
        """Refuse a token of another issuer, for another client or another journey, or of another time."""
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import ClaimError

        now = int(self._clock.now().timestamp())
        oldest = now - _AGE_SECONDS_MAX - _LEEWAY_SECONDS
        wanted: dict[str, dict[str, Any]] = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
            "exp": {"essential": True},
            "iat": {"essential": True, "validate": lambda _claims, issued: issued >= oldest},
            "sub": {"essential": True, "validate": lambda _claims, subject: _is_subject(subject)},
        }
        token = CodeIDToken(claims, {}, wanted, {"client_id": self._client_id, "nonce": journey.nonce})
        try:
            token.validate(now, _LEEWAY_SECONDS)
        except ClaimError as error:
            raise _refused(f"the provider's ID token is not for this sign-in ({error.claim})") from None

    def _vouched(self, claims: Mapping[str, Any]) -> Vouched:
        """Give who it is. Of an address beyond ASCII nothing is proven: what looks like a member's may be another's."""
        email, is_verified = claims.get("email"), claims.get("email_verified") in (True, "true")
        proven = email if is_verified and isinstance(email, str) and email.isascii() else None
        return Vouched(Identity(self._issuer, claims["sub"]), proven, self._role(claims))

    def _role(self, claims: Mapping[str, Any]) -> MemberRole | None:
        """Give the highest role that the claim names: ``owner``, or a group such as ``jangbu-owner``."""
        if self._role_claim is None:
            return None
        named = _claimed(claims, self._role_claim)
        return next((role for role in _RANKED if role.value in named or _GROUP + role.value in named), None)


def admission_of(settings: Settings) -> Admission:
    """Give who comes in without having been invited, as the settings say."""
    role, domains = settings.oidc_default_role, settings.oidc_allowed_domains.split(",")
    named = (each.strip().removeprefix("@").casefold() for each in domains)
    return Admission(None if role is None else MemberRole(role), frozenset(filter(None, named)))


def _claimed(claims: Mapping[str, Any], name: str) -> Sequence[Any]:
    """Give the values of a claim, by its name or by the way to it: ``realm_access.roles``."""
    found: Any = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, list) else [found]


def _is_subject(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _SUBJECT_LENGTH_MAX and value.isprintable()


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(why, hint="begin again at the sign-in page")
