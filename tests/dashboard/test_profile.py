"""A member's own page: another password for the present one, and the sessions that are theirs, ended as they like."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from jangbu.domain.members import Actor, Admission, Identity, MemberRole, Vouched
from jangbu.metering.meter import Metering
from tests.dashboard.conftest import Opens
from tests.dashboard.raw import Visitor, signed_in
from tests.dashboard.reading import ask, audited, form_of, open_form, row_of, stored_nowhere
from tests.dashboard.site import OWNER, PASSWORD, Site

ME = Actor.of_command("test")
ANOTHER = "a stapled battery of horses"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def member(ledger: Metering, name: str, role: MemberRole = MemberRole.VIEWER) -> str:
    _, link = await ledger.members.invite(name, role, ME)
    await ledger.members.set_up(link.token, name, PASSWORD)
    return name


async def change(page: Page, present: str, chosen: str) -> None:
    form = form_of(page, "change-password")
    await form.get_by_label("Present password").fill(present)
    await form.get_by_label("New password").fill(chosen)
    await form.get_by_role("button").press("Enter")


async def arrives(site: Site, name: str, password: str = PASSWORD) -> Visitor:
    return await asyncio.to_thread(signed_in, site, name, password)


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/profile").status == 200


async def test_a_password_is_changed_by_whoever_knows_it_and_ends_the_other_sessions(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    name = await member(ledger, "changes")
    page = await opens_own("/", member=name)
    await page.locator(".viewer").click()
    await expect(page.locator("h1")).to_have_text("Your sign-in")
    elsewhere, link = await arrives(own_site, name), await ledger.members.reset(name, ME)
    await change(page, PASSWORD, ANOTHER)
    await expect(page.get_by_role("status").first).to_have_text(
        "The password was changed, and your other sessions ended."
    )
    assert not is_in(elsewhere)
    assert is_in(await arrives(own_site, name, ANOTHER))
    assert Visitor(own_site).send("/sign-in", {"name": name, "password": PASSWORD}).status == 401
    assert Visitor(own_site).get(link.path.removeprefix("/dashboard")).status == 404, (
        "a link from before is good no more"
    )
    assert (await audited(own_site, "members.set_password"))[-1] == (name, f"member:{name}")
    await stored_nowhere(own_site, ANOTHER)


@pytest.mark.parametrize(
    ("present", "chosen", "said"),
    [
        ("not this one at all", ANOTHER, "This is not your present password."),
        (PASSWORD, "aaaaaaaaaaaaaaaa", "This password cannot be used."),
    ],
    ids=["wrong", "weak"],
)
async def test_what_cannot_be_is_told_and_changes_nothing(
    opens_own: Opens, own_site: Site, ledger: Metering, present: str, chosen: str, said: str
) -> None:
    name = await member(ledger, f"keeps-{len(present)}")
    page = await opens_own("/profile", member=name)
    await change(page, present, chosen)
    await expect(form_of(page, "change-password").get_by_role("alert")).to_contain_text(said)
    assert is_in(await arrives(own_site, name))


async def test_guessing_the_present_password_is_held_up_as_at_the_door(own_site: Site, ledger: Metering) -> None:
    name = await member(ledger, "guessed")
    thief = await arrives(own_site, name)
    wrong = {"present": "none of theirs", "password": ANOTHER}
    seen = [thief.send("/profile/change-password", wrong).status for _ in range(7)]
    assert seen[-1] == 429
    assert 422 in seen or 400 in seen
    right = thief.send("/profile/change-password", {"present": PASSWORD, "password": ANOTHER})
    assert (right.status, right.headers["retry-after"] is not None) == (429, True)


async def test_sessions_are_listed_and_ended_one_by_one_all_others_and_all(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    name, other = await member(ledger, "many"), await member(ledger, "bystander")
    visitors = [await arrives(own_site, name) for _ in range(3)]
    bystander = await arrives(own_site, other)
    page = await opens_own("/profile", member=name)
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(4)
    await expect(page.get_by_text("this session", exact=True)).to_have_count(1)
    await page.get_by_role("button", name="End this session").first.click()
    await expect(page.get_by_role("status").first).to_have_text("The session was ended.")
    await expect(rows).to_have_count(3)
    assert sorted(map(is_in, visitors)) == [False, True, True]
    await page.get_by_role("button", name="End all other sessions").press("Enter")
    await expect(page.get_by_role("status").first).to_have_text("Your other sessions were ended.")
    assert [*map(is_in, visitors), is_in(bystander)] == [False, False, False, True]
    await page.get_by_role("button", name="Sign out everywhere").click()
    await expect(page.locator("input#password")).to_be_visible()
    assert (
        await ask(own_site, "SELECT 1 FROM jangbu.sessions JOIN jangbu.members USING (member_id) WHERE name = $1", name)
        == []
    )
    assert (await audited(own_site, "sessions.end")).count((name, f"member:{name}")) == 3


async def test_nobody_ends_another_members_session_by_its_id(own_site: Site, ledger: Metering) -> None:
    name, other = await member(ledger, "ends"), await member(ledger, "stays")
    ending, staying = await arrives(own_site, name), await arrives(own_site, other)
    [(session,)] = await ask(
        own_site,
        "SELECT session_id::text FROM jangbu.sessions JOIN jangbu.members USING (member_id) WHERE name = $1",
        other,
    )
    assert ending.send("/profile/end", {"session": session}).status == 303
    assert is_in(staying)


async def test_who_comes_by_a_provider_is_told_why_there_is_no_password(own_site: Site, ledger: Metering) -> None:
    vouched = Vouched(Identity("https://id.example", "s-1"), "by@id.example", MemberRole.VIEWER)
    session, token = await ledger.sessions.sign_in_by(vouched, Admission(), None)
    theirs = Visitor(own_site, token, session.csrf_token)
    shown = theirs.get("/profile").text
    assert "https://id.example vouches for you" in shown
    assert 'name="present"' not in shown
    assert theirs.send("/profile/change-password", {"present": "", "password": ANOTHER}).status == 403


async def test_an_owner_signs_a_member_out_everywhere_and_they_may_come_back(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    name = await member(ledger, "sent-away")
    theirs = await arrives(own_site, name)
    page = await opens_own("/settings/members")
    form = await open_form(page, "Sign out everywhere", "end-sessions", await row_of(page, name))
    await form.get_by_role("button").click()
    await expect(page.get_by_role("status").first).to_have_text("The member is signed out everywhere.")
    assert not is_in(theirs)
    assert is_in(await arrives(own_site, name))
    assert (OWNER, f"member:{name}") in await audited(own_site, "sessions.end")
