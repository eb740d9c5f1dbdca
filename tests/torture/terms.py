"""What all processes of one run have in common, and the traffic that they make."""

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = [
    "BEHAVIOURS",
    "CALL_HEADER",
    "LIFE_HEADER",
    "MODELS",
    "POOR",
    "RICH",
    "USER_HEADER",
    "Ask",
    "Terms",
    "drawn",
    "top_up",
]

CALL_HEADER, USER_HEADER, LIFE_HEADER = "x-torture-call", "x-torture-user", "x-torture-life"
"""What the fake's log keeps of a request: the id of the call, which is that of its hold, who pays, and whose it is."""

RICH = tuple(f"rich-{number}" for number in range(6))
POOR = tuple(f"poor-{number}" for number in range(3))

MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash-lite", "gemini-2.0-flash", "gemini-2.5-flash-lite")
_WEIGHTS = (70, 18, 4, 4, 4)
BEHAVIOURS = {
    "gemini-2.5-pro": "delay=0.01; chunk_delay=0.008; thoughts=41",
    "gemini-2.0-flash": "500",
    "gemini-2.0-flash-lite": "429",
    "gemini-2.5-flash-lite": "cut=2",
}
"""What the fake does with the models beside the first one. The latest whose name begins a model's counts."""
_OUTPUT_MOST = 128
_SENTENCES = ("tell me about the sea", "이 장면을 그려 줘", "what is a hold", "write a line")


@dataclass(frozen=True, slots=True)
class Terms:
    """Where everything is. ``database_url`` leads through the line that loses acknowledgements."""

    database_url: str
    gemini_url: str
    spool_dir: str
    hold_seconds: int = 10
    top_up_tokens: int = 100
    has_ledger: bool = True
    """Whether there is a ledger to warm up with."""
    mutant: str = ""
    """Which bug all processes have, to see that it is found."""

    def text(self) -> str:
        """Write it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what ``text`` wrote."""
        return cls(**json.loads(text))

    def of_life(self, number: int) -> str:
        """Give the address at which the line knows whose a connection is; the spool is the same for all."""
        return f"{self.database_url}&application_name=life-{number}"

    def settings(self, number: int) -> Mapping[str, Any]:
        """Give the settings of a process."""
        return {
            "database_url": self.of_life(number),
            "spool_dir": self.spool_dir,
            "pool_size": 2,
            "hold_seconds": self.hold_seconds,
            "spool_after_seconds": 1,
            # What a dead process keeps for a fail-over would be looked through by each one that is born after it.
            "spool_keep_seconds": 0,
            "record_seconds_max": 10,
            "verify_seconds": 0,
            "log_format": "off",
            "upstream_url": self.gemini_url,
            "gemini_api_key": "the-key-of-the-fake",
        }


@dataclass(frozen=True, slots=True)
class Ask:
    """One call as an app makes it. Of a stream the app may leave after some chunks."""

    user: str
    model: str
    text: str
    output_most: int
    streams: bool
    leaves_after: int | None


def drawn(dice: random.Random) -> Ask:
    """Draw a call."""
    streams = dice.random() < 0.45
    return Ask(
        user=dice.choice(POOR if dice.random() < 0.25 else RICH),
        model=dice.choices(MODELS, weights=_WEIGHTS)[0],
        text=" ".join(dice.choices(_SENTENCES, k=dice.randint(1, 6))),
        output_most=dice.randint(8, _OUTPUT_MOST),
        streams=streams,
        leaves_after=dice.randint(1, 2) if streams and dice.random() < 0.1 else None,
    )


def top_up(number: int, tokens: int) -> tuple[str, int, str]:
    """Give the top-up of a number: whose, how much, and under which key, the same whoever makes it."""
    user = POOR[number % len(POOR)]
    return user, tokens + number % 97, f"top-up-{number}"
