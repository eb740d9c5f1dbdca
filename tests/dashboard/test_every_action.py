"""Every action of every page is done in a browser, once by keyboard and once by mouse, and read back from the ledger.

The actions are those that the pages declare: one that is added fails here until it is done here, too.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.dashboard.pages.all import PAGES
from jangbu.domain.flow import Bounds, Call, MarkUnknown, TakeHold
from jangbu.domain.members import Actor, MemberRole
from jangbu.domain.webhooks import EventKind
from jangbu.metering.meter import Metering
from jangbu.wiring import open_metering
from tests.alerts.receiver import until
from tests.dashboard import test_nothing_yet, test_prices, test_prices_change, test_users_grant
from tests.dashboard.conftest import Opens, Told, opening, undrawn
from tests.dashboard.raw import signed_in
from tests.dashboard.reading import ask, row_of
from tests.dashboard.site import OWNER, PASSWORD, Site
from tests.dashboard.test_alerts import event_of, overrun
from tests.metering.telling import answer

ME = Actor.of_command("test")
GIVEN, CHARGED, HELD = 1_000_000, 250, 100
GRANTED = "SELECT b.granted FROM jangbu.balances b JOIN jangbu.accounts a USING (account_id) WHERE user_id = $1"
PRIORITIES = (
    "SELECT b.granted || ' ' || (SELECT min(g.priority) FROM jangbu.grants g WHERE g.account_id = a.account_id)"
    " FROM jangbu.balances b JOIN jangbu.accounts a USING (account_id) WHERE user_id = $1"
)
ACCOUNTS = "SELECT count(*) FROM jangbu.accounts WHERE user_id = $1"
STATE = "SELECT state::text FROM jangbu.accounts WHERE user_id = $1"
HOLDS = (
    "SELECT b.held || ' ' || b.used FROM jangbu.balances b JOIN jangbu.accounts a USING (account_id) WHERE user_id = $1"
)
BLOCKED = "SELECT blocked_at IS NOT NULL FROM jangbu.members WHERE name = $1"
SESSIONS = "SELECT count(*) FROM jangbu.sessions JOIN jangbu.members USING (member_id) WHERE name = $1"
AGAIN = "SELECT count(*) FROM jangbu.webhook_events WHERE user_id = $1 AND given_up_at IS NOT NULL"
TESTED = "SELECT max(tested_by) FROM jangbu.channel_tests WHERE $1::text <> '' AND tested_by <> 'nobody'"
RUNS = "SELECT count(*) > 0 FROM jangbu.verification_runs WHERE $1::text <> '' AND is_full"
MUTED = (
    "SELECT count(*) FROM jangbu.alert_mutes"
    " WHERE $1::text <> '' AND condition = 'unpriced' AND ended_at IS NULL AND until > clock_timestamp()"
)
ELSEWHERE = {
    "/call/record-test": test_nothing_yet.test_a_test_record_is_seen_as_one_and_changes_nobodys_money,
    "/users/grant/check": test_users_grant.test_a_file_is_pasted_looked_at_and_granted_by_keyboard,
    "/users/grant/grant": test_users_grant.test_a_file_is_pasted_looked_at_and_granted_by_keyboard,
    "/prices/backfill": test_prices.test_calls_without_a_price_are_priced_by_a_job_that_reports,
    "/prices/change/try-file": test_prices_change.test_a_price_file_is_pasted_tried_and_put_in_force_by_keyboard,
    "/prices/change/put": test_prices_change.test_a_price_is_tried_put_in_force_and_the_next_call_costs_it,
}
"""What stands only in a ledger in which nothing was recorded yet, has no price yet, or was tried before."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def user_of(ledger: Metering, site: Site, name: str) -> None:
    await ledger.accounts.create(name)
    await ledger.accounts.grant(name, GIVEN, key="first")
    await ledger.record(name, "text", answer(CHARGED))


async def blocked_user(ledger: Metering, site: Site, name: str) -> None:
    await user_of(ledger, site, name)
    await ledger.accounts.block(name)


async def found(ledger: Metering, site: Site, name: str) -> None:
    await overrun(ledger, name)


async def unknown(ledger: Metering, site: Site, name: str) -> None:
    await user_of(ledger, site, name)
    call = Call(new_id(ledger.clock), name, "text", "gemini-2.5-flash", Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, HELD, HELD))
    await ledger.execute(MarkUnknown(call, "the line broke"))


async def event(ledger: Metering, site: Site, name: str) -> None:
    await event_of(site, EventKind.CALL_REFUSED, name)


async def member(ledger: Metering, site: Site, name: str) -> None:
    _, link = await ledger.members.invite(name, MemberRole.VIEWER, ME)
    await ledger.members.set_up(link.token, name, PASSWORD)
    await asyncio.to_thread(signed_in, site, name)


async def blocked_member(ledger: Metering, site: Site, name: str) -> None:
    await member(ledger, site, name)
    await ledger.members.block(name, actor=ME)


async def key(ledger: Metering, site: Site, name: str) -> None:
    owner = await asyncio.to_thread(signed_in, site, OWNER)
    form = {"name": name, "gateway": "all", "key": name}
    assert (await asyncio.to_thread(owner.send, "/settings/keys/create-app", form)).status == 200


async def mute(ledger: Metering, site: Site, name: str) -> None:
    owner = await asyncio.to_thread(signed_in, site, OWNER)
    form = {"condition": "unpriced", "minutes": "15", "reason": "planned", "key": str(uuid4())}
    assert (await asyncio.to_thread(owner.send, "/alerts/rules/mute", form)).status == 303


async def unmuted(ledger: Metering, site: Site, name: str) -> None:
    await ask(site, "UPDATE jangbu.alert_mutes SET ended_at = clock_timestamp() WHERE ended_at IS NULL")


async def untested(ledger: Metering, site: Site, name: str) -> None:
    await ask(site, "UPDATE jangbu.channel_tests SET tested_at = tested_at - interval '1 hour', tested_by = 'nobody'")


async def nothing(ledger: Metering, site: Site, name: str) -> None:
    """Leave the ledger as it is."""


@dataclass(frozen=True)
class Done:
    """How an action is done, of whom, and what the ledger says then. ``{}`` stands for a name of its own."""

    at: str
    before: Callable[[Metering, Site, str], Awaitable[None]]
    asked: str
    answered: Any
    fields: dict[str, str] = field(default_factory=dict)
    by: str = OWNER
    of_row: str = ""


WHY = {"reason": "it is right so"}
DONE = {
    "/user/grant": Done(
        "/user?user={}", user_of, PRIORITIES, f"{GIVEN + 5} -3", {"amount": "5", "priority": "-3"}
    ),
    "/user/adjust": Done("/user?user={}", user_of, GRANTED, GIVEN - 5, {"delta": "-5"} | WHY),
    "/user/block": Done("/user?user={}", user_of, STATE, "blocked"),
    "/user/unblock": Done("/user?user={}", blocked_user, STATE, "active"),
    "/user/erase": Done("/user?user={}", user_of, ACCOUNTS, 0, {"again": "{}"}),
    "/users/open": Done(
        "/users", user_of, GRANTED.replace("$1", "$1 || ' anew'"), 7, {"user": "{} anew", "amount": "7"}
    ),
    "/ledger/refund": Done("/ledger?user={}&entry=2", user_of, GRANTED, GIVEN + 5, {"amount": "5"} | WHY),
    "/ledger/void": Done("/ledger?user={}&entry=2", user_of, GRANTED, GIVEN + CHARGED, WHY),
    "/ledger/verify": Done("/ledger?user={}", user_of, RUNS.replace("is_full", "NOT is_full"), True),
    "/ledger/verify-full": Done("/ledger?user={}", user_of, RUNS, True),
    "/alerts/acknowledge": Done(
        "/alerts?user={}", found, "SELECT f.acknowledged_by FROM jangbu.findings f JOIN jangbu.accounts a"
        " USING (account_id) WHERE user_id = $1", OWNER,
    ),
    "/alerts/resolve": Done(
        "/alerts?user={}", found, "SELECT f.resolution FROM jangbu.findings f JOIN jangbu.accounts a"
        " USING (account_id) WHERE user_id = $1", WHY["reason"], WHY,
    ),
    "/alerts/release": Done("/alerts", unknown, HOLDS, f"0 {CHARGED}", WHY, of_row="article"),
    "/alerts/charge": Done(
        "/alerts", unknown, HOLDS, f"0 {CHARGED + 40}", of_row="article",
        fields={"answer": '{"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 30,'
                ' "totalTokenCount": 40}, "modelVersion": "gemini-2.5-flash"}'},
    ),
    "/alerts/channels/test": Done(
        "/alerts/channels", untested, TESTED, OWNER
    ),
    "/alerts/events/again": Done("/alerts/events?user={}", event, AGAIN, 0),
    "/alerts/events/again-all": Done("/alerts/events?user={}", event, AGAIN, 0),
    "/alerts/rules/mute": Done("/alerts/rules", unmuted, MUTED, 1, {"minutes": "15"} | WHY, of_row="unpriced"),
    "/alerts/rules/unmute": Done("/alerts/rules", mute, MUTED, 0),
    "/settings/keys/create-app": Done(
        "/settings/keys", nothing, "SELECT count(*) FROM jangbu.api_keys WHERE name = $1", 1,
        {"name": "{}", "gateway": "all"},
    ),
    "/settings/keys/create-user": Done(
        "/settings/keys", user_of, "SELECT count(*) FROM jangbu.api_keys WHERE user_id = $1", 1,
        {"user": "{}", "gateway": "all"},
    ),
    "/settings/keys/revoke": Done(
        "/settings/keys", key, "SELECT revoked_at IS NOT NULL FROM jangbu.api_keys WHERE name = $1", True, of_row="tr"
    ),
    "/settings/members/invite": Done(
        "/settings/members", nothing, "SELECT role::text FROM jangbu.members WHERE name = $1", "finance",
        {"name": "{}", "role": "finance"},
    ),
    "/settings/members/reset": Done(
        "/settings/members", member, "SELECT count(*) FROM jangbu.set_up_links JOIN jangbu.members USING (member_id)"
        " WHERE name = $1", 1, of_row="tr",
    ),
    "/settings/members/role": Done(
        "/settings/members", member, "SELECT role::text FROM jangbu.members WHERE name = $1", "developer",
        {"role": "developer"}, of_row="tr",
    ),
    "/settings/members/block": Done("/settings/members", member, BLOCKED, True, of_row="tr"),
    "/settings/members/unblock": Done("/settings/members", blocked_member, BLOCKED, False, of_row="tr"),
    "/settings/members/end-sessions": Done("/settings/members", member, SESSIONS, 0, of_row="tr"),
    "/profile/change-password": Done(
        "/profile", member, SESSIONS, 1, {"present": PASSWORD, "password": "a stapled battery of horses"}, by="{}"
    ),
    "/profile/end": Done("/profile", member, SESSIONS, 1, by="{}"),
    "/profile/end-others": Done("/profile", member, SESSIONS, 1, by="{}"),
    "/profile/end-all": Done("/profile", member, SESSIONS, 0, by="{}"),
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def opens_told(browser: Browser, told: Told) -> AsyncIterator[Opens]:
    async with opening(browser, told.site, prepare=undrawn) as open_page:
        yield open_page


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(told: Told) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=told.site.database_url), delivers=False) as opened:
        yield opened


async def test_every_action_that_a_page_declares_is_done_here() -> None:
    declared = {f"{page.path.rstrip('/')}/{name}" for page in PAGES for name in page.actions}
    assert declared == DONE.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("hand", ["keyboard", "mouse"])
@pytest.mark.parametrize("action", DONE)
async def test_an_action_does_what_it_says(
    opens_told: Opens, told: Told, ledger: Metering, action: str, hand: str
) -> None:
    done, name = DONE[action], f"{action.strip('/').replace('/', '-')}-{hand}"
    await done.before(ledger, told.site, name)
    page = await opens_told(done.at.replace("{}", name), member=done.by.replace("{}", name))
    form = (await place_of(page, done, name)).locator(f"form[action$='/dashboard{action}']").first
    await opened(form, hand)
    for called, value in done.fields.items():
        await entered(form.locator(f"[name={called}]"), value.replace("{}", name), hand)
    before = page.url
    await pressed(form.locator("button"), hand)
    await expect(page.locator(".notice, #secret, input#password").first).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)
    assert page.url != before or await page.locator("#secret, .notice").count() == 1
    await until(lambda: says(told.site, done, name))


async def place_of(page: Page, done: Done, name: str) -> Locator:
    match done.of_row:
        case "tr":
            return await row_of(page, name)
        case "article":
            return page.locator("article").filter(has=page.get_by_role("link", name=name, exact=True))
        case "":
            return page.locator("main")
        case condition:
            return page.locator("tr").filter(has=page.locator(f"[name=condition][value={condition}]"))


async def opened(form: Locator, hand: str) -> None:
    """Open what a form stands in."""
    around = form.locator("xpath=ancestor::details")
    if await around.count():
        await pressed(around.locator("> summary"), hand)
    await expect(form).to_be_visible()


async def entered(place: Locator, value: str, hand: str) -> None:
    if await place.evaluate("(each) => each.tagName") == "SELECT":
        await place.select_option(value)
    elif hand == "keyboard":
        await place.press_sequentially(value)
    else:
        await place.fill(value)


async def pressed(place: Locator, hand: str) -> None:
    await (place.press("Enter") if hand == "keyboard" else place.click())


async def says(site: Site, done: Done, name: str) -> bool:
    return [value for (value,) in await ask(site, done.asked, name)] == [done.answered]
