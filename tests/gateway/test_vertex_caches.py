"""Calls on Vertex AI that go on from cached content, which its countTokens does not count, hold for it all the same."""

from typing import Any

import pytest

from jangbu.providers.gemini.tool_bound import SEARCH_MOST
from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, require_sound
from tests.gateway.stage import FLASH, Stage, asked
from tests.gateway.vertex import CALL, PLACE

CACHES = f"/v1/{PLACE}/cachedContents"
MODEL = f"projects/{PLACE.split('/')[1]}/locations/us-central1/publishers/google/models/{FLASH}"
INPUT_MOST = 1_048_576
COUNTED = 40


async def cached(vertex: Stage) -> tuple[str, int]:
    """Have content kept; give the name of the cache and its tokens. Google's countTokens does not know it."""
    body = {"model": MODEL, "contents": asked("a long text " * 500)["contents"], "ttl": "600s"}
    status, answer, _ = await vertex.post(CACHES, body)
    assert status == 200
    vertex.gemini.when(Behaviour(recorded=Recorded(b'{"totalTokens": %d}' % COUNTED)), path=":countTokens")
    return str(answer["name"]), int(answer["usageMetadata"]["totalTokenCount"])


def going_on(cache: str, name: str = "cachedContent") -> dict[str, Any]:
    """Give a call that goes on from a cache, which may bring a search along."""
    return {**asked("and then?", maxOutputTokens=10), name: cache}


@pytest.mark.parametrize("name", ["cachedContent", "cached_content"])
async def test_what_is_cached_is_held_for_and_paid_for(vertex: Stage, name: str) -> None:
    cache, tokens = await cached(vertex)
    vertex.gemini.when("cut", path=":generateContent")
    await vertex.post(CALL, going_on(cache, name))
    assert (await vertex.used()) == (0, COUNTED + tokens + 10 + SEARCH_MOST)
    vertex.gemini.when("", path=":generateContent")
    status, answer, headers = await vertex.post(CALL, going_on(cache, name))
    charged = answer["usageMetadata"]["totalTokenCount"]
    assert (status, headers["x-jangbu-tokens-charged"]) == (200, str(charged))
    assert tokens < charged <= COUNTED + tokens + 10
    await require_sound(vertex)


async def test_who_cannot_pay_for_what_is_cached_is_refused(vertex: Stage) -> None:
    cache, tokens = await cached(vertex)
    await asked_database(vertex, "UPDATE jangbu.resources SET account_id = $1", await poor(vertex, tokens))
    status, answer, _ = await vertex.post(CALL, going_on(cache), user="lee")
    assert status == 402
    assert int(answer["error"]["details"][0]["metadata"]["needed"]) > tokens
    assert [line for line in came(vertex) if "generateContent" in line] == []


async def poor(vertex: Stage, tokens: int) -> Any:
    """Open an account that has as many tokens as a cache, and no more."""
    await vertex.open("lee", tokens=tokens)
    return vertex.ledger.accounts.id_of("lee")


async def test_a_cache_whose_size_nobody_knows_is_held_for_as_all_that_the_model_takes(vertex: Stage) -> None:
    cache, _ = await cached(vertex)
    await vertex.ledger.accounts.grant("kim", 2 * INPUT_MOST, key="more")
    await asked_database(vertex, "UPDATE jangbu.resources SET metadata = NULL")
    vertex.gemini.when("cut", path=":generateContent")
    await vertex.post(CALL, going_on(cache))
    assert (await vertex.used()) == (0, INPUT_MOST + 10 + SEARCH_MOST)


async def test_a_cache_that_lives_on_keeps_its_size(vertex: Stage) -> None:
    cache, tokens = await cached(vertex)
    body = b'{"ttl": "900s"}'
    headers = {"x-goog-api-key": vertex.key, "x-jangbu-user": "kim"}
    url = f"{vertex.url}/v1/{cache}?updateMask=ttl"
    async with vertex.http.patch(url, data=body, headers=headers) as answer:
        assert answer.status == 200
    vertex.gemini.when("cut", path=":generateContent")
    await vertex.post(CALL, going_on(cache))
    assert (await vertex.used()) == (0, COUNTED + tokens + 10 + SEARCH_MOST)
