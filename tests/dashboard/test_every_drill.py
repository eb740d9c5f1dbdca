"""Every figure of every page leads to what it sums: each link is followed, and what is there adds up to the figure.

The figures are those of the pages as they are served. One that leads nowhere fails here until it leads to its records,
or is named here with the reason why it cannot.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from jangbu.dashboard.formats import Formats
from jangbu.dashboard.pages.all import PAGES
from tests.dashboard.conftest import Opens
from tests.dashboard.drilling import Lead, Reader, calls_in_file, calls_listed, follow, leads_of, paged, unled
from tests.dashboard.leading import (
    charged_in_money,
    exactly,
    to_failed,
    to_findings,
    to_health,
    to_holds,
    to_prices,
    to_refused,
    to_trend,
    to_users,
)
from tests.dashboard.obeying import whole
from tests.dashboard.raw import asked_of
from tests.dashboard.reading import ask
from tests.dashboard.shown import Table, read
from tests.dashboard.site import MODELS, SERVICES, Site
from tests.dashboard.varied import KIM, LEE

FORMATS = Formats("en", "UTC")

Leads = Callable[[Reader, Lead], Awaitable[None]]

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def to_tiles(reader: Reader, lead: Lead) -> None:
    """It leads to a page whose tiles say the same."""
    tiles = (await follow(reader, lead.link)).tiles
    shared = tiles.keys() & lead.figures.keys()
    assert shared, (sorted(tiles), lead)
    for name in shared:
        assert shown(tiles[name]) == shown(lead.figures[name]), name


def to_bar(chart: str) -> Leads:
    """It leads to the same chart of the days of one bar."""

    async def to_chart(reader: Reader, lead: Lead) -> None:
        assert (await follow(reader, lead.link)).table_of(f"{chart}-title").total[-1] == lead.figures["total"]

    return to_chart


async def to_overview(reader: Reader, lead: Lead) -> None:
    """It leads to the overview of the days of one bar, whose tokens are those of the bar; and on to their calls."""
    there = await follow(reader, lead.link)
    assert there.tiles["Tokens"] == lead.figures["total"]


async def to_calls_of_bar(reader: Reader, lead: Lead) -> None:
    """It leads to the overview of the user's days, and from there to their calls."""
    await to_overview(reader, lead)
    [behind] = [each for each in read(reader.content).all("a") if each.text == "The calls that these figures sum"]
    tokens = whole(lead.figures["total"])
    if tokens:
        assert (await calls_listed(reader, behind.attributes["href"]))[1] == tokens


async def to_calls(reader: Reader, lead: Lead) -> None:
    """It leads to a list of calls that add up to it, and to a file of the same calls."""
    calls, tokens = await calls_listed(reader, lead.link)
    in_file = await calls_in_file(reader)
    assert in_file[:2] == (calls, tokens)
    for name, said in lead.figures.items():
        match name.removesuffix(" in all").removesuffix(" in the period"):
            case "Calls":
                assert whole(said) == calls
            case "Cost":
                assert said.removeprefix("≥ ") in {FORMATS.money(in_file[2]), FORMATS.money_exact(in_file[2])}
            case "Average" | "Average of a call":
                assert whole(said) == round(tokens / calls)
            case _:
                assert whole(said) == tokens, name
                for counted in re.findall(r"([0-9,]+) calls?", said):
                    assert whole(counted) == calls


async def to_matrix(reader: Reader, lead: Lead) -> None:
    """It leads to the user's period, in which as much was used, and from there to the calls of that."""
    matrix = next((await follow(reader, lead.link)).all("section", aria_labelledby="matrix")).one("table")
    *_, last = matrix.one("tfoot").all("td")
    assert f" {lead.figures['Calls']} call" in last.text
    assert last.text.startswith(lead.figures.get("Tokens", ""))
    calls, tokens = await calls_listed(reader, last.one("a").attributes["href"])
    assert (f"{tokens:,}", f"{calls:,}") == (last.one("a").text, lead.figures["Calls"])


async def to_used(reader: Reader, lead: Lead) -> None:
    """It leads to the user's period or, where it is of a model or service, to the calls of that, which are as many."""
    if not lead.link.endswith("#calls"):
        await to_matrix(reader, lead)
        return
    calls, tokens = await calls_listed(reader, lead.link)
    assert lead.number("Calls") == calls
    assert lead.figures.get("Tokens", f"{tokens:,}") == f"{tokens:,}"


async def to_cost(reader: Reader, lead: Lead) -> None:
    """It leads to the cost of a part, which is the same, of as many calls."""
    there = await follow(reader, lead.link)
    assert sum(map(whole, there.table_of("cost-services").column("Calls").values())) == lead.number("Calls")
    for name in ("Google's price", "Charged to users"):
        if name in lead.figures:
            assert shown(there.tiles[name]) == shown(lead.figures[name])


async def to_month(reader: Reader, lead: Lead) -> None:
    """It leads to the cost of the running month."""
    tiles = (await follow(reader, lead.link)).tiles
    assert shown(lead.figures["So far"]) in {shown(tiles["Google's price"]), shown(tiles["Charged to users"])}


async def to_ledger(reader: Reader, lead: Lead) -> None:
    """It leads to the ledger, which says the same, and whose entries add up to that."""
    [(name, said)] = lead.figures.items()
    tiles = (await follow(reader, lead.link)).tiles
    assert tiles[name] == said
    used = given = 0
    async for table in paged(reader, lead.link, "entries"):
        for row in table.rows:
            kind, change = row.cells[1], int(row.cells[2].replace(",", ""))
            if kind in {"usage", "overrun"}:
                used -= change
            else:
                given += change
    left = given - used - whole(tiles["Held for calls"])
    assert [whole(tiles[each]) for each in ("Tokens left", "Granted, net", "Used")] == [left, given, used]


async def to_entry(reader: Reader, lead: Lead) -> None:
    """It leads to the entry, whose calls add up to its change, or are the one of which something was given back."""
    there = await follow(reader, lead.link)
    entry = next(there.all("section", aria_labelledby="entry"))
    assert entry.one("h2").text.endswith(f" {asked_of(reader.url)['entry']}")
    facts = {name.text: fact.text for name, fact in zip(entry.all("dt"), entry.all("dd"), strict=True)}
    for name in ("Change", "Balance after"):
        assert lead.figures.get(name, facts[name]) == facts[name]
    charged = [row.cells[-1] for table in entry.all("table") for row in Table(table).rows]
    if facts["Kind"] in {"usage", "overrun"}:
        assert sum(map(exactly, charged)) == -exactly(facts["Change"])
    assert len(charged) == 1 or facts["Kind"] not in {"refund", "void"}


async def to_record(reader: Reader, lead: Lead) -> None:
    """It leads to the call, which was charged so much."""
    there = await follow(reader, lead.link)
    charged = there.table_of("why").total[0]
    said = lead.figures.get("Total tokens") or lead.figures["Charged"]
    assert said == (charged_in_money(there) if said.startswith("$") else charged)


def shown(said: str) -> str:
    """Write money as tables do, whether or not it was written exactly."""
    amount = said.removeprefix("≥ ")
    return FORMATS.money(round(float(amount[1:]) * 10**9)) if amount.startswith("$") else said


LED: Mapping[str, Mapping[str, Leads]] = {
    "overview": {
        "tile: Tokens": to_tiles,
        "tile: Cost": to_tiles,
        "tile: Calls": to_tiles,
        "tile: Active users": to_users,
        "tile: Failed, not deducted": to_holds,
        "tile: Refused for balance": to_refused,
        "tile: On this machine, not in the ledger yet": to_health,
        "tile: To look at": to_findings,
        "by-model": to_bar("by-model"),
        "by-kind": to_overview,
        "services": to_tiles,
        "top-users": to_used,
    },
    "users": {
        "users: Tokens left": to_ledger,
        **{
            f"users: {figure} in {when}": to_calls
            for figure in ("Used", "Cost", "Calls", "Average of a call")
            for when in ("the period", "all")
        },
    },
    "models": {
        "models": to_tiles,
        "models: Failed": to_failed,
        "models: Failed in all": to_failed,
        "models: List: input / output": to_prices,
        "by-model": to_bar("by-model"),
        "trend": to_trend,
    },
    "cost": {
        "cost-month: So far": to_month,
        "cost-models": to_cost,
        "cost-services": to_cost,
        "cost-users": to_used,
        "by-service": to_bar("by-service"),
    },
    "calls_latest": {"calls": to_record},
    "ledger": {"tile: Held for calls": to_holds, "entry": to_record, "entries: No.": to_entry, "entries": to_entry},
    "alerts": {"count: kind": to_findings},
    "prices": {"fact: Calls without a price": to_findings},
    "user": {
        "tile: Tokens left": to_ledger,
        "tile: Granted, net": to_ledger,
        "tile: Used": to_ledger,
        "tile: Held for calls": to_holds,
        "tile: Calls": to_calls,
        "tile: Cost": to_calls,
        "year: part": to_calls,
        "year: total": to_calls,
        "matrix: part": to_calls,
        "matrix: total": to_calls,
        "matrix: part in all": to_calls,
        "matrix: total in all": to_calls,
        "by-service": to_calls,
        "calls": to_record,
        "entries: No.": to_entry,
        "entries": to_entry,
        "by-day": to_calls_of_bar,
    },
    "call": {"ledger: No.": to_entry, "ledger": to_entry},
}
"""What each figure leads to, by its page and place."""

BARS = (
    "the sum of bars that each lead to their days; all of their calls are given below the tiles, or in the user's list"
)
BEHIND = "all that the page sums: who used how much of it, or the calls, and a file of them, stand beside it"
LISTED = "its entries are listed below it, and lead on"
RECORD = "the record itself, or the entry"
AHEAD = "not recorded yet: what is expected"
CHECKED = "counts what a verification looked at, not what was used"
USUAL = "what those before tell is usual where there were no calls"
PRICE = "a price, which sums nothing"
COSTS = ("Calls", "Google's price", "Charged to users", "Mark-up", "Mark-up in %")
UNLED: Mapping[str, Mapping[str, str]] = {
    "overview": dict.fromkeys(("by-model: part in all", "by-model: total in all"), BARS)
    | dict.fromkeys(("by-kind: part in all", "by-kind: total in all"), BARS),
    "users": {"spread: Users": "counts users, who are listed above in the order of what they used"},
    "models": dict.fromkeys(("by-model: part in all", "by-model: total in all"), BARS)
    | {f"models: {name} in all": BEHIND for name in ("Calls", "Tokens", "Cached", "Thinking", "Cost")}
    | {"models: Failed in all": "leads to the holds of what failed, where anything did"}
    | {f"trend: {name} in all": BARS for name in ("Calls", "Average of a call")}
    | {f"trend: {name}": USUAL for name in ("Usual from", "Usual to")},
    "cost": dict.fromkeys(("by-service: part in all", "by-service: total in all"), BARS)
    | {f"cost-month: {name}": AHEAD for name in ("Expected", "At least", "At most")}
    | dict.fromkeys(("tile: Google's price", "tile: Charged to users", "tile: Mark-up"), BEHIND)
    | {f"{part}: {name} in all": BEHIND for part in ("cost-models", "cost-services") for name in COSTS}
    | dict.fromkeys(("tile: Of it for input", "tile: Of it for output"), BEHIND),
    "ledger": {f"tile: {name}": LISTED for name in ("Tokens left", "Granted, net", "Used", "Held for calls")}
    | dict.fromkeys(("fact: Change", "fact: Balance after"), RECORD)
    | {f"fact: {name}": CHECKED for name in ("Accounts", "Records read again")},
    "ledger_holds": {"holds: Tokens held": RECORD},
    "ledger_refused": {"refused: Calls": "counts calls that were never made, so that there is no record of them"},
    "alerts_events": {"events: Attempts": "counts attempts at sending, which nobody records one by one"},
    "prices": {f"{part}: {name}": PRICE for part, name in (("book", "Unit price"), ("later", "Then"),
                                                           ("later", "Until then"), ("fact", "Own prices"))},
    "user": dict.fromkeys(("by-day: part in all", "by-day: total in all"), BARS)
    | dict.fromkeys(("grants: Tokens", "grants: Left", "grants: Priority"), RECORD),
    "call": {f"price: {name}": RECORD for name in ("Quantity", "Unit price", "Cost", "Cost in all")}
    | dict.fromkeys(("why: Tokens", "why: Tokens in all"), RECORD)
    | dict.fromkeys(("fact: Held before the call", "fact: More than was held"), RECORD),
}  # fmt: skip
"""The figures that lead nowhere, and why."""

AT = {"models": f"/models?model={MODELS[0]}", "user": f"/user?user={KIM}", "ledger": f"/ledger?user={KIM}&entry=3"}
NARROWED = {
    "overview": f"/?user={KIM}&zone=Asia/Seoul&range=90d",
    "users": f"/users?model={MODELS[0]}&service=chat&zone=America/New_York&range=90d",
    "models": f"/models?service={SERVICES[0]}&zone=Asia/Seoul&range=7d",
    "cost": f"/cost?model={MODELS[1]}&zone=Asia/Seoul&range=90d&by_user=1",
    "ledger": f"/ledger?user={KIM}&asset=money&entry=3",
    "alerts": f"/alerts?user={LEE}&state=resolved",
    "prices": f"/prices?zone=Asia/Seoul&user={LEE}&price_model={MODELS[0]}",
    "user": f"/user?user={KIM}&zone=America/New_York&range=90d&model={MODELS[0]}",
}


@pytest.mark.parametrize("shown", PAGES, ids=lambda page: page.name)
async def test_every_figure_leads_to_what_it_sums(opens_varied: Opens, varied: Site, shown: Any) -> None:
    at = AT.get(shown.name, shown.path) if shown.name != "call" else f"/call?call={varied.call}&user={KIM}"
    reader = await Reader.of(await opens_varied(at))
    found = read(reader.content)
    leads, known = leads_of(found), LED.get(shown.name, {})
    assert leads.keys() == known.keys(), (
        "a figure that leads somewhere is not tried here, or one leads nowhere any more"
    )
    assert unled(found) <= UNLED.get(shown.name, {}).keys(), "figures that lead nowhere, without a reason"
    await followed(reader, leads, known)


@pytest.mark.parametrize("name", NARROWED)
async def test_a_figure_of_a_part_leads_to_that_part(opens_varied: Opens, name: str) -> None:
    reader = await Reader.of(await opens_varied(NARROWED[name]))
    found = read(reader.content)
    leads, known = leads_of(found), LED[name]
    assert leads
    assert leads.keys() <= known.keys()
    assert unled(found) <= UNLED.get(name, {}).keys()
    await followed(reader, leads, known)


async def followed(reader: Reader, leads: Mapping[str, list[Lead]], known: Mapping[str, Leads]) -> None:
    for place, found in leads.items():
        for lead in {id(each): each for each in (found[0], found[len(found) // 2])}.values():
            await known[place](reader, lead)


@pytest.mark.parametrize("at", ["", "models", "cost"])
@pytest.mark.parametrize(
    "filters", ["range=30d", f"user={KIM}&range=7d&zone=Asia/Seoul", f"model={MODELS[0]}&range=90d", "service=chat"]
)
async def test_behind_the_figures_of_all_are_everybodys_and_every_call(
    opens_varied: Opens, at: str, filters: str
) -> None:
    reader = await Reader.of(await opens_varied(f"/?{filters}"))
    tiles = read(reader.content).tiles
    links = {each.text: each.attributes["href"] for each in read(reader.content).all("a")}
    await follow(reader, f"/dashboard/{at}?{filters}")
    calls, tokens, cost = await calls_in_file(reader)
    assert (f"{calls:,}", f"{tokens:,}") == (tiles["Calls"], tiles["Tokens"])
    assert tiles["Cost"].removeprefix("≥ ") == FORMATS.money_exact(cost)
    if everybody := links.get("Everybody's share of these figures"):
        assert tokens == sum([
            whole(each) async for table in paged(reader, everybody, "users")
            for each in table.column("Used in the period").values()
        ])  # fmt: skip
    if theirs := links.get("The calls that these figures sum"):
        assert await calls_listed(reader, theirs) == (calls, tokens)
    assert ("user=" in filters) == ("These calls, newest first" not in links)
    if one_by_one := links.get("These calls, newest first"):
        assert await calls_listed(reader, one_by_one) == (calls, tokens)
        assert (await calls_in_file(reader))[:2] == (calls, tokens)
    assert ("user=" in filters, "model=" in filters or "service=" in filters) == (
        bool(theirs), not everybody and not theirs
    )  # fmt: skip


SOME = """
    SELECT u.id::text, a.user_id, u.raw, u.total, u.cost_nano, u.prompt, u.candidates, u.thoughts, u.tool
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    WHERE m.name = $1
    ORDER BY u.id DESC
    LIMIT 2
"""


@pytest.mark.parametrize("model", MODELS)
async def test_a_call_has_its_raw_usage_its_price_lines_and_its_entries_which_add_up(
    opens_varied: Opens, varied: Site, model: str
) -> None:
    reader = await Reader.of(await opens_varied("/"))
    for call, user, raw, total, cost, *counts in await ask(varied, SOME, model):
        there = await follow(reader, f"/dashboard/call?{urlencode({'call': call, 'user': user})}")
        evidence = next(there.all("section", aria_labelledby="facts"))
        [*_, word_for_word] = evidence.all("pre")
        assert json.loads("".join(map(str, word_for_word.one("code").inside))) == json.loads(raw)
        why = there.table_of("why")
        assert [whole(row.cells[0]) for row in why.rows] == counts
        assert sum(counts) == whole(why.total[0]) == total
        if cost is None:
            assert "price" in next(there.all("section", aria_labelledby="price")).text
        else:
            price = there.table_of("price")
            assert (
                sum(exactly(row.cells[-1]) for row in price.rows) == exactly(price.total[-1]) == Decimal(cost) / 10**9
            )
        entries = there.table_of("ledger").rows
        debits = [row for row in entries if row.cells[1] in {"usage", "overrun"}]
        assert debits
        for row in debits:
            await to_entry(reader, Lead(row.link, {"Change": row.cells[2], "Balance after": row.cells[3]}))
            listed = next(read(reader.content).all("section", aria_labelledby="entry")).one("table")
            charged = {asked_of(each.link)["call"]: each.cells[-1] for each in Table(listed).rows}
            assert charged[call] == (charged_in_money(there) if "$" in row.cells[2] else f"{total:,}")
