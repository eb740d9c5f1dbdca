"""Prices: what holds since when and what comes later, and how a change is tried, put in force, and charged by."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from jangbu.domain.members import MemberRole
from jangbu.domain.price_book import OVERRIDE_PRIORITY, PriceBook
from jangbu.metering.meter import Metering
from jangbu.prices import shipped
from tests.dashboard.conftest import Opens
from tests.dashboard.raw import Answer, Visitor, asked_of, signed_in
from tests.dashboard.reading import ask, audited, downloaded, facts, rows
from tests.dashboard.shown import Node, read
from tests.dashboard.site import DEVELOPER, FINANCE, OWNER, USERS, Site
from tests.dashboard.test_every_page import found_by_axe

FLASH, UNPRICED = "gemini-2.5-flash", "gemini-9-unpriced"
LIST_INPUT = 300
"""What Google asks for a token of input of that model, in nano-USD."""
OWN = {"do": "price", "price_model": FLASH, "meter": "input", "usd": "0.2500001", "source": "our contract"}
OWN_NANO = Fraction(250_000_100, 1_000_000)
RAW = """
    SELECT (u.prompt - u.cached)::bigint, u.cost_nano, u.charge_nano
    FROM jangbu.usage AS u
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    WHERE m.name = $1 AND jangbu.uuid7_time(u.id) >= $2 AND jangbu.uuid7_time(u.id) < $3
"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


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


def put(visitor: Visitor, fields: Mapping[str, str], **more: str) -> Answer:
    return visitor.send("/prices/change/put", put_form(tried(visitor, fields)) | more)


def sums_of(page: Node) -> dict[str, tuple[int, int, int]]:
    """Give the nano-USD of cost and charge, and the calls without a price, by what they are priced by."""
    [table] = [each for each in page.tables if each.heads[0] == "By which prices"]
    found = {row.name: tuple(int(row.cells[at].replace(",", "")) for at in (1, 3, 4)) for row in table.rows}
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


async def test_a_price_is_tried_put_in_force_and_the_next_call_costs_it(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    before = await record(own_site, ledger, 1_000)
    assert before["cost_nano"] == 1_000 * LIST_INPUT
    version = await version_of(own_site)
    page = await opens_own("/prices", member=FINANCE)
    await page.get_by_role("link", name="Change prices").click()
    form = page.locator("form", has=page.locator("input[name=do][value=price]"))
    await form.get_by_label("Model", exact=True).fill(FLASH)
    await form.get_by_label("Price in USD").fill("0.2500001")
    await form.get_by_label("Where the price is").fill("our contract")
    await form.get_by_label("Why, for").fill("cheaper from now on")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**usd=0.2500001*")
    await expect(page.locator("#trial")).to_have_text(f"Dry run on version {version}")
    assert await page.evaluate("document.activeElement.id") == "trial"
    assert await found_by_axe(page) == []
    [line] = await rows(page, "trial")
    assert line[0] == FLASH
    assert line[-2:] == ["$0.30 for 1,000,000", "$0.2500001 for 1,000,000"]
    assert await version_of(own_site) == version, "a dry run changes nothing"
    await page.get_by_role("button", name="Put in force").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**notice=prices_changed*")
    await expect(page.get_by_role("status")).to_contain_text("The new prices are in force.")
    [note] = await ask(own_site, "SELECT note FROM jangbu.price_versions ORDER BY version DESC LIMIT 1")
    assert note == ("cheaper from now on",)
    assert (await facts(page.locator("main")))["Version"] == f"{version + 1} · cheaper from now on"
    after = await record(own_site, ledger, 1_001)
    assert after["cost_nano"] == round(1_001 * OWN_NANO) != 1_001 * LIST_INPUT
    [(kept,)] = await ask(own_site, "SELECT cost_nano FROM jangbu.usage WHERE id = $1", before["id"])
    assert kept == before["cost_nano"], "what was recorded keeps its price"
    assert (await audited(own_site, "prices.change"))[-1] == (FINANCE, "prices")


@pytest.mark.parametrize(
    ("zone", "window"),
    [
        ("Asia/Seoul", {"range": "30d"}),
        ("America/New_York", {"range": "custom", "days": "40"}),
        ("Asia/Kathmandu", {"range": "7d"}),
    ],
)
async def test_what_usage_would_have_cost_is_what_the_raw_records_add_up_to(
    own_site: Site, zone: str, window: dict[str, str]
) -> None:
    finance, now = await visiting(own_site, FINANCE), datetime.now(ZoneInfo(zone))
    days = int(window.get("days", 0))
    if days:
        window = {"from": (now - timedelta(days=days)).date().isoformat(), "to": now.date().isoformat()}
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    back = days or {"30d": 29, "7d": 6}[window["range"]]
    # A day is taken from the clock on the wall, so that one of 23 or 25 hours is one.
    start = datetime.combine((midnight - timedelta(days=back)).date(), datetime.min.time(), ZoneInfo(zone))
    raw = await ask(own_site, RAW, FLASH, start.astimezone(UTC), datetime.now(UTC) + timedelta(days=1))
    assert len(raw) > 3
    page = tried(finance, OWN | {"usd": "0.4000003"}, zone=zone, **window)
    assert f"{len(raw)} calls" in page.text
    [(_, parts)] = await ask(
        own_site,
        "SELECT version, (book::jsonb #>> '{terms,markup_parts_per_million}')::integer FROM jangbu.price_versions"
        " ORDER BY version DESC LIMIT 1",
    )
    found = sums_of(page)
    assert found["As it was recorded"] == (sum(row[1] for row in raw), sum(row[2] for row in raw), 0)
    # Whatever was paid for fresh input by list or by an own price: that part alone is another one.
    priced = await costs_without_input(own_site, start.astimezone(UTC))
    new = [rest + round(fresh * Fraction(400_000_300, 1_000_000)) for fresh, rest in priced]
    assert found["By the new prices"] == (sum(new), sum(charged(each, parts) for each in new), 0)


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


async def test_a_mark_up_is_tried_over_all_calls_and_charged_to_the_next_one(own_site: Site, ledger: Metering) -> None:
    finance = await visiting(own_site, FINANCE)
    page = tried(finance, {"do": "markup", "markup": "12.3456"}, range="90d", zone="UTC")
    costs = [cost for (cost,) in await ask(own_site, "SELECT cost_nano FROM jangbu.usage WHERE cost_nano IS NOT NULL")]
    [(unpriced,)] = await ask(own_site, "SELECT count(*) FROM jangbu.usage WHERE cost_nano IS NULL")
    found = sums_of(page)
    assert found["As it was recorded"][::2] == (sum(costs), unpriced)
    assert found["By the new prices"][2] == unpriced
    assert "12.3456%" in page.text
    answer = finance.send("/prices/change/put", put_form(page))
    assert answer.status == 303, answer.text
    after = await record(own_site, ledger, 777, "gemini-2.5-pro")
    [(cost, charge)] = await ask(own_site, "SELECT cost_nano, charge_nano FROM jangbu.usage WHERE id = $1", after["id"])
    assert charge == charged(cost, 123_456) != cost


async def test_a_dry_run_on_prices_that_changed_since_is_refused_and_can_be_repeated(
    opens_own: Opens, own_site: Site
) -> None:
    owner = await visiting(own_site, OWNER)
    page = await opens_own(path_of(OWN | {"usd": "0.11"}))
    assert put(owner, OWN | {"usd": "0.22"}).status == 303
    version = await version_of(own_site)
    await page.get_by_role("button", name="Put in force").click()
    alert = page.locator("form[action$='/put']").get_by_role("alert")
    await expect(alert).to_contain_text(f"version {version} is now. Nothing was changed. Repeat the dry run")
    assert await version_of(own_site) == version
    await page.get_by_role("link", name="Repeat the dry run").click()
    await expect(page.locator("#trial")).to_have_text(f"Dry run on version {version}")
    [line] = await rows(page, "trial")
    assert line[-2:] == ["$0.22 for 1,000,000", "$0.11 for 1,000,000"]
    await page.get_by_role("button", name="Put in force").click()
    await page.wait_for_url("**notice=prices_changed*")
    assert await version_of(own_site) == version + 1


async def test_a_change_that_is_sent_twice_is_made_once_and_another_than_was_tried_is_not(own_site: Site) -> None:
    owner = await visiting(own_site, OWNER)
    form = put_form(tried(owner, OWN | {"usd": "0.31"}))
    version = await version_of(own_site)
    noted = len(await audited(own_site, "prices.change"))
    for name, value in {"usd": "0.01", "price_model": "gemini-2.5-pro", "confirmation": "0" * 64}.items():
        answer = owner.send("/prices/change/put", form | {name: value})
        assert answer.status == 400
        assert "Nothing was changed" in answer.text
    assert await version_of(own_site) == version
    for _ in range(2):
        answer = owner.send("/prices/change/put", form)
        assert asked_of(answer.leads_to) == {"price_model": FLASH, "notice": "prices_changed"}
    assert await version_of(own_site) == version + 1
    assert len(await audited(own_site, "prices.change")) == noted + 1
    again = tried(owner, OWN | {"usd": "0.31"})
    assert "This changes nothing" in again.text
    assert not list(again.all("form", action="/dashboard/prices/change/put"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"usd": "1,5"}, "“1,5” is no price. Write dollars like 0.30"),
        ({"usd": "-1"}, "“-1” is no price."),
        ({"usd": "0.0000000001"}, "at most nine decimals"),
        ({"usd": "999999", "per": "1K"}, "is no price"),
        ({"meter": "image", "per": "1K"}, "Only tokens have a price for a thousand of them."),
        ({"meter": "x"}, "is none of the choices"),
        ({"price_model": "gemini-*-flash"}, "This is no model."),
        ({"price_model": ""}, "This is no model."),
        ({"source": ""}, "Say in 1 to 500 characters where the price is published"),
        ({"above": "1.5"}, "is no whole number"),
        ({"starts": "2026-02-30"}, "is no day"),
        ({"starts": "2030-02-02", "ends": "2030-02-01"}, "Choose a later end"),
        ({"ends": "2020-01-01"}, "has begun already"),
        ({"note": "n" * 201}, "Write at most 200 characters"),
        ({"range": "9d"}, "is none of the choices"),
    ],
)
async def test_wrong_input_is_told_beside_its_form_and_nothing_typed_is_lost(
    own_site: Site, wrong: dict[str, str], said: str
) -> None:
    typed = OWN | {"note": "why not", "tier": "batch", "above": "200,000"} | wrong
    page = tried(await visiting(own_site, OWNER), typed)
    alerts = list(page.all("p", role="alert"))
    assert len(alerts) == 1
    forms = [each for each in page.all("form") if any(True for _ in each.all("p", role="alert"))]
    assert len(forms) == 1
    kept = {each.attributes["name"]: each.attributes.get("value", "") for each in forms[0].all("input")}
    chosen = {
        each.attributes["name"]: option.attributes["value"]
        for each in forms[0].all("select")
        for option in each.all("option")
        if "selected" in option.attributes
    }
    offered = {name: value for name, value in typed.items() if name in kept | chosen}
    assert {**chosen, **kept} | offered == {**chosen, **kept}
    assert typed.keys() - offered.keys() <= {name for name in wrong if name in {"meter", "range"}}
    assert said in alerts[0].text


async def test_a_wrong_mark_up_is_told_beside_its_own_form(own_site: Site) -> None:
    for text in ("x", "1e3", "-100.1", "100001", "12.34567", ""):
        page = tried(await visiting(own_site, OWNER), {"do": "markup", "markup": text})
        [form] = [each for each in page.all("form") if list(each.all("p", role="alert"))]
        assert next(form.all("input", name="do")).attributes["value"] == "markup"
        assert "is no mark-up. Write a percentage" in form.text
        assert next(form.all("input", name="markup")).attributes["value"] == text


async def test_a_price_for_a_thousand_tokens_and_from_a_day_on_is_what_the_book_says(
    own_site: Site, ledger: Metering
) -> None:
    owner = await visiting(own_site, OWNER)
    day = (datetime.now(ZoneInfo("Asia/Seoul")) + timedelta(days=40)).date()
    dated = OWN | {"meter": "output", "usd": "0.005", "per": "1K", "starts": day.isoformat(), "zone": "Asia/Seoul"}
    page = tried(owner, dated)
    assert "Each is priced as of" in page.text
    raw = await costs_without_input(own_site, datetime.now(UTC) - timedelta(days=28))
    assert raw, "there was usage that would have cost another price"
    before, after = (sums_of(page)[f"By the {which}"][0] for which in ("prices in force", "new prices"))
    [(written,)] = await ask(
        own_site,
        "SELECT sum(u.candidates + u.thoughts)::bigint FROM jangbu.usage AS u"
        " JOIN jangbu.models AS m ON m.model_id = u.model_id"
        " WHERE m.name = $1 AND jangbu.uuid7_time(u.id) >= $2",
        FLASH,
        datetime.combine(
            datetime.now(ZoneInfo("Asia/Seoul")).date() - timedelta(days=29),
            datetime.min.time(),
            ZoneInfo("Asia/Seoul"),
        ),
    )
    assert after - before == written * (5_000 - 2_500)
    assert owner.send("/prices/change/put", put_form(page)).status == 303
    await ledger.pricing.refresh()
    row = ledger.pricing.in_force.terms.overrides[-1]
    starts = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Seoul"))
    assert (row.price_nano, row.unit_size, row.valid_from) == (5_000_000_000, 1_000_000, starts)
    later = read(owner.get(f"/prices?price_model={FLASH}&zone=Asia/Seoul").text).table_of("later")
    [turn] = [each for each in later.rows if each.cells[1] == "output"]
    assert turn.cells[-2:] == ("$2.50 for 1,000,000", "$5.00 for 1,000,000")


async def test_calls_without_a_price_are_priced_by_a_job_that_reports(own_site: Site, opens_own: Opens) -> None:
    owner = await visiting(own_site, OWNER)
    for meter, usd in {"input": "1", "output": "2", "cached_input": "0.1"}.items():
        assert put(owner, OWN | {"price_model": f"{UNPRICED}*", "meter": meter, "usd": usd}).status == 303
    [(waiting,)] = await ask(own_site, "SELECT count(*) FROM jangbu.usage WHERE cost_nano IS NULL")
    assert waiting > 50
    page = await opens_own("/prices", member=FINANCE)
    await page.get_by_role("button", name="Price these calls").click()
    await expect(page.locator("h1")).to_have_text("Calls without a price")
    found = await facts(page.locator("main"))
    assert found == {
        "Calls looked at": str(waiting),
        "Calls that have a price now": str(waiting),
        "Calls that still have none": "0",
    }
    assert await found_by_axe(page) == []
    wrong = await ask(
        own_site,
        "SELECT count(*) FROM jangbu.usage AS u JOIN jangbu.models AS m ON m.model_id = u.model_id"
        " WHERE u.cost_nano IS NULL OR (m.name = $1 AND u.cost_nano"
        " <> (u.prompt - u.cached) * 1000 + u.cached * 100 + (u.candidates + u.thoughts) * 2000)",
        UNPRICED,
    )
    assert wrong == [(0,)]
    assert {who for who, _ in await audited(own_site, "prices.backfill")} == {FINANCE}
    await page.get_by_role("link", name="Back to the prices").click()
    assert (await facts(page.locator("main")))["Calls without a price"] == "0"
    await expect(page.get_by_role("button", name="Price these calls")).to_have_count(0)


async def test_the_shipped_book_is_taken_over_row_by_row(own_site: Site, ledger: Metering) -> None:
    owner = await visiting(own_site, OWNER)
    assert "This changes nothing" in tried(owner, {"do": "shipped"}).text
    less = PriceBook(tuple(row for row in shipped().rows if row.model != "gemini-2.5-pro"))
    await ledger.pricing.put(less, ledger.pricing.in_force.terms, "an older book")
    page = tried(owner, {"do": "shipped"})
    lines = next(each for each in page.tables if "Until then" in each.heads).rows
    assert len(lines) == len(shipped().rows) - len(less.rows)
    assert {line.name for line in lines} == {"gemini-2.5-pro"}
    assert {line.cells[-2] for line in lines} == {"no price"}
    assert owner.send("/prices/change/put", put_form(page)).status == 303
    await ledger.pricing.refresh()
    assert set(ledger.pricing.in_force.base.rows) == set(shipped().rows)


async def test_who_may_not_set_prices_sees_them_alone(own_site: Site) -> None:
    form = put_form(tried(await visiting(own_site, OWNER), OWN | {"usd": "0.77"}))
    version = await version_of(own_site)
    for role in (MemberRole.DEVELOPER, MemberRole.VIEWER):
        visitor = await visiting(own_site, role.value)
        shown = visitor.get(f"/prices?price_model={FLASH}").text
        assert FLASH in shown
        assert "/prices/change" not in shown
        assert visitor.get(path_of(OWN)).status == 403
        assert visitor.send("/prices/change/put", form).status == 403
        assert visitor.send("/prices/backfill", {"key": "x"}).status == 403
    assert await version_of(own_site) == version


async def shown_rows(page: Page) -> list[list[str]]:
    return await rows(page, "book")


async def test_the_page_shows_the_rows_of_the_book_and_gives_them_as_a_file(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    await ledger.pricing.refresh()
    book = ledger.pricing.in_force.book
    page = await opens_own("/prices", member=DEVELOPER)
    assert len(await shown_rows(page)) == len(book.rows)
    filters = page.locator("form.filters")
    await filters.locator("[name=price_model]").select_option("gemini-2.5-pro")
    await page.wait_for_url("**price_model=gemini-2.5-pro*")
    await filters.locator("[name=unit]").select_option("1K")
    await page.wait_for_url("**unit=1K*")
    await expect(page.locator("[aria-labelledby=book] tbody")).to_contain_text("for 1,000")
    found = await shown_rows(page)
    wanted = [row for row in book.rows if row.model == "gemini-2.5-pro"]
    assert len(found) == len(wanted) > 5
    assert "$0.00125 for 1,000" in {cells[6] for cells in found}
    await page.reload()
    assert await shown_rows(page) == found
    file = await downloaded(page, "All of these prices as a file: CSV")
    assert [(line["meter"], line["tier"], int(line["price_nano"])) for line in file.table] == [
        (row.meter, row.tier, row.price_nano) for row in wanted
    ]
    assert {line["whose"] for line in file.table} == {"book"}
    await page.goto(f"{own_site.url}/dashboard/prices?standing=later")
    later = [row for row in book.rows if row.valid_from is not None and row.valid_from > datetime.now(UTC)]
    assert len(await shown_rows(page)) == len(later) > 10
    lines = (await downloaded(page, "All of these prices as a file: JSON Lines")).lines
    assert [line["model"] for line in lines] == [row.model for row in later]
    own = sum(row.priority >= OVERRIDE_PRIORITY for row in later)
    assert sum(line["whose"] == "own" for line in lines) == own
    await page.goto(f"{own_site.url}/dashboard/prices?version=1")
    assert len(await shown_rows(page)) == len(shipped().rows)
    await expect(page.locator("#later")).to_have_count(0)


async def test_days_that_are_entered_are_the_window_and_what_is_empty_has_no_place_in_the_address(
    opens_own: Opens, own_site: Site
) -> None:
    page = await opens_own("/prices/change")
    form = page.locator("form", has=page.locator("input[name=do][value=markup]"))
    await form.get_by_label("Mark-up in percent").fill("10")
    await form.get_by_label("From", exact=True).fill("2026-01-05")
    await form.get_by_label("To", exact=True).fill("2026-01-06")
    assert page.url == f"{own_site.url}/dashboard/prices/change", "nothing is tried before it is asked for"
    await form.get_by_role("button", name="Dry run").click()
    await page.wait_for_url("**markup=10*")
    wanted = {
        "do": "markup",
        "markup": "10",
        "range": "custom",
        "from": "2026-01-05",
        "to": "2026-01-06",
        "zone": "UTC",
    }
    assert asked_of(page.url) == wanted
    await expect(page.locator("[aria-labelledby=trial]")).to_contain_text("0 calls from Jan 5, 2026")


@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "dark", 390), ("ko", "light", 1280)])
async def test_a_dry_run_is_right_however_it_is_looked_at(
    opens_own: Opens, language: str, scheme: str, width: int
) -> None:
    page = await opens_own(path_of(OWN | {"usd": "0.41"}), language=language, scheme=scheme, width=width)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window"
    assert await found_by_axe(page) == []
    assert "{" not in await page.locator("main").inner_text()
