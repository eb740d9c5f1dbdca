"""Ids that are made before a call: their time is that of the clock, and the rest is chance."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from jangbu.clock import new_id
from jangbu.testing import SettableClock

NOON = datetime(2027, 1, 31, 12, 0, 0, 123_999, tzinfo=UTC)


def ids_at(moment: datetime, number: int) -> list[UUID]:
    clock = SettableClock(moment)
    return [new_id(clock) for _ in range(number)]


def test_an_id_is_a_uuid_of_version_7_that_begins_with_the_clocks_milliseconds() -> None:
    for made in ids_at(NOON, 1_000):
        assert (made.version, made.variant) == (7, RFC_4122)
        assert made.int >> 80 == 1_801_396_800_123


def test_ids_of_one_moment_share_nothing_but_their_time() -> None:
    made = [each.int for each in ids_at(NOON, 10_000)]
    assert len(set(made)) == len(made)
    ever_set, always_set = 0, (1 << 128) - 1
    for number in made:
        ever_set |= number
        always_set &= number
    chance = (ever_set ^ always_set).bit_count()
    assert chance == 74


def test_ids_of_later_milliseconds_come_later() -> None:
    made = [new_id(SettableClock(NOON + timedelta(milliseconds=step))) for step in range(1_000)]
    assert made == sorted(made)
