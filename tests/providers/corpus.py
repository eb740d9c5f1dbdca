"""Where the recorded answers are, and what each must be read as."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jangbu.providers.gemini.json_values import JsonValues

_BESIDE_THE_CHECKOUT = Path(__file__).parents[3] / "shared" / "corpus"
CORPUS = Path(os.environ.get("JANGBU_CORPUS", _BESIDE_THE_CHECKOUT))
ABSENT = pytest.mark.skipif(
    not (CORPUS / "index.jsonl").is_file(),
    reason=f"the corpus of recorded answers is absent: set JANGBU_CORPUS to it (looked in {CORPUS})",
)


@dataclass(frozen=True)
class Recorded:
    """One recorded answer: its bytes, and the counts that it reports (None: nothing may be charged)."""

    name: str
    framing: str
    endpoint: str
    model: str | None
    platform: str
    expected: dict[str, Any] | None

    @property
    def body(self) -> bytes:
        return (CORPUS / self.name).read_bytes()

    @property
    def is_stream(self) -> bool:
        return self.framing in ("sse", "array", "ws")

    def messages(self) -> list[bytes]:
        """Give the messages of a recorded Live session, byte for byte."""
        return list(JsonValues().feed(self.body))

    def prefixes(self) -> list[bytes]:
        """Cut the stream off after each of its chunks but the last."""
        if self.framing == "sse":
            chunks = [chunk for chunk in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", self.body) if chunk.strip()]
            return [b"".join(chunks[:count]) for count in range(1, len(chunks))]
        messages = json.loads(self.body)
        cut = [json.dumps(messages[:count]).encode() for count in range(1, len(messages))]
        return cut if self.framing == "ws" else [prefix[:-1] for prefix in cut]


def recorded() -> list[Recorded]:
    index = CORPUS / "index.jsonl"
    if not index.is_file():
        return []
    return [
        Recorded(line["file"], line["framing"], line["endpoint"], line["model"], line["platform"], line["expected"])
        for line in map(json.loads, index.read_text().splitlines())
    ]
