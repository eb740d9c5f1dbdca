"""Who may do what: every route declares its roles, serves them, and nobody else."""

import json
import re
from uuid import UUID

import pytest
from fastapi.routing import APIRoute

from jangbu.api.rest.app import PREFIX, build
from jangbu.api.rest.declared import FIGURES, MONEY, OPERATIONS, OWNERS, READERS, USER, VIEWS, WRITERS, Declared
from jangbu.api.rest.frame import Route
from jangbu.api.rest.parts import ROUTES
from jangbu.domain.keys import Role
from tests.api.rest.stage import ROLES, Stage, answer, record

NOBODY = UUID(int=7)
DECLARED = [declared for routes in ROUTES for declared in routes]
SENT = {
    "accounts.create": {"user": "new"},
    "accounts.grant": {"amount": 5},
    "corrections.refund": {"call": str(NOBODY), "amount": 1, "reason": "r"},
    "corrections.void": {"call": str(NOBODY), "reason": "r"},
    "corrections.adjust": {"delta": 1, "reason": "r"},
    "money.grant": {"amount_nano": 5},
    "money.adjust": {"delta_nano": 1, "reason": "r"},
    "records.create": record(),
    "records.batch": {"records": [record()]},
    "holds.charge": {"answer": answer()},
    "holds.release": {"reason": "no answer came"},
    "prices.write": {"entries": [{"models": ["gemini-99"], "usd": {"input": "1"}, "source": "s"}]},
    "prices.write_own": {"model": "gemini-99", "meter": "input", "price_nano": 1, "source": "s"},
    "prices.remove_own": {"model": "gemini-99", "meter": "input"},
    "prices.write_markup": {"parts_per_million": 5},
    "prices.backfill": {},
    "verification.start": {"full": False},
    "keys.create": {"name": "new", "scopes": ["api:analytics"]},
    "findings.resolve": {"reason": "r"},
    "mutes.mute": {"condition": "unpriced", "minutes": 5, "reason": "r"},
    "webhooks.send_all_again": {},
}
QUERIES = {
    "calls.list_calls": "?user={user}",
    "calls.search_calls": "?name=order-1&user={user}",
    "exports.calls": "?user={user}",
    "exports.entries": "?user={user}",
    "exports.usage": "?user={user}&first=2026-01-01&last=2026-01-31",
}
MATRIX = {
    "accounts.create": WRITERS,
    "accounts.list_accounts": READERS,
    "accounts.show": READERS | USER,
    "accounts.block": WRITERS,
    "accounts.unblock": WRITERS,
    "accounts.erase": OWNERS,
    "accounts.balance": READERS | USER,
    "accounts.grant": MONEY,
    "accounts.list_grants": READERS | USER,
    "accounts.entries": READERS | USER,
    "corrections.refund": MONEY,
    "corrections.void": MONEY,
    "corrections.adjust": MONEY,
    "money.balance": READERS | USER,
    "money.grant": MONEY,
    "money.list_grants": READERS | USER,
    "money.adjust": MONEY,
    "money.entries": READERS | USER,
    "records.create": OPERATIONS,
    "records.batch": OPERATIONS,
    "reports.totals": FIGURES | USER,
    "reports.daily": FIGURES | USER,
    "reports.cost": FIGURES | USER,
    "reports.show_series": FIGURES | USER,
    "calls.list_calls": READERS | USER,
    "calls.search_calls": READERS | USER,
    "calls.explain": READERS | USER,
    "holds.list_holds": READERS,
    "holds.charge": OPERATIONS,
    "holds.release": OPERATIONS,
    "prices.list_prices": FIGURES,
    "prices.versions": FIGURES,
    "prices.write": MONEY,
    "prices.write_own": MONEY,
    "prices.remove_own": MONEY,
    "prices.write_markup": MONEY,
    "prices.backfill": MONEY,
    "webhooks.list_events": READERS,
    "webhooks.send_again": OPERATIONS,
    "webhooks.send_all_again": OPERATIONS,
    "keys.create": OPERATIONS,
    "keys.list_keys": OPERATIONS,
    "keys.show": OPERATIONS,
    "keys.revoke": OPERATIONS,
    "view_tokens.create": OPERATIONS | VIEWS,
    "view_tokens.revoke": OPERATIONS,
    "findings.list_findings": READERS,
    "findings.acknowledge": WRITERS,
    "findings.resolve": WRITERS,
    "alerts.list_alerts": READERS,
    "mutes.list_mutes": READERS,
    "mutes.mute": OPERATIONS,
    "mutes.end": OPERATIONS,
    "channels.list_channels": READERS,
    "channels.test": OPERATIONS,
    "exports.calls": READERS | USER,
    "exports.entries": READERS | USER,
    "exports.usage": FIGURES | USER,
    "verification.show": READERS,
    "verification.start": WRITERS,
    "verification.show_run": READERS,
}
"""Who may do what, written out once more: a change of a declaration has to be meant."""


def path_of(declared: Declared, user: str = "kim") -> str:
    if declared.name == "accounts.erase":
        user = "nobody"  # There is no way back, and kim is asked for after it.
    path = re.sub(r"\{(call|hold|key|run|event)\}", str(NOBODY), declared.path).replace("{user}", user)
    path = path.replace("{kind}", "late").replace("{condition}", "unpriced").replace("{channel}", "none")
    return path + QUERIES.get(declared.name, "").replace("{user}", user)


def test_every_route_declares_its_roles(api: Stage) -> None:
    found = build(api.settings, api.ledger).routes
    routes = [route for route in found if getattr(route, "path", None) != "/openapi.json"]
    assert {type(route) for route in routes} == {Route}
    for route in routes:
        assert isinstance(route, APIRoute)
        assert Route.declarations[route.endpoint].roles, route.path
        assert route.path.startswith(f"{PREFIX}/")
    assert len(routes) == len(DECLARED)


def test_the_roles_are_those_that_are_meant() -> None:
    assert {declared.name: declared.roles for declared in DECLARED} == MATRIX


async def test_each_role_is_served_what_it_may_do_and_nothing_else(api: Stage) -> None:
    for declared in DECLARED:
        for key in (*ROLES, "kim", "gateway"):
            role = Role.USER if key == "kim" else key
            found = await api.ask(declared.method, path_of(declared), SENT.get(declared.name), key=key)
            case = (declared.name, key, found.body)
            if role in declared.roles:
                assert found.status in (200, 201, 202, 404, 409), case
            else:
                assert (found.status, found.code) == (403, "not_permitted"), case


async def test_nobody_is_served_without_a_key(api: Stage) -> None:
    secret = api.secrets["kim"]
    for declared in DECLARED:
        for key in (None, "jba_nothing", secret[:-1] + ("y" if secret.endswith("x") else "x")):
            found = await api.ask(declared.method, path_of(declared), SENT.get(declared.name), key=key)
            assert (found.status, found.code) == (401, "unauthenticated"), declared.name
            assert found.headers["www-authenticate"] == "Bearer"


async def test_a_user_sees_nothing_of_others(api: Stage) -> None:
    made = (await api.post("/records", record(user="이서연"))).ok
    other = "%EC%9D%B4%EC%84%9C%EC%97%B0"
    for declared in DECLARED:
        if Role.USER not in declared.roles:
            continue
        path = path_of(declared, other).replace(str(NOBODY), made["id"])
        found = await api.ask(
            declared.method, path if "user=" in path or other in path else f"{path}?user={other}", key="kim"
        )
        assert (found.status, found.code) == (404, "not_found"), declared.name
    assert (await api.get(f"/calls/{made['id']}", key="kim")).code == "not_found"
    assert (await api.get(f"/calls/{made['id']}", key="이서연")).ok["user"] == "이서연"


async def test_a_user_who_is_not_named_means_themself(api: Stage) -> None:
    await api.post("/records", record(user="이서연"))
    for path in ("/exports/calls", "/exports/entries"):
        content, _ = await api.file(f"{path}?format=jsonl", key="kim")
        assert {json.loads(line)["user"] for line in content.splitlines()} <= {"kim"}, path
    for path in ("/usage/totals", "/usage/daily", "/usage/series", "/cost", "/calls"):
        assert (await api.get(path, key="이서연")).ok["user"] == "이서연"
    assert (await api.get("/usage/totals", key="이서연")).ok["total"]["total_tokens"] == 450
    assert (await api.get("/usage/totals", key="kim")).ok["total"]["total_tokens"] == 0


async def test_a_users_key_that_may_not_read_the_account_does_not(api: Stage) -> None:
    _, secret = await api.ledger.keys.create_for_user("kim", name="calls", scopes=["generate"])
    assert (await api.get("/accounts/kim", key=secret)).code == "not_permitted"
    _, secret = await api.ledger.keys.create_for_user("kim", name="reads", scopes=["account"])
    assert (await api.get("/accounts/kim", key=secret)).status == 200


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_opens_the_api_and_not_the_gateway(api: Stage, role: Role) -> None:
    key = await api.ledger.keys.authenticate(api.secrets[role])
    assert key.roles == {role}
    assert not key.allows_scope("generate")


async def test_another_projects_things_do_not_exist(api: Stage, database_url: str) -> None:
    from tests.api.rest.stage import stage

    odd = answer()
    odd["usageMetadata"]["totalTokenCount"] += 5
    made = (await api.post("/records", record(answer=odd))).ok
    assert [each["call"] for each in (await api.get("/findings")).ok["findings"]] == [made["id"]]
    keys = (await api.get("/keys")).ok["keys"]
    async with stage(database_url, project="other") as other:
        assert (await other.get("/accounts/kim", key=api.secrets[Role.OWNER])).code == "unauthenticated"
        assert (await other.get(f"/calls/{made['id']}")).code == "not_found"
        assert (await other.post(f"/holds/{made['id']}/release", {"reason": "mine"})).code == "not_found"
        assert (await other.get("/findings")).ok["findings"] == []
        looked = await other.post(f"/accounts/kim/findings/{made['id']}/anomaly/acknowledge")
        assert looked.code == "not_found"
        assert (await other.get(f"/keys/{keys[0]['id']}")).code == "not_found"
        assert (await other.post(f"/keys/{keys[0]['id']}/revoke")).code == "not_found"
        version = (await api.get("/prices")).ok["version"]
        assert (await other.get(f"/prices?version={version}")).code == "not_found"
        assert (await other.get("/usage/totals")).ok["total"]["calls"] == 0
        assert {each["user"] for each in (await other.get("/accounts")).ok["accounts"]} == {"kim", "이서연"}
        assert (await other.get("/accounts/kim")).ok["used_tokens"] == 0
