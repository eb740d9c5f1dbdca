"""The form that mutes a condition: how long, until when, and once however often it is sent."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opens
from tests.dashboard.reading import ask, open_form, row_of, send
from tests.dashboard.site import DEVELOPER, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_form_that_mutes_does_so_once_however_often_it_is_sent(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own("/alerts/rules", member=DEVELOPER)
    form = await open_form(page, "Mute", "mute", await row_of(page, "Settled late"))
    answers = [await send(page, form, reason="known") for _ in range(2)]
    assert [each.status for each in answers] == [303, 303]
    assert await ask(own_site, "SELECT count(*) FROM jangbu.alert_mutes WHERE condition = 'late'") == [(1,)]


async def test_a_mute_until_a_time_ends_then_by_the_clock_of_the_page_or_by_the_offset_that_is_written(
    opens_own: Opens, own_site: Site
) -> None:
    page = await opens_own("/alerts/rules?zone=Asia/Seoul", member=DEVELOPER)
    form = await open_form(page, "Mute", "mute", await row_of(page, "No price is known"))
    tomorrow = f"{datetime.now(UTC).date() + timedelta(days=1)}T12:00"
    assert "is no date and time" in await (await send(page, form, until="noon", reason="known")).text()
    for written in (tomorrow, f"{tomorrow}+01:00"):
        answer = await send(page, form, until=written, reason="known", key=str(uuid4()))
        assert answer.status == 303, await answer.text()
    found = "SELECT DISTINCT until FROM jangbu.alert_mutes WHERE condition = 'unpriced' ORDER BY until"
    assert await ask(own_site, found) == [
        (datetime.fromisoformat(f"{tomorrow}{offset}"),) for offset in ("+09:00", "+01:00")
    ]


async def test_failures_of_recording_are_muted_for_an_hour_at_most(opens_own: Opens, own_site: Site) -> None:
    page = await opens_own("/alerts/rules")
    row = await row_of(page, "Recording failed")
    form = await open_form(page, "Mute", "mute", row)
    assert await form.locator("option").all_inner_texts() == ["15 minutes", "1 hour"]
    await form.get_by_label("Or until").fill("2099-01-01T00:00")
    await form.get_by_label("Reason").fill("too loud")
    await form.get_by_role("button").click()
    await expect(form.locator(".problem")).to_contain_text("The latest possible is")
    assert await ask(own_site, "SELECT 1 FROM jangbu.alert_mutes WHERE condition = 'recording_failed'") == []
