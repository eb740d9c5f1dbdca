"""The API as `jangbu serve` serves it: what it shows is what the command shows, name by name."""

import json
from collections.abc import Callable
from typing import Any
from urllib.request import Request

from tests.cli.conftest import Jangbu
from tests.cli.service import Service, serving


def asked(service: Service, path: str, key: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    sent = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
    data = None if body is None else json.dumps(body).encode()
    status, content, _ = service.ask(Request(f"{service.facts['url']}/api/v1{path}", data=data, headers=sent))
    found = json.loads(content)
    assert found.pop("schema_version") == 1
    return status, found


def test_the_api_shows_what_the_command_shows(jangbu: Jangbu, answer: Callable[..., str]) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "1000", "--key", "first", "--expires", "2099-01-31")
    call = jangbu.json("record", "kim", "--service", "comics", "--response", answer())["id"]
    made = jangbu.json("keys", "create", "--app", "shop", "--role", "owner", "--role", "viewer")
    assert made["scopes"] == ["api:owner", "api:viewer"]
    with serving(jangbu) as service:
        for path, words in (
            ("/accounts/kim", ("accounts", "show", "kim")),
            ("/accounts", ("accounts", "list")),
            ("/accounts/kim/balance", ("balance", "kim")),
            ("/accounts/kim/entries", ("ledger", "kim")),
            ("/usage/totals?user=kim", ("usage", "totals", "kim")),
            ("/usage/daily", ("usage", "daily", "--all")),
            ("/cost?by=service", ("cost", "--all", "--by", "service")),
            ("/calls?user=kim", ("usage", "calls", "kim")),
            (f"/calls/{call}", ("explain", call)),
            ("/holds", ("holds", "list")),
            ("/prices?model=gemini-2.5-flash", ("prices", "list", "--model", "gemini-2.5-flash")),
            ("/prices/versions", ("prices", "versions")),
            ("/alerts", ("alerts", "list")),
        ):
            status, found = asked(service, path, made["key"])
            # Rows of a price book are kept with their dates in another spelling of the same time.
            shown = json.loads(jangbu.ok(*words, "--json").out.replace("+00:00", "Z"))
            assert status == 200
            assert {name: found[name] for name in shown} == shown, path
            assert set(found) - set(shown) <= {"next"}, path


def test_every_worker_serves_the_api_and_nothing_is_told_of_who_asked(jangbu: Jangbu) -> None:
    key = jangbu.json("keys", "create", "--app", "shop", "--role", "finance")["key"]
    with serving(jangbu, "--workers", "2", "--log-format", "json") as service:
        for number in range(6):
            status, found = asked(service, "/accounts", key, {"user": "kim"}, **{"idempotency-key": f"open-{number}"})
            assert (status, found["is_new"]) == (201 if number == 0 else 200, number == 0)
        assert asked(service, "/records", key, {"user": "kim"}, **{"idempotency-key": "r"})[0] == 403
        assert service.metric("jangbu_calls_total", "/metrics") >= 7
        _, text, _ = service.get("/metrics")
        assert b'verb="api.accounts.create"' in text
        log = service.log.read_text()
        assert '"api.accounts.create"' in log
        assert "kim" not in log
        assert key not in log


def test_a_role_that_there_is_not_is_refused(jangbu: Jangbu) -> None:
    refused = jangbu("keys", "create", "--app", "shop", "--role", "king")
    assert refused.code == 2
    assert "one of owner, finance, developer, viewer, analytics" in refused.error_line
    jangbu.ok("accounts", "create", "kim")
    assert jangbu("keys", "create", "--user", "kim", "--role", "owner").code == 2
