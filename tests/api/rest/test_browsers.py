"""Pages in a browser: they read the API where the operator allows their origin, with a key, and change nothing."""

from collections.abc import Mapping

import pytest

from tests.api.rest.stage import Stage, record, stage

SHOP = "https://shop.example"


async def preflight(
    api: Stage, method: str, *, origin: str = SHOP, path: str = "/api/v1/accounts/kim"
) -> tuple[int, Mapping[str, str]]:
    """Ask as a browser does before it sends a key: without any."""
    asks = {"access-control-request-method": method, "access-control-request-headers": "authorization,if-none-match"}
    async with api.http.options(f"{api.url}/api/v1/accounts/kim", headers={"origin": origin, **asks}) as answered:
        await answered.read()
        return answered.status, answered.headers


async def test_a_page_of_an_allowed_origin_may_read_with_a_key(database_url: str) -> None:
    async with stage(database_url, allowed_origins=f"{SHOP}, http://localhost:5173") as api:
        status, headers = await preflight(api, "GET")
        assert (status, headers["access-control-allow-origin"]) == (200, SHOP)
        assert headers["access-control-allow-methods"] == "GET"
        assert "authorization" in headers["access-control-allow-headers"].lower()
        found = await api.get("/accounts/kim", key="kim", origin=SHOP)
        assert (found.ok["user"], found.headers["access-control-allow-origin"]) == ("kim", SHOP)
        assert {"etag", "retry-after", "x-request-id"} <= set(
            found.headers["access-control-expose-headers"].lower().replace(",", " ").split()
        )
        assert {each.strip().lower() for each in found.headers["vary"].split(",")} == {"authorization", "origin"}
        same = await api.get("/accounts/kim", key="kim", origin=SHOP, **{"if-none-match": found.headers["etag"]})
        assert (same.status, same.headers["access-control-allow-origin"]) == (304, SHOP)
        refused = await api.get("/accounts", key="kim", origin=SHOP)
        assert (refused.code, refused.headers["access-control-allow-origin"]) == ("not_permitted", SHOP)
        content, headers = await api.file("/exports/calls", key="kim")
        assert content.startswith(b"user,")
        assert "access-control-allow-origin" not in headers, "nobody asked from a page"


@pytest.mark.parametrize("origins", [SHOP, "*"])
async def test_no_cookies_are_taken_and_no_page_writes(database_url: str, origins: str) -> None:
    async with stage(database_url, allowed_origins=origins) as api:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            status, headers = await preflight(api, method)
            assert status == 400
            assert method not in headers.get("access-control-allow-methods", "")
        _, headers = await preflight(api, "GET")
        found = await api.get("/accounts/kim", origin=SHOP, cookie="session=mine")
        assert "access-control-allow-credentials" not in {*headers, *found.headers}
        assert (await api.get("/accounts/kim", key=None, origin=SHOP, cookie="session=mine")).code == "unauthenticated"
        assert (await api.post("/records", record(), once=None)).code == "invalid_input"


async def test_a_page_of_another_origin_may_not_and_none_reads_what_is_no_api(database_url: str) -> None:
    async with stage(database_url, allowed_origins=SHOP) as api:
        status, headers = await preflight(api, "GET", origin="https://evil.example")
        assert status == 400
        assert "access-control-allow-origin" not in headers
        found = await api.get("/accounts/kim", origin="https://evil.example")
        assert "access-control-allow-origin" not in found.headers
        for path in ("/metrics", "/healthz", "/openapi.json"):
            async with api.http.get(f"{api.url}{path}", headers={"origin": SHOP}) as answered:
                assert "access-control-allow-origin" not in answered.headers, path


async def test_none_may_at_first(api: Stage) -> None:
    status, headers = await preflight(api, "GET")
    assert status == 405
    assert not [name for name in headers if name.lower().startswith("access-control-")]
    found = await api.get("/accounts/kim", origin=SHOP)
    assert not [name for name in found.headers if name.lower().startswith("access-control-")]
