"""Keys: shown once and kept nowhere, and nobody gives one more than they have."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from jangbu.domain.keys import Key
from jangbu.domain.members import Actor, MemberRole
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.reading import ask, audited, csrf_of, form_of, open_form, row_of, rows, send, stored_nowhere
from tests.dashboard.site import OWNER, USERS, Site
from tests.dashboard.test_every_page import found_by_axe

KIM = USERS[0]
ME = Actor.of_command("test")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def made_key(page: Page) -> str:
    """Read the secret off the page that answers, and see that it stands nowhere else."""
    await expect(page.locator("#secret")).to_be_visible()
    secret = await page.locator("#secret").inner_text()
    assert secret not in page.url
    assert page.url.endswith("/settings/keys")
    return secret


async def known(ledger: Metering, secret: str) -> Key:
    return await ledger.keys.authenticate(secret)


async def test_a_key_of_an_app_is_made_shown_once_and_kept_nowhere(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    page = await opens_own("/settings/keys")
    form = await open_form(page, "For an app", "create-app")
    await form.get_by_label("Name", exact=True).fill("reports <b>")
    await form.get_by_label("sums only").check()
    await form.get_by_label("At the gateway").select_option("chosen")
    await form.get_by_label("generate").check()
    await form.get_by_label("embeddings").check()
    await form.get_by_label("Models, or").fill("gemini-2.5-*, models/gemini-2.5-pro")
    await form.get_by_label("Requests a minute").fill("1,200")
    await form.get_by_label("Tokens a minute").fill("5000000")
    await form.get_by_label("Calls at a time").fill("8")
    await form.get_by_role("button").click()
    secret = await made_key(page)
    assert await found_by_axe(page) == []
    await expect(page.locator("h1")).to_be_focused()
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("status")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == secret
    key = await known(ledger, secret)
    assert (key.name, key.user, key.scopes) == ("reports <b>", None, ("api:analytics", "generate", "embed"))
    assert (key.models, key.requests_per_minute) == (("gemini-2.5-*", "gemini-2.5-pro"), 1_200)
    assert (key.tokens_per_minute, key.concurrent_calls, key.expires_at) == (5_000_000, 8, None)
    await stored_nowhere(own_site, secret)
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Keys")
    assert secret not in await page.content()
    row = await row_of(page, "reports <b>")
    for text in (
        key.hint,
        "sums only, generate, embeddings",
        "gemini-2.5-*, gemini-2.5-pro",
        "1,200 requests a minute",
    ):
        await expect(row).to_contain_text(text)
    assert (OWNER, f"key:{key.id}") in await audited(own_site, "keys.create")
    await row.get_by_role("link", name="reports <b>").click()
    await expect(page.locator("#tagged")).to_have_text("Latest calls with API key = reports <b>")
    assert page.url.endswith(f"by_key={key.id}#tagged")


async def test_a_key_of_a_user_ends_when_its_day_begins_in_the_zone_of_the_page(
    opens_own: Opens, ledger: Metering
) -> None:
    page = await opens_own(f"/settings/keys?user={KIM}&zone=Asia%2FSeoul")
    form = await open_form(page, "For a user", "create-user")
    await expect(form.get_by_label("User", exact=True)).to_have_value(KIM)
    day = (datetime.now(UTC) + timedelta(days=40)).date()
    await form.get_by_label("Expires at the start of").fill(day.isoformat())
    await form.get_by_role("button").click()
    await expect(page.locator("#secret")).to_be_visible()
    key = await known(ledger, await page.locator("#secret").inner_text())
    assert (key.user, key.name, key.scopes) == (KIM, KIM, None)
    assert key.expires_at == datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=9)


async def test_a_form_for_a_key_that_is_sent_twice_makes_one_and_shows_its_secret_once(
    opens_own: Opens, own_site: Site
) -> None:
    page = await opens_own("/settings/keys")
    form = form_of(page, "create-app")
    first = await send(page, form, name="once")
    again = await send(page, form, name="once")
    assert (first.status, again.status) == (200, 200)
    assert 'id="secret"' in await first.text()
    assert 'id="secret"' not in await again.text()
    assert "it is stored nowhere" in await again.text()
    assert await ask(own_site, "SELECT count(*) FROM jangbu.api_keys WHERE name = 'once'") == [(1,)]
    other = await send(page, form, name="twice")
    assert other.status == 409


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gateway": "none"}, "A key that may do nothing is of no use."),
        ({"gateway": "chosen"}, "A key that may do nothing is of no use."),
        ({"requests_per_minute": "many"}, "is no whole number from 1 to"),
        ({"requests_per_minute": "3000000000"}, "is no whole number from 1 to 2,147,483,647"),
        ({"tokens_per_minute": "0"}, "is no whole number"),
        ({"models": "gemini-*-pro"}, "is no model of a key"),
        ({"expires_on": "2020-01-01"}, "has begun already"),
    ],
)
async def test_what_no_key_can_be_made_of_is_told_and_stays_entered(
    opens_own: Opens, own_site: Site, fields: dict[str, str], said: str
) -> None:
    page = await opens_own("/settings/keys")
    form = await open_form(page, "For an app", "create-app")
    await form.get_by_label("Name", exact=True).fill("hopeless")
    for name, value in fields.items():
        field = form.locator(f"[name={name}]")
        await (field.select_option(value) if name == "gateway" else field.fill(value))
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text(said)
    await expect(form.get_by_label("Name", exact=True)).to_have_value("hopeless")
    for name, value in fields.items():
        await expect(form.locator(f"[name={name}]")).to_have_value(value)
    assert await ask(own_site, "SELECT 1 FROM jangbu.api_keys WHERE name = 'hopeless'") == []


async def test_a_key_for_somebody_without_an_account_is_refused(opens_own: Opens) -> None:
    page = await opens_own("/settings/keys")
    form = await open_form(page, "For a user", "create-user")
    await form.get_by_label("User", exact=True).fill("nobody")
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text("This does not exist.")
    await expect(form.get_by_label("User", exact=True)).to_have_value("nobody")


async def test_a_developer_makes_keys_that_call_and_read_but_none_that_gives_tokens(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    page = await opens_own("/settings/keys", member=MemberRole.DEVELOPER.value)
    form = await open_form(page, "For an app", "create-app")
    offered = form.locator("fieldset").first.get_by_role("checkbox")
    assert [await each.get_attribute("name") for each in await offered.all()] == [
        "role.api:developer", "role.api:viewer", "role.api:analytics", "role.api:views",
    ]  # fmt: skip
    for role in ("role.api:owner", "role.api:finance"):
        assert (await send(page, form, name="too much", key=role, **{role: "1"})).status == 403
    assert await ask(own_site, "SELECT 1 FROM jangbu.api_keys WHERE name = 'too much'") == []
    await form.get_by_label("Name", exact=True).fill("for development")
    await form.get_by_role("button").click()
    assert (await known(ledger, await made_key(page))).scopes is None


async def test_a_key_is_revoked_once_it_was_confirmed(opens_own: Opens, own_site: Site, ledger: Metering) -> None:
    key, _ = await ledger.keys.create_for_app("doomed")
    page = await opens_own("/settings/keys")
    row = await row_of(page, "doomed")
    assert not await row.get_by_role("button").is_visible()
    form = await open_form(page, "Revoke", "revoke", row)
    await form.get_by_role("button", name="Revoke for good").click()
    await expect(page.get_by_role("status").first).to_have_text("The key is revoked.")
    row = await row_of(page, "doomed")
    await expect(row.locator(".badge")).to_have_text("revoked")
    assert await row.locator("form").count() == 0
    assert (await ledger.keys.find(key.id)).revoked_at is not None
    assert (OWNER, f"key:{key.id}") in await audited(own_site, "keys.revoke")


async def test_a_developer_revokes_no_key_of_an_owner(opens_own: Opens, own_site: Site, ledger: Metering) -> None:
    key, _ = await ledger.keys.create_for_app("of an owner", scopes=["api:owner"])
    page = await opens_own("/settings/keys", member=MemberRole.DEVELOPER.value)
    assert await (await row_of(page, "of an owner")).locator("form").count() == 0
    fields: dict[str, Any] = {
        "csrf": await csrf_of(own_site, MemberRole.DEVELOPER.value), "id": str(key.id), "key": "k",
    }  # fmt: skip
    answer = await page.request.post(f"{own_site.url}/dashboard/settings/keys/revoke", form=fields)
    assert answer.status == 403
    assert (await ledger.keys.find(key.id)).revoked_at is None


async def test_keys_are_listed_newest_first_page_by_page_and_by_user(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    for number in range(60):
        await ledger.keys.create_for_user(USERS[1], name=f"many {number}")
    page = await opens_own("/settings/keys")
    shown = [cells[0] for cells in await rows(page, "keys")]
    while await page.locator("a[rel=next]").count():
        await page.locator("a[rel=next]").click()
        await page.wait_for_url("**after=*")
        shown += [cells[0] for cells in await rows(page, "keys")]
    stored = await ask(own_site, "SELECT name, hint FROM jangbu.api_keys ORDER BY created_at DESC, key_id DESC")
    assert [" ".join(cell.split()) for cell in shown] == [f"{' '.join(name.split())} {hint}…" for name, hint in stored]
    await page.goto(f"{own_site.url}/dashboard/settings/keys")
    await page.locator("form.filters input[name=user]").fill(USERS[1])
    await page.get_by_role("button", name="Apply").click()
    await page.wait_for_url("**user=*")
    assert {cells[2] for cells in await rows(page, "keys")} == {USERS[1]}
    await page.goto(f"{own_site.url}/dashboard/settings/keys?user=nobody")
    await expect(page.get_by_text("Nothing matches these filters.")).to_be_visible()
