"""Services and models by number: as many as there may be, and no number is spent on a name that has one."""

import asyncio

from jangbu.storage.database import Database
from jangbu.storage.names import Names, ServiceNames


async def number(database: Database, kind: str, name: str) -> int:
    """Look a name up as a process does that has just started."""
    names = Names(database, kind)
    await names.learn([name])
    return names[name]


async def test_a_name_keeps_its_number_and_nobody_spends_another_on_it(database: Database) -> None:
    first = await number(database, "service", "comic")
    assert {await number(database, "service", "comic") for _ in range(3)} == {first}
    assert await number(database, "service", "novel") == first + 1


async def test_those_who_begin_a_name_at_once_agree_on_its_number(database: Database) -> None:
    assert len(set(await asyncio.gather(*(number(database, "model", "gemini-99") for _ in range(6))))) == 1


async def test_a_service_is_begun_while_there_are_fewer_than_so_many(database: Database) -> None:
    names = ServiceNames(database)
    assert await names.admit("comic", 1)
    assert not await names.admit("novel", 1)
    assert "novel" not in names
    assert await ServiceNames(database).admit("comic", 0), "one that there is needs no room"
