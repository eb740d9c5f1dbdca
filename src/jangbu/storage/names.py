"""Services and models by number: each name is looked up once for the life of a process.

There are only so many of both: services are bounded, and models are those that the provider answers with.
"""

from collections.abc import Iterable

from jangbu.storage.database import Database, Reader


class Names:
    """The numbers of the names of one kind (``service`` or ``model``)."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._statement = f"{kind}_resolve"
        self._number = f"{kind}_id"
        self._known: dict[str, int] = {}

    async def learn(self, names: Iterable[str]) -> None:
        """Look up the names that are not known yet, making those that nobody used before."""
        missing = sorted({name for name in names if name not in self._known})
        while missing:
            for row in await self._database.rows(self._statement, missing):
                self._known[row["name"]] = row[self._number]
            # A name that somebody else made this very moment shows on the next look.
            missing = [name for name in missing if name not in self._known]

    def number(self, name: str) -> int:
        """Give the number of a name, or 0, which no name has, where it was not learnt."""
        return self._known.get(name, 0)

    def __contains__(self, name: str) -> bool:
        """Tell whether a name was learnt."""
        return name in self._known

    def __getitem__(self, name: str) -> int:
        """Give the number of a name that was learnt."""
        return self._known[name]


class ServiceNames(Names):
    """The numbers of services, which are begun within a bound."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "service")

    async def admit(self, name: str, most: int) -> bool:
        """Look a name up, making one that is new where there are fewer than ``most``; tell whether there is one now."""
        for _ in range(2):
            # A name that somebody else made this very moment shows on the next look.
            number = await self._database.value("service_admit", name, most)
            if number is not None:
                self._known[name] = number
                return True
        return False


async def listed(reader: Reader, most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the names of services and of models that were ever used, at most so many of both together."""
    rows = await reader.rows("name_list", most)
    return (
        tuple(row["name"] for row in rows if row["kind"] == "service"),
        tuple(row["name"] for row in rows if row["kind"] == "model"),
    )
