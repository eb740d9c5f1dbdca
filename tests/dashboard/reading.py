"""What tests of pages read: a table as it is shown, a form as it would be sent, and the database behind both."""

import csv
import hmac
import io
import json
from dataclasses import dataclass
from typing import Any

import asyncpg
from playwright.async_api import APIResponse, Locator, Page, expect

from tests.dashboard.site import Site


async def rows(page: Page, section: str) -> list[list[str]]:
    """Give the cells of the first table in a section."""
    found: list[list[str]] = await page.evaluate(
        "(id) => [...document.getElementById(id).closest('section').querySelector('table tbody')?.rows ?? []]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText.trim()))",
        section,
    )
    return found


@dataclass(frozen=True)
class File:
    """What a browser wrote to the disk."""

    name: str
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def table(self) -> list[dict[str, str]]:
        """The lines of a CSV by the names of its columns, without the zone that stands behind those of moments."""
        heads, *lines = csv.reader(io.StringIO(self.text.removeprefix("\ufeff")))
        names = [head.partition(" ")[0] for head in heads]
        return [dict(zip(names, line, strict=True)) for line in lines]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of JSON Lines."""
        return [json.loads(line) for line in self.text.splitlines()]


async def downloaded(page: Page, name: str) -> File:
    """Follow the link to a file, and give what comes."""
    async with page.expect_download() as begun:
        await page.get_by_role("link", name=name, exact=True).first.click()
    file = await begun.value
    return File(file.suggested_filename, (await file.path()).read_bytes())


async def facts(place: Locator) -> dict[str, str]:
    """Give a list of facts by their names."""
    found: dict[str, str] = await place.locator("dl.facts").first.evaluate(
        "(list) => Object.fromEntries([...list.querySelectorAll('dt')]"
        ".map((name) => [name.innerText, name.nextElementSibling.innerText]))"
    )
    return found


async def fields(form: Locator) -> dict[str, str]:
    """Give what a form would send."""
    found: dict[str, str] = await form.evaluate("(form) => Object.fromEntries(new FormData(form))")
    return found


async def send(page: Page, form: Locator, **changes: str) -> APIResponse:
    """Send what a form would send, as a browser without scripts does; it stays as it is and may be sent again."""
    address = await form.evaluate("(form) => form.action")
    return await page.request.post(address, form={**await fields(form), **changes}, max_redirects=0)


async def ask(site: Site, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Ask the database itself."""
    connection = await asyncpg.connect(site.database_url)
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def csrf_of(site: Site, member: str) -> str:
    """Give the token that the forms of a member carry who signed in last, for one that has no form to read it from."""
    [(session, secret)] = await ask(
        site,
        "SELECT s.session_id, s.csrf_secret FROM jangbu.sessions AS s JOIN jangbu.members AS m USING (member_id)"
        " WHERE m.name = $1 ORDER BY s.created_at DESC LIMIT 1",
        member,
    )
    return hmac.digest(bytes(secret), b"csrf:" + session.bytes, "sha256").hex()


async def audited(site: Site, action: str) -> list[tuple[str, str]]:
    """Give who did something, and to what, oldest first."""
    found = await ask(site, "SELECT actor_name, target FROM jangbu.audit WHERE action = $1 ORDER BY at", action)
    return [(name, target) for name, target in found]


def form_of(page: Page, action: str) -> Locator:
    return page.locator(f"form[action$='/{action}']")


async def open_form(page: Page, summary: str, action: str, place: Locator | None = None) -> Locator:
    """Open what a form stands in, and give it."""
    within = place or page.locator("main")
    await within.get_by_text(summary, exact=True).first.click()
    return within.locator(f"form[action$='/{action}']")


async def row_of(page: Page, name: str) -> Locator:
    found = page.locator("tbody tr").filter(has=page.locator("th", has_text=name))
    await expect(found).to_have_count(1)
    return found


async def stored_nowhere(site: Site, secret: str) -> None:
    """See that a secret is in no table, and in no line of the server's log."""
    tables = await ask(
        site, "SELECT relname FROM pg_class WHERE relnamespace = 'jangbu'::regnamespace AND relkind = 'r'"
    )
    for (table,) in tables:
        found = await ask(site, f"SELECT 1 FROM jangbu.{table} AS t WHERE strpos(t::text, $1) > 0", secret)
        assert found == [], table
    assert secret not in site.log.read_text()
