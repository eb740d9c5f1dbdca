"""The fake's tokeniser: a rule that a test can work out on paper.

text, JSON of calls and schemas   1 token for each 4 bytes of UTF-8 begun
image, document                   258 (Gemini's published figure for a small image and for a page)
audio                             320: ten seconds at Gemini's 32 a second
video                             2,580: ten seconds at 258 a frame
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

__all__ = ["Tokens", "count_content", "count_json", "count_prompt", "count_text", "field", "parts_of", "text_of"]

TEXT_BYTES_A_TOKEN = 4
MEDIA_TOKENS = {"IMAGE": 258, "DOCUMENT": 258, "AUDIO": 320, "VIDEO": 2580}

Tokens = Counter[str]
"""Tokens by modality, in the API's words: TEXT, IMAGE, AUDIO, VIDEO, DOCUMENT."""


def count_text(text: str) -> int:
    """Count the tokens of a text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // TEXT_BYTES_A_TOKEN)


def count_json(value: object) -> int:
    """Count a value as the text of its compact JSON."""
    return count_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def count_prompt(body: Mapping[str, Any]) -> Tokens:
    """Count everything a request has the model read: contents, system instruction and tool declarations."""
    tokens = count_content(field(body, "contents"))
    tokens += count_content(field(body, "systemInstruction"))
    for tool in field(body, "tools") or ():
        declarations = field(tool, "functionDeclarations")
        if declarations:
            tokens["TEXT"] += count_json(declarations)
    return tokens


def count_content(contents: object) -> Tokens:
    """Count a content, a list of them, or a bare text."""
    tokens: Tokens = Counter()
    for part in parts_of(contents):
        modality, count = _count_part(part)
        if count:
            tokens[modality] += count
    return tokens


def parts_of(contents: object) -> Iterator[Mapping[str, Any]]:
    """Walk through all parts of a content or of a list of contents."""
    match contents:
        case str():
            yield {"text": contents}
        case list():
            for content in contents:
                yield from parts_of(content)
        case {"parts": parts}:
            yield from parts_of(parts)
        case dict():
            yield contents


def text_of(contents: object) -> str:
    """Give all text of the contents, joined."""
    return "".join(text for part in parts_of(contents) if isinstance(text := part.get("text"), str))


def field(body: Mapping[str, Any], name: str) -> Any:
    """Give a field by its camelCase name or, as Google also accepts, by its snake_case one."""
    value = body.get(name)
    return body.get(_snake(name)) if value is None else value


def _count_part(part: Mapping[str, Any]) -> tuple[str, int]:
    text = part.get("text")
    if isinstance(text, str):
        return "TEXT", count_text(text)
    media = field(part, "inlineData") or field(part, "fileData")
    if media:
        modality = modality_of(str(field(media, "mimeType") or ""))
        data = str(field(media, "data") or "")
        return modality, MEDIA_TOKENS.get(modality) or count_text(data)
    return "TEXT", count_json(part) if part else 0


def modality_of(mime_type: str) -> str:
    """Give the modality that a MIME type is counted as."""
    kind = mime_type.split("/", 1)[0].upper()
    if kind in MEDIA_TOKENS:
        return kind
    return "DOCUMENT" if mime_type == "application/pdf" else "TEXT"


@cache
def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda letter: "_" + letter[1].lower(), name)
