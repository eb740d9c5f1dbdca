"""Tokens of views over the API: made for one user by whoever may, and good for nothing else here."""

from jangbu.domain.keys import Role
from jangbu.domain.ledger import account_id
from tests.api.rest.stage import Stage


async def test_an_apps_backend_makes_a_token_for_a_user(api: Stage) -> None:
    made = (await api.post("/accounts/kim/view-token", {"seconds": 60}, key=Role.VIEWS, once=None)).ok
    assert made["user"] == "kim"
    assert await api.ledger.view_tokens.account_of(made["token"]) == account_id(api.settings.project, "kim")
    unsaid = await api.post("/accounts/%EC%9D%B4%EC%84%9C%EC%97%B0/view-token", key=Role.VIEWS, once=None)
    assert (unsaid.status, unsaid.ok["user"]) == (201, "이서연")
    assert unsaid.headers["cache-control"] == "no-store"


async def test_each_request_makes_another_token(api: Stage) -> None:
    first = await api.post("/accounts/kim/view-token", once="one")
    again = await api.post("/accounts/kim/view-token", {"seconds": 7}, once="one")
    assert first.ok["token"] != again.ok["token"]


async def test_a_token_for_nobody_or_for_too_long_is_not_made(api: Stage) -> None:
    assert (await api.post("/accounts/lee/view-token", once=None)).code == "not_found"
    for seconds in (0, 3_601, 60.5, "60", None):
        assert (await api.post("/accounts/kim/view-token", {"seconds": seconds}, once=None)).code == "invalid_input"


async def test_all_tokens_are_ended_once_for_a_key(api: Stage) -> None:
    old = (await api.post("/accounts/kim/view-token", once=None)).ok["token"]
    assert (await api.post("/view-tokens/revoke", once="leak-1")).ok["replayed"] is False
    made = (await api.post("/accounts/kim/view-token", once=None)).ok["token"]
    assert (await api.post("/view-tokens/revoke", once="leak-1")).ok["replayed"] is True
    assert await api.ledger.view_tokens.account_of(made) == account_id(api.settings.project, "kim")
    assert (await api.post("/view-tokens/revoke", once=None)).code == "invalid_input"
    assert old != made


async def test_a_token_is_no_key(api: Stage) -> None:
    token = (await api.post("/accounts/kim/view-token", once=None)).ok["token"]
    for path in ("/accounts/kim", "/accounts/kim/balance", "/usage/totals", "/calls?user=kim", "/accounts"):
        assert (await api.get(path, key=token)).code == "unauthenticated"
    assert (await api.post("/accounts/kim/view-token", key=token, once=None)).code == "unauthenticated"


async def test_a_key_that_makes_tokens_does_nothing_else(api: Stage) -> None:
    for path in ("/accounts/kim", "/accounts/kim/balance", "/usage/totals", "/calls?user=kim", "/accounts", "/keys"):
        assert (await api.get(path, key=Role.VIEWS)).code == "not_permitted"
    assert (await api.post("/view-tokens/revoke", key=Role.VIEWS)).code == "not_permitted"
