"""The canned answers of the fake upstream: written out once, with a fresh answer's id put in for each call.

Jangbu knows an answer by its ``responseId`` and charges it once, so no two answers may share one. The ids are of one
width, so an answer is the same parts joined by another id, and whoever received it can tell whether it is whole.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

ID_WIDTH = 22
EVENTS = 20
"""The events of a stream."""
IMAGE_BYTES = 2_000_000
MODEL, IMAGE_MODEL = "gemini-2.5-flash", "gemini-2.5-flash-image"
_HOLE = "@" * ID_WIDTH
_TEXT_LENGTH = 2_400
_EVENT_LENGTH = 100
_BEFORE_ID = b'"responseId":"'


class Kind(StrEnum):
    """What a caller asks for."""

    TEXT = "text"
    STREAM = "stream"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Canned:
    """An answer without its id: the pieces it is sent in, each as the bytes around the id; and its tokens."""

    pieces: tuple[tuple[bytes, ...], ...]
    tokens: int

    def sent(self, answer_id: bytes) -> list[bytes]:
        """Give the pieces of one answer."""
        return [answer_id.join(parts) for parts in self.pieces]

    def is_whole(self, body: bytes | bytearray) -> bool:
        """Tell whether a body is this answer, byte for byte, under the id that it holds."""
        place = body.find(_BEFORE_ID) + len(_BEFORE_ID)
        answer_id = bytes(body[place : place + ID_WIDTH])
        return len(answer_id) == ID_WIDTH and b"".join(self.sent(answer_id)) == body


@cache
def canned(kind: Kind) -> Canned:
    """Give the answer to a kind of call."""
    match kind:
        case Kind.TEXT:
            text = "panel by panel " * (_TEXT_LENGTH // 15)
            counts = _Counts(812, 500, 120)
            return Canned((_parts(_body([{"text": text}], counts, MODEL)),), counts.total)
        case Kind.STREAM:
            counted = [_Counts(812, 25 * (number + 1), 120) for number in range(EVENTS)]
            return Canned(tuple(_event(*event) for event in enumerate(counted)), counted[-1].total)
        case Kind.IMAGE:
            image: dict[str, object] = {
                "inlineData": {"mimeType": "image/png", "data": "iVBORw0K" * (IMAGE_BYTES // 8)}
            }
            counts = _Counts(60, 1_290, 0, "IMAGE")
            return Canned((_parts(_body([image], counts, IMAGE_MODEL)),), counts.total)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What an answer reports to have used."""

    prompt: int
    candidates: int
    thoughts: int
    modality: str = "TEXT"

    @property
    def total(self) -> int:
        return self.prompt + self.candidates + self.thoughts

    def metadata(self) -> dict[str, object]:
        """Give the counts in Google's words; a count of nothing is left out, as Google does."""
        metadata: dict[str, object] = {
            "promptTokenCount": self.prompt,
            "candidatesTokenCount": self.candidates,
            "totalTokenCount": self.total,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.prompt}],
            "candidatesTokensDetails": [{"modality": self.modality, "tokenCount": self.candidates}],
        }
        return metadata | ({"thoughtsTokenCount": self.thoughts} if self.thoughts else {})


def _event(number: int, counts: _Counts) -> tuple[bytes, ...]:
    is_last = number == EVENTS - 1
    body = _body([{"text": f"{number:02} " + "x" * _EVENT_LENGTH}], counts, MODEL, finish="STOP" if is_last else None)
    return _parts(f"data: {body}\r\n\r\n")


def _body(parts: list[dict[str, object]], counts: _Counts, model: str, finish: str | None = "STOP") -> str:
    candidate: dict[str, object] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    body = {"candidates": [candidate], "usageMetadata": counts.metadata(), "modelVersion": model, "responseId": _HOLE}
    return json.dumps(body, separators=(",", ":"))


def _parts(text: str) -> tuple[bytes, ...]:
    return tuple(part.encode() for part in text.split(_HOLE))
