"""Caches: Google takes the app's money for each hour that it keeps one, so who has one token keeps none for years."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.stage import FLASH, Stage, asked, stage

CACHES = "/v1beta/cachedContents"
DAY = 86_400


@pytest.fixture
async def for_an_hour(database_url: str, gemini: FakeGemini) -> AsyncIterator[Stage]:
    """Give a gateway whose caches live for less than Google keeps one for which nobody asked for anything else."""
    async with stage(database_url, gemini, cache_seconds_max=1_800) as served:
        await served.open("kim")
        yield served


def body(**life: object) -> dict[str, Any]:
    """Ask for a cache."""
    return {"model": f"models/{FLASH}", "contents": asked("word " * 800)["contents"], **life}


def after(seconds: int) -> str:
    """Write a moment as Google's clients do."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


TOO_LONG = [
    {"ttl": "157680000s"},
    {"ttl": f"{DAY + 1}s"},
    {"ttl": f"{DAY}.5s"},
    {"expireTime": "2099-01-01T00:00:00Z"},
    {"expire_time": after(2 * DAY)},
    {"ttl": "60s", "expireTime": after(2 * DAY)},
]


@pytest.mark.parametrize("life", TOO_LONG)
async def test_a_cache_is_not_kept_for_longer_than_the_operator_allows(served: Stage, life: dict[str, str]) -> None:
    await served.open("lee", 1)
    status, answer, _ = await served.post(CACHES, body(**life), user="lee")
    assert status == 400
    assert f"{DAY:,} s" in answer["error"]["message"]
    assert served.gemini.requests() == []


@pytest.mark.parametrize("life", TOO_LONG)
async def test_nor_is_its_life_made_longer_than_that(served: Stage, life: dict[str, str]) -> None:
    name = (await served.post(CACHES, body(ttl="60s")))[1]["name"]
    before = len(served.gemini.requests())
    headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
    async with served.http.patch(f"{served.url}/v1beta/{name}", json=life, headers=headers) as answer:
        assert answer.status == 400
    assert len(served.gemini.requests()) == before


@pytest.mark.parametrize("life", [{}, {"ttl": f"{DAY}s"}, {"ttl": "0.5s"}, {"expireTime": after(DAY - 60)}])
async def test_what_lives_no_longer_is_kept(served: Stage, life: dict[str, str]) -> None:
    assert (await served.post(CACHES, body(**life)))[0] == 200


@pytest.mark.parametrize("life", [{"ttl": 60}, {"ttl": "forever"}, {"ttl": {"seconds": 60}}, {"expireTime": "soon"}])
async def test_a_life_that_cannot_be_read_is_refused(served: Stage, life: dict[str, Any]) -> None:
    assert (await served.post(CACHES, body(**life)))[0] == 400
    assert served.gemini.requests() == []


async def test_where_google_would_keep_one_for_longer_a_life_has_to_be_asked_for(for_an_hour: Stage) -> None:
    assert (await for_an_hour.post(CACHES, body()))[0] == 400
    assert (await for_an_hour.post(CACHES, body(ttl="1800s")))[0] == 200


async def made(served: Stage, user: str = "kim") -> tuple[int, str]:
    """Have a cache kept; give the status, and its name or why it is not made."""
    status, answer, _ = await served.post(CACHES, body(), user=user)
    return status, answer["name"] if status == 200 else answer["error"]["details"][0]["reason"]


async def test_a_user_has_as_many_caches_kept_as_are_allowed_until_one_of_them_is_deleted(
    database_url: str, gemini: FakeGemini
) -> None:
    async with stage(database_url, gemini, kept_caches_max=2) as served:
        for user in ("kim", "lee"):
            await served.open(user)
        names = [(await made(served))[1] for _ in range(2)]
        asked_for = len(gemini.requests())
        assert await made(served) == (400, "TOO_MUCH_KEPT")
        assert len(gemini.requests()) == asked_for
        assert (await made(served, "lee"))[0] == 200
        headers = {"x-goog-api-key": served.key, "x-jangbu-user": "kim"}
        async with served.http.delete(f"{served.url}/v1beta/{names[0]}", headers=headers) as answer:
            assert answer.status == 200
        assert (await made(served))[0] == 200


async def test_a_user_with_as_many_tokens_in_caches_as_are_allowed_has_no_other_made(
    database_url: str, gemini: FakeGemini
) -> None:
    async with stage(database_url, gemini, kept_cache_tokens_max=1) as served:
        await served.open("kim")
        assert (await made(served))[0] == 200
        assert await made(served) == (400, "TOO_MUCH_KEPT")
