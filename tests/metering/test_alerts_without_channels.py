"""Where the log is the only channel, an alert that was logged has reached all that there are."""

from collections.abc import Callable

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.metering.alert_facts import alert_state
from jangbu.metering.standing import standing
from jangbu.storage import alerts
from jangbu.storage.database import Database
from jangbu.wiring import alert_delivery, open_metering

NOTHING = {"waiting": 0, "given_up": 0}


@pytest.fixture
def silent(chosen: Callable[..., Settings]) -> Settings:
    """Give settings that name no channel."""
    return chosen(alert_webhook_url=None, alert_webhook_secret=None, alert_give_up_seconds=60)


async def raised(database: Database) -> None:
    clock = SystemClock()
    made = new_id(clock), "default", Condition.RECORDING_FAILED, Phase.BEGAN
    alert = Alert(*made, Condition.RECORDING_FAILED.value, "a-node", clock.now(), {"cause": "a test"})
    await alerts.raise_(database, alert, told_as="a test", repeat_ms=0)


async def undelivered(settings: Settings, database: Database) -> dict[str, int]:
    """Give what a process with these settings tells of alerts that did not arrive."""
    async with open_metering(settings, delivers=True) as ledger:
        has_channels = ledger.alerts.has_channels
    found = await standing(database, "default", has_channels=has_channels)
    return dict(found.undelivered)


async def time_is_up(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE jangbu.alerts SET created_at = created_at - interval '61 seconds', due_at = clock_timestamp()"
        )


async def test_nothing_is_undelivered(silent: Settings, database: Database) -> None:
    await raised(database)
    assert await undelivered(silent, database) == NOTHING


async def test_an_alert_is_in_the_log_only_from_the_beginning(silent: Settings, database: Database) -> None:
    await raised(database)
    [row] = await alerts.page(database, "default", only_undelivered=False, limit=10)
    async with open_metering(silent, delivers=True) as ledger:
        assert alert_state(row, has_channels=ledger.alerts.has_channels) == "logged"
    assert alert_state(row, has_channels=True) == "waiting"


async def test_nothing_is_given_up_and_nobody_is_told_so(silent: Settings, database: Database) -> None:
    told: list[str] = []
    end = telemetry.subscribe(lambda event, _facts: told.append(event), "alerts.given_up")
    await raised(database)
    await time_is_up(database)
    await alert_delivery(silent, SystemClock(), database).deliver_shared()
    end()
    assert told == []
    [row] = await alerts.page(database, "default", only_undelivered=False, limit=10)
    assert row.given_up_at is not None, "who sets a channel later is not told of long ago"
    assert alert_state(row, has_channels=True) == "logged"
    assert await undelivered(silent, database) == NOTHING


async def test_what_another_process_tried_in_vain_is_undelivered(silent: Settings, database: Database) -> None:
    told: list[object] = []
    end = telemetry.subscribe(lambda _event, facts: told.append(facts["alerts"]), "alerts.given_up")
    await raised(database)
    await alerts.claim(database, "default", limit=1, lease_seconds=0)
    assert await undelivered(silent, database) == {"waiting": 1, "given_up": 0}
    await time_is_up(database)
    await alert_delivery(silent, SystemClock(), database).deliver_shared()
    end()
    assert told == [1]
    assert await undelivered(silent, database) == {"waiting": 0, "given_up": 1}
    [row] = await alerts.page(database, "default", only_undelivered=True, limit=10)
    assert alert_state(row, has_channels=True) == "given_up"
