"""Time that passes without being waited for, by the clock that ends grants: the database's."""

from datetime import datetime

import pytest

from jangbu.storage.database import Database


def it_is(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Have whoever asks a database for its time be told a moment."""

    async def told(_: Database) -> datetime:
        return moment

    monkeypatch.setattr(Database, "now", told)


async def end_grants(database: Database) -> None:
    """Have all grants that end have ended a second ago."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE jangbu.grants SET expires_at = clock_timestamp() - interval '1 second' WHERE expires_at IS NOT NULL"
        )
