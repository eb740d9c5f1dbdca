"""A settable clock stands still until it is moved."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from jangbu.clock import Clock, new_id
from jangbu.testing import SettableClock


def test_it_stands_still_until_it_is_moved(settable_clock: SettableClock) -> None:
    before = settable_clock.now()
    assert settable_clock.now() == before
    assert settable_clock.advance(timedelta(seconds=5)) == before + timedelta(seconds=5)
    assert settable_clock.set(before) == before


def test_it_gives_utc_whatever_zone_it_was_set_in() -> None:
    clock: Clock = SettableClock(datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=9))))
    assert clock.now() == datetime(2026, 3, 1, tzinfo=UTC)
    assert clock.now().utcoffset() == timedelta(0)
    assert new_id(clock).version == 7


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        SettableClock().set(datetime(2026, 1, 1))  # noqa: DTZ001
