"""The figures as JSON: those of the rows themselves, of one user alone, for whoever shows that user's token."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from jangbu.domain.ledger import account_id
from jangbu.metering.view_tokens import ViewTokens
from tests.dashboard.view.stand import BROKE, BUSY, LOW, NAUGHTY, NEW, OTHER, TOP_UP, Stand, money_words

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUMS = ("calls", "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens")


async def rows_of(stand: Stand, user: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(stand.site.database_url)
    try:
        return list(
            await connection.fetch(
                "SELECT user_id, service_type, model_name, total_tokens, created_at FROM jangbu.token_usage"
                " WHERE user_id = $1 ORDER BY created_at DESC",
                user,
            )
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York", "Pacific/Chatham", "UTC"])
async def test_the_figures_are_those_of_the_rows(stand: Stand, zone: str) -> None:
    found = stand.view(await stand.token(BUSY), f"?zone={zone}").json
    rows, clock = await rows_of(stand, BUSY), ZoneInfo(zone)
    today = datetime.fromisoformat(found["as_of"]).astimezone(clock).date()
    days = [today - timedelta(29 - ahead) for ahead in range(30)]
    by_day: Counter[str] = Counter()
    for row in rows:
        by_day[row["created_at"].astimezone(clock).date().isoformat()] += row["total_tokens"]
    assert [(each["day"], each["total_tokens"]) for each in found["days"]] == [
        (day.isoformat(), by_day[day.isoformat()]) for day in days
    ]
    assert [each["is_over"] for each in found["days"]] == [True] * 29 + [False]
    used = [row for row in rows if row["created_at"].astimezone(clock).date() >= days[0]]
    for part, column in (("service", "service_type"), ("model", "model_name")):
        tokens: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        for row in used:
            tokens[row[column]] += row["total_tokens"]
            calls[row[column]] += 1
        lines = found[f"{part}s"]
        assert {each[part]: (each["calls"], each["total_tokens"]) for each in lines} == {
            name: (calls[name], tokens[name]) for name in tokens
        }
        assert [each["total_tokens"] for each in lines] == sorted(tokens.values(), reverse=True)
        assert {name: sum(each[name] for each in lines) for name in SUMS} == found["used"]
    assert {name: sum(each[name] for each in found["days"]) for name in SUMS} == found["used"]
    assert [each["total_tokens"] for each in found["calls"]] == [row["total_tokens"] for row in rows[:10]]
    assert (found["zone"], found["first_day"], found["last_day"]) == (zone, days[0].isoformat(), today.isoformat())


async def test_a_day_has_as_many_hours_as_it_has_there(stand: Stand) -> None:
    days = stand.view(await stand.token(BUSY), "?zone=Asia/Seoul").json["days"]
    for before, after in pairwise(days):
        assert before["end"] == after["start"]
    assert datetime.fromisoformat(days[0]["start"]) == datetime.fromisoformat(days[0]["day"]).replace(
        tzinfo=ZoneInfo("Asia/Seoul")
    )


async def test_the_balance_and_how_it_stands_are_told(stand: Stand) -> None:
    for user, standing in ((BUSY, "ok"), (LOW, "low"), (BROKE, "empty"), (NEW, "ok")):
        found = stand.view(await stand.token(user)).json
        balance = await stand.ledger.accounts.balance(user)
        assert found["balance"] == {
            "balance": balance.granted,
            "used_tokens": balance.used,
            "held_tokens": balance.held,
            "available": balance.available,
        }
        assert (found["standing"], found["is_low"]) == (standing, standing != "ok")
        assert (found["schema_version"], found["user"], found["state"], found["top_up_url"]) == (
            1,
            user,
            "active",
            TOP_UP,
        )


async def test_who_used_nothing_has_days_without_anything(stand: Stand) -> None:
    found = stand.view(await stand.token(NEW)).json
    assert (found["used"], found["services"], found["models"], found["calls"]) == (dict.fromkeys(SUMS, 0), [], [], [])
    assert [each["total_tokens"] for each in found["days"]] == [0] * 30


async def test_a_call_is_there_as_soon_as_it_is_recorded(stand: Stand) -> None:
    token = await stand.token(OTHER)
    before = stand.view(token).json
    await stand.record(OTHER, 77)
    after = stand.view(token).json
    assert after["balance"]["available"] == before["balance"]["available"] - 77
    assert after["used"]["calls"] == before["used"]["calls"] + 1
    assert after["calls"][0]["total_tokens"] == 77


async def test_nobody_is_told_what_calls_cost(stand: Stand) -> None:
    assert money_words(stand.view(await stand.token(BUSY)).text) == []
    assert money_words(stand.ask(f"/dashboard/view?token={await stand.token(BUSY)}").text) == []


async def test_a_token_shows_its_own_user_whatever_else_is_asked(stand: Stand) -> None:
    token = await stand.token(BUSY)
    for query in (f"?user={OTHER}", f"?account={account_id('default', OTHER)}", f"?sub={OTHER}", f"?token={OTHER}"):
        found = stand.view(token, query, **{"x-jangbu-user": OTHER})
        assert found.json["user"] == BUSY
    assert OTHER not in stand.view(token).text
    assert stand.view(await stand.token(NAUGHTY)).json["user"] == NAUGHTY


async def test_what_is_no_token_of_a_view_opens_none(stand: Stand) -> None:
    _, app_key = await stand.ledger.keys.create_for_app("owner", scopes=["api:owner"])
    _, user_key = await stand.ledger.keys.create_for_user(BUSY, name="own")
    elsewhere = ViewTokens(stand.ledger.database, stand.ledger.clock, project="elsewhere")
    await stand.ledger.database.value("account_create", account_id("elsewhere", BUSY), "elsewhere", BUSY)
    foreign = (await elsewhere.make(BUSY)).text
    head, body, signature = (await stand.token(BUSY)).split(".")
    _, other_body, _ = (await stand.token(OTHER)).split(".")
    for token in (app_key, user_key, foreign, f"{head}.{other_body}.{signature}", f"{head}.{body}.", "", "x" * 5_000):
        refused = stand.view(token)
        assert (refused.status, refused.json["code"]) == (401, "unauthenticated"), token
        assert BUSY not in refused.text
    assert stand.view(None).json["detail"] == "no token was given"
    assert stand.view(foreign).json["detail"] == "this view's token is not accepted"
    assert stand.view(None, f"?token={await stand.token(BUSY)}").status == 401, "the figures take it in the head alone"


async def test_a_token_that_has_expired_is_told_so(stand: Stand) -> None:
    token = await stand.token(BUSY, 1)
    await asyncio.sleep(1.2)
    refused = stand.view(token)
    assert (refused.status, refused.json["code"]) == (401, "token_expired")
    assert refused.json["detail"] == "this view's token has expired"
    assert "have the app make another one" in refused.json["hint"]


async def test_a_token_of_a_view_opens_nothing_else(stand: Stand) -> None:
    token = await stand.token(BUSY)
    shown = {"authorization": f"Bearer {token}", "x-goog-api-key": token, "cookie": f"__Host-jangbu={token}"}
    for path in (f"/api/v1/accounts/{BUSY}", "/api/v1/usage/totals", f"/v1beta/models?key={token}"):
        assert stand.ask(path, **shown).status == 401, path
    for path in ("/dashboard/", f"/dashboard/user?user={BUSY}"):
        assert "sign-in" in stand.ask(path, **shown).text, path


async def test_pages_of_allowed_origins_may_ask_and_no_others(stand: Stand) -> None:
    token = await stand.token(BUSY)
    for origin in ("https://shop.example", stand.host.url):
        answer = stand.view(token, origin=origin)
        assert answer.headers["access-control-allow-origin"] == origin
        refused = stand.view("nonsense", origin=origin)
        assert refused.headers["access-control-allow-origin"] == origin, "the page may read why"
        asked = stand.view(None, method="OPTIONS", origin=origin, **{"access-control-request-headers": "authorization"})
        assert (asked.status, asked.headers["access-control-allow-headers"]) == (204, "authorization")
    for origin in ("https://shop.example.evil", "null", "http://shop.example", stand.stranger.url, ""):
        for method in ("GET", "OPTIONS"):
            answer = stand.view(token, method=method, origin=origin)
            assert "access-control-allow-origin" not in answer.headers
    for answer in (stand.view(token), stand.view(token, origin=stand.host.url)):
        assert "access-control-allow-credentials" not in answer.headers
        assert (answer.headers["vary"], answer.headers["cache-control"]) == ("origin", "no-store")
        assert "set-cookie" not in answer.headers
    assert stand.view(token, method="POST").status == 405


async def test_a_zone_that_there_is_not_is_refused(stand: Stand) -> None:
    for zone in ("Nowhere", "../etc/passwd", "%00", "asia/seoul", "A" * 500):
        assert stand.view(await stand.token(BUSY), f"?zone={zone}").json["code"] == "invalid_input"
    assert stand.view(await stand.token(BUSY), "?zone=").json["zone"] == "UTC"


async def test_a_blocked_user_still_sees_what_is_theirs(stand: Stand) -> None:
    token = await stand.token(NEW)
    await stand.ledger.accounts.block(NEW)
    assert stand.view(token).json["state"] == "blocked"
    await stand.ledger.accounts.block(NEW, False)
    assert stand.view(token).json["state"] == "active"


async def test_as_of_is_when_it_was_read(stand: Stand) -> None:
    before = await stand.ledger.database.now()
    found = datetime.fromisoformat(stand.view(await stand.token(BUSY)).json["as_of"])
    assert before <= found <= await stand.ledger.database.now()
    assert found.tzinfo == UTC
