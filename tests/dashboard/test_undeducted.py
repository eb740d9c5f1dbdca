"""Who called, what failed without a deduction and what was refused for balance: each figure is that of the raw rows."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from jangbu.dashboard.formats import Formats
from jangbu.dashboard.texts import Language, texts_of
from jangbu.domain.windows import Preset, Window
from tests.dashboard.conftest import Opens
from tests.dashboard.drilling import fetched
from tests.dashboard.obeying import ACTIVE, column, whole
from tests.dashboard.reading import ask
from tests.dashboard.shown import Node, read
from tests.dashboard.site import MODELS, Site
from tests.dashboard.varied import AGO, HELD, KIM, LEE, RETIRED

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
TRIED = """
    WITH tried AS (
        SELECT h.model, h.account_id, h.taken_at AS at, h.service, 1 AS failed
        FROM jangbu.holds AS h WHERE h.state <> 'open'
        UNION ALL
        SELECT m.name, u.account_id, jangbu.uuid7_time(u.id), s.name, 0
        FROM jangbu.usage AS u
        JOIN jangbu.models AS m ON m.model_id = u.model_id
        JOIN jangbu.services AS s ON s.service_id = u.service_id
    )
    SELECT t.model, sum(t.failed)::integer, sum(1 - t.failed)::integer
    FROM tried AS t JOIN jangbu.accounts AS a ON a.account_id = t.account_id
    WHERE t.at >= $1 AND t.at < $2 AND ($3::text IS NULL OR a.user_id = $3) AND ($4::text IS NULL OR t.service = $4)
    GROUP BY t.model
"""
OPEN = "SELECT id::text, expires_at FROM jangbu.holds WHERE state = 'open' AND model = $1"
LONG_AGO = (AGO - timedelta(days=5), AGO)
ONE_DAY = (AGO - timedelta(days=20),) * 2

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("language", "zone", "days", "chosen"),
    [
        ("en", "UTC", None, {}), ("ko", "Asia/Seoul", None, {"range": "24h"}), ("en", "Asia/Kolkata", LONG_AGO, {}),
        ("ko", "America/New_York", ONE_DAY, {}), ("en", "UTC", None, {"user": KIM, "range": "90d"}),
        ("ko", "UTC", None, {"user": LEE, "range": "7d"}), ("en", "UTC", None, {"model": MODELS[0]}),
    ],
    # None holds a date: those who run the tests with each other may begin on both sides of a midnight.
    ids=("a month", "a day by Seoul", "some days", "one day", "a user's", "another user's", "a model's"),
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


@pytest.mark.parametrize(
    ("language", "zone", "chosen"),
    [("en", "UTC", {}), ("ko", "Asia/Seoul", {"range": "24h", "user": LEE}), ("en", "UTC", {"service": "chat"})],
    ids=str,
)
async def test_each_model_says_how_many_of_all_that_were_tried_failed(
    opens_varied: Opens, varied: Site, language: Language, zone: str, chosen: dict[str, str]
) -> None:
    page = await opens_varied(f"/models?{urlencode({'zone': zone, **chosen})}", language=language)
    window = Window.preset(Preset(chosen.get("range", Preset.MONTH)), datetime.now(UTC), ZoneInfo(zone))
    narrowed = (window.start, window.end, chosen.get("user"), chosen.get("service"))
    tried = {model: (failed, went_well) for model, failed, went_well in await ask(varied, TRIED, *narrowed)}
    models = next(read(await page.content()).all("section", aria_labelledby="models")).one("table")
    place = [each.text for each in models.all("th")].index(texts_of(language)("models.failed"))
    shown = {}
    for row in models.one("tbody").all("tr"):
        cell = [each for each in row.inside if isinstance(each, Node)][place]
        links = [each.attributes["href"] for each in cell.all("a")]
        shown[next(row.all("a")).text] = (cell.text, len(await in_file(page, filed(links[0]))) if links else 0)
    assert shown == {model: (said(language, failed, went_well), failed) for model, (failed, went_well) in tried.items()}
    assert list(shown)[-1] == RETIRED, "what nobody used stands at the end"


def filed(link: str) -> str:
    """Give the address of the file of the holds that a link leads to."""
    return link.replace("/ledger/holds?", "/ledger/holds/holds.csv?")


def said(language: Language, failed: int, went_well: int) -> str:
    texts, formats = texts_of(language), Formats(language, "UTC")
    if not failed:
        return "0.0%"
    if not went_well:
        return texts("models.failed_only", shown=str(failed))
    whole = texts("models.failed_of", failed=str(failed), tried=str(failed + went_well))
    return f"{formats.percent(failed, failed + went_well)} {whole}"


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


@pytest.mark.parametrize(
    ("path", "controls"),
    [
        (
            "/ledger/holds?user=nobody&state=undeducted",
            ["user", "state", "service", "model", "range", "from", "to", "zone"],
        ),
        ("/ledger/refused?user=nobody&range=7d", ["user", "range", "from", "to", "zone"]),
    ],
)
async def test_a_user_whom_nobody_knows_leaves_the_pages_own_filters(
    opens: Opens, path: str, controls: list[str]
) -> None:
    page = await opens(path)
    await expect(page.get_by_text("Nothing matches these filters.")).to_be_visible()
    shown = read(await page.content())
    [form] = [each for each in shown.all("form") if "filters" in each.attributes.get("class", "")]
    fields = [each for kind in ("input", "select") for each in form.all(kind)]
    assert sorted(each.attributes["name"] for each in fields) == sorted(controls)
    assert await page.get_by_label("User", exact=True).input_value() == "nobody"
    await page.get_by_role("link", name="Clear the filters").first.click()
    await expect(page.get_by_label("User", exact=True)).to_have_value("")
