"""Tokens of views: good for one account of one project, for a while, and refused in every other case."""

import asyncio
import random
import string
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from jangbu.domain.ledger import account_id
from jangbu.errors import InvalidInput, NotFound, TokenExpired, Unauthenticated
from jangbu.metering.view_tokens import ViewTokens
from jangbu.storage import accounts, view_keys
from jangbu.storage.database import Database
from jangbu.testing.clock import SettableClock

PROJECT, OTHER = "shop", "other"
KIM = account_id(PROJECT, "kim")
# Were the machine's clock the judge of anything, this one would show it.
CLOCK = SettableClock(datetime(2040, 1, 1, tzinfo=UTC))


@pytest.fixture
async def tokens(database: Database) -> ViewTokens:
    for project in (PROJECT, OTHER):
        for user in ("kim", "이서연"):
            await accounts.create(database, account_id(project, user), project, user)
    return ViewTokens(database, CLOCK, project=PROJECT)


async def secret_of(database: Database, project: str = PROJECT) -> bytes:
    known = await view_keys.find(database, project)
    assert known is not None
    return known[0]


async def forged(database: Database, *, secret: bytes | None = None, alg: str = "HS256", **changes: Any) -> str:
    """Sign what a token says, with changes; None takes a claim away."""
    ends = int((await database.now() + timedelta(minutes=5)).timestamp())
    claims = {"aud": "jangbu-view", "project": PROJECT, "sub": str(KIM), "exp": ends} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    key = OctKey.import_key(secret or await secret_of(database))
    return jwt.encode({"alg": alg}, kept, key, algorithms=[alg])


async def refused(tokens: ViewTokens, text: str) -> bool:
    with pytest.raises(Unauthenticated) as error:
        await tokens.account_of(text)
    return not isinstance(error.value, TokenExpired) and error.value.message == "this view's token is not accepted"


async def test_a_token_opens_the_account_of_its_user_until_it_ends(tokens: ViewTokens, database: Database) -> None:
    before = await database.now()
    made = await tokens.make("이서연", 60)
    assert await tokens.account_of(made.text) == account_id(PROJECT, "이서연")
    assert made.user == "이서연"
    assert timedelta(seconds=58) < made.expires_at - before <= timedelta(seconds=61)
    assert "이서연" not in made.text


async def test_a_token_that_nobody_gave_a_time_lasts_a_quarter_of_an_hour(
    tokens: ViewTokens, database: Database
) -> None:
    made = await tokens.make("kim")
    assert timedelta(minutes=14, seconds=55) < made.expires_at - await database.now() <= timedelta(minutes=15)


@pytest.mark.parametrize("seconds", [0, -1, 3_601, 10**12, True, "900"])
async def test_a_token_for_no_time_or_too_long_is_not_made(tokens: ViewTokens, seconds: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot live for"):
        await tokens.make("kim", seconds)


async def test_a_token_for_nobody_is_not_made(tokens: ViewTokens, database: Database) -> None:
    with pytest.raises(NotFound):
        await tokens.make("lee")
    assert await view_keys.find(database, PROJECT) is None


async def test_a_token_whose_time_is_over_is_told_so(tokens: ViewTokens, database: Database) -> None:
    await tokens.make("kim")
    now = int((await database.now()).timestamp())
    for ends in (now - 1, now, 0, -1):
        with pytest.raises(TokenExpired, match=r"has expired; have the app make another one"):
            await tokens.account_of(await forged(database, exp=ends))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "jangbu"}, {"aud": ["jangbu-view"]}, {"aud": None}, {"project": OTHER}, {"project": None},
        {"sub": None}, {"exp": None}, {"exp": "4102444800"}, {"exp": 4102444800.5}, {"exp": True}, {"sub": 7},
        {"alg": "HS384"}, {"alg": "HS512"},
    ],
)  # fmt: skip
async def test_a_token_that_says_anything_else_is_refused(
    tokens: ViewTokens, database: Database, changes: dict[str, Any]
) -> None:
    await tokens.make("kim")
    assert await tokens.account_of(await forged(database)) == KIM
    assert await refused(tokens, await forged(database, **changes))


async def test_a_token_that_somebody_else_signed_is_refused(tokens: ViewTokens, database: Database) -> None:
    elsewhere = ViewTokens(database, CLOCK, project=OTHER)
    made = await elsewhere.make("kim")
    assert await refused(tokens, made.text)
    await tokens.make("kim")
    assert await refused(tokens, made.text)
    assert await refused(tokens, await forged(database, secret=b"\0" * 32))
    assert await refused(tokens, await forged(database, secret=await secret_of(database, OTHER)))


async def test_a_token_that_was_altered_is_refused(tokens: ViewTokens) -> None:
    text = (await tokens.make("kim")).text
    dice = random.Random(11)
    head, body, _ = text.split(".")
    tried = {"", ".", "..", "a.b.c", head, f"{head}.{body}.", f"{head}.{body}", f"eyJhbGciOiJub25lIn0.{body}."}
    tried |= {f"{text}.", f"{text} ", f" {text}", text * 9}
    while len(tried) < 300:
        place = dice.randrange(len(text) - 1)
        tried.add(text[:place] + dice.choice(string.printable + "é한") + text[place + 1 :])
    for altered in tried - {text}:
        assert await refused(tokens, altered), altered


async def test_all_tokens_end_at_once_and_new_ones_are_made(tokens: ViewTokens) -> None:
    old = await tokens.make("kim")
    assert await tokens.revoke_all()
    assert await refused(tokens, old.text)
    assert await tokens.account_of((await tokens.make("kim")).text) == KIM


async def test_tokens_are_ended_once_for_a_key(tokens: ViewTokens) -> None:
    assert await tokens.revoke_all(once="leak-1")
    made = await tokens.make("kim")
    assert not await tokens.revoke_all(once="leak-1")
    assert await tokens.account_of(made.text) == KIM
    assert await tokens.revoke_all(once="leak-2")
    assert await refused(tokens, made.text)


async def test_all_processes_sign_with_the_secret_that_was_first(database: Database, tokens: ViewTokens) -> None:
    others = [ViewTokens(database, CLOCK, project=PROJECT) for _ in range(8)]
    made = await asyncio.gather(*(each.make("kim") for each in others))
    assert {await tokens.account_of(each.text) for each in made} == {KIM}


async def test_another_projects_tokens_stay_when_one_ends_its_own(database: Database, tokens: ViewTokens) -> None:
    elsewhere = ViewTokens(database, CLOCK, project=OTHER)
    made = await elsewhere.make("kim")
    await tokens.revoke_all(once=str(uuid4()))
    assert await elsewhere.account_of(made.text) == account_id(OTHER, "kim")
