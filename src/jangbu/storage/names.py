"""Services and models by number: each name is looked up once for the life of a process."""

from collections.abc import Iterable

from jangbu.storage.database import Database


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
