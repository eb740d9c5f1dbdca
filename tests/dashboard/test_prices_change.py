"""A change of prices: tried without changing anything, put in force as it was tried, and charged by."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from jangbu.domain.price_book import PriceBook
from jangbu.metering.meter import Metering
from jangbu.prices import shipped
from tests.dashboard.conftest import Opens
from tests.dashboard.pricing import (
    FLASH,
    LIST_INPUT,
    OWN,
    OWN_NANO,
    charged,
    costs_without_input,
    path_of,
    put,
    put_form,
    record,
    sums_of,
    tried,
    version_of,
    visiting,
)
from tests.dashboard.raw import asked_of
from tests.dashboard.reading import ask, audited, facts, rows
from tests.dashboard.shown import read
from tests.dashboard.site import FINANCE, OWNER, Site
from tests.dashboard.test_every_page import found_by_axe

RAW = """
    SELECT (u.prompt - u.cached)::bigint, u.cost_nano, u.charge_nano
    FROM jangbu.usage AS u
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    WHERE m.name = $1 AND jangbu.uuid7_time(u.id) >= $2 AND jangbu.uuid7_time(u.id) < $3
"""


pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    await expect(page.locator("#trial")).to_be_focused()
    assert await found_by_axe(page) == []
    [line] = await rows(page, "trial")
    assert line[0] == FLASH
    assert line[-2:] == ["$0.30 for 1,000,000", "$0.2500001 for 1,000,000"]
    assert await version_of(own_site) == version, "a dry run changes nothing"
    await page.get_by_role("button", name="Put in force").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice")).to_be_visible()
    await expect(page.get_by_role("status")).to_contain_text("The new prices are in force.")
    [note] = await ask(own_site, "SELECT note FROM jangbu.price_versions ORDER BY version DESC LIMIT 1")
    assert note == ("cheaper from now on",)
    assert (await facts(page.locator("main")))["Version"] == f"{version + 1} · cheaper from now on"
    after = await record(own_site, ledger, 1_001)
    assert after["cost_nano"] == round(1_001 * OWN_NANO) != 1_001 * LIST_INPUT
    [(kept,)] = await ask(own_site, "SELECT cost_nano FROM jangbu.usage WHERE id = $1", before["id"])
    assert kept == before["cost_nano"], "what was recorded keeps its price"
    assert (await audited(own_site, "prices.change"))[-1] == (FINANCE, "prices")


async def test_an_own_price_is_taken_away_from_its_row_and_the_books_holds_again(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    assert put(await visiting(own_site, FINANCE), OWN | {"tier": "batch", "starts": "2026-01-05"}).status == 303
    version = await version_of(own_site)
    page = await opens_own(f"/prices?price_model={FLASH}", member=FINANCE)
    await page.get_by_role("link", name="Remove the own price: gemini-2.5-flash, input, any, batch").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#trial")).to_have_text(f"Dry run on version {version}")
    [line] = await rows(page, "trial")
    assert line[0] == FLASH
    assert line[-2:] == ["$0.2500001 for 1,000,000", "$0.15 for 1,000,000"]
    tried_at = page.url
    await page.get_by_role("button", name="Put in force").click()
    await expect(page.get_by_role("status")).to_contain_text("The own price was taken away.")
    assert await version_of(own_site) == version + 1
    assert all(row.key[3] != "batch" for row in ledger.pricing.in_force.terms.overrides)
    await page.goto(tried_at)
    await expect(page.get_by_role("alert")).to_contain_text("There is no such own price any more.")


async def test_an_own_price_that_would_not_hold_is_refused_instead_of_tried(own_site: Site) -> None:
    owner = await visiting(own_site, OWNER)
    flex = OWN | {"tier": "flex"}
    for starts in ("2026-01-05", "2099-01-05"):
        assert put(owner, flex | {"starts": starts}).status == 303
    version = await version_of(own_site)
    for language, said in (
        ("en", "since Jan 5, 2026, 12:00:00"),
        ("ko", "2026. 1. 5. 오전 12:00:00부터 적용된 자체 가격이"),
    ):
        answer = owner.get(path_of(flex), accept_language=language)
        [alert] = read(answer.text).all("p", role="alert")
        assert said in alert.text
        assert 'id="trial"' not in answer.text
    answer = owner.send("/prices/change/put", flex | {"confirmation": "0" * 64, "key": "would-not-hold"})
    assert (answer.status, "would win over one that always holds" in answer.text) == (400, True)
    assert await version_of(own_site) == version
    assert put(owner, flex | {"starts": "2026-02-05"}).status == 303, "one that says its beginning is not outdone"


async def test_a_price_without_a_beginning_is_listed_as_one_that_always_holds(own_site: Site) -> None:
    owner = await visiting(own_site, OWNER)
    assert put(owner, OWN | {"meter": "thoughts", "price_model": "gemini-9-own"}).status == 303
    for language, said in (("en", "always"), ("ko", "항상")):
        page = read(owner.get("/prices?price_model=gemini-9-own", accept_language=language).text)
        [row] = page.table_of("book").rows
        assert row.cells[6] == said


@pytest.mark.parametrize(("zone", "days"), [("Asia/Seoul", None), ("America/New_York", 40), ("Asia/Kathmandu", 15)])
async def test_what_usage_would_have_cost_is_what_the_raw_records_add_up_to(
    own_site: Site, zone: str, days: int | None
) -> None:
    finance, today = await visiting(own_site, FINANCE), datetime.now(ZoneInfo(zone)).date()
    first = today - timedelta(days=29 if days is None else days)
    window = {} if days is None else {"from": first.isoformat(), "to": today.isoformat()}
    start = datetime.combine(first, datetime.min.time(), ZoneInfo(zone))
    raw = await ask(own_site, RAW, FLASH, start.astimezone(UTC), datetime.now(UTC) + timedelta(days=1))
    assert len(raw) > 3
    page = tried(finance, OWN | {"usd": "0.4000003"}, zone=zone, **window)
    assert f"{len(raw)} calls" in page.text
    [(parts,)] = await ask(
        own_site,
        "SELECT (book::jsonb #>> '{terms,markup_parts_per_million}')::integer FROM jangbu.price_versions"
        " ORDER BY version DESC LIMIT 1",
    )
    found = sums_of(page)
    assert found["As it was recorded"] == (sum(row[1] for row in raw), sum(row[2] for row in raw), 0)
    # Whatever was paid for fresh input by list or by an own price: that part alone is another one.
    priced = await costs_without_input(own_site, start.astimezone(UTC))
    new = [rest + round(fresh * Fraction(400_000_300, 1_000_000)) for fresh, rest in priced]
    assert found["By the new prices"] == (sum(new), sum(charged(each, parts) for each in new), 0)


async def test_a_mark_up_is_tried_over_all_calls_and_charged_to_the_next_one(own_site: Site, ledger: Metering) -> None:
    finance = await visiting(own_site, FINANCE)
    page = tried(finance, {"do": "markup", "markup": "12.3456 %"}, range="90d", zone="UTC")
    costs = [cost for (cost,) in await ask(own_site, "SELECT cost_nano FROM jangbu.usage WHERE cost_nano IS NOT NULL")]
    [(unpriced,)] = await ask(own_site, "SELECT count(*) FROM jangbu.usage WHERE cost_nano IS NULL")
    found = sums_of(page)
    assert found["As it was recorded"][::2] == (sum(costs), unpriced)
    if unpriced:
        told = f"{unpriced} calls have no price by the new prices, because of this: the model has no price · {unpriced}"
        assert told in page.text
        assert f"{unpriced} calls are left out." in page.text
    assert found["By the new prices"][2] == unpriced
    assert "12.3456%" in page.text
    answer = finance.send("/prices/change/put", put_form(page))
    assert answer.status == 303, answer.text
    [(note,)] = await ask(own_site, "SELECT note FROM jangbu.price_versions ORDER BY version DESC LIMIT 1")
    assert note == "a mark-up of 12.3456%"
    after = await record(own_site, ledger, 777, "gemini-2.5-pro")
    [(cost, charge)] = await ask(own_site, "SELECT cost_nano, charge_nano FROM jangbu.usage WHERE id = $1", after["id"])
    assert charge == charged(cost, 123_456) != cost


async def test_calls_without_any_price_are_told_as_such_and_leave_nothing_to_compare(
    own_site: Site, ledger: Metering
) -> None:
    await record(own_site, ledger, 1_005, "gemini-9-bare")
    page = tried(await visiting(own_site, FINANCE), OWN | {"price_model": "gemini-9-bare", "meter": "output"})
    table = next(each for each in page.tables if each.heads[0] == "By which prices")
    assert [row.cells for row in table.rows] == [("–", "–", "–", "–", "1")] * 3
    assert "No call has a price both as it was recorded and by the new prices" in page.text
    assert "because of this: not priced: input, text · 1 call" in page.text


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
    await expect(page.locator(".notice")).to_be_visible()
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


async def test_a_price_file_is_pasted_tried_and_put_in_force_by_keyboard(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    version = await version_of(own_site)
    page = await opens_own("/prices/change?zone=Asia/Seoul", member=FINANCE, language="ko")
    entry = {"models": ["gemini-9-file"], "source": "여기", "usd": {"input": "0.3", "output": "2.5"}}
    await page.get_by_label("가격 (JSON)").focus()
    await page.keyboard.insert_text(json.dumps({"entries": [entry]}, ensure_ascii=False))
    await page.keyboard.press("Tab")
    await page.keyboard.insert_text("봄 가격")
    await page.keyboard.press("Enter")
    await expect(page.locator("#trial")).to_be_focused()
    assert await found_by_axe(page) == []
    assert [line[0] for line in await rows(page, "trial")] == ["gemini-9-file"] * 2
    assert await version_of(own_site) == version, "a dry run changes nothing"
    await page.get_by_role("button", name="적용").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".notice")).to_be_visible()
    [note] = await ask(own_site, "SELECT note FROM jangbu.price_versions ORDER BY version DESC LIMIT 1")
    assert note == ("봄 가격",)
    after = await record(own_site, ledger, 1_003, "gemini-9-file")
    assert after["cost_nano"] == 1_003 * 300


async def test_a_price_file_is_read_from_a_file_and_compared_with_the_usage_of_the_page(
    opens_own: Opens, own_site: Site
) -> None:
    page = await opens_own("/prices/change?from=2026-01-05&to=2026-01-06")
    book = {"entries": [{"models": ["gemini-9-picked"], "source": "s", "usd": {"input": "1"}}]}
    file = {
        "name": "prices.json",
        "mimeType": "application/json",
        "buffer": b"\xef\xbb\xbf" + json.dumps(book).encode(),
    }
    await page.get_by_label("Read a file").set_input_files(file)  # type: ignore[arg-type]
    await expect(page.get_by_label("Prices as JSON")).to_have_value(json.dumps(book))
    await page.get_by_role("button", name="Dry run").last.click()
    await expect(page.locator("[aria-labelledby=trial]")).to_contain_text("0 calls from Jan 5, 2026")


@pytest.mark.parametrize(
    ("book", "said"),
    [
        ("", "No prices were given."),
        ("{", "no JSON"),
        ("[]", "an object with a list of entries"),
        ("[" * 100_000, "no JSON"),
        ('{"entries": [{"models": ["m"], "source": "s", "usd": {"input": "1", "input": "2"}}]}', "stands twice"),
        ('{"entries": [{"models": ["m"], "source": "s", "usd": {"input": 1}}]}', "entry 1"),
        ('{"entries": [' + " " * 1_000_000 + "]}", "more than 1,000,000 characters. Split it"),
        ('{"entries": [{"models": ["m"], "usd": {"input": "1"}}]}', "source"),
        (json.dumps({"entries": [{"models": ["m"] * 10_001, "source": "s", "usd": {"input": "1"}}]}), "10,000 rows"),
    ],
)
async def test_a_price_file_that_cannot_be_used_is_refused_with_the_reason(
    own_site: Site, book: str, said: str
) -> None:
    finance, version = await visiting(own_site, FINANCE), await version_of(own_site)
    answer = await asyncio.to_thread(finance.send, "/prices/change/try-file", {"book": book})
    assert answer.status == 400
    assert said in read(answer.text).text
    assert await version_of(own_site) == version


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
    assert re.search(r"{[a-z_]+}", await page.locator("main").inner_text()) is None, "no text lacks what belongs in it"
