"""For our users' tests: a fake Gemini, a settable clock, fixtures."""
