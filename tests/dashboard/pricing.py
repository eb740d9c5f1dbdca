"""What tests of prices do by hand: try a change, put it in force, and record calls that cost it."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from jangbu.metering.meter import Metering
from tests.dashboard.raw import Answer, Visitor, signed_in
from tests.dashboard.reading import ask
from tests.dashboard.shown import Node, read
from tests.dashboard.site import USERS, Site

FLASH, UNPRICED = "gemini-2.5-flash", "gemini-9-unpriced"
LIST_INPUT = 300
"""What Google asks for a token of input of that model, in nano-USD."""
OWN = {"do": "price", "price_model": FLASH, "meter": "input", "usd": "0.2500001", "source": "our contract"}
OWN_NANO = Fraction(250_000_100, 1_000_000)


async def visiting(site: Site, name: str) -> Visitor:
    """Sign somebody in, who speaks HTTP by hand."""
    return await asyncio.to_thread(signed_in, site, name)


def path_of(fields: Mapping[str, str], **more: str) -> str:
    return f"/prices/change?{urlencode({**fields, **more})}"


def put_form(page: Node) -> dict[str, str]:
    """Give what the form sends that puts a tried change in force."""
    [form] = page.all("form", action="/dashboard/prices/change/put")
    fields = [each.attributes for each in form.all("input")]
    return {each["name"]: each["value"] for each in fields if each["name"] != "csrf"}


def tried(visitor: Visitor, fields: Mapping[str, str], **more: str) -> Node:
    answer = visitor.get(path_of(fields, **more))
    assert answer.status == 200, answer.text
    return read(answer.text)


def put(visitor: Visitor, fields: Mapping[str, str]) -> Answer:
    return visitor.send("/prices/change/put", put_form(tried(visitor, fields)))


def sums_of(page: Node) -> dict[str, tuple[int, int, int]]:
    """Give the nano-USD of cost and charge, and the calls without a price, by what they are priced by."""
    [table] = [each for each in page.tables if each.heads[0] == "By which prices"]
    found = {
        row.name: tuple(int(row.cells[at].removeprefix("≥ ").replace(",", "")) for at in (1, 3, 4))
        for row in table.rows
    }
    return {name: (cells[0], cells[1], cells[2]) for name, cells in found.items()}


def charged(cost: int, parts_per_million: int) -> int:
    return round(Fraction(cost * (1_000_000 + parts_per_million), 1_000_000))


async def version_of(site: Site) -> int:
    [(version,)] = await ask(site, "SELECT max(version) FROM jangbu.price_versions")
    return int(version)


async def record(site: Site, ledger: Metering, prompt: int, model: str = FLASH) -> Any:
    """Record an answer at the server whose pages were used, and give the receipt."""
    _, secret = await ledger.keys.create_for_app("prices", scopes=["api:developer"])
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}}],
        "usageMetadata": {"promptTokenCount": prompt, "totalTokenCount": prompt},
        "modelVersion": model,
    }
    body = json.dumps({"user": USERS[0], "service": "chat", "answer": answer}).encode()
    heads = {
        "content-type": "application/json",
        "authorization": f"Bearer {secret}",
        "idempotency-key": f"prices-{prompt}-{datetime.now(UTC).isoformat()}",
    }
    return await asyncio.to_thread(sent, Request(f"{site.url}/api/v1/records", body, heads))


def sent(request: Request) -> Any:
    with urlopen(request) as answer:
        return json.loads(answer.read())


async def costs_without_input(site: Site, since: datetime) -> list[tuple[int, int]]:
    """Give of each call the tokens of fresh input, and what all the others cost by the list: all whole nano-USD."""
    found = await ask(
        site,
        "SELECT (u.prompt - u.cached)::bigint, (u.cached * 30 + (u.candidates + u.thoughts) * 2500)::bigint"
        " FROM jangbu.usage AS u JOIN jangbu.models AS m ON m.model_id = u.model_id"
        " WHERE m.name = $1 AND jangbu.uuid7_time(u.id) >= $2",
        FLASH,
        since,
    )
    return [(fresh, rest) for fresh, rest in found]
