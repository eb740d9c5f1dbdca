"""The server's own archiver: how far it is, and having it archive now what it would archive later."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from jangbu.errors import BackupFailed
from jangbu.storage.database import Database

_RIGHTS_HERE = "postgres"
"""The database in which the ledger's user may end a segment: the embedded server grants it there."""
_POLLS_MOST = 600
_POLL_SECONDS = 0.05
_SEGMENT_NAME_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Archiver:
    """How far the archive is."""

    is_on: bool
    """Whether the server that runs archives; what was set later begins with its next start."""
    archived: int
    last_segment: str | None
    last_at: datetime | None
    failed: int
    failed_at: datetime | None

    @property
    def is_failing(self) -> bool:
        """Whether the latest attempt failed."""
        return self.failed_at is not None and (self.last_at is None or self.last_at < self.failed_at)


async def archiver(database: Database) -> Archiver:
    """Read how far the archive is."""
    found = await database.row("archiver_show")
    assert found is not None, "one row of statistics"
    return Archiver(**found)


async def archive_now(dsn: str) -> Archiver:
    """Have everything that was committed until now archived; give how far the archive is then.

    Raises BackupFailed where the archiver fails, or takes half a minute.
    """
    database = await Database.connect(urlunsplit(urlsplit(dsn)._replace(path=f"/{_RIGHTS_HERE}")), size=2)
    try:
        before = await archiver(database)
        segment: str = await database.value("archiver_switch")
        for _ in range(_POLLS_MOST):
            state = await archiver(database)
            if state.last_segment is not None and state.last_segment[:_SEGMENT_NAME_LENGTH] >= segment:
                return state
            if state.failed > before.failed:
                break
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await database.close()
    raise BackupFailed(
        f"segment {segment} cannot be archived",
        hint="see that the directory of wal_archive_dir is there and has room; until then the server keeps the segment",
    )
