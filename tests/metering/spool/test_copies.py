"""Copies of what the database is given at the same time: nobody drains them, and they stay for a fail-over."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.errors import SpoolFull
from jangbu.metering.spool import Record, Spool, records_in
from jangbu.metering.spool.disk import File, RealDisk, RealFile
from tests.metering.spool.memory_disk import MemoryDisk
from tests.metering.spool.test_spool import HERE, Hands, in_memory, payloads


def copied(spool: Spool, *payloads: bytes) -> list[int]:
    sequences = spool.append_each(payloads, [False] * len(payloads), range(len(payloads)))
    assert all(isinstance(each, int) for each in sequences)
    return [each for each in sequences if isinstance(each, int)]


def held(disk: MemoryDisk) -> Sequence[Record]:
    return list(records_in(HERE, disk=disk))


def test_a_copy_waits_only_when_it_is_let() -> None:
    spool = in_memory(MemoryDisk())
    first, second = copied(spool, b"one", b"two")
    spool.append([b"three"])
    assert payloads(spool.pending(10)) == [b"three"]
    assert spool.status().waiting == 1
    spool.copies.let_wait([second])
    assert payloads(spool.pending(10)) == [b"two", b"three"]
    spool.copies.settle([first])
    assert payloads(spool.pending(10)) == [b"two", b"three"]
    assert (spool.status().waiting, spool.status().kept) == (2, 1)


def test_a_copy_of_a_process_that_died_waits_for_the_next_owner() -> None:
    disk = MemoryDisk()
    copied(in_memory(disk), b"under way")
    disk.kill()
    assert payloads(in_memory(disk).pending(10)) == [b"under way"]


def test_to_settle_touches_no_disk_and_is_noted_with_what_is_done_next() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    first, second = copied(spool, b"one", b"two")
    disk.done.clear()
    spool.copies.settle([first])
    assert disk.done == []
    copied(spool, b"three")
    disk.kill()
    again = in_memory(disk)
    assert (again.status().waiting, again.status().kept) == (2, 1)
    assert second in [record.sequence for record in again.pending(10)]


def test_a_copy_whose_commit_was_not_noted_is_sent_again_all_the_same() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    spool.copies.settle(copied(spool, b"one"))
    assert payloads(list(held(disk))) == [b"one"]


def test_what_the_database_refused_is_never_sent_again() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    nobody, somebody = copied(spool, b"of nobody", b"of somebody")
    spool.copies.refuse([nobody])
    spool.copies.settle([somebody])
    spool.note_settled()
    assert payloads(list(held(disk))) == [b"of somebody"]
    disk.kill()
    again = in_memory(disk)
    assert again.pending(10) == []
    assert payloads(list(held(disk))) == [b"of somebody"]


def test_closing_notes_what_was_settled() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    spool.copies.settle(copied(spool, b"one"))
    spool.close()
    assert in_memory(disk).pending(10) == []


def test_the_oldest_copies_go_where_room_is_needed_and_those_under_way_stay() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk, bytes_max=3 * 16_384)
    under_way = copied(spool, *[bytes(4000)] * 4)
    for number in range(200):
        spool.copies.settle(copied(spool, number.to_bytes(4) * 1000))
        assert spool.status().bytes <= 3 * 16_384
    found = held(disk)
    assert {record.sequence for record in found} >= set(under_way)
    numbers = [int.from_bytes(record.payload[:4]) for record in found if record.sequence not in under_way]
    assert numbers == list(range(200 - len(numbers), 200)), "the youngest are there"
    assert len(numbers) >= 4


def test_a_spool_of_one_file_is_used_again_when_the_database_has_all_of_it() -> None:
    spool = in_memory(MemoryDisk(), bytes_max=16_384)
    for _ in range(20):
        with spool.reserve():
            (copy,) = spool.append_each([bytes(4000)], [True], [0])
            assert isinstance(copy, int)
            spool.copies.settle([copy])


def test_where_all_copies_are_under_way_there_is_no_room_for_another_call() -> None:
    spool = in_memory(MemoryDisk(), bytes_max=2 * 16_384)
    under_way = copied(spool, *[bytes(4000)] * 8)
    with pytest.raises(SpoolFull):
        spool.reserve()
    spool.copies.settle(under_way)
    spool.reserve()


def test_copies_are_kept_for_as_long_as_is_set_and_then_go() -> None:
    clock, disk = Hands(), MemoryDisk()
    spool = in_memory(disk, clock)
    spool.copies.settle(copied(spool, b"one"))
    clock.pass_seconds(899)
    spool.copies.settle(copied(spool, b"two"))
    assert spool.trim() == 0
    clock.pass_seconds(901)
    assert spool.trim() == 2
    assert held(disk) == []


class CountingDisk(RealDisk):
    """Counts the files that are open."""

    def __init__(self) -> None:
        self.open_files: set[File] = set()
        outer = self

        class Counted(RealFile):
            def __init__(self, number: int) -> None:
                super().__init__(number)
                outer.open_files.add(self)

            def close(self) -> None:
                super().close()
                outer.open_files.discard(self)

        self.file = Counted


def test_files_that_are_only_kept_are_not_held_open(tmp_path: Path) -> None:
    disk = CountingDisk()
    spool = Spool.open(tmp_path / "spool", segment_bytes=16_384, record_bytes_max=4000, clock=SystemClock(), disk=disk)
    for _ in range(100):
        spool.copies.settle(copied(spool, bytes(4000)))
    assert spool.status().bytes > 20 * 16_384
    assert len(disk.open_files) < 8
    spool.close()
    assert not disk.open_files
    assert len(list(records_in(tmp_path / "spool"))) == 100


def test_that_what_is_kept_goes_early_is_told_once_a_minute() -> None:
    told: list[int] = []
    end = telemetry.subscribe(lambda _, facts: told.append(facts["records"]), "spool.kept_dropped")
    clock = Hands()
    spool = in_memory(MemoryDisk(), clock, bytes_max=3 * 16_384)
    for _ in range(2):
        for _ in range(100):
            spool.copies.settle(copied(spool, bytes(4000)))
        clock.pass_seconds(60)
    spool.trim()
    end()
    assert told[0] == 4
    assert (len(told), sum(told)) == (3, 200 - spool.status().kept)


def test_it_is_told_before_it_goes_so_that_no_process_dies_in_between_in_silence() -> None:
    class Watched(MemoryDisk):
        def remove(self, path: Path) -> None:
            happened.append("removed")
            super().remove(path)

    happened: list[str] = []
    end = telemetry.subscribe(lambda event, _: happened.append(event), "spool.kept_dropped")
    spool = in_memory(Watched(), bytes_max=16_384)
    while "removed" not in happened:
        spool.copies.settle(copied(spool, bytes(4000)))
    end()
    assert happened[0] == "spool.kept_dropped"
