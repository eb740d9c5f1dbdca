"""Signing in by an OpenID provider's word: a real one on this machine, and each way in which it could be a lie."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from time import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import aiohttp
import pytest

from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.dashboard.oidc import Journey, OpenId, admission_of
from jangbu.domain.members import Admission, Identity, MemberRole, Vouched
from jangbu.errors import Unauthenticated, UpstreamUnreachable
from jangbu.testing.clock import SettableClock
from tests.dashboard.openid import (
    CLIENT,
    KEYS,
    NEWER,
    OTHER,
    SECRET,
    OpenIdProvider,
    openid_provider,
    signed_by,
    signed_by_hand,
)

HOME = "https://tokens.example/dashboard/returned"


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider() as served:
        yield served


@pytest.fixture
def openid(provider: OpenIdProvider) -> OpenId:
    return OpenId(provider.issuer, CLIENT, SECRET, clock=SystemClock(), role_claim="groups")


async def came_back(address: str) -> dict[str, str]:
    """Go to the provider as a browser does; give the query that it comes back with."""
    async with aiohttp.ClientSession() as browser, browser.get(address, allow_redirects=False) as answer:
        back = answer.headers["location"]
    assert back.startswith(f"{HOME}?")
    return dict(parse_qsl(urlsplit(back).query))


async def travelled(openid: OpenId) -> Vouched:
    address, journey = await openid.begin(HOME)
    return await openid.finish(Journey.read(journey.text), await came_back(address), HOME)


async def test_whom_the_provider_vouches_for_is_told_with_a_verified_address(
    openid: OpenId, provider: OpenIdProvider
) -> None:
    assert await travelled(openid) == Vouched(Identity(provider.issuer, "user-1"), "kim@shop.example", None)


@pytest.mark.parametrize("algorithm", KEYS)
async def test_each_kind_of_signature_is_known(openid: OpenId, provider: OpenIdProvider, algorithm: str) -> None:
    provider.algorithm = algorithm
    assert (await travelled(openid)).identity.subject == "user-1"


async def test_what_is_asked_of_the_provider_ties_the_answer_to_this_browser(openid: OpenId) -> None:
    address, journey = await openid.begin(HOME)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert (asked["state"], asked["nonce"], asked["redirect_uri"]) == (journey.state, journey.nonce, HOME)
    assert asked["code_challenge"] == journey.challenge
    assert journey.verifier not in address
    _, another = await openid.begin(HOME)
    assert {journey.state, journey.nonce, journey.verifier}.isdisjoint({another.state, another.nonce, another.verifier})


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.", "a.b.c.d", "..."])
def test_a_cookie_that_keeps_no_journey_is_none(text: str) -> None:
    assert Journey.read(text) is None


async def test_a_state_of_another_browser_is_refused_before_the_code_is_used(
    openid: OpenId, provider: OpenIdProvider
) -> None:
    address, _ = await openid.begin(HOME)
    query = await came_back(address)
    _, own = await openid.begin(HOME)
    for journey, changed in ((own, query), (None, query), (own, {"code": query["code"]}), (own, {"state": "\ud800"})):
        with pytest.raises(Unauthenticated, match="not begun in this browser"):
            await openid.finish(journey, changed, HOME)
    assert len(provider.codes) == 1


async def test_a_code_is_used_once_by_who_asked_for_it_and_where(openid: OpenId) -> None:
    address, journey = await openid.begin(HOME)
    query = await came_back(address)
    await openid.finish(journey, query, HOME)
    with pytest.raises(Unauthenticated, match="invalid_grant"):
        await openid.finish(journey, query, HOME)
    address, journey = await openid.begin(HOME)
    query = await came_back(address)
    stolen = Journey(journey.state, journey.nonce, "another verifier")
    with pytest.raises(Unauthenticated, match="invalid_grant"):
        await openid.finish(stolen, query, HOME)
    address, journey = await openid.begin(HOME)
    with pytest.raises(Unauthenticated, match="invalid_grant"):
        await openid.finish(journey, await came_back(address), HOME + "/elsewhere")


async def test_that_the_provider_lets_nobody_in_is_told(openid: OpenId, provider: OpenIdProvider) -> None:
    provider.error = "access_denied"
    with pytest.raises(Unauthenticated, match="access_denied"):
        await travelled(openid)


async def test_an_answer_in_another_providers_name_is_refused(openid: OpenId) -> None:
    address, journey = await openid.begin(HOME)
    query = await came_back(address)
    for changed in ({**query, "iss": "https://evil.example"}, {k: v for k, v in query.items() if k != "iss"}):
        with pytest.raises(Unauthenticated, match="another provider"):
            await openid.finish(journey, changed, HOME)


def setting(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda claims: claims.update({name: value})


def at_a_time(name: str, seconds: int) -> Callable[[dict[str, Any]], None]:
    """Set a time as many seconds from when the token is made, however long after these tests were read that is."""
    return lambda claims: claims.update({name: int(time()) + seconds})


WRONG: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("iss", setting("iss", "https://evil.example")),
    ("iss", lambda claims: claims.update(iss=claims["iss"] + "/")),
    ("aud", setting("aud", "another client")),
    ("aud", setting("aud", [])),
    ("aud", lambda claims: claims.pop("aud")),
    ("azp", setting("aud", [CLIENT, "another client"])),
    ("azp", setting("azp", "another client")),
    ("nonce", setting("nonce", "another journey's")),
    ("nonce", lambda claims: claims.pop("nonce")),
    ("nonce", setting("nonce", None)),
    ("exp", at_a_time("exp", -120)),
    ("exp", lambda claims: claims.pop("exp")),
    ("exp", setting("exp", "never")),
    ("exp", setting("exp", True)),
    ("iat", at_a_time("iat", -3_600)),
    ("iat", at_a_time("iat", 3_600)),
    ("iat", lambda claims: claims.pop("iat")),
    ("nbf", at_a_time("nbf", 3_600)),
    ("sub", lambda claims: claims.pop("sub")),
    ("sub", setting("sub", "")),
    ("sub", setting("sub", 7)),
    ("sub", setting("sub", "x" * 256)),
]


@pytest.mark.parametrize(("name", "change"), WRONG, ids=[f"{n}-{name}" for n, (name, _) in enumerate(WRONG)])
async def test_a_token_for_somebody_or_sometime_else_is_refused(
    openid: OpenId, provider: OpenIdProvider, name: str, change: Callable[[dict[str, Any]], None]
) -> None:
    provider.change_claims = change
    with pytest.raises(Unauthenticated, match=rf"not for this sign-in \({name}\)"):
        await travelled(openid)


def changed_after(claims: dict[str, Any]) -> str:
    head, _, signature = signed_by(KEYS["RS256"], "RS256", claims).split(".")
    _, body, _ = signed_by(KEYS["RS256"], "RS256", {**claims, "sub": "somebody else"}).split(".")
    return f"{head}.{body}.{signature}"


@pytest.mark.parametrize(
    "sign",
    [
        lambda claims: signed_by_hand(claims, "none"),
        lambda claims: signed_by_hand(claims, "HS256", SECRET.encode()),
        lambda claims: signed_by_hand(claims, "HS256", KEYS["RS256"].as_pem(private=False)),
        changed_after,
        lambda claims: signed_by(OTHER, "RS256", claims),
        lambda claims: signed_by(NEWER, "RS256", claims),
        lambda claims: signed_by(KEYS["RS256"], "RS256", claims, kid="ec"),
        lambda claims: signed_by(KEYS["RS256"], "RS256", claims, crit=["b64"], b64=False),
        lambda _claims: "no token",
        lambda _claims: "a.b.c",
        lambda _claims: "",
    ],
)
async def test_a_token_that_the_provider_did_not_sign_is_refused(
    openid: OpenId, provider: OpenIdProvider, sign: Callable[[dict[str, Any]], str]
) -> None:
    provider.sign = sign
    with pytest.raises(Unauthenticated, match="not signed as it should be"):
        await travelled(openid)


async def test_no_token_at_all_is_refused(openid: OpenId, provider: OpenIdProvider) -> None:
    provider.sign = lambda _claims: None
    with pytest.raises(Unauthenticated, match="no ID token"):
        await travelled(openid)


async def test_a_key_that_is_newer_than_those_that_are_known_is_looked_for(
    openid: OpenId, provider: OpenIdProvider
) -> None:
    for _ in range(3):
        await travelled(openid)
    assert provider.asked == ["metadata", "keys"]
    provider.keys = [NEWER]
    provider.sign = lambda claims: signed_by(NEWER, "RS256", claims)
    assert (await travelled(openid)).identity.subject == "user-1"
    provider.sign = None
    with pytest.raises(Unauthenticated):
        await travelled(openid)


async def test_the_time_is_the_given_clocks(provider: OpenIdProvider) -> None:
    late = SettableClock(SystemClock().now() + timedelta(minutes=7))
    with pytest.raises(Unauthenticated, match=r"\(exp\)"):
        await travelled(OpenId(provider.issuer, CLIENT, SECRET, clock=late))


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email_verified": True}, "kim@shop.example"),
        ({"email_verified": "true"}, "kim@shop.example"),
        ({"email_verified": False}, None),
        ({"email_verified": "false"}, None),
        ({"email_verified": None}, None),
        ({"email_verified": 1, "email": None}, None),
        ({"email": ["kim@shop.example"]}, None),
        ({"email": "ｋim@shop.example"}, None),
    ],
)
async def test_only_an_address_that_was_verified_counts(
    openid: OpenId, provider: OpenIdProvider, claims: dict[str, Any], email: str | None
) -> None:
    provider.claims |= claims
    assert (await travelled(openid)).email == email


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("groups", {"groups": "finance"}, MemberRole.FINANCE),
        ("groups", {"groups": ["jangbu-viewer", "jangbu-owner", "staff"]}, MemberRole.OWNER),
        ("groups", {"groups": ["staff", "owners", "Owner", "owner "]}, None),
        ("groups", {"groups": {"owner": True}}, None),
        ("groups", {"roles": "owner"}, None),
        ("realm_access.roles", {"realm_access": {"roles": ["developer"]}}, MemberRole.DEVELOPER),
        ("realm_access.roles", {"realm_access": ["developer"]}, None),
        ("https://shop.example/role", {"https://shop.example/role": "viewer"}, MemberRole.VIEWER),
        (None, {"groups": "owner", "role": "owner"}, None),
    ],
)
async def test_a_role_is_read_from_the_claim_that_is_named(
    provider: OpenIdProvider, claim: str | None, claims: dict[str, Any], role: MemberRole | None
) -> None:
    provider.claims |= claims
    openid = OpenId(provider.issuer, CLIENT, SECRET, clock=SystemClock(), role_claim=claim)
    assert (await travelled(openid)).role is role


async def test_the_secret_is_sent_as_the_provider_wants_it(provider: OpenIdProvider) -> None:
    provider.change_metadata = setting("token_endpoint_auth_methods_supported", ["client_secret_post"])
    assert (await travelled(OpenId(provider.issuer, CLIENT, SECRET, clock=SystemClock()))).identity.subject == "user-1"
    for secret in ("wrong", None):
        with pytest.raises(Unauthenticated, match="invalid_client"):
            await travelled(OpenId(provider.issuer, CLIENT, secret, clock=SystemClock()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issuer", "https://evil.example"),
        ("token_endpoint", "http://evil.example/token"),
        ("token_endpoint", None),
        ("jwks_uri", "file:///etc/passwd"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("jwks_uri", "https://user:word@evil.example/"),
    ],
)
async def test_a_provider_that_leads_elsewhere_is_not_used(
    openid: OpenId, provider: OpenIdProvider, name: str, value: str | None
) -> None:
    provider.change_metadata = setting(name, value)
    with pytest.raises(UpstreamUnreachable):
        await openid.begin(HOME)
    provider.change_metadata = lambda _found: None
    assert (await travelled(openid)).identity.subject == "user-1"


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1/realm", "http://evil.example", "https://x.invalid", "nonsense"])
async def test_a_provider_that_cannot_be_reached_is_told_as_that(issuer: str) -> None:
    with pytest.raises(UpstreamUnreachable, match="cannot be used"):
        await OpenId(issuer, CLIENT, SECRET, clock=SystemClock()).begin(HOME)


async def test_a_redirect_or_an_endless_answer_is_not_followed(provider: OpenIdProvider) -> None:
    for change in (
        lambda found: found.update(padding="x" * 2_000_000),
        lambda found: found.update(jwks_uri=f"{provider.issuer}/authorize"),
    ):
        openid = OpenId(provider.issuer, CLIENT, SECRET, clock=SystemClock())
        provider.change_metadata = change
        with pytest.raises(UpstreamUnreachable):
            await travelled(openid)


def test_the_settings_say_which_provider_and_who_is_admitted() -> None:
    assert OpenId.of(Settings.load(), SystemClock()) is None
    given = {"oidc_issuer": "https://accounts.example", "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    settings = Settings.load(**given, oidc_default_role="viewer", oidc_allowed_domains=" Shop.example, @other.example,")
    assert OpenId.of(settings, SystemClock()) is not None
    admission = admission_of(settings)
    assert admission == Admission(MemberRole.VIEWER, frozenset({"shop.example", "other.example"}))
    assert SECRET not in repr(settings)
