"""Who is given files of pages: whoever sees the page, what its filters mean, and nobody else anything else."""

import itertools

import pytest

from jangbu.dashboard.page import Page
from jangbu.dashboard.pages.all import PAGES
from jangbu.domain.keys import Role
from jangbu.domain.members import MemberRole
from jangbu.metering.exports import Format, offered
from tests.dashboard.raw import Visitor, signed_in
from tests.dashboard.site import Site
from tests.dashboard.test_every_page import address_of

WITHOUT_FILES = {
    "call": "one call, whose answer and price are on the page word for word",
    "calls": "the few calls that one name stands for",
    "alerts": "what is open and to be ended, not what was recorded",
    "alerts_channels": "where alerts go, without a figure",
    "alerts_events": "what the app was told, which is sent again and kept for 30 days, not what was recorded",
    "alerts_rules": "what is looked for, without a figure of usage",
    "alerts_told": "what was told of alerts, not what was recorded",
    "prices_change": "a change that is tried; the prices themselves are on their page",
    "profile": "one's own sign-in, without a figure",
    "users_grant": "a file that is given to the page; who has what is on that of the users",
    "settings": "how the ledger stands",
    "settings_keys": "who may call, without a figure",
    "settings_members": "who may sign in, without a figure",
}
"""Pages that list something, or one thing in parts, and give none of it as a file; and why."""


ELSEWHERE = {"cost": ("/cost?by_key=all",)}
"""Where a page leads to the files of what else may be chosen there."""


@pytest.fixture(scope="session")
def visitors(site: Site) -> dict[MemberRole, Visitor]:
    return {role: signed_in(site, role.value) for role in MemberRole}


def path_of(page: Page, file: str, site: Site, ending: str = "csv") -> str:
    _, _, query = address_of(page.name, page.path, site).partition("?")
    return f"{page.path.rstrip('/')}/{file}.{ending}?{query}"


def test_a_page_that_lists_something_gives_it_as_a_file_or_is_named_here(
    site: Site, visitors: dict[MemberRole, Visitor]
) -> None:
    owner = visitors[MemberRole.OWNER]
    for page in PAGES:
        text = "".join(
            owner.get(at).text for at in (address_of(page.name, page.path, site), *ELSEWHERE.get(page.name, ()))
        )
        links = {f'href="/dashboard{page.path.rstrip("/")}/{name}.{form}' for name in page.files for form in offered()}
        assert all(link in text for link in links), f"{page.name} does not lead to its files"
        is_listing = "<table" in text or 'class="names"' in text
        assert bool(page.files) != (page.name in WITHOUT_FILES), page.name
        assert page.files or page.name in WITHOUT_FILES or not is_listing, f"{page.name} lists what it gives no file of"
    assert {page.name for page in PAGES} >= set(WITHOUT_FILES), "a page is named that is none"


def test_a_file_is_given_to_the_roles_that_see_its_page_alone(site: Site, visitors: dict[MemberRole, Visitor]) -> None:
    for page, (role, visitor) in itertools.product(PAGES, visitors.items()):
        for name in page.files:
            answer = visitor.get(path_of(page, name, site))
            is_let = Role(f"api:{role}") in page.roles
            assert answer.status == (200 if is_let else 403), (page.name, name, role)
            assert answer.headers["content-type"].startswith("text/csv" if is_let else "text/html")
            assert answer.headers["cache-control"] == "no-store"
            assert (answer.headers["content-disposition"] or "").startswith("attachment") == is_let


def test_nobody_has_a_file_without_a_session_and_signing_in_leads_to_its_page(site: Site) -> None:
    for page in PAGES:
        for name in page.files:
            answer = Visitor(site).get(path_of(page, name, site))
            assert (answer.status, answer.body) == (303, b""), (page.name, name)
            assert f".{Format.CSV}" not in answer.leads_to


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/usage.csv?range=x", 400),
        ("/usage.csv?zone=Mars/Base", 400),
        ("/usage.csv?from=2026-02-30", 400),
        ("/usage.csv?range=90d&bucket=minute", 400),
        ("/usage.csv?user=nobody", 404),
        ("/usage.csv?bom=yes", 400),
        ("/usage.xls", 404),
        ("/usage", 404),
        ("/entries.csv", 404),
        ("/models/models.csv?user=nobody", 404),
        ("/cost/services.csv?to=x", 400),
        ("/users/users.csv?search=%00", 400),
        ("/users/users.csv?range=x", 400),
        ("/user/calls.csv", 400),
        ("/user/calls.csv?user=nobody", 404),
        ("/user/calls.csv?user=nobody&status=lost", 400),
        ("/user/calls.csv?user=nobody&tag=%3Dwriting", 400),
        ("/user/calls.csv?user=nobody&key=mine", 400),
        ("/cost/calls.csv?by_key=mine", 400),
        ("/user/entries.csv?user=nobody", 404),
        ("/settings/audit/audit.csv?member=x", 400),
        ("/settings/audit/audit.csv?target=%00", 400),
    ],
)
def test_a_wrong_filter_is_told_on_a_page_and_is_no_file(
    site: Site, visitors: dict[MemberRole, Visitor], path: str, status: int
) -> None:
    answer = visitors[MemberRole.OWNER].get(path)
    assert answer.status == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-disposition"] is None
    assert '<p role="alert">' in answer.text
