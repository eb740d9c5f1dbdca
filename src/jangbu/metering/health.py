"""How everything that the ledger needs stands: the server, the disk, the prices, the last verification and backup."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jangbu import telemetry
from jangbu.errors import JangbuError, SpoolUnusable
from jangbu.metering.meter import Metering
from jangbu.metering.spooling import Backlog
from jangbu.storage import migrate, verifications
from jangbu.storage.archiver import Archiver, archiver
from jangbu.storage.embedded.backups import Backup, listed
from jangbu.storage.verifications import Verified

__all__ = ["Backups", "Health", "Server", "health"]

_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


@dataclass(frozen=True, slots=True)
class Server:
    """The database: its version, how long it took to answer, and the settings that keep what it acknowledged."""

    version: str
    microseconds: int
    schema: str
    durable: Mapping[str, str]
    archiver: Archiver


@dataclass(frozen=True, slots=True)
class Backups:
    """What lies where backups are put, as far as that can be read."""

    finished: int = 0
    unfinished: int = 0
    newest_at: datetime | None = None
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a ledger. ``backlog`` is of all spools on this machine, None where there is none, or one that
    takes no more records, whose ``spool_failure`` is a stable code; ``backups`` is None where others make them.
    """

    server: Server
    backlog: Backlog | None
    spool_failure: str | None
    verified: Verified | None
    price_version: int
    backups: Backups | None


async def health(ledger: Metering, project: str, backup_dir: Path | None) -> Health:
    """Look at everything. Raises DatabaseUnreachable; what else is wrong is told."""
    backlog, failure = await _spool(ledger)
    return Health(
        server=await _server(ledger),
        backlog=backlog,
        spool_failure=failure,
        verified=await verifications.find(ledger.database, project),
        price_version=ledger.pricing.in_force.version,
        backups=None if backup_dir is None else await asyncio.to_thread(_backups, backup_dir),
    )


async def _server(ledger: Metering) -> Server:
    began = time.perf_counter_ns()
    await ledger.database.now()
    took = (time.perf_counter_ns() - began) // 1_000
    found = await ledger.database.server()
    major, minor = divmod(found["version"], 10_000)
    durable = {name: found[name] for name in _DURABLE}
    return Server(f"{major}.{minor}", took, migrate.HEAD, durable, await archiver(ledger.database))


async def _spool(ledger: Metering) -> tuple[Backlog | None, str | None]:
    if ledger.spooling is None:
        return None, None
    try:
        await ledger.spooling.rooms.require()
        return await ledger.spooling.here.backlog(), None
    except JangbuError as error:
        return None, error.code
    except OSError:
        return None, SpoolUnusable.code


def _backups(folder: Path) -> Backups:
    try:
        found = listed(folder)
    except (JangbuError, OSError) as error:
        # Where on the machine something lies is for its log, not for everybody who may see this.
        telemetry.warn("backups.unreadable", str(error))
        return Backups(is_readable=False)
    finished = [each for each in found if isinstance(each, Backup)]
    return Backups(len(finished), len(found) - len(finished), finished[-1].ended_at if finished else None)
