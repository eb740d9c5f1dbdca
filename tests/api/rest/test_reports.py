"""Reports: the figures of the command, over HTTP, paged and tagged."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, Settle, TakeHold
from jangbu.providers.gemini import parse_object
from tests.api.rest.stage import Stage, answer, record, stage


def floats(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(floats, value.values()))
    if isinstance(value, list):
        return any(map(floats, value))
    return isinstance(value, float)


async def test_sums_are_those_of_the_records(api: Stage) -> None:
    await api.post("/records", record(1))
    await api.post("/records", record(2, service="image_generation"))
    await api.post("/records", record(3, user="이서연", answer=answer(3, model="gemini-9-unheard-of")))
    everybody = (await api.get("/usage/totals")).ok
    assert (everybody["user"], everybody["total"]["calls"], everybody["total"]["unpriced"]) == (None, 3, 1)
    kim = (await api.get("/usage/totals?user=kim")).ok
    assert [(line["service"], line["total_tokens"]) for line in kim["totals"]] == [
        ("image_generation", 450),
        ("text_generation", 450),
    ]
    cost = kim["total"]["cost_nano"]
    assert cost == kim["total"]["input_cost_nano"] + kim["total"]["output_cost_nano"] > 0
    lee = (await api.get("/usage/totals?user=%EC%9D%B4%EC%84%9C%EC%97%B0")).ok
    assert lee["total"]["cost_nano"] is None
    by_user = (await api.get("/cost?by=user")).ok
    assert [(line["user"], line["cost_nano"]) for line in by_user["costs"]] == [("kim", cost), ("이서연", None)]
    assert (await api.get("/cost?by=model&days=7")).ok["total"]["cost_nano"] == cost
    assert (await api.get("/cost?by=user&days=7")).code == "invalid_input"
    today = datetime.now(UTC).date().isoformat()
    days = (await api.get("/usage/daily?user=kim&days=2&zeros=true")).ok["days"]
    assert {line["day"] for line in days} >= {today}
    assert sum(line["total_tokens"] for line in days) == 900
    assert (await api.get("/usage/daily?until=2026-13-45")).code == "invalid_input"


async def test_calls_are_paged_newest_first(api: Stage) -> None:
    made = [(await api.post("/records", record(number))).ok["id"] for number in range(5)]
    first = (await api.get("/calls?user=kim&limit=3")).ok
    rest = (await api.get(f"/calls?user=kim&limit=3&cursor={first['next']}")).ok
    assert [each["id"] for each in first["calls"] + rest["calls"]] == made[::-1]
    assert rest["next"] is None
    assert (await api.get("/calls")).code == "invalid_input"
    assert (await api.get("/calls?user=nobody")).code == "not_found"


async def test_prices_are_paged_within_one_version(api: Stage) -> None:
    whole = (await api.get("/prices")).ok
    rest = (await api.get(f"/prices?cursor={whole['next']}")).ok
    paged: list[Any] = []
    cursor = ""
    while True:
        shown = (await api.get(f"/prices?limit=40{cursor}")).ok
        paged += shown["prices"]
        if shown["next"] is None:
            break
        cursor = f"&cursor={shown['next']}"
    assert paged == whole["prices"] + rest["prices"]
    assert len(whole["prices"]) == 1_000
    assert all(type(row["price_nano"]) is int for row in paged)
    flash = (await api.get("/prices?model=gemini-2.5-flash")).ok["prices"]
    assert {row["model"] for row in flash} == {"gemini-2.5-flash"}
    versions = (await api.get("/prices/versions")).ok["versions"]
    assert [each["version"] for each in versions] == [whole["version"]]


async def test_nothing_of_tokens_or_money_has_a_fraction(api: Stage) -> None:
    made = (await api.post("/records", record())).ok
    for path in (
        "/accounts",
        "/accounts/kim",
        "/accounts/kim/entries",
        "/usage/totals",
        "/usage/daily",
        "/usage/series?by=user",
        "/cost",
        f"/calls/{made['id']}",
        "/prices",
    ):
        assert not floats((await api.get(path)).ok), path


async def test_what_is_read_again_is_sent_only_if_it_changed(api: Stage) -> None:
    first = await api.get("/accounts/kim")
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    same = await api.get("/accounts/kim", **{"if-none-match": tag})
    assert (same.status, same.body, same.headers["etag"]) == (304, None, tag)
    assert (await api.get("/accounts/kim", **{"if-none-match": f'"other", W/{tag}'})).status == 304
    await api.post("/records", record())
    changed = await api.get("/accounts/kim", **{"if-none-match": tag})
    assert (changed.status, changed.ok["used_tokens"]) == (200, 450)


async def test_holds_are_listed_and_end_by_evidence_or_by_word(api: Stage) -> None:
    calls = [
        Call(new_id(api.ledger.clock), "kim", "text_generation", "gemini-2.5-flash", Bounds(100, 50, True))
        for _ in range(3)
    ]
    for call in calls:
        await api.ledger.execute(TakeHold(call, base=100, least=150, most=150, take_all=False))
        await api.ledger.holds.mark_unknown(api.ledger.accounts.id_of("kim"), call.id, "it broke off")
    first = (await api.get("/holds?limit=2")).ok
    rest = (await api.get(f"/holds?limit=2&state=unknown&cursor={first['next']}")).ok
    assert [each["id"] for each in first["holds"] + rest["holds"]] == [str(call.id) for call in calls]
    assert (await api.get("/holds?state=open")).ok["holds"] == []
    charge = f"/holds/{calls[0].id}/charge"
    assert (await api.post(charge, {"answer": {}}, once="evidence-1")).code == "invalid_answer"
    charged = await api.post(charge, {"answer": answer(1)}, once="evidence-1")
    assert (charged.ok["charged_tokens"], charged.ok["overrun"], charged.ok["replayed"]) == (450, 300, False)
    again = await api.post(charge, {"answer": answer(1)}, once="evidence-1")
    assert (again.ok["charged_tokens"], again.ok["replayed"]) == (450, True)
    assert (await api.post(charge, {"answer": answer(1)}, once="evidence-2")).code == "not_found"
    assert (
        await api.post(f"/holds/{calls[1].id}/charge", {"answer": answer(2)}, once="evidence-1")
    ).code == "idempotency_conflict"
    others = await api.post(f"/holds/{calls[1].id}/charge", {"answer": answer(1)}, once="evidence-3")
    assert (others.status, others.code) == (409, "idempotency_conflict")
    assert str(calls[0].id) in others.body["detail"]
    release = f"/holds/{calls[1].id}/release"
    assert (await api.post(release, {"reason": " "})).code == "invalid_input"
    assert (await api.post(release, {"reason": "no answer"}, once="word-1")).ok["released"] is True
    again = await api.post(release, {"reason": "no answer"}, once="word-1")
    assert (again.ok["released"], again.ok["replayed"]) == (False, True)
    balance = await api.ledger.accounts.balance("kim")
    assert (balance.used, balance.held) == (450, 150)


async def test_a_call_that_is_under_way_is_charged_by_its_own_answer_alone(api: Stage) -> None:
    call = Call(new_id(api.ledger.clock), "kim", "text_generation", "gemini-2.5-flash", Bounds(100, 50, True))
    await api.ledger.execute(TakeHold(call, base=100, least=150, most=150, take_all=False))
    early = await api.post(f"/holds/{call.id}/charge", {"answer": answer(1, prompt=1, candidates=0)})
    assert (early.status, early.code) == (409, "still_running")
    assert (await api.ledger.accounts.balance("kim")).held == 150
    await api.ledger.execute(Settle(call, parse_object(answer(2))))
    assert (await api.ledger.accounts.balance("kim")).used == 450


async def test_alerts_and_the_last_verification_are_shown(api: Stage) -> None:
    assert (await api.get("/verification")).ok == {"schema_version": 1, "ok": None, "verification": None}
    from jangbu.metering.evidence import restated
    from jangbu.metering.verify import Verification

    await Verification(api.ledger.database, "default").run(recompute=api.ledger.pricing.reprice, restate=restated)
    shown = (await api.get("/verification")).ok
    assert (shown["ok"], shown["verification"]["accounts"], shown["verification"]["mismatches"]) == (True, 2, 0)
    assert (await api.get("/alerts")).ok["alerts"] == []


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJraW0iXQ", "WzFd", "////", "WzFlOTld", "W1sxXV0", "%00"])
@pytest.mark.parametrize(
    "path", ["/accounts", "/accounts/kim/entries", "/calls?user=kim", "/holds", "/prices", "/keys"]
)
async def test_a_cursor_that_is_none_of_this_list_is_refused(api: Stage, path: str, cursor: str) -> None:
    found = await api.get(f"{path}{'&' if '?' in path else '?'}cursor={cursor}")
    is_right = (path, cursor) in {("/accounts", "WyJraW0iXQ"), ("/accounts/kim/entries", "WzFd")}
    assert found.status == 200 if is_right else found.code == "invalid_input"


async def test_the_total_of_costs_is_that_of_all_and_not_of_what_is_listed(api: Stage) -> None:
    await api.post("/records", record(1))
    await api.post("/records", record(2, service="comics", answer=answer(2, model="gemini-2.5-pro")))
    await api.post("/records", record(3, user="이서연"))
    for by in ("model", "service", "user"):
        whole = (await api.get(f"/cost?by={by}")).ok
        short = (await api.get(f"/cost?by={by}&limit=1")).ok
        assert short["costs"] == whole["costs"][:1] != whole["costs"]
        assert short["total"] == whole["total"]
        assert whole["total"]["cost_nano"] == sum(line["cost_nano"] for line in whole["costs"])


COSTS = {"cost_nano", "input_cost_nano", "output_cost_nano", "charge_nano"}


def costs_in(value: Any) -> list[Any]:
    """Give all that an answer says of costs."""
    if isinstance(value, list):
        return [each for inner in value for each in costs_in(inner)]
    if not isinstance(value, dict):
        return []
    own = [inner for name, inner in value.items() if name in COSTS and inner is not None]
    return own + [each for inner in value.values() for each in costs_in(inner)]


async def test_a_users_own_key_sees_no_costs_until_the_settings_show_them(database_url: str) -> None:
    async with stage(database_url) as api:
        made = (await api.post("/records", record(metadata={"margin": "high"}))).ok
    paths = (
        "/usage/totals",
        "/usage/daily",
        "/usage/series?by=model",
        "/cost",
        "/cost?by=user",
        "/calls",
        f"/calls/{made['id']}",
    )
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    for shows in (False, True):
        async with stage(database_url, show_costs_to_users=shows) as api:
            for path in paths:
                assert costs_in((await api.get(f"{path}{'&' if '?' in path else '?'}user=kim")).ok), path
                assert bool(costs_in((await api.get(path, key="kim")).ok)) is shows, path
            call = (await api.get(f"/calls/{made['id']}", key="kim")).ok
            assert (call["metadata"] is not None, bool(call["price_lines"]), call["price_version"] is not None) == (
                (shows,) * 3
            )
            assert call["net_tokens"] == 450
            for path in ("/exports/calls?", f"/exports/usage?first={day}&last={day}&"):
                content, _ = await api.file(f"{path}format=jsonl", key="kim")
                line = json.loads(content.splitlines()[0])
                assert line["total_tokens"] == 450
                assert bool(COSTS & set(line)) is shows, path
                assert ("metadata" in line) is (shows and "calls" in path)
