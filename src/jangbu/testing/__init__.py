"""For our users' tests: a fake Gemini, a settable clock, fixtures (``fake_gemini``, ``settable_clock``)."""

from typing import TYPE_CHECKING, Any

from jangbu.testing.answer_log import Answer, read_answers
from jangbu.testing.behaviours import Behaviour, Recorded
from jangbu.testing.clock import SettableClock

if TYPE_CHECKING:
    from jangbu.testing.gemini import FakeGemini

__all__ = ["Answer", "Behaviour", "FakeGemini", "Recorded", "SettableClock", "read_answers"]


def __getattr__(name: str) -> Any:
    """Load the server only for whoever uses it: pytest imports this package in every run, through our plugin."""
    if name != "FakeGemini":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jangbu.testing.gemini import FakeGemini

    return FakeGemini
