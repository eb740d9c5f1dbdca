"""Draining into a database that may go away at any moment: a record is noted once all of it is in the book."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from jangbu.config import Settings
from jangbu.errors import DatabaseUnreachable
from jangbu.metering import draining
from jangbu.metering.drafts import answer_key
from jangbu.metering.draining import Draining
from jangbu.metering.spool import SpooledUsage
from jangbu.storage.database import Database, Row
from tests.faults.server import KillableServer
from tests.metering.outage import FLASH, answer, hold, new_call, opened, settle, spooled_row


def of_held_call(settings: Settings, call_id: UUID, number: int) -> SpooledUsage:
    """Give the record of a call of kim, whose answer bears this number."""
    usage = answer(number)
    key = answer_key(usage)
    assert key is not None
    row = spooled_row(settings.project, "kim", call_id)._replace(
        was_held=True, response_id=usage.response_id, key=key[0], digest=key[1]
    )
    return SpooledUsage(settings.project, "kim", "text_generation", FLASH, row)


class GoesAwayAfterKnown(Database):
    """A database whose server really dies once it has told which record an answer's id stands for."""

    server_to_crash: KillableServer

    async def row(self, name: str, *arguments: Any) -> Row | None:
        found = await super().row(name, *arguments)
        if name == "key_find":
            self.server_to_crash.crash()
        return found


async def test_a_record_whose_hold_could_not_be_ended_again_waits_on(
    killable: KillableServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "_ATTEMPT_SECONDS", 1)
    async with opened(settings, "kim") as metering:
        first, second = new_call("kim"), new_call("kim")
        await hold(metering, first)
        await hold(metering, second)
        await settle(metering, first, answer(1))
        database = await GoesAwayAfterKnown.connect(killable.dsn)
        database.server_to_crash = killable
        waiting = of_held_call(settings, second.id, 1)
        try:
            with pytest.raises((OSError, asyncpg.PostgresError, TimeoutError, DatabaseUnreachable)):
                await Draining(database).write([waiting])
        finally:
            killable.start()
            await database.close()
        assert await Draining(metering.database).write([waiting]) == [None]
        balance = await metering.accounts.balance("kim")
        assert (balance.used, balance.held) == (450, 0)
