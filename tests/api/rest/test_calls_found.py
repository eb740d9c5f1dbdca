"""The search for a call by any of its names: in everybody's book or one user's, and never in another's."""

from datetime import datetime
from uuid import UUID

import pytest

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, TakeHold
from jangbu.storage.usage import moment_of
from tests.api.rest.stage import Stage, answer, record

OTHER = "%EC%9D%B4%EC%84%9C%EC%97%B0"


async def found(api: Stage, name: str, **more: str) -> list[str]:
    """Give the ids of the calls that have a name."""
    return [each["id"] for each in (await api.get(f"/calls/search?name={name}", **more)).ok["calls"]]


async def test_a_call_is_found_by_its_id_its_answers_and_the_key_of_its_record(api: Stage) -> None:
    made = (await api.post("/records", record(7), once="order-7")).ok["id"]
    await api.post("/records", record(8), once="order-8")
    response_id = answer(7)["responseId"]
    for name in (made, made.upper(), f"x-jangbu-call-id%3A%20{made}", response_id, "order-7", "%20order-7%20"):
        assert await found(api, name) == [made]
        assert await found(api, f"{name}&user=kim") == await found(api, name, key="kim") == [made]
        assert await found(api, f"{name}&user={OTHER}") == await found(api, name, key="이서연") == []
    assert (await api.get(f"/calls/{made}")).ok["response_id"] == response_id


async def test_a_call_that_is_held_for_is_found_to_its_user(api: Stage) -> None:
    call = Call(new_id(api.ledger.clock), "kim", "chat", "gemini-2.5-flash", Bounds(10, 10, True))
    await api.ledger.execute(TakeHold(call, base=5, least=5, most=5, take_all=False))
    assert await found(api, str(call.id)) == await found(api, str(call.id), key="kim") == [str(call.id)]
    assert await found(api, str(call.id), key="이서연") == []


async def test_several_calls_of_one_name_are_told_apart(api: Stage) -> None:
    calls = [
        (await api.post("/records", record(number, user=user), once="page-1")).ok["id"]
        for number, user in ((1, "kim"), (2, "이서연"))
    ]
    told = (await api.get("/calls/search?name=page-1")).ok
    assert [(each["id"], each["user"]) for each in told["calls"]] == [(calls[1], "이서연"), (calls[0], "kim")]
    assert datetime.fromisoformat(told["calls"][1]["created_at"]) == moment_of(UUID(calls[0]))
    assert (told["is_whole"], told["was_dropped"]) == (True, False)
    latest = (await api.get("/calls/search?name=page-1&limit=1")).ok
    assert ([each["id"] for each in latest["calls"]], latest["is_whole"]) == ([calls[1]], False)


async def test_a_name_of_no_call_finds_none(api: Stage) -> None:
    told = (await api.get("/calls/search?name=order-404")).ok
    assert (told["calls"], told["was_dropped"], told["is_whole"]) == ([], False, True)


@pytest.mark.parametrize("asked", ["", "?name=", f"?name={'x' * 1_001}", "?name=a&name=b", "?name=a&limit=0"])
async def test_without_a_name_nothing_is_looked_for(api: Stage, asked: str) -> None:
    assert (await api.get(f"/calls/search{asked}")).code == "invalid_input"


async def test_a_user_without_an_account_has_no_calls_to_find(api: Stage) -> None:
    assert (await api.get("/calls/search?name=order-7&user=nobody")).code == "not_found"
