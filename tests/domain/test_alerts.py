"""Episodes: a trouble that goes on is told when it begins, while it lasts and when it ends."""

import pytest

from jangbu.domain.alerts import Episode, Phase


@pytest.fixture
def episode() -> Episode:
    return Episode(after_ms=0, repeat_ms=60_000, quiet_ms=10_000)


def test_the_first_failure_is_told_and_the_next_ones_wait_for_their_minute(episode: Episode) -> None:
    told = {second: episode.fail(second * 1000) for second in range(181)}
    assert {second: phase for second, phase in told.items() if phase} == {
        0: Phase.BEGAN,
        60: Phase.LASTS,
        120: Phase.LASTS,
        180: Phase.LASTS,
    }
    assert (episode.failures, episode.lasted_ms(180_000)) == (181, 180_000)


def test_a_failure_within_the_minute_is_told_when_it_is_over(episode: Episode) -> None:
    episode.fail(0)
    episode.fail(5_000)
    assert episode.tick(59_999) is None
    assert episode.tick(60_000) is Phase.LASTS
    assert episode.tick(120_000) is None, "nothing failed since"


def test_it_ends_with_a_success_that_no_failure_follows(episode: Episode) -> None:
    episode.fail(0)
    assert episode.tick(30_000) is None, "nobody knows that it ended"
    episode.succeed(31_000)
    episode.fail(32_000)
    assert episode.tick(45_000) is None
    episode.succeed(46_000)
    assert episode.tick(46_000) is Phase.ENDED
    episode.end()
    assert not episode.is_open
    assert episode.fail(50_000) is Phase.BEGAN


def test_what_goes_on_for_less_than_the_delay_is_never_told() -> None:
    episode = Episode(after_ms=10_000, repeat_ms=60_000, quiet_ms=10_000)
    assert [episode.fail(ms) for ms in (0, 5_000, 9_999)] == [None] * 3
    episode.succeed(9_999)
    assert episode.tick(30_000) is None
    assert not episode.is_open
    assert episode.fail(40_000) is None
    assert episode.tick(49_999) is None
    assert episode.tick(50_000) is Phase.BEGAN
