"""What charts tell without their colours, and that what stands in them can be read."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from jangbu.dashboard.figures import told_apart
from tests.dashboard.conftest import Opens
from tests.dashboard.reading import ask
from tests.dashboard.shown import read
from tests.dashboard.site import MODELS, Site

# Where names do not fit they are turned over, and are cut off under the number that says where one is.
OVERLAPPING = r"""() => {
    const shown = [...document.querySelectorAll("figure[data-chart] svg")].flatMap((svg) => {
        const boxes = [...svg.querySelectorAll("text")].map((each) => [each.textContent, each.getBoundingClientRect()])
            .filter(([text, box]) => text && box.width && !/^[0-9]+\/[0-9]+$/.test(text));
        return boxes.flatMap(([text, box], number) => boxes.slice(number + 1).filter(([, other]) =>
            Math.min(box.right, other.right) - Math.max(box.left, other.left) > 1
            && Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 3
        ).map(([other]) => `${text} | ${other}`));
    });
    return [...new Set(shown)];
}"""

# What is hatched has an edge of dashes, and stripes in the colour of the panel that it stands on.
HATCHED = """(chart) => [...chart.querySelectorAll(".drawn path[stroke-dasharray]")].length"""
STRIPED = """(chart) => {
    const panel = document.createElement("i");
    panel.style.color = getComputedStyle(document.documentElement).getPropertyValue("--panel");
    chart.append(panel);
    const wanted = getComputedStyle(panel).color;
    panel.remove();
    return [...chart.querySelectorAll("pattern *")].some((each) => getComputedStyle(each).fill === wanted);
}"""
PARTS = "(paths) => paths.map((each) => each.getAttribute('d').split('M').length - 1)"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_parts_that_are_called_alike_are_told_apart_by_numbers() -> None:
    names = ("kiosk", "Total", "kiosk", "kiosk (2)", "kiosk", "else")
    assert told_apart(names, ("Time", "Total")) == [
        "kiosk", "Total (2)", "kiosk (2)", "kiosk (2) (2)", "kiosk (3)", "else"
    ]  # fmt: skip


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 1280), ("ko", 390)])
async def test_parts_differ_by_patterns_and_no_name_lies_on_another(opens: Opens, language: str, width: int) -> None:
    page = await opens("/?range=90d", language=language, width=width)
    chart = page.locator("figure[data-chart]", has=page.locator("#by-model-title"))
    await expect(chart.locator("svg path").first).to_be_attached()
    assert await chart.locator("svg pattern").count() >= 3, "each model has a pattern of its own"
    assert await page.evaluate(OVERLAPPING) == []


@pytest.mark.parametrize("metric", ["tokens", "calls"])
async def test_an_axis_has_no_parts_of_a_token_or_call(opens: Opens, metric: str) -> None:
    page = await opens(f"/?from=2020-01-01&to=2020-01-05&metric={metric}")
    chart = page.locator("figure[data-chart]", has=page.locator("#by-model-title"))
    await expect(chart.locator("svg text").first).to_be_attached()
    labels = await chart.locator("svg text").all_text_contents()
    assert [label for label in labels if not label.startswith("Jan")] == ["0", "1"]


@pytest.mark.parametrize(
    ("language", "scheme", "hatched", "running"),
    [
        ("en", "dark", "Hatched: {day:%b} {day.day}, still running", "running"),
        ("ko", "light", "빗금: {day.month}월 {day.day}일, 아직 진행 중", "진행 중"),
    ],
)
async def test_a_day_that_is_not_over_is_hatched_and_said_to_run_and_one_that_is_over_is_not(
    opens: Opens, site: Site, language: str, scheme: str, hatched: str, running: str
) -> None:
    now = datetime.now(UTC)
    [(latest,)] = await ask(site, "SELECT max(jangbu.uuid7_time(id)) FROM jangbu.usage")
    # The latest calls are hours ago; where midnight is near in one zone, it is far in another.
    zone, day = next(
        (zone, here.date())
        for zone in ("UTC", "Asia/Seoul", "America/New_York")
        if (here := now.astimezone(ZoneInfo(zone))).hour < 23 and here.date() == latest.astimezone(here.tzinfo).date()
    )
    page = await opens(f"/?range=7d&bucket=day&zone={zone}", language=language, scheme=scheme)
    chart = page.locator("figure[data-chart]", has=page.locator("#by-model-title"))
    await expect(chart.locator("svg path").first).to_be_attached()
    said = hatched.format(day=day)
    await expect(chart.locator("figcaption")).to_contain_text(said)
    assert (await chart.get_by_role("img").first.get_attribute("aria-label") or "").endswith(said)
    assert await chart.evaluate(HATCHED) > 0
    assert await chart.evaluate(STRIPED)
    told = await chart.locator("tbody th").all_text_contents()
    assert [running in each for each in told] == [False] * (len(told) - 1) + [True]

    # One that runs is hatched wherever it stands, and those that have not begun are not.
    ahead = f"from={day - timedelta(days=2)}&to={day + timedelta(days=2)}"
    await page.goto(f"{page.url.partition('?')[0]}?{ahead}&bucket=day&zone={zone}")
    assert [running in each for each in await chart.locator("tbody th").all_text_contents()] == [
        *(False, False, True, False, False)
    ]
    over = f"from={day - timedelta(days=9)}&to={day - timedelta(days=1)}"
    await page.goto(f"{page.url.partition('?')[0]}?{over}&bucket=day&zone={zone}")
    await expect(chart.locator("svg path").first).to_be_attached()
    assert await chart.evaluate(HATCHED) == 0
    assert running not in await chart.inner_text()


@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "light", 1280), ("ko", "dark", 390)])
async def test_a_trend_is_drawn_within_its_band_and_has_gaps(
    opens: Opens, language: str, scheme: str, width: int
) -> None:
    page = await opens(f"/models?range=90d&model={MODELS[0]}", language=language, scheme=scheme, width=width)
    chart = page.locator("figure[data-chart]", has=page.locator("#trend-title"))
    await expect(chart.locator("svg path[fill-opacity='0.18']")).not_to_have_count(0)
    [figure] = read(await page.content()).all("figure", aria_labelledby="trend-title")
    values = json.loads(figure.one("script").text)["series"][0]["values"]
    filled = [place for place, value in enumerate(values) if value is not None]
    assert None in values[filled[0] : filled[-1]]
    lines = await chart.locator("svg path[fill=none][stroke-linejoin=bevel]").evaluate_all(PARTS)
    begins = sum(value is not None and (not place or values[place - 1] is None) for place, value in enumerate(values))
    assert begins in lines, "a line for each stretch that has no gap"
    assert await page.evaluate(OVERLAPPING) == []
