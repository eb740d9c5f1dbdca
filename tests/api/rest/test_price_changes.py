"""Prices over HTTP: looked at before they are written, written once, and never for what was recorded."""

import asyncio
from typing import Any

import pytest

from jangbu.domain.keys import Role
from tests.api.rest.stage import Stage, answer, record

DREAM = "gemini-99-dream"
BOOK = {"entries": [{"models": [DREAM], "usd": {"input": "0.1", "output": "0.4"}, "source": "the price page"}]}


async def versions(api: Stage) -> int:
    return len((await api.get("/prices/versions")).ok["versions"])


async def test_a_book_is_looked_at_and_then_written_once(api: Stage) -> None:
    looked = await api.post("/prices/versions?dry_run=true", BOOK, once="book-1")
    assert (looked.status, looked.ok["is_new"], looked.ok["dry_run"]) == (200, True, True)
    assert [(each["kind"], each["before"], each["after"]["price_nano"]) for each in looked.ok["changes"]] == [
        ("added", None, 100_000_000),
        ("added", None, 400_000_000),
    ]
    assert await versions(api) == 1
    made = await api.post("/prices/versions", BOOK, once="book-1")
    assert (made.status, made.ok["is_new"], made.ok["replayed"]) == (201, True, False)
    assert (made.ok["version"], made.ok["changes"]) == (looked.ok["version"] + 1, looked.ok["changes"])
    again = await api.post("/prices/versions", BOOK, once="book-1")
    assert (again.status, again.ok["version"], again.ok["replayed"]) == (200, made.ok["version"], True)
    assert (again.ok["is_new"], again.ok["changes"]) == (False, [])
    other = await api.post("/prices/versions", BOOK, once="book-2")
    assert (other.status, other.ok["is_new"], other.ok["replayed"]) == (200, False, False)
    assert len((await api.get(f"/prices?model={DREAM}")).ok["prices"]) == 2
    assert (await api.get("/prices?model=gemini-2.5-flash")).ok["prices"], "nothing is taken away"
    assert await versions(api) == 2


async def test_a_changed_price_holds_from_now_on_and_changes_nothing_before(api: Stage) -> None:
    await api.post("/prices/versions", BOOK)
    first = (await api.post("/records", record(1, answer=answer(1, model=DREAM)))).ok
    dearer = {"entries": [{**BOOK["entries"][0], "usd": {"input": "0.2", "output": "0.4"}}], "note": "봄"}
    (change,) = (await api.post("/prices/versions", dearer)).ok["changes"]
    assert (change["kind"], change["after"]["price_nano"]) == ("added", 200_000_000)
    assert change["after"]["valid_from"] is not None
    second = (await api.post("/records", record(2, answer=answer(2, model=DREAM)))).ok
    assert second["cost_nano"] - first["cost_nano"] == 150 * 100
    assert (await api.get(f"/calls/{first['id']}")).ok["cost_nano"] == first["cost_nano"]
    assert (await api.get("/prices/versions")).ok["versions"][0]["note"] == "봄"


async def test_an_own_price_wins_and_what_had_none_is_priced_by_it(api: Stage) -> None:
    made = (await api.post("/records", record(answer=answer(model=DREAM)))).ok
    assert made["cost_nano"] is None
    assert (await api.post("/prices/backfill", {})).ok == {"schema_version": 1, "priced": 0, "next": None}
    for meter, price in (("input", 100_000_000), ("output", 400_000_000)):
        own = {"model": DREAM, "meter": meter, "price_nano": price, "source": "contract"}
        assert (await api.post("/prices/own", own, once=f"own-{meter}")).status == 201
        assert (await api.post("/prices/own", own, once=f"own-{meter}")).ok["replayed"] is True
    assert (await api.post("/prices/backfill", {}, once="fill")).ok["priced"] == 1
    assert (await api.post("/prices/backfill", {}, once="fill")).ok["priced"] == 0
    assert (await api.get(f"/calls/{made['id']}")).ok["cost_nano"] == 150 * 100 + 300 * 400


async def test_an_own_price_is_taken_away_once_and_the_books_holds_again(api: Stage) -> None:
    what = {"model": "gemini-2.5-flash", "meter": "input"}
    for fields in ({}, {"tier": "batch"}, {"valid_from": "2099-01-01T00:00:00Z"}):
        assert (await api.post("/prices/own", {**what, **fields, "price_nano": 5, "source": "contract"})).status == 201
    for other in ({"tier": "flex"}, {"valid_from": "2098-01-01T00:00:00Z"}, {"above_prompt_tokens": 1}):
        assert (await api.post("/prices/own/remove", {**what, **other})).code == "not_found"
    for _ in range(2):
        removed = await api.post("/prices/own/remove", {**what, "note": "it ended"}, once="remove-1")
    assert removed.ok["replayed"] is True
    assert (await api.get("/prices/versions")).ok["versions"][0]["note"] == "it ended"
    own = [row for row in (await api.get("/prices?model=gemini-2.5-flash")).ok["prices"] if row["source"] == "contract"]
    assert {(row["tier"], row["valid_from"]) for row in own} == {("batch", None), ("standard", "2099-01-01T00:00:00Z")}
    made = (await api.post("/records", record(answer=answer(model="gemini-2.5-flash")))).ok
    assert made["cost_nano"] == 150 * 300 + 300 * 2_500
    assert (await api.post("/prices/own/remove", what)).code == "not_found"


async def test_a_markup_is_charged_from_now_on(api: Stage) -> None:
    made = await api.post("/prices/markup", {"parts_per_million": 125_000}, once="markup-1")
    assert (made.status, (await api.get("/prices")).ok["markup_parts_per_million"]) == (201, 125_000)
    assert (await api.post("/prices/markup", {"parts_per_million": 5}, once="markup-1")).code == "idempotency_conflict"
    await api.post("/records", record())
    total = (await api.get("/cost")).ok["total"]
    assert total["charge_nano"] == total["cost_nano"] * 9 // 8


async def test_changes_that_meet_are_made_one_after_another_and_none_is_lost(api: Stage) -> None:
    orders: list[tuple[str, dict[str, Any]]] = [
        ("/prices/own", {"model": f"gemini-99-{number}", "meter": "input", "price_nano": 5, "source": "s"})
        for number in range(8)
    ]
    orders += [("/prices/versions", BOOK), ("/prices/markup", {"parts_per_million": 7})]
    made = [api.post(path, body, once=f"meet-{at}") for at, (path, body) in enumerate(orders) for _ in range(2)]
    assert sorted(each.status for each in await asyncio.gather(*made)) == [200] * 10 + [201] * 10
    whole = (await api.get("/prices?cursor=" + (await api.get("/prices")).ok["next"])).ok
    own = {row["model"] for row in whole["prices"] if row["model"].startswith("gemini-99-")}
    assert own == {f"gemini-99-{number}" for number in range(8)} | {DREAM}
    assert whole["markup_parts_per_million"] == 7


ENTRY: dict[str, Any] = BOOK["entries"][0]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("versions", {}),
        ("versions", {"entries": []}),
        ("versions", {"entries": [{}]}),
        ("versions", {"entries": [{**ENTRY, "usd": {}}]}),
        ("versions", {"entries": [{**ENTRY, "usd": None}]}),
        ("versions", {"entries": [{**ENTRY, "usd": {"input": 0.1}}]}),
        ("versions", {"entries": [{**ENTRY, "usd": {"input": "-1"}}]}),
        ("versions", {"entries": [{**ENTRY, "usd": {"input": "１"}}]}),
        ("versions", {"entries": [{**ENTRY, "usd": {"thinking": "1"}}]}),
        ("versions", {"entries": [{**ENTRY, "usd": {"input.smell": "1"}}]}),
        ("versions", {"entries": [{**ENTRY, "models": ["a*b"]}]}),
        ("versions", {"entries": [{**ENTRY, "from": "2027-13-01"}]}),
        ("versions", {"entries": [{**ENTRY, "from": "2027-02-01", "to": "2027-01-01"}]}),
        ("versions", {"entries": [{"models": ["a"], "same_as": "nobody", "source": "s"}]}),
        ("versions", {"entries": [{**ENTRY, "source": " "}]}),
        ("versions", {"entries": [{**ENTRY, "models": ["a\x00b"]}]}),
        ("versions", {"entries": [{**ENTRY, "models": [f"m{n}" for n in range(1_000)]} for _ in range(6)]}),
        ("own", {"model": "m", "meter": "input", "price_nano": -1, "source": "s"}),
        ("versions", {"entries": [{**ENTRY, "priority": 1_000}]}),
        ("versions", {"entries": [{**ENTRY, "from": "0001-01-01"}]}),
        ("own", {"model": "m", "meter": "input", "price_nano": 1, "source": "s", "valid_from": "0001-01-01T00:00:00Z"}),
        ("own", {"model": "m", "meter": "input", "price_nano": 1, "source": "s", "valid_to": "9999-12-31T00:00:00Z"}),
        ("own", {"model": "m", "meter": "thinking", "price_nano": 1, "source": "s"}),
        ("own", {"model": "m", "meter": "input", "price_nano": 1}),
        ("own", {"model": "m", "meter": "input", "price_nano": 1.5, "source": "s"}),
        ("markup", {"parts_per_million": -1_000_001}),
        ("markup", {"parts_per_million": "20%"}),
        ("backfill", {"after": "none"}),
    ],
)
async def test_a_price_that_is_none_is_refused(api: Stage, path: str, body: dict[str, Any]) -> None:
    refused = await api.post(f"/prices/{path}", body)
    assert (refused.status, refused.code) == (400, "invalid_input")
    assert await versions(api) == 1


async def test_a_key_of_the_project_stands_for_one_write_of_whatever_kind(api: Stage) -> None:
    await api.post("/keys", {"name": "k", "scopes": [Role.VIEWER]}, once="taken")
    assert (await api.post("/prices/markup", {"parts_per_million": 5}, once="taken")).code == "idempotency_conflict"
    assert await versions(api) == 1


async def test_an_own_price_without_a_beginning_is_refused_where_another_one_holds_on(api: Stage) -> None:
    own = {"model": DREAM, "meter": "input", "price_nano": 5, "source": "contract"}
    dated = {**own, "valid_from": "2020-01-01T00:00:00Z", "valid_to": "2099-01-01T00:00:00Z"}
    assert (await api.post("/prices/own", dated)).status == 201
    refused = await api.post("/prices/own", {**own, "price_nano": 4})
    assert (refused.status, refused.code) == (400, "invalid_input")
    for other in ({"tier": "batch"}, {"platform": "vertex"}, {"valid_from": "2098-01-01T00:00:00Z"}):
        assert (await api.post("/prices/own", {**own, **other})).status == 201, "that is another price"
    assert (await api.post("/prices/own", {**dated, "valid_to": "2021-01-01T00:00:00Z"})).status == 201
    assert (await api.post("/prices/own", {**own, "price_nano": 4})).status == 201, "the other one has ended"
