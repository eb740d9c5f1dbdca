"""The calls of a demo, planned before any is made: the same seed plans the same calls."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from jangbu.cli.demo.trace import Trace

__all__ = ["BLOCKED", "CUT", "Kind", "PlannedCall", "planned_calls", "traced_calls"]


class Kind(StrEnum):
    """By which method of the client a call is made, and with what."""

    TEXT = "text"
    STREAM = "stream"
    IMAGE = "image"
    SEARCH = "search"
    CODE = "code"
    FUNCTION = "function"
    CHAT = "chat"
    EMBEDDING = "embedding"


BLOCKED = "blocked"
CUT = "cut=2"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call. ``behaviour`` tells the fake how to answer; ``prompt_bytes`` is the length of the text that is sent.

    A text of so many bytes bounds its own tokens, so a prompt of N tokens is sent as a text of N bytes at least.
    """

    number: int
    user: str
    service: str
    model: str
    kind: Kind
    prompt_bytes: int = 200
    behaviour: str = ""
    output_limit: int | None = None
    tokens_expected: int = 500

    @property
    def text(self) -> str:
        """The prompt: ASCII, different for each call, of exactly ``prompt_bytes`` bytes (a few more where short)."""
        start = f"Page {self.number}: "
        return start + (_SENTENCE * (self.prompt_bytes // len(_SENTENCE) + 1))[: max(1, self.prompt_bytes - len(start))]


_SENTENCE = "tell the story of the ledger in which every line adds up, and leave nothing out. "
_TEXT_MODELS = (
    "gemini-2.0-flash-exp",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-3-flash-preview",
    "gemini-3-pro-preview",
    "gemini-3.5-flash",
)
_IMAGE_MODELS = ("gemini-2-5-flash-image-preview", "gemini-2.5-flash-image", "gemini-3-pro-image")
_EMBEDDING_MODELS = ("gemini-embedding-001", "gemini-embedding-2")
_THINKING = "thinking"
_FAILURE = "failure"
_DECK = (
    *([Kind.TEXT] * 6),
    *([Kind.STREAM] * 4),
    *([_THINKING] * 2),
    Kind.IMAGE,
    Kind.SEARCH,
    Kind.CODE,
    Kind.FUNCTION,
    Kind.CHAT,
    *([Kind.EMBEDDING] * 2),
    _FAILURE,
)
_FAILURES = ("400", "429", "500", "503", BLOCKED, CUT)
_IMAGE_EXPECTED = 1_500


def planned_calls(users: Sequence[str], number: int, seed: int) -> tuple[PlannedCall, ...]:
    """Plan a mix of everything, dealt from a deck, so that also a short demo holds each kind."""
    chance = random.Random(seed)  # noqa: S311 - a demo has to be repeatable
    deck = list(_DECK)
    chance.shuffle(deck)
    weights = _weights(len(users))
    return tuple(
        _planned(index, deck[index % len(deck)], index // len(deck), chance.choices(users, weights)[0], chance)
        for index in range(number)
    )


def traced_calls(trace: Trace, users: Sequence[str], seed: int) -> tuple[PlannedCall, ...]:
    """Plan one call for each request of a trace, with its tokens; where it names no users, deal it out by weight."""
    chance = random.Random(seed)  # noqa: S311 - a demo has to be repeatable
    weights = _weights(len(users))
    return tuple(
        PlannedCall(
            number=index,
            user=request.user or chance.choices(users, weights)[0],
            service=request.service,
            model=chance.choice(_TEXT_MODELS),
            kind=chance.choice((Kind.TEXT, Kind.STREAM)),
            prompt_bytes=request.prompt_tokens,
            behaviour=f"prompt={request.prompt_tokens}; candidates={request.completion_tokens}; thoughts=0",
            tokens_expected=request.prompt_tokens + request.completion_tokens,
        )
        for index, request in enumerate(trace.requests)
    )


def _planned(number: int, card: str, deal: int, user: str, chance: random.Random) -> PlannedCall:
    """Plan the call that a card of the deck stands for."""
    model = chance.choice(_TEXT_MODELS)
    prompt, written = chance.randint(20, 2_000), chance.randint(20, 800)
    counts = f"prompt={prompt}; candidates={written}"
    match card:
        case Kind.IMAGE:
            image_model = chance.choice(_IMAGE_MODELS)
            return PlannedCall(
                number, user, "image_generation", image_model, Kind.IMAGE, tokens_expected=_IMAGE_EXPECTED
            )
        case Kind.EMBEDDING:
            embedding_model = chance.choice(_EMBEDDING_MODELS)
            return PlannedCall(
                number, user, "embedding", embedding_model, Kind.EMBEDDING, prompt, tokens_expected=prompt // 4
            )
        case Kind.SEARCH | Kind.CODE | Kind.FUNCTION | Kind.CHAT:
            service = "chat" if card == Kind.CHAT else "text_generation"
            return PlannedCall(number, user, service, chance.choice(_TEXT_MODELS[1:]), Kind(card))
        case "failure":
            failure = _FAILURES[deal % len(_FAILURES)]
            kind, said = (Kind.STREAM, f"{counts}; chunks=6; {CUT}") if failure == CUT else (Kind.TEXT, failure)
            return PlannedCall(number, user, "text_generation", model, kind, prompt, said, None, prompt + written)
        case "thinking":
            thoughts = chance.randint(100, 1_500)
            said, thinker = f"{counts}; thoughts={thoughts}", chance.choice(_TEXT_MODELS[3:])
            total = prompt + written + thoughts
            return PlannedCall(number, user, "text_generation", thinker, Kind.TEXT, prompt, said, None, total)
    limit = 1_024 + written if chance.random() < 0.3 else None
    cached = f"; cached={prompt // 2}" if chance.random() < 0.1 else ""
    total = prompt + written
    return PlannedCall(number, user, "text_generation", model, Kind(card), prompt, counts + cached, limit, total)


def _weights(number: int) -> list[int]:
    """Give few users most of the load, as apps have it."""
    return [1_000_000 // (rank + 3) for rank in range(number)]
