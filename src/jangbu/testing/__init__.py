"""For our users' tests: a fake Gemini, a settable clock, fixtures (``fake_gemini``, ``settable_clock``)."""

from jangbu.testing.answer_log import Answer, read_answers
from jangbu.testing.behaviours import Behaviour, Recorded
from jangbu.testing.clock import SettableClock
from jangbu.testing.gemini import FakeGemini

__all__ = ["Answer", "Behaviour", "FakeGemini", "Recorded", "SettableClock", "read_answers"]
