"""What the fake answers to a generation request: the same request always gets the same parts and the same counts.

An answer holds a function call where functions are declared and the last turn holds no result of one, an image from
image models, speech from speech models, JSON where a schema was given, and words otherwise. Thoughts and candidates
together never exceed maxOutputTokens, for each candidate.
"""

import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jangbu.testing.behaviours import Behaviour
from jangbu.testing.composing.counting import Tokens, count_json, count_prompt, count_text, field, parts_of, text_of
from jangbu.testing.composing.limits import CANDIDATES_MOST, number_asked
from jangbu.testing.composing.media import png, silence
from jangbu.testing.composing.samples import sample
from jangbu.testing.composing.tally import Tally

__all__ = ["Composition", "Piece", "compose", "segments", "words"]

TOOL_PROMPT_TOKENS = 100
"""What each built-in tool feeds back into the prompt, before what the seed adds."""
IMAGE_TOKENS, IMAGE_TOKENS_GEMINI_3 = 1290, 1120
"""What one image costs: as recorded from gemini-2.5-flash-image and from gemini-3-pro-image."""

_BUILT_IN = ("googleSearch", "googleSearchRetrieval", "googleMaps", "urlContext", "fileSearch", "codeExecution")
_SEARCHES = ("googleSearch", "googleSearchRetrieval", "googleMaps")
_THINKING_MODEL = re.compile(r"gemini-(2\.5|[3-9]|flash-latest|pro-latest)")
_LEVELS = {"MINIMAL": 0, "LOW": 8, "MEDIUM": 16, "HIGH": 64}
_WORDS = "the book has one line for each call and every line adds up to what was bought less what was used so far "


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of an answer and the candidates tokens it counts for."""

    part: Mapping[str, Any]
    tokens: int = 0
    modality: str = "TEXT"


@dataclass(frozen=True, slots=True)
class Composition:
    """A whole answer: the pieces of each candidate (all candidates are alike), why it ended, and what it used."""

    pieces: tuple[Piece, ...]
    finish: str
    tally: Tally
    candidates: int = 1
    blocked: bool = False
    grounding: Mapping[str, Any] | None = None


def compose(model: str, body: Mapping[str, Any], behaviour: Behaviour, stored: Tokens | None = None) -> Composition:
    """Compose the answer to a generateContent body. ``stored`` is the content of the cache that the request names."""
    asked = _Asked(model, body, field(body, "generationConfig") or {}, behaviour)
    cached: Tokens = Counter(TEXT=behaviour.cached) if behaviour.cached is not None else Counter(stored or ())
    prompt = Counter(TEXT=behaviour.prompt) if behaviour.prompt is not None else count_prompt(body) + cached
    if behaviour.blocked:
        return Composition((), "", Tally(prompt), blocked=True)
    limit = int(field(asked.config, "maxOutputTokens") or 0) or None
    thoughts = min(asked.thoughts(), limit or COUNT_UNBOUNDED)
    pieces = () if behaviour.finish == "SAFETY" else tuple(asked.pieces())
    kept, finish = _within(pieces, None if limit is None else limit - thoughts)
    number = number_asked("candidateCount", field(asked.config, "candidateCount"), most=CANDIDATES_MOST)
    tokens: Tokens = Counter()
    for piece in kept:
        tokens[piece.modality] += piece.tokens * number
    tally = Tally(prompt, cached, +tokens, thoughts * number, asked.tool_tokens())
    return Composition(kept, behaviour.finish or finish, tally, number, grounding=asked.grounding())


def segments(composition: Composition, chunks: int) -> list[tuple[Piece, ...]]:
    """Cut an answer into what the chunks of a stream carry: texts in up to so many, other parts whole."""
    cut: list[tuple[Piece, ...]] = [(small,) for piece in composition.pieces for small in _cut_text(piece, chunks)]
    return cut or [()]


def words(tokens: int, seed: int = 0) -> str:
    """Give a text that counts for exactly so many tokens."""
    start = seed % len(_WORDS)
    length = tokens * 4
    repeated = _WORDS * (length // len(_WORDS) + 2)
    return repeated[start : start + length]


COUNT_UNBOUNDED = 2**53


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, seen as what it asks for."""

    model: str
    body: Mapping[str, Any]
    config: Mapping[str, Any]
    behaviour: Behaviour

    @property
    def seed(self) -> int:
        return zlib.crc32(text_of(self._last_turn()).encode("utf-8", "surrogatepass"))

    def thoughts(self) -> int:
        if self.behaviour.thoughts is not None:
            return self.behaviour.thoughts
        thinking = field(self.config, "thinkingConfig") or {}
        budget, level = field(thinking, "thinkingBudget"), field(thinking, "thinkingLevel")
        if not _THINKING_MODEL.match(self.model) or self._speaks() or self._draws() or budget == 0:
            return 0
        if "lite" in self.model and budget is None and level is None:
            return 0
        usual = 16 + self.seed % 64
        if level is not None:
            return usual * _LEVELS.get(str(level).upper(), 16) // 16
        return min(usual, budget) if budget is not None and budget > 0 else usual

    def tool_tokens(self) -> int:
        used = [name for name in _BUILT_IN if self._tool(name)]
        if self.behaviour.tool is not None:
            return self.behaviour.tool
        return sum(TOOL_PROMPT_TOKENS + self.seed % 50 for _ in used)

    def grounding(self) -> Mapping[str, Any] | None:
        if not any(self._tool(name) for name in _SEARCHES):
            return None
        page = {"web": {"uri": "https://example.com/", "title": "example.com"}}
        return {"webSearchQueries": ["the book"], "groundingChunks": [page]}

    def pieces(self) -> Iterator[Piece]:
        if field(field(self.config, "thinkingConfig") or {}, "includeThoughts") and self.thoughts():
            yield Piece({"text": "Weighing the question. ", "thought": True})
        call = self._function_call()
        if call is not None:
            signature = {"thoughtSignature": "c2lnbmF0dXJl"} if self.thoughts() else {}
            yield Piece({"functionCall": call, **signature}, count_json(call))
        elif self._speaks():
            yield self._speech()
        elif self._draws():
            yield from self._drawing()
        else:
            yield from self._writing()

    def _writing(self) -> Iterator[Piece]:
        if self._tool("codeExecution"):
            code = {"executableCode": {"language": "PYTHON", "code": "print(1 + 1)"}}
            result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2\n"}}
            yield from (Piece(code, count_json(code)), Piece(result, count_json(result)))
        text = self._json() or words(self._text_tokens(), self.seed)
        if text:
            yield Piece({"text": text}, count_text(text))

    def _drawing(self) -> Iterator[Piece]:
        tokens = IMAGE_TOKENS_GEMINI_3 if self.model.startswith("gemini-3") else IMAGE_TOKENS
        if "TEXT" in self._modalities():
            text = words(
                max(0, self._text_tokens() - (tokens if self.behaviour.candidates is not None else 0)), self.seed
            )
            yield Piece({"text": text}, count_text(text))
        data = png(self.behaviour.image_bytes or 0)
        yield Piece({"inlineData": {"mimeType": "image/png", "data": data}}, tokens, "IMAGE")

    def _speech(self) -> Piece:
        media = {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": silence()}
        return Piece({"inlineData": media}, self._text_tokens(), "AUDIO")

    def _json(self) -> str | None:
        if field(self.config, "responseMimeType") != "application/json" or self.behaviour.candidates is not None:
            return None
        schema = field(self.config, "responseJsonSchema") or field(self.config, "responseSchema")
        return json.dumps(sample(schema) if schema else {"answer": "sample"})

    def _text_tokens(self) -> int:
        return self.behaviour.candidates if self.behaviour.candidates is not None else 8 + self.seed % 40

    def _function_call(self) -> Mapping[str, Any] | None:
        calling = field(field(self.body, "toolConfig") or {}, "functionCallingConfig") or {}
        answered = any(field(part, "functionResponse") for part in parts_of(self._last_turn()))
        if answered or field(calling, "mode") == "NONE" or self.behaviour.candidates is not None:
            return None
        allowed = field(calling, "allowedFunctionNames")
        for tool in field(self.body, "tools") or ():
            for function in field(tool, "functionDeclarations") or ():
                if not allowed or function["name"] in allowed:
                    schema = field(function, "parametersJsonSchema") or field(function, "parameters") or {}
                    return {"name": function["name"], "args": sample({"type": "object", **schema})}
        return None

    def _last_turn(self) -> Any:
        contents = field(self.body, "contents")
        return contents[-1:] if isinstance(contents, list) else contents

    def _tool(self, name: str) -> bool:
        return any(field(tool, name) is not None for tool in field(self.body, "tools") or ())

    def _modalities(self) -> list[str]:
        return [str(name).upper() for name in field(self.config, "responseModalities") or ("TEXT", "IMAGE")]

    def _draws(self) -> bool:
        return "-image" in self.model and "IMAGE" in self._modalities()

    def _speaks(self) -> bool:
        return "-tts" in self.model or "AUDIO" in self._modalities()


def _within(pieces: tuple[Piece, ...], room: int | None) -> tuple[tuple[Piece, ...], str]:
    """Keep what fits into so many tokens; a text is cut where the room ends, other parts fall away whole."""
    if room is None:
        return pieces, "STOP"
    kept: list[Piece] = []
    for piece in pieces:
        if piece.tokens <= room:
            kept.append(piece)
            room -= piece.tokens
            continue
        if "text" in piece.part and room > 0:
            kept.append(_shortened(piece, 0, room))
        return tuple(kept), "MAX_TOKENS"
    return tuple(kept), "STOP"


def _cut_text(piece: Piece, chunks: int) -> Iterator[Piece]:
    if "text" not in piece.part or piece.tokens < 2 or chunks < 2:
        yield piece
        return
    number = min(chunks, piece.tokens)
    edges = [piece.tokens * index // number for index in range(number + 1)]
    for start, end in itertools.pairwise(edges):
        yield _shortened(piece, start, end)


def _shortened(piece: Piece, start: int, end: int) -> Piece:
    """Take the tokens from start to end of a text piece (all texts of the fake are ASCII: four bytes a token)."""
    return replace(piece, part={**piece.part, "text": piece.part["text"][start * 4 : end * 4]}, tokens=end - start)
