"""Exports: the whole of what the lists show, in three formats that say the same, and never less than they seem."""

import asyncio
import csv
import io
import json
import logging
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import pyarrow
import pyarrow.parquet
import pytest

from jangbu.api.rest.streams import Streams
from jangbu.domain.keys import Role
from jangbu.errors import DatabaseUnreachable, LimitReached
from jangbu.metering import series, walks
from jangbu.metering.exports import Format, sources
from jangbu.storage import exports
from tests.api.rest.stage import USERS, Stage, answer, record

TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
DAYS = f"first={datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}&last={datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every row be near the edge of a page."""
    for module, name, number in (
        *((walks, "ROWS", 3), (walks, "_OWNERS", 2), (walks, "_OF_EACH", 2)),
        *((sources, "ROWS", 3), (sources, "_BUCKETS", 2)),
    ):
        monkeypatch.setattr(module, name, number)


async def lines(api: Stage, path: str, **more: str) -> list[dict[str, Any]]:
    content, headers = await api.file(f"{path}{'&' if '?' in path else '?'}format=jsonl", **more)
    assert headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in content.decode().splitlines()]


async def cells(api: Stage, path: str) -> list[list[str]]:
    content, headers = await api.file(path)
    assert headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


async def parquet(api: Stage, path: str) -> Any:
    content, _ = await api.file(f"{path}{'&' if '?' in path else '?'}format=parquet")
    return pyarrow.parquet.read_table(io.BytesIO(content))


@pytest.mark.usefixtures("small_pages")
async def test_every_call_is_exported_once_user_by_user_and_oldest_first(api: Stage) -> None:
    made: list[tuple[str, str]] = []
    for number in range(8):
        user = await api.open(f"user-{number}")
        for at in range(number):
            made.append((user, (await api.post("/records", record(10 * number + at, user=user))).ok["id"]))
    found = await lines(api, "/exports/calls")
    assert [(each["user"], each["id"]) for each in found] == sorted(made)
    for user in ("user-7", "user-0", "kim"):
        listed = (await api.get(f"/calls?user={user}")).ok["calls"][::-1]
        exported = await lines(api, f"/exports/calls?user={user}")
        assert [each["id"] for each in exported] == [each["id"] for each in listed]
        for mine, theirs in zip(exported, listed, strict=True):
            told = theirs.keys() - {"created_at", "status"}
            assert {name: mine[name] for name in told} == {name: theirs[name] for name in told}
            assert datetime.fromisoformat(mine["created_at"]) == datetime.fromisoformat(theirs["created_at"])


@pytest.mark.usefixtures("small_pages")
async def test_every_entry_is_exported_once(api: Stage) -> None:
    for number in range(6):
        await api.post("/records", record(number))
    listed = (await api.get("/accounts/kim/entries")).ok["entries"][::-1]
    exported = await lines(api, "/exports/entries?user=kim")
    assert [(each["seq"], each["delta"], each["balance_after"]) for each in exported] == [
        (each["seq"], each["delta"], each["balance_after"]) for each in listed
    ]
    everybody = await lines(api, "/exports/entries")
    assert {each["user"] for each in everybody} == set(USERS)
    assert [each for each in everybody if each["user"] == "kim"] == exported
    await api.post("/accounts/kim/money/grants", {"amount_nano": 7})
    (money,) = await lines(api, "/exports/entries?asset=money")
    assert (money["user"], money["asset"], money["delta"]) == ("kim", "money", 7)


@pytest.mark.usefixtures("small_pages")
async def test_what_was_used_adds_up_to_what_the_reports_say(api: Stage) -> None:
    for number in range(4):
        service = "comics" if number % 2 else "text_generation"
        await api.post("/records", record(number, user=USERS[number % 2], service=service))
    await api.post("/records", record(9, answer=answer(9, model="gemini-9-unheard-of")))
    for query, totals in ((DAYS, "/usage/totals"), (f"{DAYS}&user=kim", "/usage/totals?user=kim")):
        for by in ("service", "model"):
            found = await lines(api, f"/exports/usage?{query}&by={by}&bucket=hour")
            whole = (await api.get(totals)).ok["totals"]
            for name in ("calls", "prompt_tokens", "completion_tokens", "total_tokens", "unpriced"):
                assert _sums(found, by, name) == _sums(whole, by, name), (query, by, name)
            assert sum(each["cost_nano"] or 0 for each in found) == sum(each["cost_nano"] or 0 for each in whole)
    (unheard,) = await lines(api, f"/exports/usage?{DAYS}&model=gemini-9-unheard-of")
    assert (unheard["cost_nano"], unheard["unpriced"]) == (None, 1)


def _sums(rows: list[dict[str, Any]], by: str, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row[by]] = found.get(row[by], 0) + row[name]
    return found


async def test_the_formats_say_the_same(api: Stage) -> None:
    await api.post("/records", record(1, metadata={"tags": {"배치": "a,b"}}))
    await api.post("/records", record(2, answer=answer(2, model="gemini-9-unheard-of"), user="이서연"))
    for path in ("/exports/calls", "/exports/entries", f"/exports/usage?{DAYS}"):
        as_lines = await lines(api, path)
        head, *rows = await cells(api, path)
        names = [name.partition(" ")[0] for name in head]
        table = await parquet(api, path)
        assert names == list(as_lines[0]) == table.schema.names
        assert len(rows) == len(as_lines) == table.num_rows > 0
        for row, line, group in zip(rows, as_lines, table.to_pylist(), strict=True):
            for name, cell in zip(names, row, strict=True):
                value, kept = line[name], group[name]
                if isinstance(kept, datetime):
                    assert kept == datetime.fromisoformat(value) == datetime.fromisoformat(cell)
                else:
                    assert kept == value, name
                    assert cell == ("" if value is None else " ".join(value) if isinstance(value, list) else str(value))


async def test_the_examples_of_the_document_are_as_exports_are(api: Stage) -> None:
    await api.post("/records", record(1, metadata={"tags": {"feature": "chat"}}))
    day = datetime.now(UTC).date()
    async with api.http.get(f"{api.url}/openapi.json") as found:
        paths = (await found.json())["paths"]
    for path, more in (("calls", ""), ("entries", ""), ("usage", f"&first={day}&last={day}")):
        kinds = paths[f"/api/v1/exports/{path}"]["get"]["responses"]["200"]["content"]
        for how in Format:
            content, headers = await api.file(f"/exports/{path}?format={how}{more}")
            example = kinds[headers["content-type"]]["example"]
            match how:
                case Format.CSV:
                    head, row = csv.reader(io.StringIO(example))
                    named, *_ = csv.reader(io.StringIO(content.decode()))
                    assert (named, len(row)) == (head, len(head))
                case Format.JSON_LINES:
                    assert [*json.loads(example)] == [*json.loads(content.splitlines()[0])]
                case Format.PARQUET:
                    assert content.startswith(example.encode())
                    assert content.endswith(example.encode())


async def test_a_csv_is_as_rfc_4180_has_it_and_begins_with_a_mark_only_where_that_is_asked_for(api: Stage) -> None:
    reason = 'he said "no",\nand left'
    await api.post("/accounts/kim/adjustments", {"delta": 1, "reason": reason}, once="order-7")
    content, headers = await api.file("/exports/entries?user=kim")
    assert not content.startswith(b"\xef\xbb\xbf")
    assert content.startswith(
        b"user,asset,seq,created_at (UTC),kind,delta,balance_after,posting,reference,reason,key\r\n"
    )
    assert content.endswith(b"\r\n")
    assert b'"he said ""no"",\nand left",order-7\r\n' in content
    assert (await cells(api, "/exports/entries?user=kim"))[-1][-2:] == [reason, "order-7"]
    assert headers["content-disposition"].startswith('attachment; filename="entries-')
    assert (headers["cache-control"], "etag" in headers) == ("no-store", False)
    marked, _ = await api.file("/exports/entries?user=kim&bom=true")
    assert marked.startswith(b"\xef\xbb\xbfuser,")
    assert (await api.get("/exports/entries?format=jsonl&bom=true")).code == "invalid_input"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
async def test_no_text_of_a_users_becomes_a_formula(api: Stage, first: str) -> None:
    evil = f"{first}cmd|' /C calc'!A0"
    await api.post("/accounts/kim/adjustments", {"delta": -1, "reason": evil})
    if first.isprintable():
        await api.open(evil)
        await api.post("/records", record(7, user=evil, service=evil, metadata={"note": evil}))
        _, row = await cells(api, f"/exports/calls?user={quote(evil)}")
        assert (row[0], row[3]) == (f"'{evil}", f"'{evil}")
        (line,) = await lines(api, f"/exports/calls?user={quote(evil)}")
        assert (line["user"], line["service"]) == (evil, evil)
    last = (await cells(api, "/exports/entries?user=kim"))[-1]
    assert (last[5], last[-2]) == ("-1", f"'{evil}"), "a number is no text"
    assert (await lines(api, "/exports/entries?user=kim"))[-1]["reason"] == evil
    assert (await parquet(api, "/exports/entries?user=kim")).column("reason")[-1].as_py() == evil


async def test_times_are_in_the_zone_that_is_asked_for_and_say_so(api: Stage) -> None:
    await api.post("/records", record())
    (utc,) = await lines(api, "/exports/calls")
    (seoul,) = await lines(api, "/exports/calls?zone=Asia/Seoul")
    assert seoul["created_at"].endswith("+09:00")
    assert datetime.fromisoformat(seoul["created_at"]) == datetime.fromisoformat(utc["created_at"])
    head, _ = await cells(api, "/exports/calls?zone=Asia/Seoul")
    assert "created_at (Asia/Seoul)" in head
    _, headers = await api.file("/exports/calls?zone=Asia/Seoul")
    assert headers["x-jangbu-time-zone"] == "Asia/Seoul"
    table = await parquet(api, "/exports/calls?zone=Asia/Seoul")
    assert table.schema.field("created_at").type.tz == "Asia/Seoul"
    assert table.schema.metadata[b"jangbu.time_zone"] == b"Asia/Seoul"
    days = await lines(api, f"/exports/usage?{DAYS}&zone=Asia/Kathmandu")
    assert [(each["start"][11:16], each["start"][-6:]) for each in days] == [("00:00", "+05:45")]
    for zone in ("Mars/Olympus", "", "utc", "../../etc/passwd"):
        assert (await api.get(f"/exports/calls?zone={quote(zone, safe='')}")).code == "invalid_input"


async def test_only_what_is_asked_for_is_exported(api: Stage) -> None:
    made = [(await api.post("/records", record(number))).ok["id"] for number in range(3)]
    await api.post("/records", record(8, service="comics", answer=answer(8, model="gemini-2.5-pro")))
    whole = await lines(api, "/exports/calls?user=kim")
    middle = quote(whole[1]["created_at"])
    assert [each["id"] for each in await lines(api, f"/exports/calls?since={middle}")] == [
        each["id"] for each in whole if each["created_at"] >= whole[1]["created_at"]
    ]
    assert [each["id"] for each in await lines(api, f"/exports/calls?until={middle}")] == [
        each["id"] for each in whole if each["created_at"] < whole[1]["created_at"]
    ]
    assert [each["model"] for each in await lines(api, "/exports/calls?model=gemini-2.5-pro")] == ["gemini-2.5-pro"]
    assert [each["id"] for each in await lines(api, "/exports/calls?service=text_generation")] == made
    assert await lines(api, "/exports/calls?service=nothing") == []
    assert await lines(api, "/exports/entries?since=2099-01-01T00:00:00Z") == []
    assert (await cells(api, "/exports/calls?service=nothing")) == [(await cells(api, "/exports/calls"))[0]]
    assert (await parquet(api, "/exports/calls?service=nothing")).num_rows == 0


@pytest.mark.parametrize(
    "path",
    [
        "/exports/calls?format=xlsx",
        "/exports/calls?since=yesterday",
        "/exports/calls?since=1969-12-31T23:59:59Z",
        "/exports/calls?since=2026-02-01T00:00:00Z&until=2026-01-31T00:00:00Z",
        "/exports/calls?limit=5",
        "/exports/entries?asset=gold",
        "/exports/usage",
        f"/exports/usage?first={TODAY}",
        "/exports/usage?first=2026-02-31&last=2026-03-01",
        "/exports/usage?first=2026-02-02&last=2026-02-01",
        "/exports/usage?first=2000-01-02&last=8999-01-01&bucket=hour",
        f"/exports/usage?{DAYS}&by=user",
    ],
)
async def test_an_export_that_is_none_is_refused(api: Stage, path: str) -> None:
    refused = await api.get(path)
    assert (refused.status, refused.code) == (400, "invalid_input")
    assert (await api.get("/exports/calls?user=nobody")).code == "not_found"


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("how", ["csv", "jsonl", "parquet"])
async def test_an_export_that_breaks_off_is_seen_to(api: Stage, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    for number in range(9):
        await api.post("/records", record(number))
    monkeypatch.setattr(exports, "calls", _failing(exports.calls, after=3))
    came = await broken_off(api, f"/exports/calls?format={how}")
    match how:
        case "csv":
            assert list(csv.reader(io.StringIO(came.decode(), newline="")))[-1] == ["broken off: database_unreachable"]
        case "jsonl":
            assert json.loads(came.splitlines()[-1]) == {"broken_off": "database_unreachable"}
        case _:
            with pytest.raises(pyarrow.ArrowInvalid):
                pyarrow.parquet.read_table(io.BytesIO(came))
    assert (await api.get("/accounts")).status == 200


async def broken_off(api: Stage, path: str) -> bytes:
    """Ask for a file that does not come whole; give what came of it."""
    headers = {"authorization": f"Bearer {api.secrets[Role.OWNER]}"}
    async with api.http.get(f"{api.url}/api/v1{path}", headers=headers) as answered:
        assert answered.status == 200
        came = b""
        try:
            async for piece in answered.content.iter_any():
                came += piece
        except aiohttp.ClientPayloadError:
            return came
    raise AssertionError("it came whole")


def _failing(read: Callable[..., Any], *, after: int) -> Callable[..., Any]:
    calls = 0

    async def fails(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise DatabaseUnreachable("PostgreSQL does not answer")
        return await read(*given)

    return fails


@pytest.mark.usefixtures("small_pages")
async def test_a_client_that_leaves_while_the_database_is_asked_is_no_error(
    api: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await api.post("/records", record())
    reached, gate = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(series, "of", _waiting(series.of, reached, gate, after=1))
    assert api.settings.database_url is not None
    other = await asyncpg.connect(api.settings.database_url.get_secret_value())
    headers = {"authorization": f"Bearer {api.secrets[Role.OWNER]}"}
    answered = await api.http.get(f"{api.url}/api/v1/exports/usage?{DAYS}&bucket=hour", headers=headers)
    await reached.wait()
    async with other.transaction():
        await other.execute("LOCK TABLE jangbu.models, jangbu.services IN ACCESS EXCLUSIVE MODE")
        gate.set()
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - it waits
            await asyncio.sleep(0.01)
        answered.close()
        while await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - given up
            await asyncio.sleep(0.01)
    await other.close()
    assert (await api.get("/accounts")).status == 200
    await api.ledger.database.close()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_what_is_wrong_from_the_beginning_is_a_problem(api: Stage) -> None:
    await api.get("/accounts")
    await api.ledger.database.close()
    refused = await api.get("/exports/calls")
    assert (refused.status, refused.code) == (503, "database_unreachable")


async def test_parquet_without_pyarrow_is_one_clear_error(api: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    refused = await api.get("/exports/calls?format=parquet")
    assert (refused.status, refused.code) == (404, "not_offered")
    assert "pyarrow is not installed" in refused.body["detail"]
    assert "jangbu[parquet]" in refused.body["hint"]
    assert (await api.file("/exports/calls"))[0].startswith(b"user,id,")


@pytest.mark.usefixtures("small_pages")
async def test_an_export_is_under_way_under_the_limits_of_its_key_until_its_end_is_sent(
    api: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        await api.post("/records", record(number))
    _, secret = await api.ledger.keys.create_for_app("slow", scopes=["api:viewer"], concurrent_calls=1)
    for _ in range(3):
        await api.file("/exports/calls", key=secret)
    reached, gate = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(exports, "calls", _waiting(exports.calls, reached, gate))
    exporting = asyncio.create_task(api.file("/exports/calls", key=secret))
    await reached.wait()
    assert (await api.get("/accounts", key=secret)).code == "limit_reached"
    gate.set()
    assert (await exporting)[0].count(b"\r\n") == 10
    assert (await api.get("/accounts", key=secret)).status == 200


def _waiting(
    read: Callable[..., Any], reached: asyncio.Event, gate: asyncio.Event, *, after: int = 3
) -> Callable[..., Any]:
    calls = 0

    async def waits(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            reached.set()
            await gate.wait()
        return await read(*given)

    return waits


async def test_few_are_under_way_at_once(api: Stage) -> None:
    streams = Streams(1)
    async with AsyncExitStack() as first:
        streams.begin(first)
        with pytest.raises(LimitReached):
            async with AsyncExitStack() as second:
                streams.begin(second)
    async with AsyncExitStack() as third:
        streams.begin(third)
