"""How the last verification of a project ended, and who verifies in the background."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jangbu.storage.database import Database


@dataclass(frozen=True, slots=True)
class Verified:
    """The last verification that ended, ``age_seconds`` ago by the database's clock.

    ``verified_to`` is the moment to which the book was found in order; ``full_at`` is when everything was last looked
    at, and ``full_mismatches`` what differed then: a verification of what moved does not see whether it still does.
    """

    verified_to: datetime | None
    full_at: datetime | None
    started_at: datetime
    ended_at: datetime
    is_full: bool
    accounts: int
    records: int
    mismatches: int
    full_mismatches: int
    age_seconds: int

    @property
    def known_mismatches(self) -> int:
        """How many figures are known not to add up."""
        return max(self.mismatches, self.full_mismatches)


async def find(database: Database, project: str) -> Verified | None:
    """Give the last one of a project, or None where none has ended yet."""
    row = await database.row("verification_find", project)
    return None if row is None else Verified(**dict(row))


async def note(
    database: Database,
    project: str,
    *,
    verified_to: datetime,
    started_at: datetime,
    is_full: bool,
    accounts: int,
    records: int,
    mismatches: int,
) -> None:
    """Note how a verification ended; ``verified_to`` counts only where nothing differed."""
    await database.rows("verification_note", project, verified_to, started_at, is_full, accounts, records, mismatches)


async def claim(database: Database, project: str, runner: UUID, *, every_seconds: int, seconds: int) -> bool:
    """Become the one who verifies, for so long, if the last verification ended long enough ago and nobody is at it."""
    return await database.row("verification_claim", project, runner, every_seconds, seconds) is not None


async def keep(database: Database, project: str, runner: UUID, *, seconds: int) -> bool:
    """Go on being the one who verifies; tell whether one still is."""
    return await database.row("verification_keep", project, runner, seconds) is not None


async def leave(database: Database, project: str, runner: UUID) -> None:
    """Let others verify."""
    await database.rows("verification_leave", project, runner)
