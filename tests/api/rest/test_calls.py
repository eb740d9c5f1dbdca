"""The list of a user's calls, and the file of them: which a question means, page by page, and what no question is."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Settle, TakeHold
from jangbu.metering import walks
from jangbu.metering.exports import sources
from jangbu.metering.keyed import with_key
from jangbu.metering.log_search import STEP, sought
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse_object
from jangbu.storage import usage
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering
from tests.api.rest.stage import USERS, Stage, answer, record, stage

BEGIN = datetime(2026, 11, 1, 6, tzinfo=UTC)
CALLS = 60
PARTS = [
    "", "service=search", "model=gemini-9-none", "service=search&model=gemini-9-none",
    "tag=feature", "tag=feature%3Dpanel", "tag=feature=a%3Db", "tag=nothing", "tag=feature=", "tag=%20feature=panel%20",
    "status=returned", "status=settled", "status=overrun", "status=late", "status=recorded",
    "key=none", "key={gateway}", "key={nobody}", "key={gateway}&tag=feature=panel&service=chat&status=recorded",
    "since=2026-11-01T15:00:00%2B09:00&until=2026-11-01T09:30:00Z", "since=2026-11-01T09:30:00Z",
    "until=2026-11-01T03:00:00.001-05:00&model=gemini-9-none", "since=2026-11-01T07:00:00Z&tag=feature",
    "until=1970-01-01T00:00:00Z", "since=9999-12-31T23:59:59Z", "since=2026-11-01T08:00Z&until=2026-11-01T08:00Z",
    "service=a%25b&model=%27", "status=settled&until=2026-11-01T08:00:00Z",
]  # fmt: skip


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Stage]:
    """Give an API whose book has calls of kim's that differ in all that they may be asked by, five minutes apart."""
    clock = SettableClock(BEGIN)
    async with stage(database_url) as api:
        async with open_metering(Settings.load(database_url=database_url), clock=clock, delivers=False) as ledger:
            await usage.make_partitions(ledger.database, [BEGIN])
            key = (await ledger.keys.authenticate(api.secrets["gateway"])).id
            for number in range(CALLS):
                clock.set(BEGIN + timedelta(minutes=5 * number))
                await _call(ledger, number, {} if number % 7 else with_key({}, key))
        yield api


async def _call(ledger: Metering, number: int, noted: Mapping[str, Any]) -> None:
    model, service = ("gemini-2.5-flash", "gemini-9-none")[number % 4 == 0], ("chat", "search")[number % 5 == 0]
    used = parse_object(answer(number, prompt=10 + number, model=model))
    if number % 3:
        noted = {**noted, "tags": {"feature": ("panel", "script", "a=b")[number % 9 % 3], "page": str(number)}}
    if number % 6 in (1, 2, 3):
        call = Call(new_id(ledger.clock), "kim", service, model, Bounds(10, 10, True), metadata=noted)
        held = 500 if number % 6 == 1 else 5
        await ledger.execute(TakeHold(call, base=held, least=held, most=held, take_all=False))
        if number % 6 == 3:
            await ledger.holds.release(ledger.accounts.id_of("kim"), call.id, "given up too early")
        await ledger.execute(Settle(call, used))
        return
    receipt = await ledger.record("kim", service, used, metadata=noted)
    if number % 6 == 5:
        await ledger.accounts.refund("kim", receipt.id, 4, reason="useless", key=f"refund-{number}")


async def listed(api: Stage, asked: str, limit: int, **more: Any) -> tuple[list[dict[str, Any]], list[bool]]:
    """Give the calls of all pages, and which of them were whole."""
    found, whole, cursor = list[dict[str, Any]](), list[bool](), ""
    while True:
        page = (await api.get(f"/calls?user=kim&limit={limit}&{asked}{cursor}", **more)).ok
        assert len(page["calls"]) <= limit
        found += page["calls"]
        whole.append(page["is_whole"])
        if page["next"] is None:
            return found, whole
        assert len(page["calls"]) == limit or not page["is_whole"], "a page that is whole and not full is the last"
        cursor = f"&cursor={page['next']}"


async def keys_of(api: Stage) -> dict[str, str]:
    found = {key.name: str(key.id) for key in await api.ledger.keys.list()}
    return {"gateway": found["gateway"], "nobody": "5f0c7c0e-9d3b-4b0f-8a8e-1f2d3c4b5a69"}


def meant(every: list[tuple[dict[str, Any], dict[str, Any]]], asked: str) -> list[str]:
    """Give the ids of those of all calls, each with its metadata, that a question means."""
    wanted = dict(parse_qsl(asked, keep_blank_values=True))
    since, until = (datetime.fromisoformat(wanted[name]) if name in wanted else None for name in ("since", "until"))
    name, has_value, value = wanted.get("tag", "").partition("=")
    found = []
    for each, noted in every:
        at, tagged = each["created_at"], noted.get("tags", {}).get(name.strip())
        if (
            all(wanted.get(part) in (None, each[part]) for part in ("service", "model", "status"))
            and wanted.get("key") in (None, noted.get("jangbu_key", "none"))
            and (not name or (tagged == value.strip() if has_value else tagged is not None))
            and (since is None or datetime.fromisoformat(at) >= since)
            and (until is None or datetime.fromisoformat(at) < until)
        ):
            found.append(each["id"])
    return found


async def test_each_question_finds_the_calls_that_it_means_page_by_page_however_far_they_lie(
    shop: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, empty = await keys_of(shop), 0
    calls, _ = await listed(shop, "", 1_000)
    every = [(each, (await shop.get(f"/calls/{each['id']}?user=kim")).ok["metadata"] or {}) for each in calls]
    for asked in (each.format(**keys) for each in PARTS):
        wanted = meant(every, asked)
        empty += not wanted
        for step, limit in ((STEP, 1_000), (STEP, 7), (9, 4)):
            monkeypatch.setattr("jangbu.api.rest.calls.sought", partial(sought, step=step))
            found, whole = await listed(shop, asked, limit)
            assert [each["id"] for each in found] == wanted, (asked, step, limit)
            assert all(whole) or step == 9, asked
    assert empty < len(PARTS) // 2, "questions that find nothing prove little"


async def exported(api: Stage, asked: str, **more: str) -> list[dict[str, Any]]:
    content, _ = await api.file(f"/exports/calls?format=jsonl&{asked}", **more)
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize("rows", [3, 1_000])
async def test_a_file_has_the_calls_that_a_list_of_the_same_question_has_and_says_the_same_of_each(
    shop: Stage, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    for module, name in ((walks, "ROWS"), (walks, "_OF_EACH"), (sources, "ROWS"), (sources, "_READ_MAX")):
        monkeypatch.setattr(module, name, rows)
    keys = await keys_of(shop)
    for asked in (each.format(**keys) for each in PARTS):
        wanted, _ = await listed(shop, asked, 1_000)
        found = await exported(shop, f"user=kim&{asked}")
        assert [each["id"] for each in found] == [each["id"] for each in wanted[::-1]], asked
        for line, each in zip(found, wanted[::-1], strict=True):
            told = each.keys() - {"created_at"}
            assert {name: line[name] for name in told} == {name: each[name] for name in told}
        text, _ = await shop.file(f"/exports/calls?user=kim&{asked}")
        table = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
        assert [(each["id"], each["status"]) for each in table] == [(each["id"], each["status"]) for each in found]


async def test_a_file_of_everybody_has_of_each_what_is_asked_for(shop: Stage) -> None:
    noted = {"tags": {"feature": "script"}}
    theirs = [
        (await shop.post("/records", record(number, user="이서연", metadata=noted))).ok["id"] for number in (1, 2)
    ]
    await shop.post("/records", record(3, user="이서연"))
    for asked in ("tag=feature=script", "tag=feature&status=recorded", "key=none", "status=late"):
        of_each = [await exported(shop, f"user={quote(user)}&{asked}") for user in sorted(USERS)]
        assert await exported(shop, asked) == [line for lines in of_each for line in lines], asked
        assert of_each[0], asked
    assert [line["id"] for line in await exported(shop, "tag=feature=script") if line["user"] == "이서연"] == theirs


async def test_each_status_is_that_of_calls_and_in_each_line(shop: Stage) -> None:
    every, _ = await listed(shop, "", 1_000)
    assert len(every) == CALLS
    of = {status: [each["id"] for each in every if each["status"] == status] for status in
          ("recorded", "settled", "overrun", "late", "returned")}  # fmt: skip
    assert {status: len(calls) for status, calls in of.items()} == {
        "recorded": 20, "settled": 10, "overrun": 10, "late": 10, "returned": 10
    }  # fmt: skip
    for status, calls in of.items():
        found, _ = await listed(shop, f"status={status}", 1_000)
        assert [each["id"] for each in found] == calls
        assert {each["status"] for each in found} == {status}


async def test_an_answer_tells_that_it_stopped_before_its_page_was_full_and_how_to_go_on(
    shop: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jangbu.api.rest.calls.sought", partial(sought, step=10))
    oldest = (await listed(shop, "until=2026-11-01T06:05:00Z", 5))[0][0]
    page = (await shop.get("/calls?user=kim&tag=nothing")).ok
    assert (page["calls"], page["is_whole"]) == ([], False)
    assert page["next"]
    found, whole = await listed(shop, "key=none&tag=page=1", 2)
    assert (len(found), whole) == (1, [False] * 5 + [True])
    everything, whole = await listed(shop, "model=gemini-9-none", 2)
    assert (everything[-1]["id"], all(whole)) == (oldest["id"], True), "of a model no call is looked through"


async def test_a_cursor_is_a_place_among_the_calls_whatever_is_asked_from_there(shop: Stage) -> None:
    every, _ = await listed(shop, "", 1_000)
    cursor = (await shop.get("/calls?user=kim&limit=10")).ok["next"]
    for asked in ("status=recorded", "model=gemini-9-none", "tag=feature", "until=2026-11-01T08:00:00Z"):
        whole, _ = await listed(shop, asked, 1_000)
        rest = (await shop.get(f"/calls?user=kim&{asked}&cursor={cursor}")).ok["calls"]
        assert rest == [each for each in whole if each["id"] < every[9]["id"]] != [], asked


async def test_a_users_own_key_finds_its_own_calls_alone_and_nothing_that_the_app_noted(database_url: str) -> None:
    async with stage(database_url) as api:
        made = (await api.post("/records", record(1, metadata={"tags": {"margin": "high"}}))).ok["id"]
        await api.post("/records", record(2, user="이서연"))
        day = datetime.now(UTC) - timedelta(hours=1)
        asked = f"status=recorded&service=text_generation&since={day:%Y-%m-%dT%H:%M:%SZ}"
        own = (await api.get(f"/calls?{asked}", key="kim")).ok
        assert ([each["id"] for each in own["calls"]], own["user"]) == ([made], "kim")
        assert own["calls"][0]["cost_nano"] is None
        assert (await api.get(f"/calls?user={quote('이서연')}&{asked}", key="kim")).code == "not_found"
        for noted in ("tag=margin", "tag=margin=high", "tag=nothing", "key=none", f"key={made}"):
            for path in ("/calls", "/exports/calls"):
                refused = await api.get(f"{path}?{noted}", key="kim")
                assert (refused.status, refused.code) == (403, "not_permitted")
                assert "tag and key" in refused.body["hint"]
        (line,) = await exported(api, asked, key="kim")
        assert (line["id"], line["status"], line.keys() & {"metadata", "cost_nano"}) == (made, "recorded", set())
    async with stage(database_url, show_costs_to_users=True) as api:
        assert [each["id"] for each in (await api.get("/calls?tag=margin=high", key="kim")).ok["calls"]] == [made]
        assert [each["id"] for each in await exported(api, "tag=margin=high", key="kim")] == [made]
        assert (await api.get("/calls?tag=margin=high", key="이서연")).ok["calls"] == []


async def test_calls_of_everybody_are_refused_with_what_to_ask_instead(shop: Stage) -> None:
    for asked in ("", "?status=late", "?tag=feature", "?since=2026-11-01T00:00:00Z"):
        refused = await shop.get(f"/calls{asked}")
        assert (refused.status, refused.code) == (400, "invalid_input")
        assert "?user=" in refused.body["hint"]
        assert "/exports/calls" in refused.body["hint"]
    assert (await shop.get("/calls?user=nobody&status=late")).code == "not_found"


@pytest.mark.parametrize(
    "asked",
    [
        *("status=lost", "status=", "status=late&status=late", "status=RECORDED", "state=late"),
        *("since=yesterday", "since=2026-11-01", "since=1", "since=2026-11-01T00:00:00", "until=2026-13-01T00:00:00Z"),
        *("since=1969-12-31T23:59:59Z", "until=0001-01-01T00:00:00%2B14:00", "until=9999-12-31T23:59:59-14:00"),
        *("since=2026-11-02T00:00:00Z&until=2026-11-01T23:59:59Z", "since=2026-11-01T00:00:00+09:00"),
        *("tag=", "tag==writing", "tag=%20", "tag=a%00b", "tag=" + "t" * 2_001, "tag=a&tag=b"),
        *("key=", "key=gateway", "key=None", "key=" + "1" * 5_000, "key=%00"),
        *("model=", "model=%00", "model=" + "m" * 201, "service=", "service=%00", "service=" + "s" * 201),
        *("limit=0", "limit=1001", "cursor=x", "zone=Asia/Seoul"),
    ],
    ids=lambda asked: asked[:40],
)
async def test_what_is_no_question_is_refused_with_the_reason(api: Stage, asked: str) -> None:
    for path in ("/calls",) if asked.startswith("zone") else ("/calls", "/exports/calls"):
        refused = await api.get(f"{path}?user=kim&{asked}")
        assert (refused.status, refused.code) == (400, "invalid_input")
        assert refused.body["detail"]
        assert refused.body.get("hint") or refused.body.get("errors") or "twice" in refused.body["detail"]


async def test_the_document_shows_an_example_of_each_filter_that_finds_calls(api: Stage) -> None:
    async with api.http.get(f"{api.url}/openapi.json") as found:
        paths = (await found.json())["paths"]
    for path in ("/calls", "/exports/calls"):
        shown = {each["name"]: each["schema"] for each in paths[f"/api/v1{path}"]["get"]["parameters"]}
        for name in ("since", "until", "service", "model", "status", "tag", "key"):
            (example,) = shown[name]["examples"]
            question = f"{path}?user=kim&{name}={quote(example, safe='')}"
            if path == "/calls":
                assert (await api.get(question)).ok["is_whole"] is True
            else:
                assert (await api.file(question))[0].startswith(b"user,id,"), name
