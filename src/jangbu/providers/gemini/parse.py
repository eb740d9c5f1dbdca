"""A whole answer at once: bytes, or an object that a client library made of them."""

from collections.abc import Mapping
from typing import Any

from jangbu.domain.usage import Platform, Source, Surface, Usage
from jangbu.errors import InvalidAnswer
from jangbu.providers.gemini.meter import StreamMeter
from jangbu.providers.gemini.objects import answers_in, library_text

_TIER_HEADER = "x-gemini-service-tier"
_BEGINNING = 16
"""In so many bytes every text in UTF-16 or UTF-32 that an answer may be has one that is zero, and none in UTF-8."""


def parse(
    body: bytes,
    *,
    surface: Surface | None = None,
    platform: Platform | None = None,
    model: str | None = None,
    headers: Mapping[str, str] | None = None,
    complete: bool = True,
) -> Usage:
    """Read the usage of a whole body: JSON, server-sent events, a JSON array or JSON lines.

    ``surface`` is found out by the body's shape where None. ``model`` is what was asked for, used where the answer
    names none. Of ``headers``, content-encoding and x-gemini-service-tier are read. ``complete`` is the transport's
    word that the body did not break off. Raises InvalidAnswer, and nothing else, for bytes that are no answer.
    """
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    meter = StreamMeter(
        surface,
        platform=platform,
        model=model,
        content_encoding=lowered.get("content-encoding"),
        service_tier=lowered.get(_TIER_HEADER),
    )
    meter.feed(body)
    usage = meter.finish(complete)
    if usage.source is Source.NONE and (written := library_text(body)) is not None:
        tier = lowered.get(_TIER_HEADER)
        return parse_object(
            written, surface=surface, platform=platform, model=model, service_tier=tier, complete=complete
        )
    if meter.is_unreadable:
        raise _unreadable(body)
    return usage


def parse_object(
    answer: object,
    *,
    surface: Surface | None = None,
    platform: Platform | None = None,
    model: str | None = None,
    service_tier: str | None = None,
    complete: bool = True,
) -> Usage:
    """Read the usage of an answer in any form that a client holds it in.

    Bytes or text as sent; a dict; a response object of google-genai, google-generativeai, vertexai or openai; or a
    list of chunks or of Live messages. ``service_tier`` is what its header x-gemini-service-tier said, where the caller
    has that apart from it. Raises InvalidAnswer for anything else.
    """
    given = {} if service_tier is None else {_TIER_HEADER: service_tier}
    if isinstance(answer, str):
        answer = answer.encode("utf-8", "replace")
    if isinstance(answer, bytes | bytearray | memoryview):
        return parse(bytes(answer), surface=surface, platform=platform, model=model, headers=given, complete=complete)
    found = answers_in(answer)
    if found.body is not None:
        return parse(
            found.body,
            surface=surface,
            platform=platform,
            model=model,
            headers={**given, **found.headers},
            complete=complete,
        )
    if surface in (None, Surface.GENERATE_CONTENT) and found.is_stream and _are_chunks(found.objects):
        surface = Surface.STREAM_GENERATE_CONTENT
    meter = StreamMeter(
        surface, platform=platform, model=model, service_tier=found.headers.get(_TIER_HEADER, service_tier)
    )
    for each in found.objects:
        meter.feed_object(each)
    usage = meter.finish(complete)
    if meter.is_unreadable:
        raise InvalidAnswer(
            f"a {type(answer).__name__} with these fields is no answer of a provider",
            hint="give the response object that the client returned",
        )
    return usage


def _are_chunks(objects: tuple[Mapping[str, Any], ...]) -> bool:
    return any("candidates" in each for each in objects)


def _unreadable(body: bytes) -> InvalidAnswer:
    hint = "give a body as the provider sent it, whole"
    if not body.strip():
        return InvalidAnswer("the answer is empty", hint=hint)
    if b"\0" in body[:_BEGINNING]:
        return InvalidAnswer(
            "the answer is no UTF-8, perhaps UTF-16, which Windows PowerShell writes by >",
            hint="give it in UTF-8, as the provider sent it: `curl -o FILE` keeps it so",
        )
    if body[:1] in b"{[":
        return InvalidAnswer("the answer is no JSON that a Gemini surface writes, or breaks off", hint=hint)
    return InvalidAnswer("the answer is neither JSON nor server-sent events", hint=hint)
