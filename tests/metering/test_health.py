"""How the parts of a ledger stand: what is well, what is not there, and what cannot be used."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from jangbu import telemetry
from jangbu.config import Settings
from jangbu.metering.health import Backups, health
from jangbu.storage import migrate
from jangbu.storage.embedded.backups import DESCRIPTION, Backup, Kind
from jangbu.wiring import open_metering

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


def back_up(folder: Path, ended_at: datetime) -> None:
    directory = folder / f"{ended_at:%Y%m%dT%H%M%SZ}"
    directory.mkdir(parents=True)
    made = Backup(directory, Kind.BASE, ended_at - timedelta(minutes=1), ended_at, 18, migrate.HEAD, "0.1.0", 1)
    made.write(directory)


async def test_what_is_well_is_told_with_its_figures(database_url: str, tmp_path: Path) -> None:
    async with open_metering(Settings.load(database_url=database_url, spool_dir=tmp_path), delivers=False) as ledger:
        found = await health(ledger, "default", None)
        major = (await ledger.database.server())["version"] // 10_000
    assert found.server.version.startswith(f"{major}.")
    assert (found.server.schema, set(found.server.durable.values())) == (migrate.HEAD, {"on"})
    assert found.server.microseconds > 0
    assert found.backlog is not None
    assert (found.backlog.waiting, found.spool_failure, found.verified, found.backups) == (0, None, None, None)
    assert found.price_version == ledger.pricing.in_force.version


async def test_a_ledger_without_a_spool_and_one_whose_spool_takes_nothing_are_told_apart(
    database_url: str, tmp_path: Path
) -> None:
    async with open_metering(Settings.load(database_url=database_url, spool_bytes_max=0), delivers=False) as ledger:
        found = await health(ledger, "default", None)
        assert (found.backlog, found.spool_failure) == (None, None)
    (tmp_path / "file").write_text("in the way")
    settings = Settings.load(database_url=database_url, spool_dir=tmp_path / "file")
    async with open_metering(settings, delivers=False) as ledger:
        found = await health(ledger, "default", None)
        assert (found.backlog, found.spool_failure) == (None, "spool_unusable")


async def test_backups_are_counted_and_the_newest_named(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        assert (await health(ledger, "default", folder)).backups == Backups()
        for days in (3, 1, 2):
            back_up(folder, NOW - timedelta(days=days))
        (folder / "broken.unfinished").mkdir()
        assert (await health(ledger, "default", folder)).backups == Backups(3, 1, NOW - timedelta(days=1))


async def test_backups_that_cannot_be_read_are_told_to_the_log_alone(database_url: str, tmp_path: Path) -> None:
    heard: list[str] = []
    end = telemetry.subscribe(lambda event, facts: heard.append(str(facts)) if event == "backups.unreadable" else None)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / DESCRIPTION).write_text("{")
    async with open_metering(Settings.load(database_url=database_url), delivers=False) as ledger:
        found = (await health(ledger, "default", tmp_path)).backups
    end()
    assert found == Backups(is_readable=False)
    assert str(tmp_path) in heard[0]
    assert str(tmp_path) not in str(found)
