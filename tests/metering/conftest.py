"""A database with a book in it, for the tests that read one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jangbu.config import Settings
from jangbu.metering import alert_delivery, webhooks
from jangbu.metering.passwords import Passwords
from jangbu.metering.people import People, people_of
from jangbu.metering.rollups import Rollups
from jangbu.storage import migrate
from jangbu.storage.database import Database
from jangbu.testing.clock import SettableClock
from tests.alerts.receiver import SECRET, Receiver, receiving
from tests.conftest import filled
from tests.faults.server import KillableServer, killable_server
from tests.metering.charted import fill as fill_charted
from tests.metering.traffic import open_shop, trade


@pytest.fixture(scope="session")
def traded(server: str, migrated: str) -> Iterator[str]:
    """Give the name of a database with a book that has traffic of every kind in it; nobody connects to it."""
    with filled(server, migrated, _trade) as name:
        yield name


async def _trade(dsn: str) -> None:
    database = await Database.connect(dsn)
    async with open_shop(database) as shop:
        await trade(shop)
        yesterday = datetime.now(UTC) - timedelta(hours=30)
        await Rollups(database).carry_before(yesterday, yesterday)
    await database.close()


@pytest.fixture(scope="module")
def killable() -> Iterator[KillableServer]:
    """Give a server of the module's own, with the schema, that may be killed."""
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


@pytest.fixture
def settings(killable: KillableServer, tmp_path: Path) -> Settings:
    """Give the settings of a ledger of the test's own: a project, and a place for its spool.

    Holds wait for a restart however long a busy machine takes for it.
    """
    return Settings.load(
        database_url=killable.dsn,
        spool_dir=tmp_path / "spool",
        project=tmp_path.name,
        spool_after_seconds=1,
        hold_wait_seconds_max=60,
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a receiver of alerts."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def chosen(database_url: str, receiver: Receiver, tmp_path: Path) -> Callable[..., Settings]:
    """Give what makes settings whose alerts go to the receiver."""

    def choose(**given: Any) -> Settings:
        usual: dict[str, Any] = {
            "database_url": database_url,
            "spool_dir": tmp_path,
            "alert_webhook_url": receiver.url,
            "alert_webhook_secret": SECRET,
            "alert_private_targets": True,
        }
        return Settings.load(**(usual | given))

    return choose


@pytest.fixture
def environment(database_url: str, receiver: Receiver, tmp_path: Path) -> dict[str, str]:
    """Give the same as variables, for a process of its own."""
    return {
        "JANGBU_DATABASE_URL": database_url,
        "JANGBU_SPOOL_DIR": str(tmp_path),
        "JANGBU_ALERT_WEBHOOK_URL": receiver.url,
        "JANGBU_ALERT_WEBHOOK_SECRET": SECRET,
        "JANGBU_ALERT_PRIVATE_TARGETS": "true",
    }


@pytest.fixture
def telling(chosen: Callable[..., Settings], receiver: Receiver) -> Callable[..., Settings]:
    """Give what makes settings whose app is told; a balance is low below 1,000 tokens, and no more from 1,100 on."""

    def choose(**given: Any) -> Settings:
        usual: dict[str, Any] = {
            "alert_webhook_url": None,
            "alert_webhook_secret": None,
            "webhook_url": receiver.url,
            "webhook_secret": SECRET,
            "low_balance_tokens": 1_000,
        }
        return chosen(**(usual | given))

    return choose


@pytest.fixture
def apart(environment: dict[str, str], receiver: Receiver) -> dict[str, str]:
    """Give the same as variables, for a process of its own."""
    usual = {name: value for name, value in environment.items() if "ALERT_WEBHOOK" not in name}
    return usual | {
        "JANGBU_WEBHOOK_URL": receiver.url,
        "JANGBU_WEBHOOK_SECRET": SECRET,
        "JANGBU_LOW_BALANCE_TOKENS": "1000",
    }


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what failed tried again soon."""
    monkeypatch.setattr(alert_delivery, "_FIRST_WAIT_MS", 200)
    monkeypatch.setattr(webhooks, "_LOOK_SECONDS", 1)


@pytest.fixture
async def people(database: Database) -> AsyncIterator[People]:
    """Give the members of a ledger that has none yet; their passwords cost little."""
    # Were the machine's clock the judge of anything, this one would show it.
    clock = SettableClock(datetime(2040, 1, 1, tzinfo=UTC))
    opened = people_of(database, clock, project="shop", passwords=Passwords(memory_kib=64))
    yield opened
    opened.members.close()


@pytest.fixture(scope="session")
def charted(server: str, migrated: str) -> Iterator[str]:
    """Give the name of a database with these calls, some of which are carried to where they last, of all times."""
    with filled(server, migrated, fill_charted) as name:
        yield name
