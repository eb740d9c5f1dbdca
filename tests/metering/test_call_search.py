"""A call is found by any of its names, whatever became of it; what belongs to another project is not there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, MarkUnknown, Release, TakeHold
from jangbu.domain.ledger import is_erased
from jangbu.domain.usage import Surface
from jangbu.errors import NoAccount
from jangbu.metering.cache_storage import making_of
from jangbu.metering.call_search import NAME_LENGTH_MAX, NamedCall, Search, search
from jangbu.metering.erasing import erase
from jangbu.metering.meter import Metering
from jangbu.metering.snapshots import snapshot
from jangbu.wiring import open_metering
from tests.metering.telling import answer

LIMIT = 3


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as opened:
        for user in ("kim", "lee"):
            await opened.accounts.create(user)
            await opened.accounts.grant(user, 1_000, key="first")
        yield opened


async def found(
    ledger: Metering, text: str, project: str = "default", limit: int = LIMIT, user: str | None = None
) -> Search:
    async with snapshot(ledger.database, project) as book:
        return await search(book, text, limit=limit, user=user)


async def held(ledger: Metering, user: str = "kim") -> Call:
    call = Call(new_id(ledger.clock), user, "chat", "gemini-2.5-flash", Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 20, 20))
    return call


async def test_a_recorded_call_is_found_by_each_of_its_names(ledger: Metering) -> None:
    used = answer(20)
    call = (await ledger.record("kim", "chat", used, call_key="order 7/1")).id
    await ledger.record("kim", "chat", answer(20), call_key="order 7/2")
    assert used.response_id is not None
    for text in (str(call), str(call).upper(), f" {call}\n", f"x-jangbu-call-id: {call}", f'{{"call": "{call}"}}',
                 used.response_id, f"{used.response_id} ", "order 7/1"):  # fmt: skip
        assert await found(ledger, text) == Search([NamedCall("kim", call)]), text


async def test_the_making_of_a_cache_is_found_by_its_name(ledger: Metering) -> None:
    kept = replace(answer(0), surface=Surface.CACHED_CONTENTS, response_id=None)
    call = (await ledger.record("kim", "chat", kept, call_key=making_of("cachedContents/a1"))).id
    assert await found(ledger, " cachedContents/a1\n") == Search([NamedCall("kim", call)])
    assert await found(ledger, "cachedContents/a2") == Search(())


async def test_a_call_that_was_not_recorded_is_found_whatever_became_of_it(ledger: Metering) -> None:
    calls = [await held(ledger) for _ in range(3)]
    await ledger.execute(MarkUnknown(calls[1], "the line broke"))
    await ledger.execute(Release(calls[2], "the provider answered 503"))
    for call in calls:
        assert await found(ledger, str(call.id)) == Search([NamedCall("kim", call.id)])


# Of the calls of one millisecond nobody can tell which was the later one: two milliseconds lie between these.
async def test_a_key_that_several_users_have_names_all_of_their_calls_the_latest_first(ledger: Metering) -> None:
    calls = []
    for user in ("kim", "lee"):
        calls.append(NamedCall(user, (await ledger.record(user, "chat", answer(20), call_key="1")).id))
        await asyncio.sleep(0.002)
    assert await found(ledger, "1") == Search(calls[::-1])
    assert (await found(ledger, "1", limit=1)).calls == calls[1:]


async def test_of_many_calls_of_one_key_the_latest_are_found(ledger: Metering) -> None:
    used = answer(20)
    assert used.response_id is not None
    calls = []
    for user, usage, key in (
        *(("kim", used, None), ("lee", used, None)),
        *(("lee", answer(20), used.response_id), ("kim", answer(20), used.response_id)),
    ):
        calls.append((await ledger.record(user, "chat", usage, call_key=key)).id)
        await asyncio.sleep(0.002)
    for limit in range(1, 5):
        sought = await found(ledger, used.response_id, limit=limit)
        assert [call.id for call in sought.calls] == calls[::-1][:limit]


async def test_of_calls_that_one_name_names_twice_as_many_are_found_as_of_others(ledger: Metering) -> None:
    used = answer(20)
    assert used.response_id is not None
    calls = []
    for user in ("kim", "lee"):
        calls.append(NamedCall(user, (await ledger.record(user, "chat", used, call_key=used.response_id)).id))
        await asyncio.sleep(0.002)
    assert (await found(ledger, used.response_id, limit=2)).calls == calls[::-1]


async def test_of_one_user_only_that_users_calls_are_found(ledger: Metering) -> None:
    used, held_for = answer(20), await held(ledger)
    calls = {user: (await ledger.record(user, "chat", answer(20), call_key="1")).id for user in ("lee", "kim")}
    answered = (await ledger.record("kim", "chat", used)).id
    for user in ("kim", "lee"):
        assert await found(ledger, "1", user=user, limit=1) == Search([NamedCall(user, calls[user])])
    for text, call in (
        (str(calls["kim"]), calls["kim"]),
        (used.response_id or "", answered),
        (str(held_for.id), held_for.id),
    ):
        assert await found(ledger, text, user="kim") == Search([NamedCall("kim", call)])
        assert await found(ledger, text, user="lee") == Search(())
    with pytest.raises(NoAccount):
        await found(ledger, "1", user="nobody")


@pytest.mark.parametrize("key", [" order 7 ", "order 7\u0020", " ", "  "])
async def test_a_key_that_begins_or_ends_with_a_blank_is_found_as_it_stands(ledger: Metering, key: str) -> None:
    call = (await ledger.record("kim", "chat", answer(20), call_key=key)).id
    for user in (None, "kim"):
        assert await found(ledger, key, user=user) == Search([NamedCall("kim", call)])


async def test_a_key_is_found_with_blanks_around_it_beside_one_that_has_them(ledger: Metering) -> None:
    keys = ("order 7", " order 7 ")
    calls = [NamedCall("kim", (await ledger.record("kim", "chat", answer(20), call_key=key)).id) for key in keys]
    assert await found(ledger, " order 7 ") == Search(calls[::-1])
    assert await found(ledger, "\torder 7\n") == Search(calls[:1])


async def test_a_key_that_looks_like_an_id_or_is_the_answers_own_names_one_call(ledger: Metering) -> None:
    key, used = str(uuid4()), answer(20)
    by_key = (await ledger.record("kim", "chat", answer(20), call_key=key)).id
    twice = (await ledger.record("kim", "chat", used, call_key=used.response_id)).id
    assert await found(ledger, key) == Search([NamedCall("kim", by_key)])
    assert await found(ledger, used.response_id or "") == Search([NamedCall("kim", twice)])


@pytest.mark.parametrize("text", ["", " ", "nothing", "\x00", "a\x00b", "x" * (NAME_LENGTH_MAX + 1), "%", "first"])
async def test_what_names_no_call_finds_none(ledger: Metering, text: str) -> None:
    assert await found(ledger, text) == Search(())


async def test_another_projects_calls_are_not_there(ledger: Metering, database_url: str) -> None:
    settings = Settings.load(database_url=database_url, project="other")
    used = answer(20)
    async with open_metering(settings, delivers=False) as other:
        await other.accounts.create("kim")
        await other.accounts.grant("kim", 1_000, key="first")
        call = (await other.record("kim", "chat", used, call_key="theirs")).id
        hold = (await held(other)).id
    for text in (str(call), str(hold), "theirs", used.response_id or ""):
        assert await found(ledger, text) == Search(())
        assert (await found(ledger, text, "other")).calls


async def test_an_erased_users_call_is_found_and_names_nobody(ledger: Metering) -> None:
    call = (await ledger.record("lee", "chat", answer(20), call_key="lee@users.example")).id
    await erase(ledger, "default", "lee")
    [named] = (await found(ledger, str(call))).calls
    assert (named.id, is_erased(named.user)) == (call, True)
    assert await found(ledger, "lee@users.example") == Search(())


async def test_a_name_whose_records_were_dropped_is_told_from_one_that_never_was(ledger: Metering) -> None:
    used = answer(20)
    call = (await ledger.record("kim", "chat", used, call_key="order-1")).id
    async with ledger.database.connection() as connection:
        await connection.execute(
            "INSERT INTO jangbu.usage_sealed SELECT account_id, date_trunc('hour', jangbu.uuid7_time(id), 'UTC'),"
            " service_id, model_id, 1, prompt, candidates, thoughts, tool, cached, total, 0, 0, 0, 0 FROM jangbu.usage"
        )
        await connection.execute("DELETE FROM jangbu.usage")
    for text in (str(call), "order-1", used.response_id or ""):
        assert await found(ledger, text) == Search((), was_dropped=True)
    assert await found(ledger, "order-2") == Search(())
    assert await found(ledger, "order-1", "other") == Search(())
    assert await found(ledger, str(UUID(int=call.int - (3_600_000 << 80)))) == Search(())
