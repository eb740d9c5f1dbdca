"""What lies on this machine and is in no book, whichever process wrote it: read from outside, again and again."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jangbu.config import Settings
from jangbu.errors import SpoolUnusable
from jangbu.locations import ledger_spool
from jangbu.metering.meter import Metering
from jangbu.metering.spool import Spool
from jangbu.metering.spool.disk import RealDisk
from jangbu.metering.spool_opening import OwnSpool, SpoolOpening
from jangbu.metering.spools_here import Backlog, SpoolsHere
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
LONG_AGO_NS = time.time_ns() - 3_600 * 10**9


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)


@pytest.fixture
def other(tmp_path: Path, clock: SettableClock) -> Iterator[Spool]:
    """Give the spool of another process: its directory is locked, and nobody adopts it."""
    spool = Spool.open(tmp_path / "other", segment_bytes=2**16, clock=clock)
    yield spool
    spool.close()


def here_of(root: Path, clock: SettableClock, *, copies: bool = False, disk: RealDisk | None = None) -> SpoolsHere:
    chosen = disk or RealDisk()
    own = OwnSpool(root, SpoolOpening(chosen, clock, bytes_max=2**20, keep_seconds=900))
    return SpoolsHere(own, chosen, clock, copies=copies)


def aged(directory: Path) -> None:
    """Have files look as if nobody had written to them for an hour, which lets them be remembered."""
    for path in directory.iterdir():
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


async def test_what_waits_in_another_process_is_counted_until_the_database_has_it(
    tmp_path: Path, clock: SettableClock, other: Spool
) -> None:
    here = here_of(tmp_path, clock)
    assert await here.backlog() == Backlog()
    sequences = other.append([b"x" * 700] * 600)
    clock.advance(timedelta(seconds=90))
    assert await here.backlog() == Backlog(600, 90)
    other.note_committed(sequences[:599])
    assert await here.backlog() == Backlog(1, 90)
    other.note_committed(sequences[599:])
    assert await here.backlog() == Backlog()


async def test_a_file_is_read_again_when_it_or_the_notes_on_it_changed(
    tmp_path: Path, clock: SettableClock, other: Spool
) -> None:
    here = here_of(tmp_path, clock)
    sequences = other.append([b"first"])
    aged(other.directory)
    assert (await here.backlog()).waiting == 1
    assert (await here.backlog()).waiting == 1, "what is remembered is told again"
    other.append([b"second"])
    assert (await here.backlog()).waiting == 2
    aged(other.directory)
    assert (await here.backlog()).waiting == 2
    other.note_committed(sequences)
    assert (await here.backlog()).waiting == 1


async def test_what_was_set_aside_or_is_gone_counts_for_ever(
    tmp_path: Path, clock: SettableClock, other: Spool
) -> None:
    here = here_of(tmp_path, clock)
    [sequence] = other.append([b"nobody has this account"])
    other.set_aside(sequence, "there is no account")
    (other.directory / "quarantine" / "00000001-00000000.lost").write_bytes(b"7,8")
    clock.advance(timedelta(days=300))
    assert await here.backlog() == Backlog(quarantined=2, unrecorded=3)


async def test_a_record_that_its_owner_wrote_to_a_second_file_waits_once_or_not_at_all(
    tmp_path: Path, clock: SettableClock, other: Spool
) -> None:
    here = here_of(tmp_path, clock)
    other.append([b"in a file that breaks"])
    [broken] = other._store.segments
    [entry] = other._store.waiting.values()
    other._store.grow()
    later = other._store.segments[-1]
    later.write([(entry.frame.sequence, entry.frame.at, b"in a file that breaks")])
    assert broken is not later
    assert (await here.backlog()).waiting == 1
    later.note_committed([entry.frame.sequence], entry.frame.at)
    assert (await here.backlog()).waiting == 0


async def test_a_copy_is_taken_for_recorded_until_its_owner_had_the_time_to_note_it(
    tmp_path: Path, clock: SettableClock, other: Spool
) -> None:
    here = here_of(tmp_path, clock, copies=True)
    other.append([b"the database is given this, too"])
    assert (await here.backlog()).waiting == 0
    clock.advance(timedelta(seconds=30))
    assert await here.backlog() == Backlog(1, 30)


async def test_directories_that_may_not_be_read_are_not_taken_for_empty(
    tmp_path: Path, clock: SettableClock, other: Spool
) -> None:
    class Forbidden(RealDisk):
        def names(self, path: Path) -> list[str]:
            if path == other.directory:
                raise PermissionError(13, "Permission denied")
            return super().names(path)

    with pytest.raises(SpoolUnusable):
        await here_of(tmp_path, clock, disk=Forbidden()).backlog()


async def test_a_process_counts_its_own_once_and_that_of_others(database_url: str, tmp_path: Path) -> None:
    settings = Settings.load(database_url=database_url, spool_dir=tmp_path)
    async with open_metering(settings, delivers=False) as one, open_metering(settings, delivers=False) as two:
        for each in (one, two):
            await kept(each)
        assert ledger_spool(settings).is_dir()
        for each in (one, two):
            assert each.spooling is not None
            assert (await each.spooling.backlog()).waiting == 1
            assert (await each.spooling.here.backlog()).waiting == 2
            each.spooling.note_away()


async def kept(metering: Metering) -> None:
    """Keep a record that does not drain: whoever drains it believes that it is under way."""
    spooling = metering.spooling
    assert spooling is not None
    await spooling._own.opened()
    assert spooling._own.spool is not None
    spooling._own.spool.append([b"no record"])
