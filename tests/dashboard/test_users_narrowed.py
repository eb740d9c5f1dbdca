"""The list of users by who called and how they stand: the page denies nobody whom it did not look at."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from jangbu.config import Settings
from jangbu.dashboard.texts import texts_of
from jangbu.storage import usage
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering
from tests.dashboard.conftest import site_of
from tests.dashboard.raw import Visitor, signed_in
from tests.dashboard.shown import Node, read
from tests.dashboard.site import OWNER, let_in_members
from tests.metering.telling import answer

IDLE = 251
"""More users than a page looks at."""
CALLER, SPENT, SHORT, BARRED = "zoe", "spent", "short", "barred"
GRANTED = 1_000
T = texts_of("en")

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visitor]:
    """Serve a ledger of many idle users, and of a few who differ, to who is signed in."""
    async with site_of(server, migrated, tmp_path_factory.mktemp("crowd"), fill) as site:
        yield await asyncio.to_thread(signed_in, site, OWNER)


async def fill(database_url: str) -> str:
    """Have everybody idle but one, who called just now; three others called long ago and stand in other ways."""
    now = datetime.now(UTC)
    clock = SettableClock(now - timedelta(days=40))
    async with open_metering(Settings.load(database_url=database_url), clock=clock, delivers=False) as ledger:
        await usage.make_partitions(ledger.database, [clock.now().replace(day=1), now])
        await let_in_members(ledger)
        names = [CALLER, SPENT, SHORT, BARRED, *(f"idle-{number:03}" for number in range(IDLE))]
        for user in names:
            await ledger.accounts.create(user)
            await ledger.accounts.grant(user, GRANTED, key="first")
        for user, tokens in ((SPENT, GRANTED), (SHORT, GRANTED - 20), (BARRED, 10)):
            await ledger.record(user, "chat", answer(tokens, "gemini-2.5-flash"))
        await ledger.accounts.block(BARRED)
        clock.set(now)
        await ledger.record(CALLER, "chat", answer(10, "gemini-2.5-flash"))
    return ""


async def page_of(crowd: Visitor, address: str) -> Node:
    page = await asyncio.to_thread(crowd.get, address)
    assert page.status == 200
    return read(page.text)


def names_of(page: Node) -> list[str]:
    [section] = page.all("section", aria_labelledby="users")
    return [row.name for row in page.table_of("users").rows] if list(section.all("table")) else []


async def test_those_who_called_are_not_denied_where_none_of_the_first_did(crowd: Visitor) -> None:
    """In the order of names the one who called comes last, after more users than a page looks at."""
    asked = "range=1h&active=1"
    first = await page_of(crowd, f"/users?{asked}&order=user")
    [section] = first.all("section", aria_labelledby="users")
    assert T("nothing.matches") not in section.text
    assert T("users.none_yet", count=250, shown="250") in section.text
    [onward] = [each.attributes["href"] for each in section.all("a", rel="next")]
    assert names_of(await page_of(crowd, onward.removeprefix("/dashboard"))) == [CALLER]


async def test_who_called_comes_first_where_no_order_is_chosen(crowd: Visitor) -> None:
    page = await page_of(crowd, "/users?range=1h&active=1&order=&way=")
    [section] = page.all("section", aria_labelledby="users")
    assert (names_of(page), list(section.all("a", rel="next"))) == ([CALLER], [])
    order = next(page.all("form", class_="filters")).one("select", name="order")
    assert next(order.all("option")).text == "Automatic: last call"
    whole = await page_of(crowd, "/users?range=90d&active=1")
    assert names_of(whole) == [CALLER, SPENT, SHORT, BARRED]


async def test_nothing_matches_where_nobody_is_left_to_look_at(crowd: Visitor) -> None:
    for asked, said in (("order=used", "users.none_yet"), ("", "nothing.matches")):
        page = await page_of(crowd, f"/users?range=1h&active=1&search=idle&{asked}")
        [section] = page.all("section", aria_labelledby="users")
        assert T(said, count=250, shown="250") in section.text
    page = await page_of(crowd, "/users?range=1h&active=1&search=s&order=used")
    [section] = page.all("section", aria_labelledby="users")
    assert T("nothing.matches") in section.text


async def test_a_page_after_the_last_says_that_there_is_nobody_else(crowd: Visitor) -> None:
    page = await page_of(crowd, "/users?state=blocked&after=0:z")
    [section] = page.all("section", aria_labelledby="users")
    assert T("users.no_more") in section.text
    assert [each.text for each in section.all("a")][-1] == T("first_page")


@pytest.mark.parametrize(("state", "user"), [("blocked", BARRED), ("empty", SPENT), ("low", SHORT)])
async def test_those_whom_support_asks_for_come_first_on_the_page_and_alone_in_its_file(
    crowd: Visitor, state: str, user: str
) -> None:
    page = await page_of(crowd, f"/users?state={state}")
    assert names_of(page) == [user]
    assert page.table_of("users").column("State")[user] == T(f"state.{state}")
    [section] = page.all("section", aria_labelledby="users")
    [file] = [each.attributes["href"] for each in section.all("a") if "/users/users.jsonl" in each.attributes["href"]]
    answer = await asyncio.to_thread(crowd.get, file.removeprefix("/dashboard"))
    assert [json.loads(line)["user"] for line in answer.text.splitlines()] == [user]


async def test_a_state_that_there_is_not_is_refused_in_words(crowd: Visitor) -> None:
    for address in ("/users?state=ok", "/users/users.csv?state=ok"):
        page = await asyncio.to_thread(crowd.get, address)
        assert page.status == 400
        assert "blocked, low, empty, anomalous" in page.text
