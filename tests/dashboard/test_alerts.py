"""The pages of alerts, before real receivers: what was found and told, who looks into it, what is muted and tested."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.domain.flow import Bounds, Call, Settle, TakeHold
from jangbu.domain.members import MemberRole
from jangbu.domain.webhooks import EventKind
from jangbu.metering.meter import Metering
from jangbu.metering.mutes import Mutes
from jangbu.storage import alerts as outbox
from jangbu.wiring import open_metering
from tests.alerts.receiver import until
from tests.dashboard.conftest import Opens, Told, opening
from tests.dashboard.reading import ask, audited, form_of, open_form, row_of, rows, send
from tests.dashboard.site import DEVELOPER, FINANCE, OWNER, VIEWER, Site
from tests.metering.telling import UNPRICED, answer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def opens_told(browser: Browser, told: Told) -> AsyncIterator[Opens]:
    async with opening(browser, told.site) as open_page:
        yield open_page


@pytest_asyncio.fixture(loop_scope="session")
async def ledger(told: Told) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=told.site.database_url), delivers=False) as opened:
        yield opened


async def overrun(ledger: Metering, user: str) -> UUID:
    """Use more than was held."""
    await open_once(ledger, user)
    call = Call(new_id(ledger.clock), user, "text", "gemini-2.5-flash", Bounds(10, 10, True))
    await ledger.execute(TakeHold(call, 10, 100, 100))
    await ledger.execute(Settle(call, answer(250)))
    return call.id


async def open_once(ledger: Metering, user: str) -> None:
    await ledger.accounts.create(user)
    await ledger.accounts.grant(user, 1_000_000, key="first")


async def event_of(
    site: Site, kind: EventKind, user: str, *, state: str = "given_up", error: str | None = "the receiver answered 503"
) -> UUID:
    """Put an event into the outbox, as it would be after what happened to it."""
    event = uuid4()
    await ask(
        site,
        "INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts, attempts, error, due_at, given_up_at,"
        " delivered_at) VALUES ($1, 'default', $2, $3, '{\"available\": 5}', 3, $4, clock_timestamp() + $5::interval,"
        " CASE WHEN $6 = 'given_up' THEN clock_timestamp() END, CASE WHEN $6 = 'delivered' THEN clock_timestamp() END)",
        event, kind.value, user, error, timedelta(hours=1), state,
    )  # fmt: skip
    return event


async def raised(ledger: Metering, condition: Condition, **facts: int | str) -> UUID:
    """Put an alert into the outbox that all nodes share."""
    made = new_id(ledger.clock), "default", condition, Phase.BEGAN
    alert = Alert(*made, condition.value, "gateway-1", await ledger.database.now(), facts)
    assert await outbox.raise_(ledger.database, alert, told_as=str(alert.id), repeat_ms=0)
    return alert.id


async def chosen(page: Page, label: str, option: str) -> None:
    """Choose in a filter, and see the page that whoever is sent its address sees."""
    await page.locator("form.filters").get_by_label(label).select_option(option)
    await page.wait_for_url(lambda url: f"{label.lower()}={option}" in url)
    await page.goto(page.url)


async def test_a_finding_is_new_until_somebody_looks_into_it_and_resolved_for_a_reason(
    opens_told: Opens, told: Told, ledger: Metering
) -> None:
    call = await overrun(ledger, "kim")
    page = await opens_told("/alerts", member=FINANCE)
    [cells] = await rows(page, "open")
    assert cells[1:3] == ["new", "kim"]
    assert cells[4:6] == ["100 tokens held at most", "250 tokens used"]
    assert "used more tokens than were held" in cells[3]
    await form_of(page, "acknowledge").get_by_role("button").click()
    await expect(page.locator(".notice")).to_have_text("Others see that you look into it.")
    [cells] = await rows(page, "open")
    assert cells[1].startswith("acknowledged")
    assert "finance" in cells[1]
    form = await open_form(page, "Resolve", "resolve")
    await form.get_by_label("Reason").fill("the model was told to think longer")
    await form.get_by_role("button").click()
    await expect(page.locator(".notice")).to_have_text("The finding is resolved.")
    assert await rows(page, "open") == []
    await chosen(page, "State", "resolved")
    [cells] = await rows(page, "open")
    assert "Resolved because: the model was told to think longer" in cells[3]
    assert await audited(told.site, "finding.acknowledge") == [("finance", f"call:{call}")]
    assert await audited(told.site, "finding.resolve") == [("finance", f"call:{call}")]


async def test_findings_are_filtered_by_state_kind_and_user_and_paged(
    opens_told: Opens, told: Told, ledger: Metering
) -> None:
    for _ in range(55):
        await overrun(ledger, "lee")
    await open_once(ledger, "park")
    await ledger.record("park", "text", answer(30, UNPRICED))
    page = await opens_told("/alerts")
    await chosen(page, "Kind", "unpriced")
    [cells] = await rows(page, "open")
    assert cells[2] == "park"
    assert "has a price" in cells[6]
    await expect(page.locator("form[action$='/resolve']")).to_have_count(0)
    await page.goto(f"{told.site.url}/dashboard/alerts?user=lee&kind=overrun&state=new")
    assert len(await rows(page, "open")) == 50
    await page.locator("a[rel=next]").click()
    await page.wait_for_url("**after=*")
    assert len(await rows(page, "open")) == 5
    await page.get_by_role("link", name="Clear the filters").click()
    await expect(page).to_have_url(f"{told.site.url}/dashboard/alerts")


async def test_what_only_its_cure_ends_is_resolved_by_nobodys_word(
    opens_told: Opens, told: Told, ledger: Metering
) -> None:
    await open_once(ledger, "choi")
    await ledger.record("choi", "text", answer(30, UNPRICED))
    page = await opens_told("/alerts?user=choi")
    form = page.locator("form.act").first
    await form.evaluate("(form) => { form.action = '/dashboard/alerts/resolve' }")
    refused = await send(page, form, reason="free")
    assert refused.status == 400
    assert "by what is done about it" in await refused.text()
    assert (
        await ask(told.site, "SELECT 1 FROM jangbu.findings WHERE resolved_at IS NOT NULL AND kind = 'unpriced'") == []
    )


async def test_events_are_shown_as_sent_and_found_by_kind_state_and_user(opens_told: Opens, told: Told) -> None:
    event = await event_of(told.site, EventKind.CALL_REFUSED, "seo")
    await event_of(told.site, EventKind.BALANCE_LOW, "seo", state="delivered", error=None)
    await event_of(told.site, EventKind.BALANCE_LOW, "han", state="waiting")
    page = await opens_told("/alerts/events?user=seo", member=VIEWER)
    assert {(cells[1], cells[3].split("\n")[0].split(" ")[0]) for cells in await rows(page, "events")} == {
        ("Calls refused", "given"), ("Low balance", "delivered"),
    }  # fmt: skip
    await chosen(page, "State", "given_up")
    [cells] = await rows(page, "events")
    assert cells[2:3] + cells[4:6] == ["seo", "3", "the receiver answered 503"]
    await page.goto(f"{told.site.url}/dashboard/alerts/events?user=seo&state=given_up&lang=ko")
    assert [cells[5] for cells in await rows(page, "events")] == ["받는 쪽이 503(으)로 응답함"]
    await page.goto(f"{told.site.url}/dashboard/alerts/events?user=seo&state=given_up&lang=en")
    await page.locator("summary", has_text="Show").click()
    sent = json.loads(await page.locator("td pre").inner_text())
    assert (sent["id"], sent["type"], sent["data"]) == (str(event), "call.refused", {"user": "seo", "available": 5})
    await expect(page.locator("form.act")).to_have_count(0)
    await page.goto(f"{told.site.url}/dashboard/alerts/events")
    await chosen(page, "State", "waiting")
    assert [cells[2] for cells in await rows(page, "events")] == ["han"]
    await chosen(page, "Kind", "call.refused")
    await expect(page.get_by_text("Nothing matches these filters.")).to_be_visible()


async def test_an_event_is_sent_again_and_arrives_under_its_id(opens_told: Opens, told: Told) -> None:
    event = await event_of(told.site, EventKind.CALL_REFUSED, "bae")
    page = await opens_told("/alerts/events?user=bae&state=given_up", member=DEVELOPER)
    await form_of(page, "again").get_by_role("button").click()
    await expect(page.locator(".notice")).to_have_text("It is sent again.")
    assert "user=bae" in page.url
    await until(lambda: str(event) in told.app.ids)
    await until(lambda: _is_delivered(told.site, event))
    assert await audited(told.site, "webhook.send_again") == [("developer", f"event:{event}")]


async def test_all_that_was_given_up_is_sent_again_or_what_is_chosen_of_it(opens_told: Opens, told: Told) -> None:
    for user in ("ahn", "ahn", "oh"):
        await event_of(told.site, EventKind.CALL_REFUSED, user)
    page = await opens_told("/alerts/events?user=ahn", member=OWNER)
    form = await open_form_like(page, "given up", "again-all")
    await form.get_by_role("button").click()
    await expect(page.locator(".notice")).to_have_text("It is sent again.")
    [(left,)] = await ask(
        told.site, "SELECT count(*) FROM jangbu.webhook_events WHERE given_up_at IS NOT NULL AND user_id = 'oh'"
    )
    assert left == 1
    await page.goto(f"{told.site.url}/dashboard/alerts/events")
    form = await open_form_like(page, "given up", "again-all")
    await form.get_by_role("button").click()
    await until(lambda: _none_left(told.site))
    [(changes,)] = await ask(
        told.site, "SELECT count(*) FROM jangbu.audit WHERE action = 'webhook.send_again' AND target = 'events'"
    )
    assert changes == 2


async def test_events_are_paged_by_place(opens_told: Opens, told: Told) -> None:
    for _ in range(60):
        await event_of(told.site, EventKind.RECORD_FAILED, "moon", state="delivered")
    page = await opens_told("/alerts/events?user=moon")
    first = await rows(page, "events")
    await page.locator("a[rel=next]").click()
    await page.wait_for_url("**after=*")
    assert (len(first), len(await rows(page, "events"))) == (50, 10)


async def test_each_channel_is_tested_once_in_a_while_and_shows_how_that_ended(opens_told: Opens, told: Told) -> None:
    page = await opens_told("/alerts/channels", member=DEVELOPER)
    assert [cells[0] for cells in await rows(page, "channels")] == ["Log", "Webhook"]
    row = page.locator("tr").filter(has=page.get_by_role("rowheader", name="Webhook", exact=True))
    await row.get_by_role("button", name="Send test").click()
    await expect(page.locator(".notice")).to_have_text("The test arrived.")
    assert [each.json["condition"] for each in told.operator.received].count("test") == 1
    await expect(row).to_contain_text("developer")
    await row.get_by_role("button", name="Send test").click()
    await expect(row.locator(".problem")).to_contain_text("Too many attempts")
    assert [each.json["condition"] for each in told.operator.received].count("test") == 1
    assert await audited(told.site, "channel.test") == [("developer", "channel:webhook")]


async def test_that_a_test_of_the_apps_webhook_did_not_arrive_is_shown_with_the_reason(
    opens_told: Opens, told: Told
) -> None:
    told.app.status = 503
    page = await opens_told("/alerts/channels", member=OWNER)
    row = await row_of(page, "Webhook to the app")
    await row.get_by_role("button", name="Send test").click()
    await expect(page.locator(".notice")).to_contain_text("did not arrive")
    told.app.status = 204
    await expect(await row_of(page, "Webhook to the app")).to_contain_text("503")
    assert "webhook.test" in [each.json["type"] for each in told.app.received]
    assert "a-secret-of-the-address" not in await page.content()


async def test_a_webhook_that_nobody_answers_is_not_said_to_be_well(opens_told: Opens, told: Told) -> None:
    await ask(told.site, "DELETE FROM jangbu.webhook_events")
    page = await opens_told("/alerts/channels", member=VIEWER)
    await expect((await row_of(page, "Webhook to the app")).locator(".badge").first).to_have_text("well")
    await event_of(told.site, EventKind.BALANCE_LOW, "yun", state="waiting")
    await page.reload()
    link = (await row_of(page, "Webhook to the app")).get_by_role("link", name="some did not arrive yet")
    assert await link.get_attribute("href") == "/dashboard/alerts/events?state=waiting"
    await event_of(told.site, EventKind.BALANCE_LOW, "yun")
    await page.reload()
    await expect(await row_of(page, "Webhook to the app")).to_contain_text("1 did not arrive")
    await ask(told.site, "DELETE FROM jangbu.webhook_events")


async def test_that_a_test_of_a_channel_did_not_arrive_is_shown_with_the_reason(opens_told: Opens, told: Told) -> None:
    await ask(told.site, "UPDATE jangbu.channel_tests SET tested_at = tested_at - interval '1 minute'")
    told.operator.status = 503
    page = await opens_told("/alerts/channels", member=DEVELOPER)
    row = page.locator("tr").filter(has=page.get_by_role("rowheader", name="Webhook", exact=True))
    await row.get_by_role("button", name="Send test").click()
    await expect(page.locator(".notice")).to_contain_text("did not arrive")
    told.operator.status = 204
    await expect(row).to_contain_text("the receiver answered 503")
    await expect(row).to_contain_text("developer")
    assert told.operator.received[-1].json["condition"] == "test"
    [(error,)] = await ask(told.site, "SELECT error FROM jangbu.channel_tests WHERE channel = 'webhook'")
    assert error == "the receiver answered 503"
    assert "a-secret-of-the-address" not in await page.content()


async def test_a_muted_alert_is_kept_and_shown_and_not_sent(opens_told: Opens, told: Told, ledger: Metering) -> None:
    page = await opens_told("/alerts/rules", member=DEVELOPER)
    row = await row_of(page, "Holds do not end")
    form = await open_form(page, "Mute", "mute", row)
    await form.get_by_label("For").select_option("60")
    await form.get_by_label("Reason").fill("moving the gateway")
    await form.get_by_role("button").click()
    await expect(page.locator(".notice")).to_contain_text("kept and not sent")
    await expect(await row_of(page, "Holds do not end")).to_contain_text("developer: moving the gateway")
    muted = await raised(ledger, Condition.HOLD_LEAK, holds=3, tokens=900)
    heard = await raised(ledger, Condition.VERIFY_MISMATCH, mismatches=2, invariants="balance")
    await until(lambda: str(heard) in told.operator.ids)
    await until(lambda: _is_muted(told.site, muted))
    assert str(muted) not in told.operator.ids
    await page.goto(f"{told.site.url}/dashboard/alerts/told")
    shown = {cells[1].split("\n")[0]: cells for cells in await rows(page, "told")}
    leak = next(cells for name, cells in shown.items() if name.startswith("Holds do not end"))
    assert leak[3:6] == ["a hold ends within 300 s of its time", "holds: 3, tokens: 900", "muted"]
    await page.goto(f"{told.site.url}/dashboard/alerts/rules")
    row = await row_of(page, "Holds do not end")
    await row.get_by_role("button", name="End the mute").click()
    await expect(page.locator(".notice")).to_contain_text("sent again")
    again = await raised(ledger, Condition.HOLD_LEAK, holds=4, tokens=900)
    await until(lambda: str(again) in told.operator.ids)
    assert str(muted) not in told.operator.ids, "what was muted stays so"
    assert await audited(told.site, "alerts.mute") == [("developer", "condition:hold_leak")]
    assert await audited(told.site, "alerts.unmute") == [("developer", "condition:hold_leak")]


async def test_a_mute_ends_by_itself_and_only_what_is_raised_from_then_on_is_told(
    opens_told: Opens, told: Told, ledger: Metering
) -> None:
    mutes = Mutes(ledger.database, ledger.clock, project="default")
    await mutes.mute(Condition.RECORDING_DELAYED, timedelta(seconds=5), reason="a new disk")
    quiet = [await raised(ledger, Condition.RECORDING_DELAYED, seconds=number) for number in (10, 11)]
    heard = await raised(ledger, Condition.VERIFY_MISMATCH, mismatches=2, invariants="balance")
    await until(lambda: str(heard) in told.operator.ids)
    await until(lambda: _are_muted(told.site, quiet))
    await until(lambda: _is_over(told.site, Condition.RECORDING_DELAYED))
    again = await raised(ledger, Condition.RECORDING_DELAYED, seconds=12)
    await until(lambda: str(again) in told.operator.ids)
    assert not {str(alert) for alert in quiet} & set(told.operator.ids)
    page = await opens_told("/alerts/told", member=VIEWER)
    delayed = [cells for cells in await rows(page, "told") if cells[1].startswith("Recording is delayed")]
    assert [(cells[4], cells[5].split("\n")[0].split(" ")[0]) for cells in delayed] == [
        ("12 s so far", "delivered"), ("11 s so far", "muted"), ("10 s so far", "muted"),
    ]  # fmt: skip
    await page.goto(f"{told.site.url}/dashboard/alerts/told?undelivered=1")
    assert "Recording is delayed" not in {cells[1].split("\n")[0] for cells in await rows(page, "told")}
    await page.goto(f"{told.site.url}/dashboard/alerts/rules")
    assert (await rows(page, "rules"))[1][-1] == "no"


async def test_the_rules_are_shown_with_their_values_and_what_changes_them(opens_told: Opens) -> None:
    page = await opens_told("/alerts/rules", member=VIEWER)
    shown = {cells[0]: cells[1:] for cells in await rows(page, "rules")}
    assert shown["Recording is delayed"][1:4] == [
        "when recording is retried for 10 s, while it lasts, and when it ends", "60 seconds",
        "JANGBU_ALERT_DELAY_SECONDS",
    ]  # fmt: skip
    assert shown["No price is known"][2:4] == ["3,600 seconds", "JANGBU_ALERT_REPEAT_SECONDS"]
    budget = ["when a month's calls have cost 80% of the budget that is set for each", "once a month"]
    assert shown["Most of the month's budget is gone"][1:3] == budget
    app = {cells[0].split("\n")[0]: cells[1:] for cells in await rows(page, "app-rules")}
    low = next(cells for name, cells in app.items() if name.startswith("Low balance"))
    assert low == ["when fewer than 10,000 tokens are left", "yes", "JANGBU_LOW_BALANCE_TOKENS"]
    await expect(page.locator("form.act")).to_have_count(0)


@pytest.mark.parametrize("member", list(MemberRole))
async def test_the_parts_of_the_alerts_stand_beside_each_other_for_everybody(
    opens_told: Opens, member: MemberRole
) -> None:
    page = await opens_told("/alerts", member=member.value)
    for name in ("Alerts", "Told to the app", "Channels", "Rules and mutes", "Inbox"):
        await page.locator(".beside").get_by_role("link", name=name, exact=True).click()
        await expect(page.locator(".beside a[aria-current]")).to_have_text(name)


async def open_form_like(page: Page, summary: str, action: str) -> Locator:
    await page.locator("summary").filter(has_text=summary).click()
    return page.locator(f"form[action$='/{action}']")


async def _is_delivered(site: Site, event: UUID) -> bool:
    return bool(
        await ask(site, "SELECT 1 FROM jangbu.webhook_events WHERE id = $1 AND delivered_at IS NOT NULL", event)
    )


async def _none_left(site: Site) -> bool:
    return not await ask(site, "SELECT 1 FROM jangbu.webhook_events WHERE given_up_at IS NOT NULL")


async def _is_muted(site: Site, alert: UUID) -> bool:
    return bool(await ask(site, "SELECT 1 FROM jangbu.alerts WHERE id = $1 AND muted_at IS NOT NULL", alert))


async def _are_muted(site: Site, alerts: list[UUID]) -> bool:
    return all([await _is_muted(site, alert) for alert in alerts])


async def _is_over(site: Site, condition: Condition) -> bool:
    """Tell whether all mutes of a condition ended by themselves."""
    query = (
        "SELECT bool_and(until < clock_timestamp() AND ended_at IS NULL) FROM jangbu.alert_mutes WHERE condition = $1"
    )
    return (await ask(site, query, condition.value)) == [(True,)]
