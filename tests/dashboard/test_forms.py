"""Every field of every form that a page shows takes whatever somebody who means harm writes, and does nothing of it.

The forms are read from the pages themselves: a field that is added is tried as soon as it is shown.
"""

import asyncio
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from jangbu.dashboard.look import PREFIX
from tests.dashboard import hostile
from tests.dashboard.conftest import site_of
from tests.dashboard.hostile import FORMULAS, PAYLOADS
from tests.dashboard.raw import Visitor, signed_in
from tests.dashboard.sent import FIELDS
from tests.dashboard.site import OWNER, Site
from tests.dashboard.test_safety import ACTIONS

MARKUP = tuple(each for each in PAYLOADS if "<" in each)
UNSHOWN = {"csrf", "zone"}
"""What every form carries, and ``test_safety`` tries."""
IDS = {"user", "member", "id", "key", "condition", "event", "session"}
"""What a form holds in which nobody writes; some of those stand only where somebody is blocked."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Forms(HTMLParser):
    """The fields of a page's forms that are sent, by their addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self._open: dict[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            is_sent = given.get("method", "").lower() == "post"
            self._open = self.found.setdefault(given["action"].removeprefix(PREFIX), {}) if is_sent else None
        elif tag in ("input", "select", "textarea") and self._open is not None and "name" in given:
            self._open.setdefault(given["name"], given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def spoilt(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with site_of(server, migrated, tmp_path_factory.mktemp("forms"), hostile.fill) as served:
        yield served


def pages_of(user: str) -> list[str]:
    """Give the addresses on which forms stand."""
    named = urlencode({"user": user})
    entries = [f"/ledger?{named}&entry={number}" for number in (1, 2, 3, 4)]
    alerts = ["/alerts", "/alerts/rules", "/alerts/channels", "/alerts/events"]
    settings = ["/settings/keys", f"/settings/keys?{named}", "/settings/members", "/profile"]
    prices = ["/prices", "/prices/change?do=markup&markup=5"]
    return [f"/user?{named}", "/users", "/users/grant", *entries, *alerts, *settings, *prices]


def quoted(cell: str) -> str:
    escaped = cell.replace('"', '""')
    return f'"{escaped}"'


def shown_forms(owner: Visitor) -> dict[str, dict[str, str]]:
    """Give the forms that the pages show, filled in as they are shown."""
    found: dict[str, dict[str, str]] = {}
    pages = [owner.get(path) for path in pages_of(PAYLOADS[0])]
    file = {"csv": f"user,tokens\n{quoted(PAYLOADS[0])},5", "key": PAYLOADS[0]}
    book = {"book": '{"entries": [{"models": ["gemini-9-tried"], "source": "s", "usd": {"input": "1"}}]}'}
    read = owner.send("/users/grant/check", file), owner.send("/prices/change/try-file", book)
    for page in (*pages, *read):
        shown = Forms()
        shown.feed(page.text)
        for action, fields in shown.found.items():
            found[action] = fields | found.get(action, {})
    return found


async def test_every_field_of_every_form_takes_whatever_is_written_and_runs_nothing(spoilt: Site) -> None:
    await asyncio.to_thread(_try_all, spoilt)


def _try_all(site: Site) -> None:
    owner = signed_in(site, OWNER)
    shown_at_first = shown_forms(owner)
    forms = {action: shown_at_first.get(action, {}) | FIELDS.get(action, {}) for action in {*shown_at_first, *FIELDS}}
    assert {f"{page.path}/{name}" for page, name, _ in ACTIONS} <= set(forms), "a form of an action is not tried"
    unseen = {f"{page.path}/{name}" for page, name, _ in ACTIONS} - set(shown_at_first)
    assert all(FIELDS[each].keys() <= IDS for each in unseen), "a form in which people write is on none of the pages"
    tried = 0
    for number, (action, fields) in enumerate(sorted(forms.items())):
        if action in ("/sign-out", "/sign-in", "/set-up", "/language"):
            continue
        for name in fields.keys() - UNSHOWN:
            for payload in (*PAYLOADS, *FORMULAS):
                tried += 1
                key = {"key": f"try-{number}-{tried}"} if name != "key" else {}
                answer = owner.send(action, fields | key | {name: payload, "csrf": owner.csrf})
                assert answer.status < 500, (action, name, payload)
                told = [each for each in MARKUP if each in answer.text]
                assert told == [], (action, name, payload)
    assert tried > len(ACTIONS) * len(PAYLOADS)
    for path in pages_of(PAYLOADS[0]):
        shown = owner.get(path)
        assert shown.status == 200, path
        assert [each for each in MARKUP if each in shown.text] == [], path
