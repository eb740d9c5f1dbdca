"""Who called, what failed without a deduction and what was refused for balance: each figure is that of the raw rows."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page

from jangbu.dashboard.texts import texts_of
from jangbu.domain.windows import Preset, Window
from tests.dashboard.conftest import Opens
from tests.dashboard.drilling import fetched
from tests.dashboard.obeying import ACTIVE, column, whole
from tests.dashboard.reading import ask
from tests.dashboard.shown import read
from tests.dashboard.site import MODELS, Site
from tests.dashboard.varied import HELD, KIM, LEE

FAILED = """
    SELECT count(*) FROM jangbu.holds AS h JOIN jangbu.accounts AS a ON a.account_id = h.account_id
    WHERE h.state <> 'open' AND h.taken_at >= $1 AND h.taken_at < $2
        AND ($3::text IS NULL OR a.user_id = $3) AND ($4::text IS NULL OR h.model = $4)
"""
REFUSED = """
    SELECT coalesce(sum(r.calls), 0)::bigint FROM jangbu.refused_minutes AS r
    JOIN jangbu.accounts AS a ON a.account_id = r.account_id
    WHERE r.at >= $1 AND r.at < $2 AND ($3::text IS NULL OR a.user_id = $3)
"""
OPEN = "SELECT id::text, expires_at FROM jangbu.holds WHERE state = 'open' AND model = $1"
TODAY = datetime.now(UTC).date()
LONG_AGO = tuple(TODAY - timedelta(days=days) for days in (25, 20))
ONE_DAY = (TODAY - timedelta(days=40),) * 2

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("language", "zone", "days", "chosen"),
    [
        ("en", "UTC", None, {}), ("ko", "Asia/Seoul", None, {"range": "24h"}), ("en", "Asia/Kolkata", LONG_AGO, {}),
        ("ko", "America/New_York", ONE_DAY, {}), ("en", "UTC", None, {"user": KIM, "range": "90d"}),
        ("ko", "UTC", None, {"user": LEE, "range": "7d"}), ("en", "UTC", None, {"model": MODELS[0]}),
    ],
    ids=str,
)  # fmt: skip
async def test_the_tiles_are_those_of_the_raw_rows(
    opens_varied: Opens,
    varied: Site,
    language: str,
    zone: str,
    days: tuple[date, date] | None,
    chosen: dict[str, str],
) -> None:
    between = {} if days is None else {"from": str(days[0]), "to": str(days[1])}
    page = await opens_varied(f"/?{urlencode({'zone': zone, **between, **chosen})}", language=language)
    if days is None:
        preset = Preset(chosen.get("range", Preset.MONTH))
        window = Window.preset(preset, datetime.now(UTC), ZoneInfo(zone))
    else:
        window = Window.days(*days, ZoneInfo(zone))
    texts, tiles, user, model = (
        texts_of(language),
        read(await page.content()).tiles,
        chosen.get("user"),
        chosen.get("model"),
    )
    [(failed,)] = await ask(varied, FAILED, window.start, window.end, user, model)
    [(active,)] = await ask(varied, ACTIVE, window.start, window.end)
    [(refused,)] = await ask(varied, REFUSED, window.start, window.end, user)
    assert whole(tiles[texts("undeducted")]) == failed
    assert tiles.get(texts("refused_calls")) == (None if model else f"{refused:,}")
    assert tiles.get(texts("active_users")) == (None if user or model else f"{active:,}")


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_what_is_held_is_listed_and_given_as_a_file(opens_varied: Opens, varied: Site, language: str) -> None:
    page, texts = await opens_varied(f"/user?user={KIM}", language=language), texts_of(language)
    assert read(await page.content()).tiles[texts("balance.held")] == f"{HELD:,}"
    await page.locator(".tile").filter(has_text=texts("balance.held")).get_by_role("link").click()
    await page.get_by_role("heading", level=1, name=texts("page.ledger_holds")).wait_for()
    [row] = read(await page.content()).table_of("holds").rows
    assert row.cells[:5] == (KIM, MODELS[1], texts.known("service", "text_generation"), f"{HELD:,}", texts("hold.open"))
    [line] = await in_file(page, f"/dashboard/ledger/holds/holds.csv?user={KIM}")
    [(hold, until)] = await ask(varied, OPEN, MODELS[1])
    assert (line["user"], line["id"], line["held_tokens"], line["state"]) == (KIM, hold, str(HELD), "open")
    [expires_at] = [each for name, each in line.items() if name.startswith("expires_at")]
    assert datetime.fromisoformat(expires_at) == until


async def test_failed_and_refused_calls_are_files_too(opens_varied: Opens) -> None:
    page = await opens_varied("/ledger/holds?state=undeducted")
    assert set(column(read(await page.content()), "holds", "State")) == {"outcome unknown", "given back"}
    failed = await in_file(page, "/dashboard/ledger/holds/holds.csv?state=undeducted")
    assert {each["reason"] for each in failed} == {"the line broke", "the provider answered 503"}
    refused = await in_file(page, "/dashboard/ledger/refused/refused.csv")
    for user, calls in ((KIM, 7), (LEE, 1)):
        assert sum(int(each["calls"]) for each in refused if each["user"] == user) == calls


async def in_file(page: Page, link: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(await fetched(page, link))))
