"""Fixtures for our users' tests; pytest loads this module in every run, so it imports nothing heavy itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jangbu.testing.clock import SettableClock
    from jangbu.testing.gemini import FakeGemini


@pytest.fixture
def fake_gemini(tmp_path: Path) -> "Iterator[FakeGemini]":
    """Give a fake Gemini that runs as long as the test, with its log in a file of the test."""
    from jangbu.testing.gemini import FakeGemini

    with FakeGemini(log=tmp_path / "fake-gemini.jsonl") as gemini:
        yield gemini


@pytest.fixture
def settable_clock() -> "SettableClock":
    """Give a clock that stands still until the test moves it."""
    from jangbu.testing.clock import SettableClock

    return SettableClock()
