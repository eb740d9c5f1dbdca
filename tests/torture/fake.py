"""The fake Gemini as a process of its own, which nobody kills: what it wrote down is the truth."""

import signal
import sys
from pathlib import Path

from jangbu.testing import FakeGemini
from tests.torture.orphans import die_with_parent
from tests.torture.terms import BEHAVIOURS, CALL_HEADER, LIFE_HEADER, USER_HEADER


def main() -> None:
    """Serve until SIGTERM; the argument is the log."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with FakeGemini(log=Path(sys.argv[1]), label_headers=(CALL_HEADER, USER_HEADER, LIFE_HEADER)) as gemini:
        for model, behaviour in BEHAVIOURS.items():
            gemini.when(behaviour, model=model)
        sys.stdout.write(f"{gemini.url}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
