"""What a demo is asked to do."""

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """``trace`` is a file to follow and ``responses`` a directory of recorded answers, where given."""

    trace: str | None
    responses: str | None
    calls: int
    seed: int
