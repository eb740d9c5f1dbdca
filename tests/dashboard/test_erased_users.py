"""What an erased user left on the pages: it says that the user was erased, and nothing leads to where nobody is."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import quote

import pytest
import pytest_asyncio

from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.dashboard.texts import Language, texts_of
from jangbu.domain.flow import Bounds, Call, Refused, Release, TakeHold
from jangbu.domain.ledger import erased_name
from jangbu.metering.erasing import erase
from jangbu.metering.keyed import with_key
from jangbu.metering.meter import Metering
from jangbu.wiring import open_metering
from tests.dashboard.raw import Visitor, signed_in
from tests.dashboard.shown import read
from tests.dashboard.site import MODELS, OWNER, Site
from tests.metering.telling import answer

GONE = "gone@users.example"
MOST = 10_000_000
SAID = {"en": "the user was erased", "ko": "사용자 정보가 삭제됨"}
ERASED = re.compile(r"erased(?::|%3A)")
NAMED = {"/alerts", "/settings/audit"}
"""What there is to see of an account by its name, whoever was its user."""
PAGES = (
    "/",
    "/users",
    "/calls/latest",
    "/ledger",
    "/ledger/holds?state=released",
    "/ledger/refused",
    "/alerts",
    "/settings/audit",
    "/settings/keys",
    "/cost?by_key={key}",
    "/calls?find={answer}",
    "/call?call={call}",
    "/call?call={hold}",
)

FILTERED = (
    "/?",
    "/calls/latest?",
    "/cost?",
    "/models?",
    "/ledger?",
    "/ledger/holds?state=released&",
    "/ledger/refused?",
    "/alerts/events?",
)
"""Where a user is chosen, whom an address that was typed may name."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def left(own_site: Site) -> AsyncIterator[dict[str, str]]:
    """Erase a user who used most of all, with an unpriced call, one that was held for, one refused and a key."""
    async with open_metering(Settings.load(database_url=own_site.database_url), delivers=False) as ledger:
        await ledger.accounts.create(GONE)
        await ledger.accounts.grant(GONE, MOST, key="first")
        key, _ = await ledger.keys.create_for_user(GONE, name="phone")
        used = answer(MOST // 2, MODELS[2])
        call = (await ledger.record(GONE, "chat", used, metadata=with_key({}, key.id))).id
        held = _call(ledger)
        await ledger.execute(TakeHold(held, 10, 100, 100))
        await ledger.execute(Release(held, "the provider answered 503"))
        assert isinstance(await ledger.execute(TakeHold(_call(ledger), MOST, MOST, MOST)), Refused)
        await erase(ledger, "default", GONE)
        name = erased_name(ledger.accounts.id_of(GONE))
        ids = {"call": call, "hold": held.id, "key": key.id, "answer": used.response_id}
        yield {"name": name, **{what: str(each) for what, each in ids.items()}}


def _call(ledger: Metering) -> Call:
    return Call(new_id(ledger.clock), GONE, "chat", MODELS[0], Bounds(10, 10, True))


@pytest.mark.parametrize("language", SAID)
@pytest.mark.parametrize("path", PAGES)
async def test_a_page_with_an_erased_user_leads_nowhere_where_nobody_is(
    own_site: Site, left: dict[str, str], path: str, language: str
) -> None:
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    found = await asyncio.to_thread(_shown, owner, path.format(**left), language)
    assert left["name"] in unescape(found)
    assert path in ("/", "/settings/audit") or SAID[language] in found
    links = {each.attributes["href"] for each in read(found).all("a")}
    assert {_path(link).partition("?")[0] for link in links if ERASED.search(link)} <= NAMED
    of_calls = {link for link in links if left["call"] in link or left["hold"] in link}
    dead = {link for link in of_calls if (await asyncio.to_thread(owner.get, _path(link))).status != 200}
    assert (dead, GONE in found) == (set(), False)


@pytest.mark.parametrize("language", SAID)
@pytest.mark.parametrize("path", FILTERED)
async def test_a_page_that_an_erased_user_is_chosen_on_says_so_and_shows_nothing(
    own_site: Site, left: dict[str, str], path: str, language: Language
) -> None:
    owner = await asyncio.to_thread(signed_in, own_site, OWNER)
    found = await asyncio.to_thread(owner.get, f"{path}user={quote(left['name'])}", accept_language=language)
    said = unescape(found.text)
    assert (found.status, texts_of(language)("wrong.erased", user=left["name"]) in said) == (200, True)
    assert texts_of(language)("nothing.matches") not in said
    links = {each.attributes["href"] for each in read(found.text).all("a")}
    assert not {link for link in links if left["call"] in link or left["hold"] in link}
    unknown = await asyncio.to_thread(owner.get, f"{path}user=erased:nobody", accept_language=language)
    assert texts_of(language)("nothing.matches") in unescape(unknown.text)


def _shown(visitor: Visitor, path: str, language: str) -> str:
    found = visitor.get(path, accept_language=language)
    if found.leads_to:
        found = visitor.get(_path(found.leads_to), accept_language=language)
    assert found.status == 200, found.text
    return found.text


def _path(link: str) -> str:
    return link.partition("#")[0].removeprefix("/dashboard")
