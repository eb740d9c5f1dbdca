"""The settings: which ledger this is, how it stands, and who changed what."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import expect

from jangbu.dashboard.pages.settings import BACKUP_DAYS_MAX, Age, age_of
from jangbu.domain.members import Actor, MemberRole
from jangbu.metering.health import Backups
from jangbu.metering.meter import Metering
from jangbu.storage import migrate
from jangbu.storage.statements import statement
from jangbu.testing import SettableClock
from tests.conftest import address, drop_database, execute
from tests.dashboard.conftest import Opens
from tests.dashboard.raw import signed_in
from tests.dashboard.reading import ask, facts, rows
from tests.dashboard.shown import read
from tests.dashboard.site import OWNER, USERS, VIEWER, Site, serving
from tests.dashboard.test_unrecorded import fill
from tests.metering.test_health import back_up

KIM = USERS[0]
ME = Actor.of_command("test")

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("member", list(MemberRole))
async def test_everybody_sees_which_ledger_this_is_and_how_it_stands(
    opens: Opens, site: Site, member: MemberRole
) -> None:
    # The server verifies its ledger by itself after a while, and other tests look at the same one.
    verified = "SELECT count(*) > 0 FROM jangbu.verifications WHERE ended_at IS NOT NULL"
    [(before,)] = await ask(site, verified)
    page = await opens("/settings", member=member.value)
    [(after,)] = await ask(site, verified)
    shown = await facts(page.locator("main"))
    assert (shown["Project"], shown["Release of Jangbu"]) == ("default", "0.1.0")
    assert shown["Time zone"].startswith("UTC")
    parts = {cells[0]: cells[1:] for cells in await rows(page, "health")}
    [(version,)] = await ask(site, "SELECT current_setting('server_version_num')::integer / 10000")
    assert parts["Database"][0] == "well"
    assert f"PostgreSQL {version}." in parts["Database"][1]
    assert f"schema {migrate.HEAD}" in parts["Database"][1]
    assert parts["Durability"] == ["well", "fsync on, full_page_writes on, synchronous_commit on"]
    assert parts["Records on this machine's disk"] == ["well", "Nothing waits."]
    assert parts["Ledger and balances"][0] in {"well" if known else "look at this" for known in (before, after)}
    assert parts["Backup"] == ["", "Your own server is backed up by its own tools."]
    policies = {name: (value, by) for name, value, by, _ in await rows(page, "policies")}
    days = {re.findall(r"interval '(\d+) days'", statement(f"{name}_purge"))[0] for name in ("hold", "refused")}
    assert policies == {
        "Records of calls": ("kept until they are dropped", "jangbu db retain"),
        "Holds that were given back, and refused calls": (f"kept for {days.pop()} days", "fixed"),
        "How long a hold may be open": ("900 seconds", "JANGBU_HOLD_SECONDS"),
        "Money": ("US dollars (USD); prices for 1M tokens", "fixed"),
        "Signing in by OpenID": ("off", "JANGBU_OIDC_ISSUER"),
        "A balance that does not cover a call": ("the answer is limited to what is left", "JANGBU_SHORT_BALANCE"),
    }
    assert not days, "both are kept as long"
    tabs = await page.locator(".beside a").all_inner_texts()
    assert tabs[1:] == {
        MemberRole.OWNER: ["Keys", "Members", "Audit"], MemberRole.DEVELOPER: ["Keys"],
    }.get(member, [])  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def backed_up(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Serve a ledger that has a directory of backups, which is ``backups`` beside its log."""
    name, folder = f"backed_{uuid4().hex}", tmp_path_factory.mktemp("backed")
    await execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    await fill(address(server, name))
    with serving(address(server, name), folder, JANGBU_BACKUP_DIR=str(folder / "backups")) as served:
        yield served
    await drop_database(server, name)


@pytest.mark.parametrize(
    ("hours", "state", "said", "in_korean"),
    [
        (1, "well", "", ""),
        (7 * 24 - 1, "well", "", ""),
        (7 * 24 + 1, "look at this", "more than 7 days ago; make one every 7 days", "7일 넘게"),
        (400 * 24, "look at this", "more than 400 days ago; make one every 7 days", "400일 넘게"),
    ],
)
async def test_backups_are_well_as_long_as_the_newest_is_not_too_old(
    backed_up: Site, hours: int, state: str, said: str, in_korean: str
) -> None:
    folder = backed_up.log.parent / "backups"
    shutil.rmtree(folder, ignore_errors=True)
    for age in (hours, hours + 24):
        back_up(folder, datetime.now(UTC).replace(microsecond=0) - timedelta(hours=age))
    viewer = await asyncio.to_thread(signed_in, backed_up, VIEWER)
    [found] = [row.cells for row in read(viewer.get("/settings").text).table_of("health").rows if row.name == "Backup"]
    assert found[0] == state
    assert found[1].startswith("The newest of 2 backups ended at")
    assert said in found[1]
    assert ("days ago" in found[1]) is bool(said)
    assert in_korean in viewer.get("/settings", accept_language="ko").text


async def test_a_backup_grows_old_by_the_ledgers_clock_and_one_of_the_future_is_new() -> None:
    clock = SettableClock(datetime(2026, 11, 27, 9, tzinfo=UTC))
    backups = Backups(1, 0, clock.now())
    clock.advance(timedelta(days=BACKUP_DAYS_MAX))
    assert age_of(backups, clock.now()) == Age(BACKUP_DAYS_MAX, False)
    clock.advance(timedelta(seconds=1))
    assert age_of(backups, clock.now()) == Age(BACKUP_DAYS_MAX, True)
    assert age_of(Backups(1, 0, clock.now() + timedelta(hours=1)), clock.now()) == Age(0, False)
    assert age_of(Backups(), clock.now()) is None


async def test_what_is_behind_leads_there(opens_own: Opens) -> None:
    page = await opens_own("/settings")
    await page.get_by_role("link", name="Nothing has been verified yet.").click()
    await expect(page.locator("h1")).to_have_text("Ledger")


async def test_the_audit_is_shown_newest_first_page_by_page_by_member_and_by_what_was_changed(
    opens_own: Opens, own_site: Site, ledger: Metering
) -> None:
    developer = await ledger.members.find(MemberRole.DEVELOPER.value)
    for number in range(60):
        await ledger.members.give_role(
            VIEWER, MemberRole.FINANCE if number % 2 == 0 else MemberRole.VIEWER, Actor.of_command("test")
        )
    page = await opens_own("/settings/audit", anew=True)
    [(count,)] = await ask(own_site, "SELECT count(*) FROM jangbu.audit")
    shown = await rows(page, "audit")
    while await page.locator("a[rel=next]").count():
        await page.locator("a[rel=next]").click()
        await page.wait_for_url("**after=*")
        shown += await rows(page, "audit")
    assert len(shown) == count
    texts = [(cells[1].split()[0], cells[2]) for cells in shown]
    assert texts.count(("test", "gave a role")) == 60
    assert texts[0] == (OWNER, "signed in")
    await page.goto(f"{own_site.url}/dashboard/settings/audit")
    await page.get_by_label("Member").select_option(label=developer.name)
    await page.wait_for_url(f"**member={developer.id}*")
    assert {cells[1].split()[0] for cells in await rows(page, "audit")} == {developer.name}
    await page.get_by_role("link", name="Clear the filters").click()
    await page.get_by_role("link", name=f"member:{VIEWER}").first.click()
    await page.wait_for_url("**target=*")
    changed = await rows(page, "audit")
    assert {cells[3] for cells in changed} == {f"member:{VIEWER}"}
    assert (changed[0][4], changed[0][5]) == ('{"role": "finance"}', '{"role": "viewer"}')
