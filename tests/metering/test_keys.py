"""Keys: known again on every call, refused soon after they ended, and their secrets kept nowhere."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.domain.keys import Key, KeyKind, Scope, digest, encode
from jangbu.domain.ledger import account_id
from jangbu.errors import DatabaseUnreachable, InvalidInput, NotFound, NotPermitted
from jangbu.metering.absence import Absence
from jangbu.metering.keys import Keys
from jangbu.storage import accounts
from jangbu.storage.database import Database
from jangbu.testing.clock import SettableClock

PROJECT = "shop"
UNKNOWN = encode(KeyKind.USER, b"\x01" * 32)


@asynccontextmanager
async def gateway(dsn: str, project: str = PROJECT, **given: Any) -> AsyncIterator[Keys]:
    """Give the keys as one gateway knows them, with connections of its own."""
    database = await Database.connect(dsn)
    keys = Keys(database, SystemClock(), project=project, **given)
    yield keys
    await keys.close()
    await database.close()


@pytest.fixture
async def keys(database: Database) -> AsyncIterator[Keys]:
    for user in ("kim", "이서연"):
        await accounts.create(database, account_id(PROJECT, user), PROJECT, user)
    # Were the machine's clock the judge of anything, this one would show it.
    opened = Keys(database, SettableClock(datetime(2040, 1, 1, tzinfo=UTC)), project=PROJECT)
    yield opened
    await opened.close()


@pytest.fixture
def asked() -> Iterator[list[Mapping[str, Any]]]:
    """Give what the database was asked for, one fact for each statement."""
    seen: list[Mapping[str, Any]] = []
    end = telemetry.subscribe(lambda event, facts: seen.append(facts) if event == "keys.looked_up" else None)
    yield seen
    end()


async def refusal(keys: Keys, secret: str) -> str:
    with pytest.raises(NotPermitted) as refused:
        await keys.authenticate(secret)
    assert not secret or secret not in str(refused.value)
    return refused.value.message


async def test_a_user_key_is_known_again_with_its_limits(keys: Keys) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=1)
    key, secret = await keys.create_for_user(
        "이서연",
        name="웹툰 제작",
        scopes=[Scope.GENERATE, Scope.EMBED, Scope.GENERATE],
        models=["models/gemini-2.5-*"],
        requests_per_minute=60,
        tokens_per_minute=2**40,
        concurrent_calls=4,
        expires_at=expires_at,
    )
    assert secret.startswith("jbu_")
    assert await keys.authenticate(secret) == key
    assert (key.kind, key.user, key.name, key.hint) == (KeyKind.USER, "이서연", "웹툰 제작", secret[:8])
    assert (key.scopes, key.models) == (("generate", "embed"), ("gemini-2.5-*",))
    assert (key.requests_per_minute, key.tokens_per_minute, key.concurrent_calls) == (60, 2**40, 4)
    assert key.expires_at == expires_at


async def test_an_app_key_names_no_user_and_has_no_limits_of_its_own(keys: Keys) -> None:
    key, secret = await keys.create_for_app("shop server")
    assert secret.startswith("jba_")
    known = await keys.authenticate(secret)
    assert (known.kind, known.user, known.name) == (KeyKind.APP, None, "shop server")
    assert (known.scopes, known.models, known.requests_per_minute, known.expires_at) == (None, None, None, None)
    empty, _ = await keys.create_for_app("nothing allowed", scopes=(), models=())
    assert (empty.scopes, empty.models) == ((), ())
    assert await keys.list() == [empty, key]


async def test_a_key_is_made_only_for_somebody_with_an_account(keys: Keys) -> None:
    with pytest.raises(NotFound, match="jangbu accounts create nobody"):
        await keys.create_for_user("nobody", name="x")
    assert await keys.list() == []


async def test_a_key_that_has_expired_already_is_not_made(keys: Keys) -> None:
    with pytest.raises(InvalidInput, match="passed already"):
        await keys.create_for_app("late", expires_at=datetime.now(UTC) - timedelta(seconds=1))


async def test_keys_are_listed_newest_first_and_by_user(keys: Keys) -> None:
    made = [(await keys.create_for_user(user, name=user))[0] for user in ("kim", "이서연", "kim")]
    assert await keys.list() == made[::-1]
    assert await keys.list("kim") == [made[2], made[0]]
    assert await keys.list(limit=1) == [made[2]]


async def test_an_unknown_key_and_a_malformed_one_are_refused_in_the_same_words(keys: Keys) -> None:
    assert await refusal(keys, UNKNOWN) == await refusal(keys, UNKNOWN[:-1] + "!") == await refusal(keys, "")


async def test_a_key_of_another_project_is_unknown(keys: Keys, database_url: str) -> None:
    key, secret = await keys.create_for_app("ours")
    async with gateway(database_url, project="another") as others:
        assert await refusal(others, secret) == await refusal(others, UNKNOWN)
        assert await others.list() == []
        with pytest.raises(NotFound):
            await others.revoke(key.id)
    assert await keys.authenticate(secret) == key


async def test_the_database_is_not_asked_about_what_cannot_be_a_key(keys: Keys, asked: list[Mapping[str, Any]]) -> None:
    for wrong in ("", "AIzaSyA-of-google", UNKNOWN[:-1], UNKNOWN.swapcase(), "jbu_" + "0" * 49, "가" * 53, "\ud800"):
        await refusal(keys, wrong)
    assert asked == []


async def test_callers_of_one_key_ask_the_database_once(keys: Keys, asked: list[Mapping[str, Any]]) -> None:
    key, secret = await keys.create_for_app("busy")
    assert set(await asyncio.gather(*(keys.authenticate(secret) for _ in range(200)))) == {key}
    assert [facts["digests"] for facts in asked] == [1]
    for _ in range(200):
        await keys.authenticate(secret)
    assert len(asked) == 1


async def test_a_flood_of_made_up_keys_is_a_few_statements(keys: Keys, asked: list[Mapping[str, Any]]) -> None:
    made_up = [encode(KeyKind.USER, number.to_bytes(32, "big")) for number in range(1_000)]
    refused = await asyncio.gather(*(keys.authenticate(secret) for secret in made_up), return_exceptions=True)
    assert {type(error) for error in refused} == {NotPermitted}
    assert sum(facts["digests"] for facts in asked) == 1_000
    assert len(asked) < 20


async def test_a_caller_that_gives_up_does_not_take_the_answer_from_the_others(keys: Keys) -> None:
    key, secret = await keys.create_for_app("busy")
    first = asyncio.create_task(keys.authenticate(secret))
    second = asyncio.create_task(keys.authenticate(secret))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == key
    assert first.cancelled() or (await asyncio.gather(first, return_exceptions=True))


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(
    database_url: str, keys: Keys, asked: list[Mapping[str, Any]]
) -> None:
    secrets = [(await keys.create_for_app(str(number)))[1] for number in range(8)]
    async with gateway(database_url, remembered_max=5) as small:
        for number, secret in enumerate(secrets):
            await small.authenticate(secret)
            await refusal(small, encode(KeyKind.APP, bytes([number] * 32)))
        assert small.remembered == (5, 5)
        before = len(asked)
        for secret in secrets[3:]:
            await small.authenticate(secret)
        assert len(asked) == before
        await small.authenticate(secrets[2])
        assert len(asked) == before + 1


async def test_a_key_that_was_unknown_is_accepted_within_seconds_of_being_made(keys: Keys, database: Database) -> None:
    _, secret = await keys.create_for_app("renamed")
    await execute(database, "UPDATE jangbu.api_keys SET project = 'elsewhere'")
    await refusal(keys, secret)
    await execute(database, "UPDATE jangbu.api_keys SET project = 'shop'")
    await asyncio.sleep(1.1)
    await keys.authenticate(secret)
    assert keys.remembered == (1, 0)


async def test_a_revoked_key_is_refused_on_every_gateway_within_five_seconds(keys: Keys, database_url: str) -> None:
    key, secret = await keys.create_for_user("kim", name="stolen")
    loop = asyncio.get_running_loop()

    async def last_accepted(gate: Keys) -> float:
        accepted_at = loop.time()
        while True:
            try:
                await gate.authenticate(secret)
            except NotPermitted:
                return accepted_at
            accepted_at = loop.time()
            await asyncio.sleep(0.005)

    async with gateway(database_url) as first, gateway(database_url) as second:
        watching = [asyncio.create_task(last_accepted(gate)) for gate in (first, second)]
        await asyncio.sleep(2.5)
        assert not any(task.done() for task in watching)
        revoked, was_in_force, _ = await keys.revoke(key.id)
        revoked_at = loop.time()
        assert (revoked.id, was_in_force) == (key.id, True)
        assert max(await asyncio.gather(*watching)) < revoked_at + 5
        assert await refusal(first, secret) == await refusal(second, secret) == "the key was revoked"


async def test_revoking_again_changes_nothing(keys: Keys) -> None:
    key, _ = await keys.create_for_app("old")
    first, _, _ = await keys.revoke(key.id)
    assert await keys.revoke(str(key.id)) == (first, False, 0)


async def test_a_key_is_revoked_by_its_hint_its_name_or_itself(keys: Keys) -> None:
    made = [await keys.create_for_app(name) for name in ("하나", "둘", "셋")]
    named = (made[0][0].hint, "둘", made[2][1])
    assert [(await keys.revoke(name))[0].id for name in named] == [key.id for key, _ in made]
    assert [(await keys.revoke(name))[1] for name in named] == [False] * 3


async def test_a_name_that_several_keys_have_revokes_none_of_them(keys: Keys) -> None:
    made = [(await keys.create_for_app("web"))[0] for _ in range(2)]
    with pytest.raises(InvalidInput, match="several keys"):
        await keys.revoke("web")
    await keys.revoke(made[0].id)
    assert (await keys.revoke("web"))[0].id == made[1].id


@pytest.mark.parametrize("named", ["nothing", "0198c0de-0000-7000-8000-000000000000", UNKNOWN, UNKNOWN + "x", ""])
async def test_a_key_that_is_not_there_cannot_be_revoked(keys: Keys, named: str) -> None:
    with pytest.raises(NotFound) as missing:
        await keys.revoke(named)
    assert UNKNOWN[9:] not in str(missing.value)


async def test_a_key_ends_at_its_moment_by_the_clock_of_the_database(keys: Keys, database: Database) -> None:
    expires_at = await database.now() + timedelta(seconds=5)
    _, secret = await keys.create_for_app("short", expires_at=expires_at)
    while await database.now() < expires_at:
        try:
            await keys.authenticate(secret)
        except NotPermitted:
            break
        await asyncio.sleep(0.01)
    assert await database.now() >= expires_at
    assert await refusal(keys, secret) == "the key has expired"


async def test_a_known_key_outlives_the_database_for_three_seconds_and_no_longer(keys: Keys, database_url: str) -> None:
    _, secret = await keys.create_for_app("patient")
    loop = asyncio.get_running_loop()
    away = await Database.connect(database_url)
    gate = Keys(away, SystemClock(), project=PROJECT)
    begun = loop.time()
    await gate.authenticate(secret)
    known = loop.time()
    await away.close()
    while loop.time() < begun + 2.5:
        await gate.authenticate(secret)
        await asyncio.sleep(0.05)
    await asyncio.sleep(known + 3 - loop.time())
    for unfresh in (secret, UNKNOWN):
        with pytest.raises(DatabaseUnreachable):
            await gate.authenticate(unfresh)
    await gate.close()


async def test_each_who_comes_waits_for_the_database_as_long_as_a_call_may(keys: Keys, database_url: str) -> None:
    loop = asyncio.get_running_loop()
    away = await Database.connect(database_url)
    gate = Keys(away, SystemClock(), project=PROJECT, absence=Absence(3))
    await away.close()

    async def waited(after: float) -> float:
        await asyncio.sleep(after)
        begun = loop.time()
        with pytest.raises(DatabaseUnreachable):
            await gate.authenticate(UNKNOWN)
        return loop.time() - begun

    assert min(await asyncio.gather(waited(0), waited(1.5))) > 2.8
    await gate.close()


async def test_a_key_in_use_is_asked_for_again_while_nobody_waits(keys: Keys, asked: list[Mapping[str, Any]]) -> None:
    _, secret = await keys.create_for_app("busy")
    await keys.authenticate(secret)
    await asyncio.sleep(2.05)
    assert len(asked) == 1
    accepted = keys.authenticate(secret)
    with pytest.raises(StopIteration):
        accepted.send(None)
    for _ in range(250):
        if len(asked) == 2:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the key was not asked for again")


async def test_the_use_of_a_key_is_noted_once_a_minute_and_not_in_the_way(keys: Keys, database: Database) -> None:
    key, secret = await keys.create_for_app("used")
    await keys.authenticate(secret)
    first = await used_at(keys, key)
    assert abs((await database.now() - first).total_seconds()) < 5
    await execute(database, "UPDATE jangbu.api_keys SET last_used_at = now() - interval '40 seconds'")
    for _ in range(50):
        await keys.authenticate(secret)
    await asyncio.sleep(0.2)
    assert await used_at(keys, key) < first


async def test_a_use_that_cannot_be_noted_is_told_and_harms_no_call(
    keys: Keys, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    key, secret = await keys.create_for_app("used")
    await execute(database, "ALTER TABLE jangbu.api_keys ADD CONSTRAINT unused CHECK (last_used_at IS NULL)")
    with caplog.at_level(logging.WARNING, "jangbu"):
        assert await keys.authenticate(secret) == key
        await keys.close()
    assert "keys.use_not_noted" in caplog.text


async def test_the_secret_is_nowhere_but_with_its_owner(
    keys: Keys, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    end = telemetry.subscribe(lambda event, facts: told.append(f"{event} {facts!r}"))
    key, secret = await keys.create_for_user("kim", name="canary")
    await keys.authenticate(secret)
    await used_at(keys, key)
    await keys.revoke(secret)
    await refusal(keys, secret[:-1])
    end()
    part = secret[9:40]
    async with database.connection() as connection:
        [row] = await connection.fetch("SELECT k.*, k::text AS whole FROM jangbu.api_keys AS k")
        columns = [str(value).encode() for value in row.values()]
        columns += [value for value in row.values() if isinstance(value, bytes)]
        assert row["digest"] == digest(secret)
        statements = await connection.fetchval("SELECT string_agg(query, ' ') FROM pg_stat_activity")
    assert not [column for column in columns if part.encode() in column]
    assert part not in "".join((caplog.text, *told, repr(key), str(statements), repr(keys._known.__dict__)))


async def execute(database: Database, command: str) -> None:
    async with database.connection() as connection:
        await connection.execute(command)


async def used_at(keys: Keys, key: Key) -> datetime:
    """Give when a key was used last, waiting until that is written."""
    async with asyncio.timeout(60):
        while True:
            [found] = [each for each in await keys.list() if each.id == key.id]
            if found.last_used_at is not None:
                return found.last_used_at
            await asyncio.sleep(0.02)
