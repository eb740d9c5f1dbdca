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
    until = datetime.now(UTC) + timedelta(seconds=2)
    order = {"name": "short", "scopes": ["api:viewer"], "expires_at": until.isoformat()}
    made = (await api.post("/keys", order, once="short")).ok
    await asyncio.sleep(2.5)
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
