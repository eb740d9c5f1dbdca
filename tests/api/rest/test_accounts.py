"""Accounts, grants, balances and entries."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from jangbu.dashboard.view.facts import view_facts
from jangbu.metering.views import view_of
from tests.api.rest.stage import Stage, record


async def test_an_account_is_opened_granted_and_shown(api: Stage) -> None:
    opened = await api.post("/accounts", {"user": "lee"})
    assert (opened.status, opened.ok["is_new"], opened.ok["balance"]) == (201, True, 0)
    granted = await api.post(
        "/accounts/lee/grants", {"amount": 1_000, "expires_at": "2099-01-01T00:00:00Z"}, once="order-1"
    )
    assert granted.status == 201
    assert {name: granted.ok[name] for name in ("user", "amount", "key", "source", "available", "replayed")} == {
        "user": "lee",
        "amount": 1_000,
        "key": "order-1",
        "source": "purchase",
        "available": 1_000,
        "replayed": False,
    }
    shown = (await api.get("/accounts/lee")).ok
    assert (shown["balance"], shown["available"], shown["state"]) == (1_000, 1_000, "active")
    assert [each["id"] for each in shown["grants"]] == [granted.ok["id"]]
    assert (await api.get("/accounts/lee/grants")).ok["grants"] == shown["grants"]
    assert (await api.get("/accounts/lee/balance")).ok == {
        "schema_version": 1,
        "user": "lee",
        "balance": 1_000,
        "used_tokens": 0,
        "held_tokens": 0,
        "available": 1_000,
        "expiring": None,
    }


async def test_a_balance_says_what_of_it_expires_within_a_week_as_the_users_own_view_does(api: Stage) -> None:
    first, last = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (2, 6))
    for number, (tokens, expires_at) in enumerate(((2_000, last), (500, first))):
        await api.post("/accounts/kim/grants", {"amount": tokens, "expires_at": expires_at}, once=f"gift-{number}")
    told = {"tokens": 2_500, "first_at": first, "last_at": last}
    assert (await api.get("/accounts/kim/balance")).ok["expiring"] == told
    account, project = api.ledger.accounts.id_of("kim"), api.settings.project
    view = await view_of(api.ledger.database, project, account, ZoneInfo("UTC"), calls=1, low_balance=None)
    assert view_facts(view, with_costs=False, top_up_url=None)["expiring"] == told
    assert (await api.get("/accounts/nobody/balance")).status == 404


async def test_a_repeated_write_changes_nothing_and_another_under_its_key_is_refused(api: Stage) -> None:
    first = await api.post("/accounts/kim/grants", {"amount": 500}, once="order-2")
    again = await api.post("/accounts/kim/grants", {"amount": 500}, once="order-2")
    assert (again.status, again.ok["id"], again.ok["replayed"]) == (200, first.ok["id"], True)
    other = await api.post("/accounts/kim/grants", {"amount": 501}, once="order-2")
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert (await api.post("/accounts/kim/block", once="order-2")).code == "idempotency_conflict"
    assert (await api.post("/accounts", {"user": "kim"}, once="order-2")).code == "idempotency_conflict"
    shown = (await api.get("/accounts/kim")).ok
    assert (shown["balance"], shown["state"]) == (1_000_500, "active")


async def test_writes_under_one_key_that_meet_are_done_once(api: Stage) -> None:
    grants = await asyncio.gather(*(api.post("/accounts/kim/grants", {"amount": 5}, once="race") for _ in range(20)))
    assert sorted(each.status for each in grants) == [200] * 19 + [201]
    opened = await asyncio.gather(*(api.post("/accounts", {"user": "new"}, once="race") for _ in range(20)))
    assert sorted(each.status for each in opened) == [200] * 19 + [201]
    made = await asyncio.gather(*(api.post("/keys", {"user": "kim"}, once="race") for _ in range(20)))
    assert [each.ok["key"] is None for each in made].count(False) == 1
    assert len({each.ok["id"] for each in made}) == 1
    assert (await api.get("/accounts/kim")).ok["balance"] == 1_000_005


async def test_an_account_is_opened_once(api: Stage) -> None:
    first = await api.post("/accounts", {"user": "lee"}, once="open-lee")
    again = await api.post("/accounts", {"user": "lee"}, once="open-lee")
    other = await api.post("/accounts", {"user": "lee"}, once="open-lee-2")
    assert [each.status for each in (first, again, other)] == [201, 200, 200]
    assert again.ok["account_id"] == other.ok["account_id"] == first.ok["account_id"]


async def test_a_block_that_is_repeated_late_does_not_undo_what_followed(api: Stage) -> None:
    assert (await api.post("/accounts/kim/block", once="block-1")).ok["state"] == "blocked"
    assert (await api.post("/accounts/kim/unblock", once="block-2")).ok["state"] == "active"
    again = (await api.post("/accounts/kim/block", once="block-1")).ok
    assert (again["state"], again["replayed"]) == ("active", True)
    assert (await api.post("/accounts/nobody/block")).code == "not_found"


@pytest.mark.parametrize("user", ["a/b", "a b", "100%", "?x=1#y", "이름", "..", "a;b", "a%2Fb", "'; DROP TABLE x; --"])
async def test_a_user_is_named_as_the_app_names_them(api: Stage, user: str) -> None:
    path = f"/accounts/{quote(user, safe='').replace('.', '%2E')}"
    assert (await api.post("/accounts", {"user": user})).ok["user"] == user
    assert (await api.post(f"{path}/grants", {"amount": 7})).ok["user"] == user
    assert (await api.get(path)).ok["user"] == user
    assert (await api.get(f"/calls?user={quote(user, safe='')}")).ok["user"] == user


async def test_a_list_of_accounts_is_paged_to_its_end(api: Stage) -> None:
    users = {f"user-{number:04}" for number in range(1_001)}
    for user in users:
        await api.ledger.accounts.create(user)
    found: list[str] = []
    cursor, pages = "", 0
    while True:
        shown = (await api.get(f"/accounts?limit=100{cursor}")).ok
        assert len(shown["accounts"]) <= 100
        found += [each["user"] for each in shown["accounts"]]
        pages += 1
        if shown["next"] is None:
            break
        cursor = f"&cursor={shown['next']}"
    assert len(found) == len(set(found)) == 1_003
    assert set(found) == users | {"kim", "이서연"}
    assert pages == 11
    assert (await api.get("/accounts?limit=1000")).ok["next"] is not None


async def test_a_page_may_end_with_the_longest_of_names(api: Stage) -> None:
    for face in "🙂🙃":
        await api.ledger.accounts.create(face * 200)
    first = (await api.get("/accounts?limit=3")).ok
    rest = (await api.get(f"/accounts?limit=3&cursor={first['next']}")).ok
    assert len({each["user"] for each in first["accounts"] + rest["accounts"]}) == 4


async def test_entries_are_paged_newest_first(api: Stage) -> None:
    for number in range(5):
        await api.post("/records", record(number))
    first = (await api.get("/accounts/kim/entries?limit=4")).ok
    rest = (await api.get(f"/accounts/kim/entries?limit=4&cursor={first['next']}")).ok
    entries = first["entries"] + rest["entries"]
    assert [each["seq"] for each in entries] == [6, 5, 4, 3, 2, 1]
    assert [each["kind"] for each in entries] == ["usage"] * 5 + ["grant"]
    assert entries[0]["balance_after"] == 1_000_000 - 5 * 450
    assert entries[-1]["key"] == "first-kim", "a grant is told by the order that it was made for"
    call = (await api.get("/calls?user=kim&limit=1")).ok["calls"][0]["id"]
    explained = (await api.get(f"/calls/{call}?user=kim")).ok
    assert explained["entry"] == entries[0], "a debit is told from the calls that it sums by their posting"
    assert entries[0]["posting"] - explained["posting"] in (1, 0)
    assert entries[0]["key"] is None
    assert rest["next"] is None


async def test_an_erasure_takes_a_key_as_every_write_does(api: Stage) -> None:
    await api.open("gone")
    without = await api.post("/accounts/gone/erase", once=None)
    assert (without.status, without.code) == (400, "invalid_input")
    await api.post("/accounts/gone/grants", {"amount": 5}, once="order-1")
    other = await api.post("/accounts/gone/erase", once="order-1")
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert (await api.get("/accounts/gone")).ok["user"] == "gone"
    first, again = [(await api.post("/accounts/gone/erase", once="erase-1")).ok for _ in range(2)]
    assert (first["replayed"], again) == (False, first | {"replayed": True})
    assert (await api.post("/accounts/gone/erase", once="erase-2")).ok["replayed"] is True
