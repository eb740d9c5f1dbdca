"""Group commit: bounded, fair to its waiters, and empty when it is closed."""

import asyncio
from collections.abc import Sequence

import pytest

from jangbu.errors import JangbuError
from jangbu.metering.group_commit import GroupCommit


class Disk:
    """Takes its time over each batch, and fails on odd numbers when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fails = False

    async def commit(self, items: Sequence[int], _lane: int) -> Sequence[int | BaseException]:
        await asyncio.sleep(0.001)
        self.batches.append(list(items))
        if self.fails:
            raise JangbuError("the disk is gone")
        return [ValueError(item) if item < 0 else item * 2 for item in items]


async def test_each_waiter_gets_its_own_result_or_error() -> None:
    disk = Disk()
    queue = GroupCommit[int, int](disk.commit, lanes=2, batch_max=3, queue_max=100)
    results = await asyncio.gather(*(queue.submit(n, n) for n in range(-2, 10)), return_exceptions=True)
    assert [type(result) for result in results[:2]] == [ValueError, ValueError]
    assert results[2:] == [n * 2 for n in range(10)]
    assert max(len(batch) for batch in disk.batches) == 3
    await queue.close()


async def test_a_batch_that_fails_fails_for_all_its_waiters() -> None:
    disk = Disk()
    disk.fails = True
    queue = GroupCommit[int, int](disk.commit, lanes=1, batch_max=10, queue_max=100)
    results = await asyncio.gather(*(queue.submit(n, 1) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [JangbuError] * 5
    await queue.close()


async def test_closing_writes_also_what_still_waited_for_room() -> None:
    disk = Disk()
    queue = GroupCommit[int, int](disk.commit, lanes=2, batch_max=2, queue_max=3)
    waiters = [asyncio.create_task(queue.submit(n, n)) for n in range(20)]
    await asyncio.sleep(0)
    await queue.close()
    assert [await waiter for waiter in waiters] == [n * 2 for n in range(20)]
    with pytest.raises(JangbuError, match="closed"):
        await queue.submit(1, 1)


async def test_a_waiter_that_is_cancelled_leaves_its_item_and_its_place_in_the_bound() -> None:
    disk = Disk()
    queue = GroupCommit[int, int](disk.commit, lanes=1, batch_max=2, queue_max=4)
    for _ in range(10):
        waiters = [asyncio.create_task(queue.submit(n, 1)) for n in range(6)]
        await asyncio.sleep(0)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        assert queue.depth <= 4
    await queue.close()
    assert queue.depth == 0
    assert sum(len(batch) for batch in disk.batches) >= 4


async def test_few_items_share_the_first_lane_and_many_spread_over_all_by_their_key() -> None:
    seen: dict[int, list[int]] = {0: [], 1: []}

    async def commit(items: Sequence[int], lane: int) -> Sequence[int]:
        await asyncio.sleep(0.001)
        seen[lane].extend(items)
        return list(items)

    queue = GroupCommit[int, int](commit, lanes=2, batch_max=100, queue_max=100, spread_at=4)
    await asyncio.gather(*(queue.submit(n, n) for n in range(4)))
    assert seen == {0: [0, 1, 2, 3], 1: []}
    await asyncio.gather(*(queue.submit(n, n) for n in range(10, 20)))
    # Four joined the first lane; from there on the odd keys went to the second.
    assert seen[1] == [15, 17, 19]
    await queue.close()
