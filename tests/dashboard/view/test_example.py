"""The example runs as its README says, and what docs/token-meter.md shows works in an app's page."""

import re
import sys
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from jangbu.dashboard.texts import texts_of
from tests.dashboard.site import serving
from tests.dashboard.view.conftest import Looks
from tests.dashboard.view.stand import BUSY, Stand
from tests.examples.stage import plain_environment, running, wait_for_port
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "token-meter"
DOCS = (ROOT / "docs" / "token-meter.md").read_text()
KO = texts_of("ko")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_example_shows_the_tokens_of_who_is_signed_in(stand: Stand, browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    own = f"http://127.0.0.1:{port}"
    given = {"JANGBU_VIEW_ORIGINS": own, "JANGBU_TOP_UP_URL": f"{own}/tokens"}
    _, key = await stand.ledger.keys.create_for_app("example", scopes=["api:views"])
    with serving(stand.site.database_url, tmp_path, **given) as site:
        environment = {**plain_environment(), "JANGBU_URL": site.url, "JANGBU_KEY": key, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
        with running(command, environment, EXAMPLE) as process:
            wait_for_port(port, process)
            page = await browser.new_page()
            wrong: list[str] = []
            page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            await page.goto(own)
            available = f"{(await stand.ledger.accounts.balance(BUSY)).available:,}"
            await expect(page.locator("token-meter .facts .main dd")).to_have_text(available)
            await expect(page.locator("token-meter dt").first).to_have_text(KO("balance.available"))
            await expect(page.frame_locator("iframe").locator(".facts .main dd")).to_have_text(available)
            assert wrong == []
            await page.close()


async def test_the_lines_that_are_shown_are_all_that_a_page_needs(stand: Stand, looks: Looks) -> None:
    (lines,) = re.findall(r"```html\n(.*?)```", DOCS, re.DOTALL)
    assert len(lines.strip().splitlines()) == 5
    assert "https://jangbu.example/dashboard/view/token-meter.js" in lines
    shown = f'<!doctype html><html lang="ko"><title>Shop</title>{lines}'
    stand.host.token = await stand.token(BUSY)
    page = await looks(stand.host.put_whole("/shown", shown.replace("https://jangbu.example", stand.site.url)))
    await expect(page.locator("token-meter .facts")).to_be_visible()
    await expect(page.locator("token-meter dt").first).to_have_text(KO("balance.available"))
