"""The files of users and of the audit: page after page, everybody and every line once."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from jangbu.domain.ledger import Asset
from jangbu.domain.members import Actor, ActorKind
from jangbu.domain.windows import Window
from jangbu.metering.audit import Change
from jangbu.metering.exports import Format, Table, audited, people, users, written
from jangbu.metering.people import People
from jangbu.storage.database import Database
from tests.metering.charted import MINUTE, MOVED, SEOUL
from tests.metering.traffic import KIM, LEE, PARK, Shop, open_shop

WINDOW = Window.custom(MOVED, MOVED + timedelta(days=3), SEOUL)
NAMES = ("a", "a-1", "B", "가", "나", "z", "\U0001f600")


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as opened:
        for number, user in enumerate(NAMES):
            await opened.accounts.create(user)
            await opened.accounts.grant(user, 1_000 + number, key="first")
        for minutes in (-1, 0, 1_440):
            opened.clock.set(MOVED + minutes * MINUTE)
            await opened.record([opened.row("a", prompt=100), opened.row("가", prompt=7)])
        yield opened


async def lines(table: Table) -> list[dict[str, Any]]:
    text = b"".join([piece async for piece in written(table, Format.JSON_LINES)])
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("rows", [1, 3, 10, 1_000])
async def test_every_user_is_in_the_file_once_however_many_are_read_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(people, "_ROWS", rows)

    found = await lines(await users(shop.database, shop.project, WINDOW))

    assert [line["user"] for line in found] == sorted((*NAMES, KIM, LEE, PARK), key=str.encode)
    of_a = next(line for line in found if line["user"] == "a")
    stored = await shop.rows(
        "SELECT count(*), sum(total)::bigint FROM jangbu.usage WHERE account_id = $1", shop.accounts.id_of("a")
    )
    assert [(of_a["lifetime_calls"], of_a["lifetime_total_tokens"])] == [tuple(row) for row in stored]
    assert (of_a["period_calls"], of_a["lifetime_calls"]) == (2, 3), "the first call was before the window"
    assert of_a["available_tokens"] == (await shop.accounts.balance("a", Asset.TOKENS)).available
    begun = await lines(await users(shop.database, shop.project, WINDOW, "a"))
    assert [line["user"] for line in begun] == ["a", "a-1"]
    assert await lines(await users(shop.database, shop.project, WINDOW, "nobody")) == []


async def test_an_unused_account_has_zeros_and_was_never_seen(shop: Shop) -> None:
    [line] = await lines(await users(shop.database, shop.project, WINDOW, "B"))
    assert (line["period_calls"], line["lifetime_calls"], line["lifetime_cost_nano"], line["seen_at"]) == (
        0,
        0,
        0,
        None,
    )


@pytest.mark.parametrize("rows", [1, 2, 1_000])
async def test_every_line_of_the_audit_is_in_the_file_once_newest_first(
    people: People, database: Database, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("jangbu.metering.exports.people._ROWS", rows)
    kim, lee = (Actor(ActorKind.MEMBER, uuid4(), name, "request") for name in ("kim", "=lee"))

    for number in range(5):
        change = Change("accounts.grant", f"user:{number % 2}", None, {"granted": number, "of": "이서연"})
        async with database.connection() as connection:
            await people.audit.write(connection, kim if number < 3 else lee, change)

    found = await lines(await audited(people.audit, database, ZoneInfo("Asia/Seoul")))
    assert [json.loads(line["after"])["granted"] for line in found] == [4, 3, 2, 1, 0]
    assert [line["actor"] for line in found] == ["=lee"] * 2 + ["kim"] * 3
    assert "이서연" in found[0]["after"]
    at = datetime.fromisoformat(found[0]["at"])
    assert (at.utcoffset(), abs(at - datetime.now(UTC)) < timedelta(minutes=5)) == (timedelta(hours=9), True)
    of_kim = await lines(await audited(people.audit, database, ZoneInfo("UTC"), actor=kim.id))
    assert len(of_kim) == 3
    of_one = await lines(await audited(people.audit, database, ZoneInfo("UTC"), target="user:1"))
    assert [json.loads(line["after"])["granted"] for line in of_one] == [3, 1]
