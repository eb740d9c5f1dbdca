"""Members: invited by links that are shown once, given roles and kept out, by owners alone."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from jangbu.domain.members import Actor, MemberRole
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens, opening
from tests.dashboard.reading import ask, audited, csrf_of, form_of, open_form, row_of, send, stored_nowhere
from tests.dashboard.site import OWNER, PASSWORD, USERS, VIEWER, Site
from tests.dashboard.test_every_page import found_by_axe

KIM = USERS[0]
ME = Actor.of_command("test")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_member_is_invited_by_a_link_that_is_shown_once_and_lets_them_in(
    opens_own: Opens, own_site: Site, browser: Browser
) -> None:
    page = await opens_own("/settings/members")
    form = form_of(page, "invite")
    await form.get_by_label("Name or e-mail address").fill("seo-yeon@example.com")
    await form.get_by_label("Role").select_option("finance")
    await form.get_by_role("button").click()
    await expect(page.locator("#secret")).to_be_visible()
    assert await found_by_axe(page) == []
    link = await page.locator("#secret").inner_text()
    assert link.startswith(f"{own_site.url}/dashboard/set-up?token=")
    token = link.partition("token=")[2]
    assert token not in page.url
    await stored_nowhere(own_site, token)
    await page.reload()
    assert token not in await page.content()
    await expect(await row_of(page, "seo-yeon@example.com")).to_contain_text("invited")
    async with opening(browser, own_site) as _:
        context = await browser.new_context()
        guest = await context.new_page()
        await guest.goto(link)
        await guest.locator("#password").fill(PASSWORD)
        await guest.locator("button.main").click()
        await expect(guest.locator(".viewer")).to_have_text("seo-yeon@example.com (finance)")
        await context.close()
    assert (OWNER, "member:seo-yeon@example.com") in await audited(own_site, "members.invite")


async def test_an_invitation_that_is_sent_twice_makes_one_member_and_one_link(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own("/settings/members")
    form = form_of(page, "invite")
    first, again = await send(page, form, name="twice"), await send(page, form, name="twice")
    assert (first.status, again.status) == (200, 200)
    assert ("token=" in await first.text(), "token=" in await again.text()) == (True, False)
    assert await ask(
        own_site, "SELECT count(*) FROM jangbu.set_up_links JOIN jangbu.members USING (member_id) WHERE name = 'twice'"
    ) == [(1,)]


@pytest.mark.parametrize(("name", "said"), [("OWNER", "There is a member “OWNER” already."), ("\u200b", "Give a name")])
async def test_a_name_that_cannot_be_taken_is_told_and_stays_entered(opens_own: Opens, name: str, said: str) -> None:
    page = await opens_own("/settings/members")
    form = form_of(page, "invite")
    await form.get_by_label("Name or e-mail address").fill(name)
    await form.get_by_label("Role").select_option("developer")
    await form.get_by_role("button").click()
    await expect(form.get_by_role("alert")).to_contain_text(said)
    await expect(form.get_by_label("Name or e-mail address")).to_have_value(name)
    await expect(form.get_by_label("Role")).to_have_value("developer")


async def test_a_member_gets_another_role_is_kept_out_and_let_in_again(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    made, link = await ledger.members.invite("jun", MemberRole.VIEWER, ME)
    await ledger.members.set_up(link.token, "jun", PASSWORD)
    page = await opens_own("/settings/members")
    form = await open_form(page, "Give another role", "role", await row_of(page, "jun"))
    await form.get_by_label("Role").select_option("developer")
    await form.get_by_role("button").click()
    await expect(page.get_by_role("status").first).to_have_text("The role was given.")
    assert (await ledger.members.find(made.id)).role is MemberRole.DEVELOPER
    theirs = await opens_own("/settings/keys", member="jun")
    form = await open_form(page, "Block", "block", await row_of(page, "jun"))
    await form.get_by_role("button").click()
    await expect(page.get_by_role("status").first).to_have_text("The member is blocked, and signed out everywhere.")
    await theirs.reload()
    await expect(theirs.locator("#password")).to_be_visible()
    row = await row_of(page, "jun")
    await expect(row.locator(".badge")).to_have_text("blocked")
    form = await open_form(page, "Unblock", "unblock", row)
    await form.get_by_role("button").click()
    await expect(page.get_by_role("status").first).to_have_text("The member may sign in again.")
    await expect((await row_of(page, "jun")).locator(".badge")).to_have_text("active")
    for action in ("role", "block", "unblock"):
        assert await audited(own_site, f"members.{action}") == [(OWNER, "member:jun")]


async def test_a_member_gets_another_link_once_for_a_form(opens_own: Opens, ledger: Metering) -> None:
    await ledger.members.invite("lost", MemberRole.VIEWER, ME)
    page = await opens_own("/settings/members")
    row = await row_of(page, "lost")
    form = await open_form(page, "Make another link", "reset", row)
    first = await send(page, form)
    await form.get_by_role("button").click()
    await expect(page.get_by_text("This was done before, and the link was shown then")).to_be_visible()
    token = (await first.text()).partition("set-up?token=")[2][:43]
    assert (await ledger.members.offered(token)).member == await ledger.members.find("lost")


async def test_the_last_owner_stays(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own("/settings/members")
    row = await row_of(page, "you")
    for summary, action in (("Give another role", "role"), ("Block", "block")):
        form = await open_form(page, summary, action, row)
        if action == "role":
            await form.get_by_label("Role").select_option("viewer")
        await form.get_by_role("button").click()
        await expect(form.get_by_role("alert")).to_contain_text("There has to be another owner first.")
    assert await ask(own_site, "SELECT role::text, blocked_at FROM jangbu.members WHERE name = 'owner'") == [
        ("owner", None)
    ]


async def test_an_owner_who_becomes_a_viewer_is_led_to_what_they_may_still_see(
    opens_own: Opens, ledger: Metering
) -> None:
    _, link = await ledger.members.invite("second", MemberRole.OWNER, ME)
    await ledger.members.set_up(link.token, "second", PASSWORD)
    page = await opens_own("/settings/members", member="second")
    form = await open_form(page, "Give another role", "role", await row_of(page, "you"))
    await form.get_by_label("Role").select_option("viewer")
    await form.get_by_role("button").click()
    await expect(page.locator("h1")).to_have_text("Settings")
    await expect(page.get_by_role("status").first).to_have_text("The role was given.")


@pytest.mark.parametrize("member", [VIEWER, MemberRole.FINANCE.value, MemberRole.DEVELOPER.value])
async def test_only_owners_see_and_change_members_and_the_audit(opens_own: Opens, own_site: Site, member: str) -> None:
    page = await opens_own("/settings", member=member)
    fields: dict[str, Any] = {"csrf": await csrf_of(own_site, member), "name": "mine", "role": "owner", "key": "k"}
    [(owner,)] = await ask(own_site, "SELECT member_id::text FROM jangbu.members WHERE name = 'owner'")
    for path in ("members", "audit"):
        assert (await page.request.get(f"{own_site.url}/dashboard/settings/{path}")).status == 403
    for action in ("invite", "reset", "role", "block", "unblock", "end-sessions"):
        address = f"{own_site.url}/dashboard/settings/members/{action}"
        assert (await page.request.post(address, form={**fields, "member": owner})).status == 403
    assert await ask(own_site, "SELECT 1 FROM jangbu.members WHERE name = 'mine'") == []
