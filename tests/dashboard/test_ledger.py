"""The page of the ledger: its figures are those of the database, and what is done on it is done once."""

import csv
import io
import json
from datetime import date, datetime
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from jangbu.domain.ledger import Asset, account_id
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.reading import ask, audited, csrf_of, downloaded, facts, rows, send
from tests.dashboard.site import OWNER, USERS, VIEWER, Site
from tests.metering.telling import use

KIM = USERS[0]
ENTRIES = (
    "SELECT seq, kind::text, delta, balance_after, reason, key FROM jangbu.entries"
    " WHERE account_id = $1 AND asset = $2 ORDER BY seq DESC"
)
BALANCE = "SELECT granted FROM jangbu.balances WHERE account_id = $1 AND asset = $2"

pytestmark = pytest.mark.asyncio(loop_scope="session")


def ledger_of(user: str, **asked: str) -> str:
    return "/ledger?" + urlencode({"user": user} | asked)


async def balance(site: Site, user: str, asset: Asset = Asset.TOKENS) -> int:
    [(granted,)] = await ask(site, BALANCE, account_id("default", user), int(asset))
    return int(granted)


def numbers(shown: list[list[str]]) -> list[int]:
    return [int(cells[0].replace(",", "")) for cells in shown]


@pytest.mark.parametrize("user", USERS)
async def test_the_entries_are_those_of_the_database_page_by_page_to_the_first(
    opens: Opens, site: Site, user: str
) -> None:
    page = await opens(ledger_of(user))
    shown = await rows(page, "entries")
    while await page.locator("a[rel=next]").count():
        await page.locator("a[rel=next]").click()
        await page.wait_for_url("**after=*")
        more = await rows(page, "entries")
        assert numbers(more)[0] == numbers(shown)[-1] - 1
        shown += more
    stored = await ask(site, ENTRIES, account_id("default", user), 1)
    assert [[*cells[:1], *cells[3:6], cells[7]] for cells in shown] == [
        [f"{seq:,}", f"{delta:,}", f"{after:,}", reason or "", (key or "").removeprefix("key:")]
        for seq, _, delta, after, reason, key in stored
    ]
    assert len(shown) > 1


async def test_a_user_is_chosen_from_the_list_by_name_or_from_their_page(opens: Opens) -> None:
    page = await opens("/ledger")
    await page.get_by_role("link", name=USERS[2], exact=True).click()
    await expect(page.locator("h1")).to_have_text(f"Ledger · {USERS[2]}")
    await page.get_by_label("User").fill("이서연")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("h1")).to_have_text("Ledger · 이서연")
    await page.get_by_role("link", name="Grant tokens or correct").click()
    await expect(page.locator("h1")).to_contain_text("이서연")
    await page.get_by_role("link", name="All entries, and what each is of").click()
    await expect(page.locator("h1")).to_have_text("Ledger · 이서연")


async def test_a_user_who_is_not_there_is_told_and_stays_entered(opens: Opens) -> None:
    page = await opens("/ledger")
    await page.get_by_label("User").fill("nobody<b>")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".nothing").first).to_contain_text("Nothing matches these filters.")
    await expect(page.get_by_label("User")).to_have_value("nobody<b>")


@pytest.mark.parametrize("kind", ["grant", "usage", "refund"])
async def test_a_kind_is_chosen_and_cleared_and_the_address_says_it(opens: Opens, site: Site, kind: str) -> None:
    page = await opens(ledger_of(KIM))
    await page.get_by_label("Kind").select_option(kind)
    await page.wait_for_url(f"**kind={kind}*")
    stored = [row for row in await ask(site, ENTRIES, account_id("default", KIM), 1) if row[1] == kind]
    assert numbers(await rows(page, "entries")) == [seq for seq, *_ in stored][:50]
    again = await opens(page.url.removeprefix(f"{site.url}/dashboard"))
    assert await rows(again, "entries") == await rows(page, "entries")
    if not stored:
        await expect(page.get_by_text("Nothing matches these filters.")).to_be_visible()
    await page.get_by_role("link", name="Clear the filters").first.click()
    await expect(page.get_by_label("Kind")).to_have_value("")
    assert len(await rows(page, "entries")) > 1


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York", "UTC"])
async def test_a_period_is_of_the_days_of_the_zone(opens: Opens, site: Site, zone: str) -> None:
    times = await ask(
        site, "SELECT seq, created_at FROM jangbu.entries WHERE account_id = $1 AND asset = 1",
        account_id("default", KIM),
    )  # fmt: skip
    day = times[0][1].astimezone(ZoneInfo(zone)).date()
    page = await opens(ledger_of(KIM, zone=zone))
    await page.locator("input[name=from]").fill(day.isoformat())
    await page.locator("input[name=to]").fill(day.isoformat())
    await page.get_by_role("button", name="Apply").click()
    await page.wait_for_url("**from=*")
    wanted = sorted((seq for seq, at in times if at.astimezone(ZoneInfo(zone)).date() == day), reverse=True)
    assert numbers(await rows(page, "entries")) == wanted[:50]
    opening, closing = [
        sum(delta for seq, _, delta, *_ in await ask(site, ENTRIES, account_id("default", KIM), 1) if seq <= last)
        for last in (wanted[-1] - 1, wanted[0])
    ]
    said = f"Opening balance {opening:,}, closing balance {closing:,}: a change of {closing - opening:,}."
    await expect(page.locator("#statement")).to_have_text(said.replace("-", "−"))
    empty = await opens(ledger_of(KIM, zone=zone, **{"from": "2001-01-01", "to": date(2001, 1, 2).isoformat()}))
    assert await rows(empty, "entries") == []
    await expect(empty.get_by_text("Nothing matches these filters.")).to_be_visible()


async def test_a_debit_leads_to_its_calls_and_they_to_their_evidence(opens: Opens, site: Site) -> None:
    page = await opens(ledger_of(KIM, kind="usage"))
    newest = (await rows(page, "entries"))[0]
    await page.locator("#entries ~ .wide tbody th a").first.click()
    await page.wait_for_url("**entry=*")
    shown = await facts(page.locator("section", has=page.locator("#entry")))
    assert shown["Change"] == newest[3]
    [(stored,)] = await ask(
        site, "SELECT encode(hash, 'hex') FROM jangbu.entries WHERE account_id = $1 AND asset = 1 AND seq = $2",
        account_id("default", KIM), numbers([newest])[0],
    )  # fmt: skip
    assert shown["Hash"] == stored
    calls = await rows(page, "entry")
    assert -sum(int(cells[5].replace(",", "")) for cells in calls) == int(newest[3].replace(",", ""))
    await page.locator("#entry ~ .wide tbody th a").first.click()
    await expect(page.get_by_text("What Google reported, word for word")).to_be_visible()
    [call] = parse_qs(urlsplit(page.url).query)["call"]
    assert await ask(site, "SELECT total FROM jangbu.usage WHERE id = $1", call) == [
        (int(calls[0][5].replace(",", "")),)
    ]


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York"])
async def test_all_that_the_filters_let_through_is_had_as_a_file(opens: Opens, site: Site, zone: str) -> None:
    page = await opens(ledger_of(KIM, kind="usage", zone=zone, range="7d"), member=VIEWER)
    stored = [row for row in await ask(site, ENTRIES, account_id("default", KIM), 1) if row[1] == "usage"][::-1]
    assert len(stored) > len(await rows(page, "entries")), "the file is more than a page"
    table = [*csv.DictReader(io.StringIO((await downloaded(page, "All entries as a file: CSV")).text))]
    assert [(int(row["seq"]), int(row["delta"]), int(row["balance_after"])) for row in table] == [
        (seq, delta, after) for seq, _, delta, after, *_ in stored
    ]
    at = datetime.fromisoformat(table[0][f"created_at ({zone})"])
    assert at.utcoffset() == ZoneInfo(zone).utcoffset(at.replace(tzinfo=None))
    lines = [
        json.loads(line) for line in (await downloaded(page, "All entries as a file: JSON Lines")).text.splitlines()
    ]
    assert [(line["seq"], line["kind"], line["user"]) for line in lines] == [(row[0], "usage", KIM) for row in stored]


async def test_a_file_of_odd_users_computes_nothing_and_of_nobody_is_refused(opens: Opens, site: Site) -> None:
    page = await opens(ledger_of('=HYPERLINK("x")'))
    text = (await downloaded(page, "All entries as a file: CSV")).text
    assert """"'=HYPERLINK(""x"")",tokens,1,""" in text
    for path, status in (
        ("entries.csv?user=nobody", 404),
        ("entries.xls?user=kim", 404),
        ("calls.csv?user=kim", 404),
        ("entries.csv?user=kim&range=x", 400),
    ):
        assert (await page.request.get(f"{site.url}/dashboard/ledger/{path}")).status == status, path
    stranger = await page.context.browser.new_context()  # type: ignore[union-attr]
    answer = await stranger.request.get(f"{site.url}/dashboard/ledger/entries.csv?user=kim", max_redirects=0)
    assert (answer.status, await answer.body()) == (303, b"")
    await stranger.close()


async def test_an_address_that_was_tampered_with_is_refused_in_words(opens: Opens) -> None:
    page = await opens(ledger_of(KIM))
    for asked in ({"kind": "x'"}, {"asset": "gold"}, {"after": "-1"}, {"entry": "9" * 30}, {"from": "someday"}):
        answer = await page.request.get(page.url.partition("?")[0] + "?" + urlencode({"user": KIM, **asked}))
        assert answer.status == 400
        assert "Something that was entered cannot be used." in await answer.text()


async def open_entry(opens_own: Opens, site: Site, user: str, place: int) -> tuple[Page, str, int]:
    """Open a debit of one call of a user; give the page, the call and what it was charged."""
    account = account_id("default", user)
    [(seq, call, total)] = await ask(
        site,
        "SELECT e.seq, u.id::text, u.total FROM jangbu.entries AS e JOIN jangbu.usage AS u"
        " ON u.account_id = e.account_id AND u.posting = e.posting WHERE e.account_id = $1 AND e.asset = 1"
        " ORDER BY e.seq LIMIT 1 OFFSET $2",
        account, place,
    )  # fmt: skip
    page = await opens_own(ledger_of(user, entry=str(seq)))
    return page, call, total


async def test_a_part_of_a_call_is_given_back_once_and_no_more_than_it_was_charged(
    opens_own: Opens, own_site: Site
) -> None:
    page, call, total = await open_entry(opens_own, own_site, KIM, 0)
    granted = await balance(own_site, KIM)
    await page.get_by_text("Give back a part of a call").click()
    form = page.locator("form[action$='/refund']")
    for amount, said in (("many", "is no whole number"), (str(total + 1), "cannot be given back")):
        await form.get_by_label("Tokens").fill(amount)
        await form.get_by_label("Reason").fill("출력 오류 <i>")
        await form.get_by_role("button").click()
        await expect(form.get_by_role("alert")).to_contain_text(said)
        await expect(form.get_by_label("Tokens")).to_have_value(amount)
        await expect(form.get_by_label("Reason")).to_have_value("출력 오류 <i>")
    await form.get_by_label("Tokens").fill("1")
    first = await send(page, form)
    assert (first.status, (await send(page, form)).status) == (303, 303)
    await form.get_by_role("button").click()
    await expect(page.get_by_role("status").first).to_have_text("The tokens were given back to the user.")
    assert await balance(own_site, KIM) == granted + 1
    newest = (await rows(page, "entries"))[0]
    assert newest[2:4] + newest[5:7] == ["refund", "1", "출력 오류 <i>", "Call"]
    assert newest[7].startswith("dashboard:")
    assert await audited(own_site, "account.refund") == [(OWNER, f"account:{KIM}")]
    await page.get_by_role("link", name="Call", exact=True).first.click()
    await page.wait_for_url(f"**call={call}*")
    await expect(page.get_by_text(f"{total - 1:,} left after refunds")).to_be_visible()


async def test_a_call_is_voided_once_however_often_that_is_sent(opens_own: Opens, own_site: Site) -> None:
    user = USERS[1]
    page, call, total = await open_entry(opens_own, own_site, user, 0)
    granted = await balance(own_site, user)
    await page.get_by_text("Give back all of a call").click()
    form = page.locator("form[action$='/void']")
    assert (await send(page, form, reason="")).status == 400
    await form.get_by_label("Reason").fill("twice")
    assert [(await send(page, form)).status for _ in range(2)] == [303, 303]
    assert await balance(own_site, user) == granted + total
    assert await audited(own_site, "account.void") == [(OWNER, f"account:{user}")]
    await page.goto(f"{own_site.url}/dashboard{ledger_of(user, kind='void')}")
    assert (await rows(page, "entries"))[0][7] == f"void:{call}"


async def test_how_much_is_left_to_give_back_is_told_in_the_language_of_the_page(
    opens_own: Opens, own_site: Site
) -> None:
    page, _, total = await open_entry(opens_own, own_site, KIM, 3)
    await page.goto(f"{page.url}&lang=ko")
    await page.get_by_text("호출 일부 환불").click()
    form = page.locator("form[action$='/refund']")

    async def refused(amount: int) -> str:
        refused = await send(page, form, amount=str(amount), reason="출력 오류", key=f"too-much-{amount}")
        assert refused.status == 400
        return await refused.text()

    assert f"돌려줄 수 있는 것은 {total:,}토큰까지입니다." in await refused(total + 1)
    assert (await send(page, form, amount=str(total), reason="출력 오류", key="all")).status == 303
    assert "돌려줄 것이 남아 있지 않습니다." in await refused(1)
    void = page.locator("form[action$='/void']")
    assert "돌려줄 것이 남아 있지 않습니다." in await (await send(page, void, reason="한 번 더")).text()


async def test_who_voids_a_call_after_somebody_else_did_is_told_that_nothing_is_left(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    page, call, _ = await open_entry(opens_own, own_site, KIM, 4)
    await ledger.accounts.void(KIM, UUID(call), reason="said at the desk beside")

    refused = await send(page, page.locator("form[action$='/void']"), reason="said on the telephone")

    assert refused.status == 400
    assert "of what the call was charged nothing is left" in await refused.text()


async def test_money_that_a_void_gave_back_is_on_the_page_of_its_call(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    await ledger.accounts.grant(KIM, 10**12, key="void money", asset=Asset.MONEY)
    call = await use(ledger, 1_000, user=KIM)
    await ledger.accounts.void(KIM, call, reason="never shown")

    page = await opens_own(f"/call?user={KIM}&call={call}")

    shown = [(cells[2], cells[3]) for cells in await rows(page, "ledger")]
    assert [kind for kind, _ in shown] == ["usage", "usage", "void", "void"]
    assert [change for _, change in shown[2:]] == [change.removeprefix("-") for _, change in shown[:2]]


async def test_the_money_of_a_user_has_a_ledger_of_its_own(opens_own: Opens, ledger: Metering) -> None:
    user = USERS[2]
    await ledger.accounts.grant(user, 1_234_567_891, key="money", asset=Asset.MONEY)
    page = await opens_own(ledger_of(user))
    await page.locator("select[name=asset]").select_option("money")
    await page.wait_for_url("**asset=money*")
    assert [cells[2:5] for cells in await rows(page, "entries")] == [["grant", "$1.234567891", "$1.234567891"]]


async def test_who_only_reads_finds_no_forms_and_sends_none(opens_own: Opens, own_site: Site) -> None:
    page, call, _ = await open_entry(opens_own, own_site, KIM, 1)
    filled = await page.locator("form[action$='/refund']").evaluate("(form) => form.action")
    reader = await opens_own(ledger_of(KIM, entry="2"), member=VIEWER)
    assert await reader.locator("form.act").count() == 0
    csrf = await csrf_of(own_site, VIEWER)
    for action in ("refund", "void", "verify", "verify-full"):
        fields: dict[str, str | float | bool] = {
            "csrf": csrf,
            "user": KIM,
            "call": call,
            "amount": "1",
            "reason": "r",
            "key": "k",
        }
        answer = await reader.request.post(filled.replace("refund", action), form=fields)
        assert (answer.status, "Your role does not include this" in await answer.text()) == (403, True)
    assert await ask(own_site, "SELECT 1 FROM jangbu.entries WHERE reference = $1", call) == []


@pytest.mark.parametrize(
    ("name", "kind"), [("Verify everything", "of everything"), ("Verify what moved", "of what moved")]
)
async def test_a_verification_goes_on_by_itself_and_is_shown_when_it_has_ended(
    opens_own: Opens, own_site: Site, name: str, kind: str
) -> None:
    page = await opens_own(ledger_of(KIM))
    form = page.locator("form.act", has=page.get_by_role("button", name=name))
    first, again = await send(page, form), await send(page, form)
    assert (first.status, again.status) == (303, 303)
    await page.reload()
    panel = page.locator("#integrity")
    await expect(panel.get_by_role("button", name=name)).to_be_visible(timeout=30_000)
    shown = await facts(panel)
    [(is_full, accounts, records, mismatches)] = await ask(
        own_site, "SELECT is_full, accounts, records, mismatches FROM jangbu.verifications"
    )
    assert (shown["Last verification"], is_full) == (kind, kind == "of everything")
    assert (shown["Accounts"], shown["Records read again"]) == (f"{accounts:,}", f"{records:,}")
    assert (shown["Figures that differ"], mismatches) == ("0", 0)
    runs = await ask(own_site, "SELECT count(*) FROM jangbu.verification_runs WHERE is_full = $1", is_full)
    assert runs == [(1,)]
    assert await audited(own_site, "verification.start") == [(OWNER, "ledger")] * (1 if is_full else 2)


async def test_a_verification_under_way_is_told_and_no_second_one_begins(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own("/ledger")
    form = page.locator("form[action$='/verify-full']")
    await ask(
        own_site, "INSERT INTO jangbu.verification_runs (id, project, is_full, runs_until)"
        " VALUES (gen_random_uuid(), 'default', true, clock_timestamp() + interval '1 hour')",
    )  # fmt: skip
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text("This is still under way.")
    await page.reload()
    panel = page.locator("#integrity")
    await expect(panel.get_by_role("status")).to_contain_text("Everything is being verified since")
    assert await panel.locator("form").count() == 0
    await ask(own_site, "UPDATE jangbu.verification_runs SET runs_until = clock_timestamp() WHERE ended_at IS NULL")
    await expect(panel.get_by_role("status")).to_contain_text("ended without a result", timeout=10_000)
    await expect(panel.get_by_role("button", name="Verify everything")).to_be_visible()


async def test_what_differs_is_listed_with_whose_it_is(opens_own: Opens, own_site: Site) -> None:
    account = account_id("default", USERS[3])
    await ask(own_site, "UPDATE jangbu.balances SET used = used + 1 WHERE account_id = $1", account)
    page = await opens_own("/ledger")
    await page.get_by_role("button", name="Verify everything").click()
    panel = page.locator("#integrity")
    await expect(panel.locator("table")).to_be_visible(timeout=30_000)
    listed = await rows(page, "integrity-title")
    assert {cells[1] for cells in listed} == {USERS[3]}
    await expect(panel.locator(".badge")).to_contain_text("differ")
    await panel.get_by_role("link", name=USERS[3]).first.click()
    await expect(page.locator("h1")).to_have_text(f"Ledger · {USERS[3]}")
