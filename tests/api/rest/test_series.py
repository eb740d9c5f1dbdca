"""Series of usage: every bucket of a period by any zone's clock, and by model, service, user and tag, to the token."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from jangbu.config import Settings
from jangbu.domain.ledger import erased_name
from jangbu.metering import tags, tops
from jangbu.metering.keyed import with_key
from jangbu.providers.gemini.parse import parse
from jangbu.storage import usage
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering
from tests.api.rest.stage import Stage, answer, stage

MOVED = datetime(2026, 11, 1, 6, tzinfo=UTC)
"""When clocks were put back in New York."""
PERIOD = "first=2026-10-30&last=2026-11-03"
RECORDS = """
    SELECT
        (jangbu.uuid7_time(u.id) AT TIME ZONE $1)::date AS day, m.name AS model, s.name AS service, a.user_id AS user,
        u.metadata #>> '{tags,feature}' AS tag, u.metadata ->> 'jangbu_key' AS key, u.total, u.cost_nano
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    JOIN jangbu.services AS s ON s.service_id = u.service_id
    WHERE (jangbu.uuid7_time(u.id) AT TIME ZONE $1)::date BETWEEN $2 AND $3
"""


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Stage]:
    """Give an API whose book has 120 calls around the hour that was there twice."""
    clock = SettableClock(MOVED)
    async with stage(database_url) as api:
        async with open_metering(Settings.load(database_url=database_url), clock=clock, delivers=False) as ledger:
            await usage.make_partitions(ledger.database, [datetime(2026, month, 1, tzinfo=UTC) for month in (10, 11)])
            keys = [(await ledger.keys.authenticate(api.secrets[key])).id for key in ("gateway", "kim", "이서연")]
            for number in range(120):
                clock.set(MOVED + timedelta(minutes=47 * (number - 60)))
                sent = answer(number, prompt=10 + number, model=("gemini-2.5-flash", "gemini-9-none")[number % 4 == 0])
                noted: Mapping[str, Any] = {"tags": {"feature": ("panel", "script")[number % 2]}} if number % 3 else {}
                if number % 4:
                    noted = with_key(noted, keys[number % 4 - 1])
                service, user = ("chat", "search")[number % 5 == 0], ("kim", "이서연")[number % 7 == 0]
                await ledger.record(user, service, parse(json.dumps(sent).encode()), metadata=noted)
        yield api


async def raw(api: Stage, zone: str, by: str) -> dict[str | None, dict[date, tuple[int, int]]]:
    """Give calls and tokens by a part and day, of the raw records."""
    assert api.settings.database_url is not None
    connection: asyncpg.Connection[Any] = await asyncpg.connect(api.settings.database_url.get_secret_value())
    try:
        rows = await connection.fetch(RECORDS, zone, date(2026, 10, 30), date(2026, 11, 3))
    finally:
        await connection.close()
    found: dict[str | None, dict[date, tuple[int, int]]] = {}
    for row in rows:
        part = found.setdefault(row[by], {})
        calls, tokens = part.get(row["day"], (0, 0))
        part[row["day"]] = calls + 1, tokens + row["total"]
    return found


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
@pytest.mark.parametrize("by", ["model", "service", "user", "tag", "key"])
async def test_a_series_is_what_the_records_say_by_day_and_part(shop: Stage, zone: str, by: str) -> None:
    tag = "&tag=feature" if by == "tag" else ""
    found = (await shop.get(f"/usage/series?{PERIOD}&zone={zone}&bucket=day&by={by}{tag}")).ok
    days = [datetime.fromisoformat(bucket["start"]).date() for bucket in found["buckets"]]
    assert days == [date(2026, 10, 30) + timedelta(days=number) for number in range(5)]
    meant = await raw(shop, zone, by)
    assert {line["name"] for line in found["lines"]} == set(meant)
    named = {str(key.id): key.name for key in await shop.ledger.keys.list()}
    for line in found["lines"]:
        assert line["key_name"] == (named.get(line["name"]) if by == "key" else None)
        counted = [meant[line["name"]].get(day, (0, 0)) for day in days]
        assert list(zip(line["calls"], line["total_tokens"], strict=True)) == counted
        assert line["total"]["calls"] == sum(calls for calls, _ in counted)
        assert line["total"]["total_tokens"] == sum(tokens for _, tokens in counted)
    for place, bucket in enumerate(found["buckets"]):
        assert bucket["total_tokens"] == sum(line["total_tokens"][place] for line in found["lines"])
        assert bucket["calls"] == sum(line["calls"][place] for line in found["lines"])
    assert found["total"]["total_tokens"] == sum(bucket["total_tokens"] for bucket in found["buckets"]) > 0
    assert found["is_whole"] is True


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
async def test_totals_days_and_costs_of_some_days_are_what_the_records_say(shop: Stage, zone: str) -> None:
    period = f"since=2026-10-30&until=2026-11-03&zone={zone}"
    meant = {by: await raw(shop, zone, by) for by in ("model", "service", "user")}
    sums = {by: {name: _summed(days) for name, days in parts.items()} for by, parts in meant.items()}
    whole = _summed(dict(enumerate(sums["model"].values())))
    totals = (await shop.get(f"/usage/totals?{period}")).ok
    assert _told(totals["total"]) == whole
    for by in ("model", "service"):
        for name, (calls, tokens) in sums[by].items():
            lines = [_told(line) for line in totals["totals"] if line[by] == name]
            assert (sum(each[0] for each in lines), sum(each[1] for each in lines)) == (calls, tokens)
        costs = (await shop.get(f"/cost?by={by}&{period}")).ok
        assert {line[by]: _told(line) for line in costs["costs"]} == sums[by]
    users = (await shop.get(f"/cost?by=user&{period}")).ok
    assert {line["user"]: _told(line) for line in users["costs"]} == sums["user"]
    assert (_told(users["total"]), users["costs"][0]["user"]) == (whole, "kim")
    kim = (await shop.get(f"/cost?by=user&user=kim&{period}")).ok
    assert (_told(kim["costs"][0]), _told(kim["total"])) == (sums["user"]["kim"], sums["user"]["kim"])
    daily = (await shop.get(f"/usage/daily?{period}&zeros=true")).ok
    assert daily["zone"] == zone
    assert [line["day"] for line in daily["days"]] == sorted((line["day"] for line in daily["days"]), reverse=True)
    assert len({line["day"] for line in daily["days"]}) == 5
    found = {(line["service"], date.fromisoformat(line["day"])): _told(line) for line in daily["days"]}
    assert {part: told for part, told in found.items() if part[0] is not None} == {
        (service, day): told for service, days in meant["service"].items() for day, told in days.items()
    }
    assert all(told == (0, 0) for part, told in found.items() if part[0] is None)
    five = (await shop.get(f"/usage/daily?days=5&until=2026-11-03&zone={zone}&zeros=true")).ok
    assert five == daily


def _summed(days: Mapping[Any, tuple[int, int]]) -> tuple[int, int]:
    return sum(calls for calls, _ in days.values()), sum(tokens for _, tokens in days.values())


def _told(line: dict[str, Any]) -> tuple[int, int]:
    return line["calls"], line["total_tokens"]


async def test_days_that_are_none_are_refused_and_one_bound_leaves_the_other_open(shop: Stage) -> None:
    for path in (
        "/usage/totals?since=2026-11-03&until=2026-10-30", "/usage/totals?zone=Mars", "/cost?since=2026-02-30",
        "/cost?days=7&since=2026-11-01", "/usage/daily?days=7&since=2026-11-01",
        "/usage/daily?since=2025-01-01&until=2026-11-03", "/usage/daily?zone=Asia/Seoul&until=0001-01-01",
    ):  # fmt: skip
        assert (await shop.get(path)).code == "invalid_input", path
    ever = (await shop.get("/usage/totals")).ok
    for path in ("since=2026-10-01", "until=2026-12-01", "zone=Asia/Seoul"):
        assert (await shop.get(f"/usage/totals?{path}")).ok == ever
    early = (await shop.get("/usage/totals?until=2026-10-31")).ok["total"]["calls"]
    late = (await shop.get("/usage/totals?since=2026-11-01&until=2026-12-01")).ok["total"]["calls"]
    assert (early + late, 0 < early < 120) == (120, True)


async def test_a_day_of_25_hours_has_25_buckets_of_which_two_bear_the_same_hour(shop: Stage) -> None:
    path = "/usage/series?first=2026-11-01&last=2026-11-01&bucket=hour&zone="
    moved, plain = [(await shop.get(path + zone)).ok["buckets"] for zone in ("America/New_York", "Asia/Seoul")]
    assert (len(moved), len(plain)) == (25, 24)
    assert [bucket["start"][11:] for bucket in moved[:3]] == ["00:00:00-04:00", "01:00:00-04:00", "01:00:00-05:00"]
    zone = ZoneInfo("America/New_York")
    assert datetime.fromisoformat(moved[-1]["end"]) == datetime(2026, 11, 2, tzinfo=zone)
    before = (await shop.get("/usage/series?first=2026-10-01&last=2026-10-03&by=model")).ok
    assert [bucket["calls"] for bucket in before["buckets"]] == [0] * 72, "a bucket without calls is there, too"
    assert before["total"]["cost_nano"] == 0


async def test_a_series_is_of_the_user_model_and_service_that_are_named(shop: Stage) -> None:
    whole = (await shop.get(f"/usage/series?{PERIOD}")).ok
    assert (whole["bucket"], whole["lines"], whole["rest"], whole["user"]) == ("hour", [], None, None)
    parts = [
        (await shop.get(f"/usage/series?{PERIOD}&user={quote(user)}&model={model}&service={service}")).ok["total"]
        for user in ("kim", "이서연")
        for model in ("gemini-2.5-flash", "gemini-9-none")
        for service in ("chat", "search")
    ]
    assert all(part["calls"] for part in parts)
    for name in ("calls", "prompt_tokens", "completion_tokens", "total_tokens", "unpriced"):
        assert sum(part[name] for part in parts) == whole["total"][name], name
    unpriced = (await shop.get(f"/usage/series?{PERIOD}&bucket=day&by=model&model=gemini-9-none")).ok
    assert unpriced["total"]["cost_nano"] is None
    assert unpriced["lines"][0]["cost_nano"] == [None if calls else 0 for calls in unpriced["lines"][0]["calls"]]


@pytest.mark.parametrize("by", ["model", "service", "user", "key", "tag&tag=feature"])
async def test_the_first_parts_are_listed_and_with_the_rest_they_are_the_total(shop: Stage, by: str) -> None:
    found = (await shop.get(f"/usage/series?{PERIOD}&bucket=day&by={by}&limit=1")).ok
    [line], rest = found["lines"], found["rest"]
    assert 0 < line["total"]["calls"] < found["total"]["calls"] == 120
    assert all(rest["total"][name] > 0 for name in ("calls", "prompt_tokens", "total_tokens", "unpriced"))
    for name, sum_ in found["total"].items():
        if name != "average_tokens":
            assert (line["total"][name] or 0) + (rest["total"][name] or 0) == sum_, name
    for place, bucket in enumerate(found["buckets"]):
        for name in ("calls", "total_tokens", "cost_nano"):
            assert (line[name][place] or 0) + (rest[name][place] or 0) == (bucket[name] or 0), name
    all_ = (await shop.get(f"/usage/series?{PERIOD}&bucket=day&by={by}")).ok
    assert len(all_["lines"]) > 1
    assert all_["rest"] is None, "where all are listed, nothing is left"


async def test_what_was_not_looked_at_is_in_the_rest(shop: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "SIZE", 20)
    monkeypatch.setattr("jangbu.api.rest.series.by_tag", partial(tags.by_tag, values_max=1))
    found = (await shop.get(f"/usage/series?{PERIOD}&bucket=day&by=tag&tag=feature")).ok
    assert found["is_whole"] is False
    looked_at = sum(line["total"]["calls"] for line in found["lines"])
    assert 0 < looked_at < 120
    assert looked_at + found["rest"]["total"]["calls"] == found["total"]["calls"] == 120


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("part", ["model=gemini-9-none", "service=search", "model=gemini-9-none&service=search"])
async def test_who_used_most_of_a_part_is_what_the_series_of_each_user_say(shop: Stage, zone: str, part: str) -> None:
    asked = f"/usage/series?{PERIOD}&zone={zone}&bucket=day&{part}"
    found = (await shop.get(f"{asked}&by=user")).ok
    assert (found["is_whole"], found["rest"]) == (True, None)
    assert found["total"]["calls"] == sum(line["total"]["calls"] for line in found["lines"]) > 0
    tokens = [line["total"]["total_tokens"] for line in found["lines"]]
    assert tokens == sorted(tokens, reverse=True)
    assert {line["name"] for line in found["lines"]} == {"kim", "이서연"}
    for line in found["lines"]:
        one = (await shop.get(f"{asked}&user={quote(line['name'])}")).ok
        assert line["total"] == one["total"]
        for name in ("calls", "total_tokens", "cost_nano"):
            assert line[name] == [bucket[name] for bucket in one["buckets"]]
    first = (await shop.get(f"{asked}&by=user&limit=1")).ok
    assert first["lines"] == found["lines"][:1]
    assert first["rest"]["calls"] == found["lines"][1]["calls"]


@pytest.mark.parametrize("part", ["", "&service=search"])
async def test_an_erased_user_is_one_of_the_first_all_the_same(shop: Stage, part: str) -> None:
    asked = f"/usage/series?{PERIOD}&by=user{part}"
    before = (await shop.get(asked)).ok
    await shop.post("/accounts/kim/erase", once="erase-kim")
    after = (await shop.get(asked)).ok
    assert [line["total"] for line in after["lines"]] == [line["total"] for line in before["lines"]]
    [erased] = {line["name"] for line in after["lines"]} - {"이서연"}
    assert erased == erased_name(shop.ledger.accounts.id_of("kim"))


async def test_where_there_is_no_time_to_find_the_users_of_a_part_all_is_in_the_rest(
    shop: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tops, "PART_SECONDS", 0)
    found = (await shop.get(f"/usage/series?{PERIOD}&by=user&service=search")).ok
    assert (found["is_whole"], found["lines"]) == (False, [])
    assert found["rest"]["total"] == found["total"]
    assert found["total"]["calls"] > 0


async def test_a_user_sees_their_own_series_alone_and_no_tags(shop: Stage) -> None:
    own = (await shop.get(f"/usage/series?{PERIOD}&by=service", key="kim")).ok
    assert own["user"] == "kim"
    assert own["total"]["calls"] == (await shop.get(f"/usage/series?{PERIOD}&user=kim")).ok["total"]["calls"]
    assert own["total"]["cost_nano"] is None
    assert all(line["cost_nano"] is None for line in own["lines"])
    first = (await shop.get(f"/usage/series?{PERIOD}&by=service&limit=1", key="kim")).ok
    assert first["rest"]["total"]["calls"] > 0
    assert (first["rest"]["cost_nano"], first["rest"]["total"]["cost_nano"]) == (None, None)
    assert (await shop.get("/usage/series?user=kim", key="이서연")).code == "not_found"
    for by in ("tag&tag=feature", "key"):
        assert (await shop.get(f"/usage/series?by={by}", key="kim")).code == "not_permitted"
    assert (await shop.get("/usage/series?by=user", key="kim")).code == "invalid_input"


@pytest.mark.parametrize(
    "asked",
    [
        "by=tag", "tag=feature", "by=model&tag=feature", "by=key&tag=feature", "by=user&user=kim", "by=colour",
        "zone=Mars/X", "zone=", "bucket=fortnight", "bucket=minute",
        "first=2026-13-01", "first=2026-11-03&last=2026-11-01", "first=0001-01-01",
        "last=9999-12-31", "limit=0", "limit=51", "model=", "days=7",
    ],
)  # fmt: skip
async def test_what_is_no_series_is_refused_with_the_reason(shop: Stage, asked: str) -> None:
    found = await shop.get(f"/usage/series?{asked}")
    assert found.status == 400
    assert found.body["detail"]
