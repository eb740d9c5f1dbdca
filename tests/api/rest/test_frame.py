"""What happens around every route: malformed requests are refused as problems and change nothing."""

import json
from typing import Any

import pytest

from jangbu.domain.keys import Role
from tests.api.rest.stage import Stage, record, stage

GRANT = "/accounts/kim/grants"


async def granted(api: Stage) -> int:
    return (await api.ledger.accounts.balance("kim")).granted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b"{",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1e999}',
        b'{"amount": 5, "amount": 6}',
        b'{"amount": 5.0}',
        b'{"amount": 5.5}',
        b'{"amount": "5"}',
        b'{"amount": true}',
        b'{"amount": null}',
        b'{"amount": 0}',
        b'{"amount": -5}',
        b'{"amount": 4611686018427387905}',
        b'{"amount": ' + b"9" * 5_000 + b"}",
        b'{"amount": 5, "more": 1}',
        b'{"amount": 5, "key": "mine"}',
        b'{"amount": 5, "priority": 2147483648}',
        b'{"amount": 5, "priority": 1.5}',
        b'{"amount": 5, "expires_at": 4102444800}',
        b'{"amount": 5, "expires_at": "4102444800"}',
        b'{"amount": 5, "expires_at": "2099-01-01"}',
        b'{"amount": 5, "expires_at": "2099-01-01T00:00:00"}',
        b'{"amount": 5, "expires_at": "2001-01-01T00:00:00Z"}',
        b'{"amount": 5, "source": ""}',
        b'{"amount": 5, "source": "\\ud800"}',
        b'{"amount": 5, "source": "' + b"x" * 201 + b'"}',
        b'{"amount": 5, "source": "\xff"}',
        b'{"amount": ' + b"[" * 200 + b"]" * 200 + b"}",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_a_malformed_body_is_refused(api: Stage, body: bytes) -> None:
    before = await granted(api)
    refused = await api.post(GRANT, body)
    assert (refused.status, refused.code) == (400, "invalid_input")
    assert await granted(api) == before


async def test_a_time_is_one_moment_in_whichever_zone_it_is_written(api: Stage) -> None:
    first = await api.post(GRANT, {"amount": 5, "expires_at": "2099-01-01T09:00:00+09:00"}, once="zone")
    assert (first.status, first.ok["expires_at"]) == (201, "2099-01-01T00:00:00Z")
    assert (await api.post(GRANT, {"amount": 5, "expires_at": "2099-01-01T00:00:00Z"}, once="zone")).ok["replayed"]
    refused = await api.post(GRANT, {"amount": 5, "expires_at": "9999-12-31T23:59:59-23:59"})
    assert (refused.status, [each["where"] for each in refused.body["errors"]]) == (400, ["body.expires_at"])


@pytest.mark.parametrize(("method", "path"), [("GET", "/accounts/kim"), ("POST", "/accounts/kim/block")])
async def test_nothing_is_kept_for_anybody_else(api: Stage, method: str, path: str) -> None:
    found = await api.ask(method, path)
    if method == "POST":
        assert found.headers["cache-control"] == "no-store"
    else:
        assert (found.headers["cache-control"], found.headers["vary"]) == ("private, no-cache", "authorization")


async def test_a_refusal_is_short_however_long_what_was_sent(api: Stage) -> None:
    refused = await api.post(GRANT, {"amount": 5, "x" * 60_000: 1})
    assert refused.code == "invalid_input"
    assert len(json.dumps(refused.body)) < 2_000


async def test_a_nul_in_a_text_is_refused(api: Stage) -> None:
    refused = await api.post(GRANT, b'{"amount": 5, "source": "a\\u0000b"}')
    assert refused.status == 400, refused.body


async def test_what_is_wrong_is_told_field_by_field(api: Stage) -> None:
    refused = await api.post(GRANT, {"amount": "secret-5", "more": 1})
    assert refused.code == "invalid_input"
    assert {each["where"] for each in refused.body["errors"]} == {"body.amount", "body.more"}
    assert "secret-5" not in json.dumps(refused.body)


@pytest.mark.parametrize("size", [70_000, 1_000_000])
async def test_a_huge_body_is_refused(api: Stage, size: int) -> None:
    refused = await api.post(GRANT, json.dumps({"amount": 5, "source": "x" * size}).encode())
    assert (refused.status, refused.code) == (413, "too_large")


async def test_a_record_may_be_as_large_as_the_settings_say(database_url: str) -> None:
    async with stage(database_url, body_bytes_max=100_000) as api:
        assert (await api.post("/records", record(1, answer={**record()["answer"], "x": "y" * 90_000}))).status == 201
        assert (await api.post("/records", record(2, answer="x" * 100_001))).code == "too_large"


@pytest.mark.parametrize(
    ("headers", "once"),
    [({}, None), ({}, "a b"), ({}, "x" * 191), ({}, "é")],
)
async def test_a_write_needs_an_idempotency_key(api: Stage, headers: dict[str, str], once: str | None) -> None:
    refused = await api.post(GRANT, {"amount": 5}, once=once, **headers)
    assert (refused.status, refused.code) == (400, "invalid_input")
    assert "idempotency key" in refused.body["detail"]
    assert await granted(api) == 1_000_000


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-encoding": "gzip"},
    ],
)
async def test_a_body_that_is_no_plain_json_is_refused(api: Stage, headers: dict[str, str]) -> None:
    assert (await api.post(GRANT, {"amount": 5}, **headers)).code == "invalid_input"


@pytest.mark.parametrize(
    "path",
    [
        "/accounts?limit=0",
        "/accounts?limit=1001",
        "/accounts?limit=1.5",
        "/accounts?limit=x",
        "/accounts?limit=1&limit=2",
        "/accounts?page=2",
        "/accounts?user=kim",
        "/usage/daily?days=367",
        "/usage/daily?zeros=perhaps",
        "/usage/daily?until=0001-01-01",
        "/usage/totals?tokens=5",
        "/cost?by=moon",
        "/holds?state=lost",
        "/calls/none",
        "/prices?version=0",
        "/accounts/%FF",
        "/accounts/" + "x" * 201,
        "/accounts/a%00b",
        "/accounts/%0A",
        "/accounts/%0A/balance",
    ],
)
async def test_a_malformed_query_is_refused(api: Stage, path: str) -> None:
    assert (await api.get(path)).code == "invalid_input"


@pytest.mark.parametrize(
    "path", ["", "/", "/accounts/", "/accounts/kim/", "/nothing", "/accounts/kim/balance/x", "//accounts"]
)
async def test_what_is_not_there_is_a_problem_too(api: Stage, path: str) -> None:
    found = await api.get(path)
    assert (found.status, found.code) == (404, "not_offered")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(api: Stage, method: str) -> None:
    found = await api.ask(method, "/accounts/kim")
    assert (found.status, found.code) == (405, "not_offered")
    assert found.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/accounts", "GET, POST"),
        ("/accounts/a%2Fb/grants", "GET, POST"),
        ("/accounts/kim/block", "POST"),
        ("/usage/daily", "GET"),
    ],
)
async def test_a_refused_method_is_told_which_there_are(api: Stage, path: str, allowed: str) -> None:
    found = await api.ask("DELETE", path, key=None)
    assert (found.status, found.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("body", [b'{"blocked": false}', b"[]", b"x"])
async def test_nothing_is_sent_where_nothing_is_read(api: Stage, body: bytes) -> None:
    assert (await api.post("/accounts/kim/block", body)).code == "invalid_input"
    assert (await api.get("/accounts/kim")).ok["state"] == "active"


async def test_a_key_is_shown_once_and_as_bearer(api: Stage) -> None:
    secret = api.secrets[Role.OWNER]
    assert (await api.get("/accounts", key=None, authorization=f"Basic {secret}")).code == "unauthenticated"
    assert (await api.get("/accounts", key=None, **{"x-goog-api-key": secret})).code == "unauthenticated"
    assert (await api.get(f"/accounts?key={secret}", key=None)).code == "unauthenticated"
    assert (await api.get("/accounts", key=None, authorization=f"bearer {secret}")).status == 200


async def test_a_ledger_that_is_away_is_a_problem_without_its_address(api: Stage) -> None:
    await api.get("/accounts")
    await api.ledger.database.close()
    found = await api.get("/accounts")
    assert (found.status, found.code) == (503, "database_unreachable")
    assert "hint" not in found.body
    assert found.headers["retry-after"] == "5"


async def test_a_request_that_fails_of_itself_says_nothing_of_how(api: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_given: Any, **_named: Any) -> Any:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(type(api.ledger.accounts), "page", broken)
    found = await api.get("/accounts")
    assert (found.status, found.code) == (500, "failure")
    assert "secret" not in json.dumps(found.body)


async def test_a_parameter_that_a_path_does_not_have_is_refused_with_those_that_it_has(api: Stage) -> None:
    for path, hint in (("/keys?colour=red", "one of "), ("/accounts?limit=1&limit=2", "one value")):
        refused = await api.get(path)
        assert refused.code == "invalid_input"
        assert hint in refused.body["hint"]
    none = await api.post("/accounts/kim/view-token?seconds=60", {})
    assert none.code == "invalid_input"
    assert "takes none" in none.body["hint"]
