"""The files of the pages: each figure is the one on the page, and the one that the raw records add up to."""

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page as Tab

from jangbu.dashboard.formats import Formats
from jangbu.domain.amounts import average
from jangbu.metering.exports import Format, offered
from tests.dashboard.conftest import Opens
from tests.dashboard.reading import ask, downloaded, rows
from tests.dashboard.site import FINANCE, MODELS, SERVICES, USERS, VIEWER, Site

KIM = USERS[0]
SEOUL, NEW_YORK, KATHMANDU = "Asia/Seoul", "America/New_York", "Asia/Kathmandu"
DAYS = 21
NOW = datetime.now(UTC)
FORMATS, FORMATS_SEOUL = Formats("en", "UTC"), Formats("en", SEOUL)

RECORDS = """
    SELECT {by}, count(*), sum(u.prompt + u.tool)::bigint, sum(u.candidates + u.thoughts)::bigint,
        sum(u.cached)::bigint, sum(u.thoughts)::bigint, sum(u.total)::bigint, sum(u.cost_nano)::bigint,
        sum(u.input_cost_nano)::bigint, sum(u.charge_nano)::bigint, count(*) FILTER (WHERE u.cost_nano IS NULL)
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    JOIN jangbu.services AS s ON s.service_id = u.service_id
    WHERE (jangbu.uuid7_time(u.id) AT TIME ZONE $1)::date BETWEEN $2 AND $3
        AND ($4::text IS NULL OR a.user_id = $4) AND ($5::text IS NULL OR m.name = $5)
        AND ($6::text IS NULL OR s.name = $6)
    GROUP BY {by}
"""
"""What the raw records of some days add up to, which PostgreSQL cuts by its own knowledge of the zone."""
SUMS = (
    "calls", "prompt_tokens", "completion_tokens", "cached_tokens", "thinking_tokens", "total_tokens",
    "cost_nano", "input_cost_nano", "charge_nano", "unpriced",
)  # fmt: skip
DAY = "(jangbu.uuid7_time(u.id) AT TIME ZONE $1)::date"

pytestmark = pytest.mark.asyncio(loop_scope="session")


def days_of(zone: str) -> tuple[date, date]:
    today = NOW.astimezone(ZoneInfo(zone)).date()
    return today - timedelta(days=DAYS), today


def asked(zone: str, **more: str) -> dict[str, str]:
    first, last = days_of(zone)
    return {"from": first.isoformat(), "to": last.isoformat(), "zone": zone} | more


async def summed(
    site: Site, by: str, zone: str, *, user: str | None = None, model: str | None = None, service: str | None = None
) -> dict[tuple[Any, ...], tuple[int | None, ...]]:
    found = await ask(site, RECORDS.format(by=by), zone, *days_of(zone), user, model, service)
    keys = by.count(", ") + 1
    return {row[:keys]: row[keys:] for row in found}


def sums_of(line: Mapping[str, Any]) -> tuple[int | None, ...]:
    """Give the figures of a line, of a CSV or of JSON Lines."""
    return tuple(None if line[name] in {None, ""} else int(line[name]) for name in SUMS)


def day_of(line: Mapping[str, Any], zone: str) -> date:
    """Give the day that a line is of: from midnight to midnight by the clock of the zone."""
    start, end = (datetime.fromisoformat(line[name]) for name in ("start", "end"))
    assert start.utcoffset() == ZoneInfo(zone).utcoffset(start.replace(tzinfo=None))
    assert (start.hour, start.minute, end.hour, end.minute) == (0, 0, 0, 0)
    assert end.date() == start.date() + timedelta(days=1)
    return start.date()


async def charted(tab: Tab, id_: str) -> tuple[list[str], list[list[str]]]:
    """Give the heads and the lines of a chart's table."""
    table = tab.locator(f"figure[aria-labelledby='{id_}-title'] table")
    heads = await table.locator("thead th").all_text_contents()
    lines = await table.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    )
    return [head.strip() for head in heads], lines


def money(sums: Sequence[int | None], place: str = "cost_nano") -> str:
    """Write a sum of money as tables do: a dash where none of the calls has a price, at least so much where some."""
    line = dict(zip(SUMS, sums, strict=True))
    if line["unpriced"] and line["unpriced"] == line["calls"]:
        return "–"
    return ("≥ " if line["unpriced"] else "") + FORMATS.money(line[place])


def number(value: int | None) -> str:
    assert value is not None
    return FORMATS.number(value)


@pytest.mark.parametrize("zone", [SEOUL, NEW_YORK, KATHMANDU])
@pytest.mark.parametrize("filters", [{}, {"model": MODELS[0]}, {"user": KIM, "service": SERVICES[2]}], ids=str)
async def test_what_was_used_over_time_is_what_the_chart_and_the_records_say(
    opens: Opens, site: Site, zone: str, filters: dict[str, str]
) -> None:
    tab = await opens("/?" + urlencode(asked(zone, bucket="day", **filters)), member=VIEWER)
    file = await downloaded(tab, "Usage in each bucket as a file: CSV")
    found = {(day_of(line, zone), line["model"]): sums_of(line) for line in file.table}
    assert found == await summed(site, f"{DAY}, m.name", zone, **filters)
    assert len(found) == len(file.table) > 0
    assert {line["user"] for line in file.table} == {filters.get("user", "")}
    lines = (await downloaded(tab, "Usage in each bucket as a file: JSON Lines")).lines
    assert {(day_of(line, zone), line["model"]): sums_of(line) for line in lines} == found

    (_, *models, _), shown = await charted(tab, "by-model")
    first, last = days_of(zone)
    assert len(shown) == (last - first).days + 1
    tokens = {key: sums[SUMS.index("total_tokens")] for key, sums in found.items()}
    for at, (_, *cells, total) in enumerate(shown):
        day = first + timedelta(days=at)
        of_day = [tokens.get((day, model), 0) or 0 for model in models]
        assert (cells, total) == ([number(value) for value in of_day], number(sum(of_day))), day


async def test_the_services_of_the_overview_are_those_of_the_records(opens: Opens, site: Site) -> None:
    tab = await opens("/?" + urlencode(asked(SEOUL)))
    file = await downloaded(tab, "All services as a file: CSV")
    found = {(line["service"],): sums_of(line) for line in file.table}
    assert found == await summed(site, "s.name", SEOUL)
    shown = sorted(tuple(cells[1:3]) for cells in await rows(tab, "services"))
    assert shown == sorted((number(sums[0]), number(sums[5])) for sums in found.values())


@pytest.mark.parametrize("filters", [{}, {"user": KIM}], ids=str)
async def test_models_are_those_of_the_page_with_what_their_averages_come_from(
    opens: Opens, site: Site, filters: dict[str, str]
) -> None:
    tab = await opens("/models?" + urlencode(asked(NEW_YORK, **filters)), member=FINANCE)
    file = await downloaded(tab, "All models as a file: CSV")
    found = {line["model"]: sums_of(line) for line in file.table}
    assert {(model,): sums for model, sums in found.items()} == await summed(site, "m.name", NEW_YORK, **filters)
    shown = {cells[0].split()[0]: cells for cells in await rows(tab, "models")}
    assert set(shown) == set(found) == set(MODELS)
    for model, sums in found.items():
        calls, prompt, _, cached, thinking, total, *_ = (value or 0 for value in sums)
        _, *counted, _spread, of_input, of_total, _failed, cost, _, _, _ = shown[model]
        assert (*counted, of_input, of_total, cost) == (
            number(calls), number(total), number(average(total, calls)), FORMATS.percent(cached, prompt),
            FORMATS.percent(thinking, total), money(sums),
        )  # fmt: skip
    start, end = (datetime.fromisoformat(file.table[0][name]) for name in ("start", "end"))
    first, last = days_of(NEW_YORK)
    assert (start.date(), end.date()) == (first, last + timedelta(days=1))


async def test_costs_are_those_of_the_page_by_model_by_service_and_by_day(opens: Opens, site: Site) -> None:
    tab = await opens("/cost?" + urlencode(asked(KATHMANDU, bucket="day")), member=VIEWER)
    for part, by in (("model", "m.name"), ("service", "s.name")):
        file = await downloaded(tab, f"All {part}s as a file: CSV")
        found = {line[part]: sums_of(line) for line in file.table}
        assert {(name,): sums for name, sums in found.items()} == await summed(site, by, KATHMANDU)
        assert sorted(cells[1:4] for cells in await rows(tab, f"cost-{part}s")) == sorted(
            [number(sums[0]), money(sums), money(sums, "charge_nano")] for sums in found.values()
        )
    file = await downloaded(tab, "Usage in each bucket as a file: CSV")
    found_by_day = {(day_of(line, KATHMANDU), line["service"]): sums_of(line) for line in file.table}
    assert found_by_day == await summed(site, f"{DAY}, s.name", KATHMANDU)
    _, shown = await charted(tab, "by-service")
    for at, (*_, total) in enumerate(shown):
        day = days_of(KATHMANDU)[0] + timedelta(days=at)
        of_day = [sums for (when, _), sums in found_by_day.items() if when == day] or [(0,) * len(SUMS)]
        assert total == money([sum(each or 0 for each in column) for column in zip(*of_day, strict=True)]), day


BALANCES = """
    SELECT a.user_id,
        (SELECT coalesce(sum(e.delta), 0) FROM jangbu.entries AS e
            WHERE e.account_id = a.account_id AND e.asset = 1 AND e.kind NOT IN ('usage', 'overrun'))::bigint,
        count(u.id), coalesce(sum(u.total), 0)::bigint, sum(u.cost_nano)::bigint, sum(u.charge_nano)::bigint,
        count(u.id) FILTER (WHERE u.cost_nano IS NULL), max(jangbu.uuid7_time(u.id))
    FROM jangbu.accounts AS a LEFT JOIN jangbu.usage AS u ON u.account_id = a.account_id
    WHERE a.user_id LIKE $1 GROUP BY a.account_id ORDER BY a.user_id COLLATE "C"
"""


@pytest.mark.parametrize("search", ["", "l", "이"])
async def test_users_are_those_who_are_listed_with_all_that_they_have_and_used(
    opens: Opens, site: Site, search: str
) -> None:
    tab = await opens("/users?" + urlencode(asked(NEW_YORK, search=search, order="used")), member=VIEWER)
    lines = (await downloaded(tab, "All users as a file: JSON Lines")).lines
    stored = await ask(site, BALANCES, f"{search}%")
    assert [line["user"] for line in lines] == [user for user, *_ in stored]
    assert (len(lines) == len(USERS)) == (search == "")
    periods = await summed(site, "a.user_id", NEW_YORK)
    for line, (user, granted, calls, used, cost, charge, unpriced, seen) in zip(lines, stored, strict=True):
        has = (line["granted_tokens"], line["used_tokens"], line["available_tokens"], line["held_tokens"])
        assert has == (granted, used, granted - used, 0), user
        ever = [line[f"lifetime_{name}"] for name in ("calls", "total_tokens", "cost_nano", "charge_nano", "unpriced")]
        assert ever == [calls, used, cost, charge, unpriced], user
        in_period = dict(zip(SUMS, periods[user,], strict=True))
        for name in ("calls", "total_tokens", "cost_nano", "charge_nano", "unpriced"):
            assert line[f"period_{name}"] == in_period[name], (user, name)
        assert abs(datetime.fromisoformat(line["seen_at"]) - seen) < timedelta(milliseconds=1), user
    heads = {
        "available_tokens": 2, "period_total_tokens": 3, "period_calls": 5, "lifetime_total_tokens": 7,
        "lifetime_calls": 9,
    }  # fmt: skip
    shown = {cells[0]: [cells[place] for place in heads.values()] for cells in await rows(tab, "users")}
    assert shown == {line["user"]: [number(line[name]) for name in heads] for line in lines}


CALLS = """
    SELECT u.id::text, u.prompt + u.tool, u.candidates + u.thoughts, u.total, u.cost_nano, m.name,
        (jangbu.uuid7_time(u.id) AT TIME ZONE 'Asia/Seoul')::date
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a USING (account_id)
    JOIN jangbu.models AS m USING (model_id)
    WHERE a.user_id = $1
    ORDER BY u.id
"""


async def calls_shown(tab: Tab) -> list[list[str]]:
    return [cells[3:7] for cells in await rows(tab, "calls")]


async def test_a_users_calls_are_those_that_their_page_lists_and_all_where_nothing_is_chosen(
    opens: Opens, site: Site
) -> None:
    stored = await ask(site, CALLS, KIM)
    first, last = days_of(SEOUL)
    narrow = [row for row in stored if row[5] == MODELS[0] and first <= row[6] <= last]
    assert 0 < len(narrow) < len(stored)
    for meant, filters in ((stored, {"zone": SEOUL}), (narrow, asked(SEOUL, model=MODELS[0]))):
        tab = await opens("/user?" + urlencode({"user": KIM, **filters}))
        table = (await downloaded(tab, "All calls as a file: CSV")).table
        names = ("prompt_tokens", "completion_tokens", "total_tokens", "cost_nano")
        assert [(line["id"], *(int(line[name]) if line[name] else None for name in names)) for line in table] == [
            row[:5] for row in meant
        ]
        text = await (await tab.request.get(tab.url.replace("/user?", "/user/calls.jsonl?"))).text()
        assert [json.loads(line)["id"] for line in text.splitlines()] == [row[0] for row in meant]
        newest = [[number(row[1]), number(row[2]), number(row[3]), FORMATS.money(row[4])] for row in meant[::-1]]
        shown = await calls_shown(tab)
        assert shown == newest[:50]
    assert len(stored) > 50, "the file is more than a page"


async def test_the_ledger_gives_everybodys_entries_where_no_user_is_chosen(opens: Opens, site: Site) -> None:
    tab = await opens("/ledger")
    lines = (await downloaded(tab, "All entries as a file: JSON Lines")).lines
    entries = await ask(
        site,
        "SELECT a.user_id, e.seq, e.delta FROM jangbu.entries AS e JOIN jangbu.accounts AS a USING (account_id)"
        " WHERE e.asset = 1",
    )
    assert sorted((line["user"], line["seq"], line["delta"]) for line in lines) == sorted(map(tuple, entries))
    assert len({line["user"] for line in lines}) > 1


async def test_a_users_entries_are_all_of_theirs_whatever_calls_are_chosen(opens: Opens, site: Site) -> None:
    tab = await opens("/user?" + urlencode({"user": KIM, "zone": SEOUL, "range": "1h", "model": MODELS[0]}))
    entries = await ask(
        site,
        "SELECT e.seq, e.kind::text, e.delta, e.balance_after FROM jangbu.entries AS e JOIN jangbu.accounts AS a"
        " USING (account_id) WHERE a.user_id = $1 AND e.asset = 1 ORDER BY e.seq",
        KIM,
    )
    lines = (await downloaded(tab, "All entries as a file: JSON Lines")).lines
    assert [(line["seq"], line["kind"], line["delta"], line["balance_after"]) for line in lines] == entries
    shown = await rows(tab, "entries")
    assert [cells[3:5] for cells in shown] == [[number(row[2]), number(row[3])] for row in entries[::-1]][: len(shown)]


async def test_the_audit_is_whole_newest_first_and_of_whom_or_what_it_is_asked_for(opens: Opens, site: Site) -> None:
    query = "SELECT audit_id::text, actor_name, action, target FROM jangbu.audit ORDER BY at DESC, audit_id DESC"
    tab = await opens("/settings/audit?" + urlencode({"zone": SEOUL}))
    table = (await downloaded(tab, "All of the audit as a file: CSV")).table
    shown = await rows(tab, "audit")
    assert len(table) > 0
    oldest = [row for row in await ask(site, query) if row[0] in {line["id"] for line in table}]
    assert [(line["id"], line["actor"], line["action"], line["target"]) for line in table] == oldest
    assert len(shown) == min(len(table), 50)
    written = FORMATS_SEOUL.moment(datetime.fromisoformat(table[0]["at"]))
    assert shown[0][0] == written

    target = table[-1]["target"]
    tab = await opens("/settings/audit?" + urlencode({"target": target}))
    lines = (await downloaded(tab, "All of the audit as a file: JSON Lines")).lines
    assert [line["id"] for line in lines] == [row[0] for row in await ask(site, query) if row[3] == target]


@pytest.mark.skipif(Format.PARQUET not in offered(), reason="pyarrow is not installed")
async def test_parquet_holds_what_the_other_forms_do(opens: Opens) -> None:
    import pyarrow.parquet as pq

    tab = await opens("/cost?" + urlencode(asked(NEW_YORK)))
    file = await downloaded(tab, "All models as a file: Parquet")
    assert file.name.endswith(".parquet")
    lines = (await downloaded(tab, "All models as a file: JSON Lines")).lines
    found = pq.read_table(io.BytesIO(file.data)).to_pylist()
    assert [{name: line[name] for name in ("model", *SUMS)} for line in found] == [
        {name: line[name] for name in ("model", *SUMS)} for line in lines
    ]
    assert found[0]["start"].utcoffset() == datetime.fromisoformat(lines[0]["start"]).utcoffset()


async def test_a_csv_has_a_mark_for_excel_where_that_is_asked_for_alone(opens: Opens) -> None:
    tab = await opens("/users?zone=UTC")
    plain = await downloaded(tab, "All users as a file: CSV")
    marked = await downloaded(tab, "All users as a file: CSV for Excel")
    assert marked.data == b"\xef\xbb\xbf" + plain.data
    assert plain.name.startswith("users-")
    assert "'=HYPERLINK" in {line["user"].partition("(")[0] for line in plain.table}


@pytest.mark.parametrize(
    ("language", "name"), [("en", "All users as a file: CSV"), ("ko", "전체 사용자 내려받기: CSV 파일")]
)
async def test_a_file_is_had_by_keyboard_in_either_language(opens: Opens, language: str, name: str) -> None:
    tab = await opens("/users", language=language)
    link = tab.get_by_role("link", name=name, exact=True)
    await link.focus()
    async with tab.expect_download() as begun:
        await tab.keyboard.press("Enter")
    assert (await begun.value).suggested_filename.endswith(".csv")
