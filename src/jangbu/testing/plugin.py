"""Fixtures for our users' tests; pytest loads this module in every run, so it imports nothing heavy itself."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jangbu.testing.clock import SettableClock


@pytest.fixture
def settable_clock() -> "SettableClock":
    """Give a clock that stands still until the test moves it."""
    from jangbu.testing.clock import SettableClock

    return SettableClock()
