"""Where figures lead to that count no calls of the ledger: to findings, users, holds, refusals, prices, averages and
what lies on the disk."""

import re
from decimal import Decimal

from tests.dashboard.drilling import Lead, Reader, follow, paged
from tests.dashboard.obeying import whole
from tests.dashboard.shown import Node


async def to_findings(reader: Reader, lead: Lead) -> None:
    """It leads to as many findings."""
    [said] = lead.figures.values()
    assert whole(said) == sum([len(table.rows) async for table in paged(reader, lead.link, "open")])


async def to_users(reader: Reader, lead: Lead) -> None:
    """It leads to as many users."""
    [said] = lead.figures.values()
    assert whole(said) == sum([len(table.rows) async for table in paged(reader, lead.link, "users")])


async def to_holds(reader: Reader, lead: Lead) -> None:
    """It leads to as many holds, or to those that add up to as many tokens."""
    [(name, said)] = lead.figures.items()
    tokens = [whole(row.cells[3]) async for table in paged(reader, lead.link, "holds") for row in table.rows]
    assert whole(said) == (sum(tokens) if name == "Held for calls" else len(tokens))


async def to_failed(reader: Reader, lead: Lead) -> None:
    """It leads to as many holds as calls failed."""
    [said] = lead.figures.values()
    [failed] = re.findall(r" ([0-9,]+) of ", said)
    assert whole(failed) == sum([len(table.rows) async for table in paged(reader, lead.link, "holds")]) > 0


async def to_health(reader: Reader, lead: Lead) -> None:
    """It leads to how the ledger stands, where the disk is said to hold as many records that are in no book."""
    [said] = lead.figures.values()
    [found] = [row.cells for row in (await follow(reader, lead.link)).table_of("health").rows if "disk" in row.name]
    assert whole(said) == 0
    assert found == ("well", "Nothing waits.")


async def to_prices(reader: Reader, lead: Lead) -> None:
    """It leads to the prices of the model that are in force, of which they are two."""
    [said] = lead.figures.values()
    rows = (await follow(reader, lead.link)).table_of("book").rows
    for meter, price in zip(("input", "output"), re.findall(r"\$[0-9.]+", said), strict=True):
        assert f"{price} for 1,000,000" in {row.cells[5] for row in rows if row.cells[0] == meter}
    assert all(row.cells[8].startswith("In force") for row in rows)


async def to_trend(reader: Reader, lead: Lead) -> None:
    """It leads to the days of one point, whose calls are as many and as large."""
    there = (await follow(reader, lead.link)).table_of("trend-title")
    assert there.total[:2] == tuple(lead.figures[name] for name in ("Calls", "Average of a call"))


async def to_refused(reader: Reader, lead: Lead) -> None:
    """It leads to the minutes in which as many calls were refused."""
    [said] = lead.figures.values()
    refused = [whole(row.cells[-1]) async for table in paged(reader, lead.link, "refused") for row in table.rows]
    assert whole(said) == sum(refused)


def charged_in_money(call: Node) -> str:
    """Give what the user was charged for a call."""
    foot = next(call.all("section", aria_labelledby="price")).one("tfoot")
    return [row.one("td").text for row in foot.all("tr")][1]


def exactly(said: str) -> Decimal:
    """Read a number, or money to its last digit."""
    return Decimal(said.replace(",", "").replace("$", ""))
