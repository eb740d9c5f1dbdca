"""The file of entries holds what the ledger's page says beside its links: all of them, or those that are chosen.

Most pages carry a period to the ledger by the menu. It holds there, whether a user is chosen or none, and is shown.
"""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.dashboard.raw import Visitor, asked_of, signed_in
from tests.dashboard.reading import ask
from tests.dashboard.shown import read
from tests.dashboard.site import OWNER, USERS, Site

ENTRIES = """SELECT a.user_id, e.seq, e.kind::text, e.created_at
    FROM jangbu.entries AS e JOIN jangbu.accounts AS a USING (account_id) WHERE e.asset = $1"""
AGO = "UPDATE jangbu.entries SET created_at = created_at - interval '20 days' WHERE seq <= 5"
"""The first entries of everybody were made some time ago."""
WEEK = timedelta(days=7)
HELD = re.compile(r'<p class="files">All entries as a file:.*?<small>([^<]*)</small></p>')
CONTROLS = {"user", "asset", "kind", "range", "from", "to", "zone"}
NOBODYS = "/ledger?range=7d"

pytestmark = pytest.mark.asyncio(loop_scope="session")


def file_of(owner: Visitor, page: str, form: str = "jsonl") -> list[tuple[str, int]]:
    """Follow the link that a page shows to a file of entries."""
    [link] = re.findall(rf'href="/dashboard(/ledger/entries\.{form}[^"]*)"', owner.get(page).text)
    answer = owner.get(link.replace("&amp;", "&"))
    assert answer.status == 200, answer.text
    return sorted((line["user"], line["seq"]) for line in map(json.loads, answer.text.splitlines()))


def held(owner: Visitor, page: str) -> str:
    [said] = HELD.findall(owner.get(page).text)
    return str(said)


def controls(owner: Visitor, page: str) -> set[str]:
    """Give the names of the filters that a page shows."""
    form = next(each for each in re.findall(r"<form.*?</form>", owner.get(page).text, re.DOTALL) if "filters" in each)
    return set(re.findall(r'<(?:input|select)[^>]* name="([^"]+)"', form))


async def stored(site: Site, asset: int = 1) -> list[tuple[Any, ...]]:
    """Give what the database has, of which some is older than a week and some is not."""
    found = await ask(site, ENTRIES, asset)
    assert {each[3] > datetime.now(UTC) - WEEK for each in found} == {True, False}
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(own_site: Site) -> Visitor:
    await ask(own_site, AGO)
    return await asyncio.to_thread(signed_in, own_site, OWNER)


async def test_a_period_that_the_menu_carries_to_the_ledger_is_shown_and_is_that_of_the_file(
    own_site: Site, owner: Visitor
) -> None:
    menu = owner.get("/?range=7d").text
    assert f'href="/dashboard{NOBODYS}"' in menu, "the menu carries the period along"
    since = datetime.now(UTC) - WEEK
    lately = sorted((user, seq) for user, seq, _, at in await stored(own_site) if at > since)
    assert file_of(owner, NOBODYS) == lately
    shown = read(owner.get(NOBODYS).text)
    assert '<option value="7d" selected>Last 7 days</option>' in owner.get(NOBODYS).text
    assert "Whose ledger?" in shown.text
    assert re.fullmatch(r".* to .* · in UTC · Tokens", held(owner, NOBODYS))


async def test_without_a_period_the_file_has_everything_and_says_so(own_site: Site, owner: Visitor) -> None:
    everything = sorted((user, seq) for user, seq, _, _ in await stored(own_site))
    for path in ("/ledger", "/ledger?range=", "/ledger?range=custom"):
        assert file_of(owner, path) == everything
        assert held(owner, path) == "of all time · Tokens"
    assert "Clear" not in owner.get("/ledger").text, "there is nothing to clear"


@pytest.mark.parametrize("path", ["/ledger", NOBODYS, f"/ledger?user={USERS[0]}", "/ledger?user=nobody"])
async def test_what_narrows_the_file_can_be_chosen_whether_a_user_is_chosen_or_not(owner: Visitor, path: str) -> None:
    of_tokens_alone = {"asset"} if USERS[0] in path else set()
    assert controls(owner, path) == CONTROLS - of_tokens_alone


async def test_a_kind_an_asset_and_a_zone_narrow_everybodys_file_and_stand_beside_it(
    own_site: Site, owner: Visitor
) -> None:
    granted = sorted((user, seq) for user, seq, kind, _ in await stored(own_site) if kind == "grant")
    assert 0 < len(granted) < len(await stored(own_site))
    assert file_of(owner, "/ledger?kind=grant") == granted
    assert held(owner, "/ledger?kind=grant") == "of all time · grant · Tokens"
    money = sorted((user, seq) for user, seq, _, _ in await ask(own_site, ENTRIES, 2))
    assert file_of(owner, "/ledger?asset=money") == money
    assert held(owner, "/ledger?asset=money") == "of all time · Money"
    assert held(owner, "/ledger?range=7d&zone=Asia/Seoul").endswith("in Asia/Seoul · Tokens")


async def test_a_file_of_everybody_names_no_user_who_is_not_there(owner: Visitor) -> None:
    assert file_of(owner, "/ledger?user=nobody") == file_of(owner, "/ledger")


async def test_a_users_file_says_its_period_too_and_keeps_to_it(own_site: Site, owner: Visitor) -> None:
    user, since = USERS[0], datetime.now(UTC) - WEEK
    of_user = [(name, seq, at) for name, seq, _, at in await stored(own_site) if name == user]
    assert file_of(owner, f"/ledger?user={user}&range=7d") == sorted((n, seq) for n, seq, at in of_user if at > since)
    assert " to " in held(owner, f"/ledger?user={user}&range=7d")
    assert file_of(owner, f"/ledger?user={user}") == sorted((name, seq) for name, seq, _ in of_user)
    assert held(owner, f"/ledger?user={user}") == "of all time · Tokens"


async def test_the_filters_are_cleared_by_one_link_and_a_user_is_chosen_with_them_kept(owner: Visitor) -> None:
    text = owner.get(NOBODYS + "&kind=grant").text
    assert f'href="/dashboard/ledger?range=7d&amp;kind=grant&amp;user={USERS[0]}"' in text
    [clear] = re.findall(r'<a href="(/dashboard/ledger[^"]*)">Clear', text)
    assert asked_of(clear) == {}


async def test_a_period_that_is_none_is_told_on_the_page_as_by_its_file(owner: Visitor) -> None:
    for path in ("/ledger?range=x", "/ledger/entries.csv?range=x"):
        answer = owner.get(path)
        assert answer.status == 400
        assert '<p role="alert">' in answer.text
