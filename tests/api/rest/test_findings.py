"""Findings are listed by what is asked for, acknowledged and resolved once, in the name of the key that was shown."""

from typing import Any
from uuid import uuid4

from tests.api.rest.stage import Stage, answer, record

UNPRICED = "gemini-99-dream"


async def odd_one(api: Stage, number: int, *, user: str = "kim") -> str:
    """Record a call whose counts do not add up; give its id."""
    sent = answer(number)
    sent["usageMetadata"]["totalTokenCount"] += 5
    found: str = (await api.post("/records", record(number, user=user, answer=sent))).ok["id"]
    return found


async def listed(api: Stage, query: str = "") -> list[tuple[str, str]]:
    return [(each["call"], each["kind"]) for each in (await api.get(f"/findings{query}")).ok["findings"]]


async def test_findings_are_listed_newest_first_and_by_what_is_asked_for(api: Stage) -> None:
    first, second = await odd_one(api, 1), await odd_one(api, 2, user="이서연")
    third = (await api.post("/records", record(3, answer=answer(3, model=UNPRICED)))).ok["id"]
    assert await listed(api) == [(third, "unpriced"), (second, "anomaly"), (first, "anomaly")]
    assert await listed(api, "?kind=anomaly&user=kim") == [(first, "anomaly")]
    page = (await api.get("/findings?limit=2")).ok
    rest = (await api.get(f"/findings?limit=2&cursor={page['next']}")).ok
    assert [[each["call"] for each in found["findings"]] for found in (page, rest)] == [[third, second], [first]]
    assert rest["next"] is None
    await api.post(f"/accounts/kim/findings/{first}/anomaly/acknowledge")
    assert await listed(api, "?state=acknowledged") == [(first, "anomaly")]
    assert await listed(api, "?state=new") == [(third, "unpriced"), (second, "anomaly")]
    assert len(await listed(api, "?state=open")) == 3
    assert await listed(api, "?state=resolved") == []


async def test_what_is_no_filter_and_no_cursor_is_refused(api: Stage) -> None:
    await odd_one(api, 1)
    await odd_one(api, 2)
    of_another_list = (await api.get("/accounts?limit=1")).ok["next"]
    for query in ("?state=lost", "?kind=odd", "?cursor=nonsense", f"?cursor={of_another_list}", "?limit=0"):
        assert (await api.get(f"/findings{query}")).code == "invalid_input", query


async def test_a_finding_is_acknowledged_and_resolved_in_the_name_of_the_key(api: Stage) -> None:
    path = f"/accounts/kim/findings/{await odd_one(api, 1)}/anomaly"
    seen = (await api.post(f"{path}/acknowledge", key="api:finance")).ok
    assert (seen["state"], seen["acknowledged_by"], seen["is_new"]) == ("acknowledged", "FINANCE", True)
    again = (await api.post(f"{path}/acknowledge")).ok
    assert (again["acknowledged_by"], again["is_new"], again["replayed"]) == ("FINANCE", False, False)
    ended = (await api.post(f"{path}/resolve", {"reason": "the model counts so"})).ok
    assert (ended["state"], ended["resolved_by"], ended["resolution"]) == ("resolved", "OWNER", "the model counts so")
    late = (await api.post(f"{path}/resolve", {"reason": "another one"})).ok
    assert (late["resolution"], late["is_new"]) == ("the model counts so", False)


async def test_a_key_stands_for_one_finding(api: Stage) -> None:
    first, second = await odd_one(api, 1), await odd_one(api, 2)
    sent: list[Any] = [
        await api.post(f"/accounts/kim/findings/{call}/anomaly/acknowledge", once="look") for call in (first, first)
    ]
    assert [(each.ok["is_new"], each.ok["replayed"]) for each in sent] == [(True, False), (False, True)]
    other = await api.post(f"/accounts/kim/findings/{second}/anomaly/acknowledge", once="look")
    assert other.code == "idempotency_conflict"
    assert await listed(api, "?state=new") == [(second, "anomaly")]


async def test_what_only_its_cure_ends_is_resolved_by_nobodys_word(api: Stage) -> None:
    call = (await api.post("/records", record(answer=answer(model=UNPRICED)))).ok["id"]
    refused = await api.post(f"/accounts/kim/findings/{call}/unpriced/resolve", {"reason": "free"})
    assert refused.code == "invalid_input"
    assert await listed(api, "?state=open") == [(call, "unpriced")]
    assert (await api.post(f"/accounts/kim/findings/{call}/unpriced/acknowledge")).ok["is_new"]


async def test_a_finding_that_is_not_there_is_not_found_and_leaves_the_key_free(api: Stage) -> None:
    call = await odd_one(api, 1)
    for path in (
        f"/accounts/kim/findings/{uuid4()}/anomaly",
        f"/accounts/kim/findings/{call}/late",
        f"/accounts/nobody/findings/{call}/anomaly",
    ):
        assert (await api.post(f"{path}/acknowledge", once="look")).code == "not_found", path
        assert (await api.post(f"{path}/resolve", {"reason": "r"}, once="look")).code == "not_found", path
    assert (await api.post(f"/accounts/kim/findings/{call}/anomaly/acknowledge", once="look")).ok["is_new"]
    assert (await api.post(f"/accounts/kim/findings/{call}/anomaly/resolve", {"reason": "  "})).code == "invalid_input"
