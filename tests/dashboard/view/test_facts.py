"""What is told of a view, and what is not: costs stand in it only where the app shows them to its users."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jangbu.config import Settings
from jangbu.dashboard.formats import Formats
from jangbu.dashboard.texts import Language, texts_of
from jangbu.dashboard.view.facts import view_facts
from jangbu.dashboard.view.shown import shown
from jangbu.domain.forecast import Expiring
from jangbu.domain.ledger import account_id
from jangbu.domain.standing import Standing
from jangbu.errors import NotFound
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import marked_up
from jangbu.metering.views import View, view_of
from jangbu.providers.gemini.parse import parse_object
from jangbu.wiring import open_metering

PROJECT = "default"


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[Metering]:
    settings = Settings.load(database_url=database_url, spool_dir=tmp_path)
    async with open_metering(settings, delivers=False) as opened:
        await opened.accounts.create("kim")
        await opened.accounts.grant("kim", 100_000, key="first")
        yield opened


async def record(ledger: Metering, number: int, model: str = "gemini-2.5-flash") -> int:
    """Record a call; give what it costs, 0 where that is not known."""
    counts = {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450}
    answer = {"candidates": [], "usageMetadata": counts, "modelVersion": model, "responseId": f"facts-{number}"}
    receipt = await ledger.record("kim", "chat", parse_object(answer))
    return receipt.cost_nano or 0


async def seen(ledger: Metering, zone: str = "UTC", low_balance: int | None = None) -> View:
    account = account_id(PROJECT, "kim")
    return await view_of(ledger.database, PROJECT, account, ZoneInfo(zone), calls=2, low_balance=low_balance)


def charge(view: View) -> str:
    """Give what the page says of money."""
    facts = shown(view, texts_of("en"), Formats("en", "UTC"), with_costs=True).facts
    return next(fact.value for fact in facts if fact.name == texts_of("en")("view.charge"))


def expiring(view: View, language: Language) -> str:
    """Give what the page says of tokens that expire soon."""
    return shown(view, texts_of(language), Formats(language, "UTC"), with_costs=False).expiring


async def test_costs_are_told_where_the_app_shows_them(ledger: Metering) -> None:
    await ledger.pricing.change(marked_up(200_000), "a fifth")
    cost = await record(ledger, 1) + await record(ledger, 2)
    view = await seen(ledger)
    facts = view_facts(view, with_costs=True, top_up_url=None)
    assert cost == 2 * 795_000
    assert (facts["used"]["charge_nano"], facts["used"]["unpriced"]) == (cost * 6 // 5, 0), "the mark-up is in it"
    assert charge(view) == "$0.001908"
    assert "charge_nano" not in view_facts(view, with_costs=False, top_up_url=None)["used"]
    quiet = shown(view, texts_of("en"), Formats("en", "UTC"), with_costs=False)
    assert not any("$" in fact.value for fact in quiet.facts)


async def test_what_has_no_price_is_never_told_as_free(ledger: Metering) -> None:
    await record(ledger, 1, "gemini-9-unpriced")
    view = await seen(ledger)
    assert view_facts(view, with_costs=True, top_up_url=None)["used"]["charge_nano"] is None
    assert charge(view) == "–"
    await record(ledger, 2)
    view = await seen(ledger)
    assert view_facts(view, with_costs=True, top_up_url=None)["used"]["unpriced"] == 1
    assert charge(view).startswith("≥ $")


async def test_no_more_calls_are_told_than_were_asked_for(ledger: Metering) -> None:
    for number in range(3):
        await record(ledger, number)
    assert len(view_facts(await seen(ledger), with_costs=False, top_up_url=None)["calls"]) == 2


async def test_what_is_low_is_the_apps_to_say(ledger: Metering) -> None:
    assert (await seen(ledger)).standing is Standing.OK
    assert (await seen(ledger, low_balance=100_000)).standing is Standing.LOW
    assert (await seen(ledger, low_balance=99_999)).standing is Standing.OK


async def test_what_expires_before_it_is_used_stands_low_however_much_it_is(ledger: Metering) -> None:
    soon = datetime.now(UTC) + timedelta(days=2)
    await ledger.accounts.adjust("kim", -100_000, reason="another grant", key="less")
    await ledger.accounts.grant("kim", 10**9, key="month", expires_at=soon)
    assert (await seen(ledger)).standing is Standing.OK, "who uses nothing is told no pace"
    await record(ledger, 1)
    view = await seen(ledger)
    assert view.standing is Standing.LOW
    assert shown(view, texts_of("en"), Formats("en", "UTC"), with_costs=False).notice == texts_of("en")("view.low")
    await ledger.accounts.grant("kim", 10**6, key="for ever")
    assert (await seen(ledger)).standing is Standing.OK


async def test_what_expires_soon_is_told_to_who_uses_nothing(ledger: Metering) -> None:
    assert view_facts(await seen(ledger), with_costs=False, top_up_url=None)["expiring"] is None
    now = datetime.now(UTC)
    first, last = (now + timedelta(days=days) for days in (1, 6))
    await ledger.accounts.grant("kim", 2_000, key="gift", expires_at=first)
    view = await seen(ledger)
    told = {"tokens": 2_000, "first_at": f"{first:%Y-%m-%dT%H:%M:%S.%fZ}", "last_at": f"{first:%Y-%m-%dT%H:%M:%S.%fZ}"}
    assert (view_facts(view, with_costs=False, top_up_url=None)["expiring"], view.standing) == (told, Standing.OK)
    assert (
        expiring(view, "en")
        == f"2,000 tokens expire on {Formats('en', 'UTC').minute(first)} unless they are used before."
    )
    assert expiring(view, "ko") == f"2,000토큰은 {Formats('ko', 'UTC').minute(first)}까지 쓰지 않으면 만료됩니다."
    await ledger.accounts.grant("kim", 500, key="another", expires_at=last)
    await ledger.accounts.grant("kim", 500, key="later", expires_at=now + timedelta(days=8))
    view = await seen(ledger)
    assert view.expiring == Expiring(2_500, first, last)
    assert expiring(view, "ko").startswith("2,500토큰은 ")
    assert Formats("en", "UTC").minute(last) in expiring(view, "en")


async def test_what_is_held_is_told(ledger: Metering) -> None:
    view = await seen(ledger)
    names = [fact.name for fact in shown(view, texts_of("ko"), Formats("ko", "UTC"), with_costs=False).facts]
    assert names == ["남은 토큰", "최근 30일 사용", "최근 30일 호출"]
    assert view.used.window.end > datetime.now(UTC)


async def test_another_projects_account_is_nobodys(ledger: Metering) -> None:
    await ledger.database.value("account_create", account_id("other", "kim"), "other", "kim")
    with pytest.raises(NotFound):
        await view_of(ledger.database, PROJECT, account_id("other", "kim"), ZoneInfo("UTC"), calls=1, low_balance=None)
