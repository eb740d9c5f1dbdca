"""Resources: each is its owner's alone, and an upload under way is known by its token alone."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.errors import InvalidInput, NotFound, NotPermitted
from jangbu.metering.meter import Metering
from jangbu.metering.resources import LaterCall, Owned, ResourceKind
from jangbu.wiring import open_metering

FLASH = "gemini-2.5-flash"
TARGET = "https://upstream.test/upload/v1beta/files?upload_id=u-1"
KEY = uuid4()
CACHE = "cachedContents/a1"


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        for user in ("kim", "lee"):
            await opened.accounts.create(user)
        yield opened


@pytest.fixture
async def another(metering: Metering, database_url: str) -> AsyncIterator[Metering]:
    """The ledger as another gateway opened it."""
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        yield opened


@pytest.fixture
def kim(metering: Metering) -> UUID:
    return metering.accounts.id_of("kim")


@pytest.fixture
def lee(metering: Metering) -> UUID:
    return metering.accounts.id_of("lee")


async def test_a_resource_is_its_owners_alone(metering: Metering, kim: UUID, lee: UUID) -> None:
    claimed = await metering.resources.claim(kim, "files/a", ResourceKind.FILE)
    assert (claimed.account, claimed.user, claimed.name, claimed.kind) == (kim, "kim", "files/a", ResourceKind.FILE)
    assert await metering.resources.find(kim, "files/a") == claimed
    assert await metering.resources.find(lee, "files/a") is None
    assert await metering.resources.find(kim, "files/b") is None


async def test_a_claim_may_be_repeated_by_its_owner_and_by_nobody_else(
    metering: Metering, another: Metering, kim: UUID, lee: UUID
) -> None:
    call = LaterCall(new_id(SystemClock()), "chat", FLASH, {"tags": {"page": 3}}, key=new_id(SystemClock()))
    first = await metering.resources.claim(kim, "batches/b", ResourceKind.BATCH, call=call)
    assert first.call == call
    assert await another.resources.claim(kim, "batches/b", ResourceKind.BATCH, call=call) == first
    assert await another.resources.claim(kim, "batches/b", ResourceKind.BATCH) == first, "the call that waits is kept"
    await metering.resources.settled(kim, "batches/b")
    assert (await another.resources.claim(kim, "batches/b", ResourceKind.BATCH, call=call)).settled_at is not None
    with pytest.raises(NotPermitted):
        await another.resources.claim(lee, "batches/b", ResourceKind.BATCH)
    assert await metering.resources.find(lee, "batches/b") is None


async def test_a_name_is_free_again_once_it_was_forgotten_or_its_time_was_up(
    metering: Metering, kim: UUID, lee: UUID
) -> None:
    await metering.resources.claim(kim, "files/forgotten", ResourceKind.FILE)
    assert not await metering.resources.forget(lee, "files/forgotten")
    assert await metering.resources.forget(kim, "files/forgotten")
    assert not await metering.resources.forget(kim, "files/forgotten")
    await metering.resources.claim(kim, "files/expired", ResourceKind.FILE, seconds=0)
    assert await metering.resources.find(kim, "files/expired") is None
    for name in ("files/forgotten", "files/expired"):
        assert (await metering.resources.claim(lee, name, ResourceKind.FILE)).account == lee
        assert await metering.resources.find(kim, name) is None


async def test_claiming_again_sets_anew_how_long_a_resource_lives(metering: Metering, kim: UUID) -> None:
    for seconds, lives in ((3600, True), (0, False), (3600, True), (None, True)):
        await metering.resources.claim(kim, "cachedContents/c", ResourceKind.CACHE, seconds=seconds)
        assert (await metering.resources.find(kim, "cachedContents/c") is not None) == lives


async def test_another_project_may_have_the_same_name(metering: Metering, kim: UUID, database_url: str) -> None:
    await metering.resources.claim(kim, "files/menu", ResourceKind.FILE)
    async with open_metering(Settings.load(database_url=database_url, project="other")) as other:
        await other.accounts.create("kim")
        namesake = other.accounts.id_of("kim")
        assert (await other.resources.claim(namesake, "files/menu", ResourceKind.FILE)).account == namesake
        with pytest.raises(NotFound):
            await other.resources.claim(kim, "files/other", ResourceKind.FILE)


async def test_an_account_that_was_not_opened_owns_nothing(metering: Metering) -> None:
    with pytest.raises(NotFound):
        await metering.resources.claim(uuid4(), "files/a", ResourceKind.FILE)


@pytest.mark.parametrize("name", ["", "files/\x00", "files/\ud800", "files/" + "x" * 300])
async def test_a_name_that_cannot_be_one_is_nobodys(metering: Metering, kim: UUID, name: str) -> None:
    with pytest.raises(InvalidInput):
        await metering.resources.claim(kim, name, ResourceKind.FILE)
    assert await metering.resources.find(kim, name) is None
    assert not await metering.resources.forget(kim, name)
    assert await metering.resources.owns_all(kim, [name]) == (name,)


async def test_a_request_names_only_what_its_user_owns(metering: Metering, kim: UUID, lee: UUID) -> None:
    await metering.resources.claim(kim, "files/a", ResourceKind.FILE)
    await metering.resources.claim(kim, "cachedContents/c", ResourceKind.CACHE)
    await metering.resources.claim(kim, "files/gone", ResourceKind.FILE, seconds=0)
    await metering.resources.claim(lee, "files/b", ResourceKind.FILE)
    assert await metering.resources.owns_all(kim, []) == ()
    assert await metering.resources.owns_all(kim, ["files/a", "cachedContents/c", "files/a"]) == ()
    named = ["files/z", "files/b", "files/a", "files/gone", "files/b"]
    assert await metering.resources.owns_all(kim, named) == ("files/z", "files/b", "files/gone")


async def test_a_list_shows_ones_own_of_a_kind_newest_first_page_by_page(
    metering: Metering, kim: UUID, lee: UUID
) -> None:
    for number in range(5):
        await metering.resources.claim(kim, f"files/{number}", ResourceKind.FILE)
    await metering.resources.claim(kim, "batches/b", ResourceKind.BATCH)
    await metering.resources.claim(lee, "files/lee", ResourceKind.FILE)
    await metering.resources.claim(kim, "files/gone", ResourceKind.FILE, seconds=0)
    listed: list[Owned] = []
    while page := await metering.resources.page(kim, ResourceKind.FILE, 2, listed[-1].place if listed else None):
        listed.extend(page)
        await metering.resources.forget(kim, page[-1].name)
    assert [owned.name for owned in listed] == [f"files/{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("place", ["", "files/a", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00 \x00", "0 a"])
async def test_a_place_that_no_page_gave_is_refused(metering: Metering, kim: UUID, place: str) -> None:
    with pytest.raises(InvalidInput):
        await metering.resources.page(kim, ResourceKind.FILE, 2, place)


async def test_an_upload_is_known_by_its_token_alone(metering: Metering, another: Metering, kim: UUID) -> None:
    token = await metering.resources.open_upload(kim, TARGET, 3600, key=KEY)
    assert re.fullmatch(r"[A-Za-z0-9_-]{64}", token), "a token fits into a URL as it is"
    upload = await another.resources.upload(token)
    assert upload is not None
    assert (upload.account, upload.user, upload.kind, upload.target) == (kim, "kim", ResourceKind.UPLOAD, TARGET)
    assert upload.key == KEY
    assert TARGET not in repr(upload)
    assert await another.resources.forget(kim, upload.name)
    assert await metering.resources.upload(token) is None


async def test_a_token_that_was_not_given_finds_nothing(metering: Metering, kim: UUID, lee: UUID) -> None:
    given = base64.urlsafe_b64decode(await metering.resources.open_upload(kim, TARGET, 3600, key=KEY))
    guesses = [kim.bytes + bytes(32), lee.bytes + given[16:], given[:-1] + bytes([given[-1] ^ 1]), given[:-1], b""]
    for guess in guesses:
        assert await metering.resources.upload(base64.urlsafe_b64encode(guess).decode()) is None
    for odd in ("=" * 64, "é" * 64, "+" * 64, "\x00" * 64, "a" * 63 + "\n"):
        assert await metering.resources.upload(odd) is None


async def test_no_table_tells_the_token(metering: Metering, kim: UUID) -> None:
    token = await metering.resources.open_upload(kim, TARGET, 3600, key=KEY)
    secret = base64.urlsafe_b64decode(token)[16:]
    async with metering.database.connection() as connection:
        stored = await connection.fetchval("SELECT string_agg(r::text, ' ') FROM jangbu.resources AS r")
    assert not any(form in stored for form in (token, token[22:], secret.hex(), base64.b64encode(secret).decode()))


async def test_of_many_that_finish_an_upload_at_once_one_writes_down_whose_its_file_is(
    metering: Metering, another: Metering, kim: UUID, lee: UUID
) -> None:
    token = await metering.resources.open_upload(kim, TARGET, 3600, key=KEY, digest={"names": ["files/a"]})
    upload = await metering.resources.upload(token)
    assert upload is not None
    await metering.resources.resize(kim, upload.name, 7)

    async def finish(gateway: Metering) -> bool:
        return await gateway.resources.finish_upload(upload, "files/a", seconds=3600, digest={"lines": 3}, size=5)

    assert sorted(await asyncio.gather(*(finish(each) for _ in range(8) for each in (metering, another)))) == [
        *[False] * 15,
        True,
    ]
    found = await another.resources.find(kim, "files/a")
    assert found is not None
    assert (found.kind, found.size) == (ResourceKind.FILE, 5)
    assert await another.resources.digest(kim, "files/a") == {"lines": 3}
    # What was known of the upload stays known, and its bytes are those of the file now.
    assert (await another.resources.digest(kim, upload.name))["names"] == ["files/a"]
    assert (await another.resources.kept(kim)).bytes == 5
    # Asked again, it takes neither a name that nobody has any more nor one that is another's by now.
    assert await metering.resources.forget(kim, "files/a")
    assert not await finish(metering)
    await metering.resources.claim(lee, "files/a", ResourceKind.FILE)
    assert not await finish(metering)
    assert await metering.resources.find(kim, "files/a") is None


async def test_an_upload_does_not_end_as_anothers_file(metering: Metering, kim: UUID, lee: UUID) -> None:
    upload = await metering.resources.upload(await metering.resources.open_upload(kim, TARGET, 3600, key=KEY))
    assert upload is not None
    await metering.resources.claim(lee, "files/a", ResourceKind.FILE)
    with pytest.raises(NotPermitted):
        await metering.resources.finish_upload(upload, "files/a", seconds=3600, digest=None, size=5)
    # It is not over by that: its file may bear another name.
    assert await metering.resources.finish_upload(upload, "files/b", seconds=3600, digest=None, size=5)
    with pytest.raises(InvalidInput):
        await metering.resources.finish_upload(upload, "", seconds=3600, digest=None, size=5)


async def test_an_upload_ends_by_the_databases_clock(metering: Metering, kim: UUID) -> None:
    assert await metering.resources.upload(await metering.resources.open_upload(kim, TARGET, 0, key=KEY)) is None


async def test_a_cache_that_was_deleted_stays_so_where_a_change_is_noted_later(metering: Metering, kim: UUID) -> None:
    await metering.resources.keep_cache(kim, CACHE, kept(60))
    await metering.resources.change_cache(kim, CACHE, kept(90))
    assert await metering.resources.owner_of_cache(CACHE) == kim
    await metering.resources.end_cache(kim, CACHE)
    await metering.resources.change_cache(kim, CACHE, kept(3600))
    assert await metering.resources.find(kim, CACHE) is None


async def test_a_cache_lives_as_long_as_before_where_a_change_does_not_say(metering: Metering, kim: UUID) -> None:
    await metering.resources.keep_cache(kim, CACHE, kept(1))
    await metering.resources.change_cache(kim, CACHE, {})
    await asyncio.sleep(1.1)
    assert await metering.resources.find(kim, CACHE) is None


def kept(seconds: int) -> dict[str, str]:
    """Give what Google answers of a cache that lives for so long."""
    begin = datetime(2026, 11, 30, tzinfo=UTC)
    return {"updateTime": begin.isoformat(), "expireTime": (begin + timedelta(seconds=seconds)).isoformat()}
