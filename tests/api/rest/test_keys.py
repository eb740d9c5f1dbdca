"""Keys over HTTP: made once, shown once, and never for more than their maker may do."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jangbu.domain.keys import Role, is_wellformed
from tests.api.rest.stage import Stage


async def test_a_key_is_made_once_and_its_secret_shown_once(api: Stage) -> None:
    order = {"name": "reports", "scopes": ["api:analytics"], "requests_per_minute": 600}
    made = await api.post("/keys", order, once="key-1")
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    assert is_wellformed(made.ok["key"])
    assert (made.ok["scopes"], made.ok["requests_per_minute"]) == (["api:analytics"], 600)
    assert (await api.get("/usage/totals", key=made.ok["key"])).status == 200
    again = await api.post("/keys", order, once="key-1")
    assert (again.status, again.ok["id"], again.ok["key"], again.ok["replayed"]) == (200, made.ok["id"], None, True)
    assert (await api.post("/keys", {**order, "name": "other"}, once="key-1")).code == "idempotency_conflict"
    assert len([each for each in (await api.get("/keys")).ok["keys"] if each["name"] == "reports"]) == 1
    shown = (await api.get(f"/keys/{made.ok['id']}")).ok
    assert "key" not in shown
    assert shown["hint"] == made.ok["key"][:8]


async def test_a_key_that_has_expired_is_not_asked_for_anew(api: Stage) -> None:
    until = datetime.now(UTC) + timedelta(seconds=5)
    order = {"name": "short", "scopes": ["api:viewer"], "expires_at": until.isoformat()}
    made = (await api.post("/keys", order, once="short")).ok
    await asyncio.sleep(5.5)
    again = await api.post("/keys", order, once="short")
    assert (again.status, again.ok["id"], again.ok["state"]) == (200, made["id"], "expired")
    assert (await api.post("/keys", order, once="other")).code == "invalid_input"


async def test_a_users_key_is_made_only_for_a_user(api: Stage) -> None:
    made = await api.post("/keys", {"user": "kim"})
    assert (made.ok["kind"], made.ok["user"], made.ok["name"], made.ok["scopes"]) == ("user", "kim", "kim", None)
    assert (await api.get("/accounts/kim", key=made.ok["key"])).status == 200
    assert (await api.post("/keys", {"user": "nobody"})).code == "not_found"
    assert (await api.post("/keys", {"user": "kim", "scopes": ["api:owner"]})).code == "invalid_input"
    assert (await api.post("/keys", {"scopes": ["api:viewer"]})).code == "invalid_input"
    assert (await api.post("/keys", {"name": "x", "scopes": ["root"]})).code == "invalid_input"


@pytest.mark.parametrize(
    ("more", "may"),
    [
        ({"scopes": ["api:analytics"]}, True),
        ({"scopes": ["api:viewer", "generate"]}, True),
        ({"scopes": ["api:developer"]}, True),
        ({"user": "kim", "scopes": ["account"]}, True),
        ({"scopes": ["api:owner"]}, False),
        ({"scopes": ["api:finance"]}, False),
        ({"scopes": ["embed"]}, False),
        ({}, False),
        ({"user": "kim"}, False),
        ({"scopes": ["generate"], "models": ["gemini-2.5-flash"]}, True),
        ({"scopes": ["generate"], "models": ["gemini-2.5-f*"]}, True),
        ({"scopes": ["generate"], "models": ["gemini-2*"]}, False),
        ({"scopes": ["generate"], "models": None}, False),
        ({"scopes": ["generate"], "requests_per_minute": 61}, False),
        ({"scopes": ["generate"], "requests_per_minute": None}, False),
        ({"scopes": ["generate"], "expires_at": None}, False),
        ({"scopes": ["generate"], "expires_at": "2099-01-01T00:00:00Z"}, False),
    ],
)
async def test_no_key_makes_one_that_may_do_more(api: Stage, more: dict[str, Any], may: bool) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    _, secret = await api.ledger.keys.create_for_app(
        "limited",
        scopes=[Role.DEVELOPER, "generate"],
        models=["gemini-2.5-*"],
        requests_per_minute=60,
        expires_at=until,
    )
    usual = {
        "models": ["gemini-2.5-pro"],
        "requests_per_minute": 60,
        "expires_at": (until - timedelta(hours=1)).isoformat(),
    }
    name = {} if "user" in more else {"name": "child"}
    found = await api.post("/keys", {**usual, **name, **more}, key=secret)
    assert found.status == 201 if may else found.code == "not_permitted", found.body


async def test_a_key_ends_no_key_that_has_more_rights(api: Stage) -> None:
    ids = {each["name"]: each["id"] for each in (await api.get("/keys")).ok["keys"]}
    for name in ("OWNER", "FINANCE", "gateway", "kim"):
        assert (await api.post(f"/keys/{ids[name]}/revoke", key=Role.DEVELOPER)).code == "not_permitted"
    ended = await api.post(f"/keys/{ids['VIEWER']}/revoke", key=Role.DEVELOPER, once="end-1")
    assert (ended.ok["state"], ended.ok["was_in_force"]) == ("revoked", True)
    again = await api.post(f"/keys/{ids['VIEWER']}/revoke", key=Role.DEVELOPER, once="end-1")
    assert again.ok["was_in_force"] is False
    assert (await api.post(f"/keys/{ids['DEVELOPER']}/revoke", key=Role.DEVELOPER)).ok["state"] == "revoked"


async def test_the_limits_of_a_key_hold_here_too(api: Stage) -> None:
    _, secret = await api.ledger.keys.create_for_app("slow", scopes=[Role.VIEWER], requests_per_minute=2)
    found = [await api.get("/accounts", key=secret) for _ in range(3)]
    if [each.status for each in found] == [200, 200, 200]:
        # A minute of the database's clock began in between.
        found = [await api.get("/accounts", key=secret) for _ in range(3)]
    assert found[-1].code == "limit_reached"
    assert 1 <= int(found[-1].headers["retry-after"]) <= 60


async def test_keys_are_paged_newest_first(api: Stage) -> None:
    whole = (await api.get("/keys")).ok
    first = (await api.get("/keys?limit=3")).ok
    rest = (await api.get(f"/keys?limit=1000&cursor={first['next']}")).ok
    assert [each["id"] for each in first["keys"] + rest["keys"]] == [each["id"] for each in whole["keys"]]
    assert [each["name"] for each in (await api.get("/keys?user=kim")).ok["keys"]] == ["kim"]
    assert (await api.get("/keys?user=nobody")).code == "not_found"


async def test_a_key_that_is_revoked_takes_those_with_it_that_it_made(api: Stage) -> None:
    made = (await api.post("/keys", {"name": "backend", "scopes": ["api:developer"]})).ok
    assert made["made_by"] == str((await api.ledger.keys.authenticate(api.secrets[Role.OWNER])).id)
    child = (await api.post("/keys", {"name": "child", "scopes": ["api:developer"]}, key=made["key"])).ok
    grandchild = (await api.post("/keys", {"name": "grandchild", "scopes": ["api:viewer"]}, key=child["key"])).ok
    other = (await api.post("/keys", {"name": "other", "scopes": ["api:viewer"]})).ok
    assert (child["made_by"], grandchild["made_by"]) == (made["id"], child["id"])
    assert (await api.get("/accounts", key=grandchild["key"])).status == 200
    ended = (await api.post(f"/keys/{made['id']}/revoke", once="end")).ok
    assert (ended["was_in_force"], ended["ended_with_it"]) == (True, 2)
    assert (await api.post(f"/keys/{made['id']}/revoke", once="end")).ok["ended_with_it"] == 0
    for each in (child, grandchild):
        assert (await api.get(f"/keys/{each['id']}")).ok["state"] == "revoked"
    await asyncio.sleep(3.5)
    for each in (made, child, grandchild):
        assert (await api.get("/accounts", key=each["key"])).code == "unauthenticated"
    assert (await api.get("/accounts", key=other["key"])).status == 200


async def test_a_key_that_was_revoked_a_moment_ago_makes_none_that_outlives_it(api: Stage) -> None:
    made = (await api.post("/keys", {"name": "backend", "scopes": ["api:developer"]})).ok
    await api.get("/accounts", key=made["key"])
    orders = [api.post("/keys", {"name": f"child-{n}", "scopes": ["api:viewer"]}, key=made["key"]) for n in range(20)]
    ended, *answers = await asyncio.gather(api.post(f"/keys/{made['id']}/revoke"), *orders)
    assert ended.status == 200
    late = await api.post("/keys", {"name": "late", "scopes": ["api:viewer"]}, key=made["key"])
    assert late.code in ("not_permitted", "unauthenticated")
    assert {each.status for each in answers} <= {201, 403}
    states = {each["name"]: each["state"] for each in (await api.get("/keys?limit=1000")).ok["keys"]}
    assert {state for name, state in states.items() if name.startswith("child-")} <= {"revoked"}
    assert "late" not in states


async def test_a_key_gains_no_room_by_making_others(api: Stage) -> None:
    _, secret = await api.ledger.keys.create_for_app("limited", scopes=[Role.DEVELOPER], requests_per_minute=6)
    order = {"scopes": ["api:developer"], "requests_per_minute": 6}
    child = (await api.post("/keys", {**order, "name": "child"}, key=secret)).ok
    found = [await api.get("/accounts", key=child["key"]) for _ in range(6)]
    statuses = [each.status for each in found]
    if statuses == [200] * 6:
        # A minute of the database's clock began in between.
        found = [await api.get("/accounts", key=child["key"]) for _ in range(7)]
    assert found[-1].code == "limit_reached"
    assert (await api.get("/accounts", key=secret)).code == "limit_reached"


async def test_limited_keys_make_keys_only_so_deep(api: Stage) -> None:
    _, key = await api.ledger.keys.create_for_app("0", scopes=[Role.DEVELOPER], concurrent_calls=5)
    order = {"scopes": ["api:developer"], "concurrent_calls": 5}
    for depth in range(1, 4):
        key = (await api.post("/keys", {**order, "name": f"{depth}"}, key=key)).ok["key"]
    refused = await api.post("/keys", {**order, "name": "4"}, key=key)
    assert refused.code == "not_permitted"
    assert "so deep" in refused.body["detail"]
