"""A restored ledger, put to work: its book says whence it comes, and is verified."""

from typing import TYPE_CHECKING

from jangbu.cli.progress import Progress

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.storage.embedded.backups import Backup
    from jangbu.storage.embedded.restore import Restored

__all__ = ["put_to_work"]


async def put_to_work(
    settings: "Settings", found: "Backup", ended: "Restored", tell: Progress | None, *, verifies: bool
) -> int | None:
    """Write down in the restored book whence it comes, and give how many of its figures do not add up, None where that
    is not asked; its archive begins when it is put to work.
    """
    from jangbu.metering.audit import Change
    from jangbu.metering.evidence import restated
    from jangbu.metering.verify import Verification
    from jangbu.wiring import open_metering

    # A drill must not drain the spool of the ledger that works into a copy of it.
    own = {"data_dir": ended.data_dir, "spool_dir": None, "wal_archive_dir": None}
    copied = settings.model_copy(update=own)
    async with open_metering(copied, delivers=False) as metering:
        facts = {"backup": found.directory.name, "reaches": ended.reaches.isoformat()}
        async with metering.database.together() as connection:
            await metering.audit.note(connection, Change("ledger.restore", "ledger", after=facts))
        if not verifies:
            return None
        report = await Verification(metering.database, settings.project).run(
            full=True, recompute=metering.pricing.reprice, restate=restated, progress=tell
        )
    return len(report.mismatches)
