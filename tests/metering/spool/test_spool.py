"""The spool: room is taken before the call, records are durable when append returns, and stay for as long as wanted."""

import multiprocessing
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.errors import SpoolFull, SpoolInUse, SpoolUnusable
from jangbu.metering.spool import Record, Spool, look, records_in, spools_below
from tests.metering.spool.memory_disk import MemoryDisk

HERE = Path("/spool")


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_seconds(self, seconds: int) -> None:
        self.moment += timedelta(seconds=seconds)


def in_memory(disk: MemoryDisk, clock: Hands | None = None, *, bytes_max: int = 2**20) -> Spool:
    return Spool.open(
        HERE,
        segment_bytes=16_384,
        record_bytes_max=4000,
        bytes_max=bytes_max,
        keep_seconds=900,
        clock=clock or Hands(),
        disk=disk,
    )


def on_disk(directory: Path) -> Spool:
    return Spool.open(directory, segment_bytes=65_536, clock=SystemClock())


def payloads(records: list[Record]) -> list[bytes]:
    return [record.payload for record in records]


def test_what_is_appended_is_found_by_the_next_owner_with_its_time(tmp_path: Path) -> None:
    spool = on_disk(tmp_path / "a" / "b")
    with spool.reserve():
        sequences = spool.append([b"one", b"two"])
    spool.close()
    again = on_disk(tmp_path / "a" / "b")
    found = again.pending(10)
    assert [record.sequence for record in found] == sequences
    assert payloads(found) == [b"one", b"two"]
    assert all(abs(record.at - datetime.now(UTC)) < timedelta(minutes=1) for record in found)
    assert payloads(again.pending(10, passed_over={sequences[0]})) == [b"two"]
    assert payloads(again.pending(1)) == [b"one"]
    again.close()


def test_a_record_is_written_then_synced_and_then_acknowledged() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    with spool.reserve():
        assert disk.done == ["create", "sync", "sync_directory"], "room and its name are on the disk before the call"
        disk.done.clear()
        spool.append([b"record"])
    # What comes after the sync is a note, which may be lost.
    assert disk.done == ["write", "sync", "create", "write"]


def test_reserving_what_is_allocated_does_not_touch_the_disk() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    spool.reserve().give_back()
    disk.done.clear()
    taken = [spool.reserve_at_once() for _ in range(4)]
    assert all(taken)
    assert spool.reserve_at_once() is None
    for reservation in taken:
        assert reservation is not None
        reservation.give_back()
        reservation.give_back()
    assert spool.reserve_at_once() is not None
    assert disk.done == []


def test_a_reservation_is_room_for_a_record_whatever_others_wrote() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk, bytes_max=65_536)
    reserved = [spool.reserve() for _ in range(8)]
    disk.capacity = 0
    for reservation in reserved:
        spool.append([bytes(4000)])
        reservation.give_back()
    assert len(spool.pending(100)) == 8


def test_more_than_may_be_held_is_refused_before_the_call() -> None:
    spool = in_memory(MemoryDisk(), bytes_max=32_768)
    taken = [spool.reserve() for _ in range(8)]
    with pytest.raises(SpoolFull, match="may hold 32,768") as refused:
        spool.reserve()
    assert refused.value.code == "spool_full"
    taken[0].give_back()
    assert spool.reserve_at_once() is not None


def test_what_is_only_kept_makes_room_for_what_has_to_be_written() -> None:
    spool = in_memory(MemoryDisk(), bytes_max=32_768)
    for _ in range(20):
        with spool.reserve():
            spool.note_committed(spool.append([bytes(4000)]))
    assert spool.status().kept < 9


def test_a_record_larger_than_a_reservation_takes_what_there_is() -> None:
    spool = in_memory(MemoryDisk())
    with spool.reserve():
        spool.append([bytes(100_000), b"small"])
    assert [len(each) for each in payloads(spool.pending(5))] == [100_000, 5]


def test_it_is_told_that_what_is_kept_for_a_fail_over_goes_early() -> None:
    told: list[str] = []
    end = telemetry.subscribe(lambda _, facts: told.append(facts["message"]), "spool.kept_dropped")
    spool = in_memory(MemoryDisk(), bytes_max=2 * 16_384)
    for _ in range(9):
        spool.note_committed(spool.append([bytes(4_000)]))
    end()
    assert told == ["/spool needs room: 4 records go that were kept for a fail-over"]


def test_a_committed_record_is_kept_for_a_fail_over_and_then_goes() -> None:
    clock = Hands()
    disk = MemoryDisk()
    spool = in_memory(disk, clock)
    first = spool.append([b"one"])
    spool.note_committed(first)
    clock.pass_seconds(600)
    spool.note_committed(spool.append([b"two"]))
    assert spool.pending(10) == []
    assert payloads(list(records_in(HERE, disk=disk))) == [b"one", b"two"]
    assert spool.trim() == 0
    clock.pass_seconds(600)
    assert spool.trim() == 0, "a file goes as a whole"
    clock.pass_seconds(301)
    assert spool.trim() == 2
    assert list(records_in(HERE, disk=disk)) == []
    assert spool.append([b"three"]) == [3]


def test_trimming_leaves_room_for_what_is_reserved() -> None:
    clock = Hands()
    spool = in_memory(MemoryDisk(), clock)
    reserved = [spool.reserve() for _ in range(4)]
    spool.note_committed(spool.append([b"one"]))
    clock.pass_seconds(901)
    assert spool.trim() == 1
    assert spool._places >= len(reserved)


def test_a_commit_is_known_to_the_next_owner() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    spool.append([b"one", b"two", b"three"])
    spool.note_committed([1, 3])
    disk.kill()
    again = in_memory(disk)
    assert payloads(again.pending(10)) == [b"two"]
    assert (again.status().waiting, again.status().kept) == (1, 2)
    assert payloads(list(records_in(HERE, disk=disk))) == [b"one", b"two", b"three"]


def test_a_record_that_can_never_be_recorded_is_put_aside_with_the_reason(tmp_path: Path) -> None:
    spool = on_disk(tmp_path / "spool")
    spool.append([b"poison", b"bread"])
    spool.set_aside(1, "nobody\ncan store this")
    assert payloads(spool.pending(10)) == [b"bread"]
    (kept,) = (tmp_path / "spool/quarantine").iterdir()
    assert kept.read_bytes() == b"nobody can store this\npoison"
    assert spool.status().quarantined == 1
    spool.close()
    assert payloads(on_disk(tmp_path / "spool").pending(10)) == [b"bread"]


def test_a_spool_has_one_owner(tmp_path: Path) -> None:
    spool = on_disk(tmp_path / "spool")
    with pytest.raises(SpoolInUse):
        on_disk(tmp_path / "spool")
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(_open_elsewhere, (tmp_path / "spool",)) == "spool_in_use"
        spool.append([b"kept"])
        spool.close()
        assert pool.apply(_open_elsewhere, (tmp_path / "spool",)) == ""


def _open_elsewhere(directory: Path) -> str:
    try:
        on_disk(directory).close()
    except SpoolInUse as error:
        return error.code
    return ""


def test_a_forked_child_does_not_keep_the_spool_of_a_parent_that_died(tmp_path: Path) -> None:
    read, write = os.pipe()
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from tests.metering.spool.test_spool import on_disk\n"
        f"spool = on_disk(Path({str(tmp_path / 'spool')!r}))\n"
        "spool.append([b'left'])\n"
        f"if os.fork():\n    os._exit(1)\nos.write({write}, b'x')\n"
        "time.sleep(60)\n"
    )
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", script], pass_fds=(write,), start_new_session=True)
    os.read(read, 1)
    child.wait()
    adopted = on_disk(tmp_path / "spool")
    assert payloads(adopted.pending(10)) == [b"left"]
    adopted.close()
    os.killpg(child.pid, 9)
    os.close(read)
    os.close(write)


def test_what_holds_nothing_leaves_nothing(tmp_path: Path) -> None:
    spool = on_disk(tmp_path / "spool")
    spool.reserve().give_back()
    spool.close()
    spool.close()
    assert not (tmp_path / "spool").exists()
    with pytest.raises(SpoolUnusable, match="closed"):
        spool.append([b"late"])


def test_threads_may_share_a_spool(tmp_path: Path) -> None:
    spool = on_disk(tmp_path / "spool")

    def write(number: int) -> None:
        for count in range(10):
            with spool.reserve():
                spool.append([f"{number}-{count}".encode()])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(payloads(spool.pending(100))) == sorted(f"{n}-{c}".encode() for n in range(8) for c in range(10))
    spool.close()


def test_anybody_may_look_without_owning(tmp_path: Path) -> None:
    clock = Hands()
    spool = Spool.open(tmp_path / "spool" / "ledger" / "1", segment_bytes=65_536, clock=clock)
    spool.append([b"one", b"two", b"three"])
    spool.note_committed([1])
    clock.pass_seconds(75)
    (directory,) = spools_below(tmp_path / "spool")
    seen = look(directory, clock)
    assert (seen.waiting, seen.kept, seen.oldest_seconds, seen.quarantined, seen.is_owned) == (2, 1, 75, 0, True)
    assert seen.bytes == 65_536
    spool.close()
    closed = look(directory, clock)
    assert not closed.is_owned
    assert closed.bytes < 1000
    assert list(spools_below(tmp_path / "nowhere")) == []


def test_a_directory_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusable, match="cannot be used"):
        on_disk(tmp_path / "file" / "spool")


def test_records_that_cannot_be_read_hide_no_others() -> None:
    disk = MemoryDisk()
    spool = in_memory(disk)
    spool.append([b"gone-1", b"gone-2", b"there"])
    path = next(path for path in disk.files if path.suffix == ".segment")
    disk.files[path].seen[:] = disk.files[path].seen.replace(b"gone", b"g?ne")
    assert payloads(spool.pending(2)) == [b"there"]


def test_of_records_that_find_no_room_only_those_are_refused_that_had_none() -> None:
    spool = in_memory(MemoryDisk(), bytes_max=16_384)
    held = [spool.reserve() for _ in range(3)]
    results = spool.append_each([bytes(4000)] * 5, [True, False, True, False, True])
    assert [type(result) for result in results] == [int, int, int, SpoolFull, int]
    assert len(spool.pending(10)) == 4
    assert len(held) == 3
