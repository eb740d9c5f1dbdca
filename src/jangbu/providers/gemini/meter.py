"""One answer, metered while its bytes pass by."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jangbu.domain.usage import Anomaly, Platform, Surface, Usage
from jangbu.providers.gemini.compression import decoder
from jangbu.providers.gemini.framing import Frames
from jangbu.providers.gemini.generate_content import GenerateContentReader
from jangbu.providers.gemini.interactions import InteractionsReader
from jangbu.providers.gemini.openai import OpenAIReader
from jangbu.providers.gemini.reader import Context, Ending, Reader
from jangbu.providers.gemini.surfaces import reader_for, shows_a_surface, surface_of

_WITH_ENDS = GenerateContentReader | OpenAIReader
"""The readers of surfaces whose streams say of each answer that it is finished."""
_STOPS_SHORT = GenerateContentReader | InteractionsReader
"""What reads answers that may stop before their end, and then bear a token to go on with."""


class StreamMeter:
    """Reads the usage of one answer from its bytes, however they are cut, and never raises for any of them.

    Memory is bounded by one event (``EVENT_BYTES_MOST``, 64 MiB), of which long base64 strings are not kept. An event
    beyond the bound is passed over, and the answer then counts as broken off.
    """

    def __init__(
        self,
        surface: Surface | None = None,
        *,
        platform: Platform | None = None,
        model: str | None = None,
        content_encoding: str | None = None,
        service_tier: str | None = None,
    ) -> None:
        """Begin an answer.

        ``surface`` is found out by the answer's shape where None. ``model`` is what the caller asked for, for answers
        that do not name theirs. ``service_tier`` is the header ``x-gemini-service-tier``.
        """
        self._surface = surface
        self._context = Context(platform, model, service_tier)
        self._decoder = decoder(content_encoding)
        self._frames = Frames()
        self._reader: Reader | None = None
        self._recognised = False
        self._strange = 0
        self._seen = 0
        self._is_empty = True
        self.error_seen = False
        """Whether the answer said of itself that it is an error: a stream may turn into one after a status of 200."""
        self.broke_off = False
        """Whether the answer ended before it was whole, by the transport's word or by its structure; told at its end.

        A stream that is cut between two events ends as one that is whole does: only its content, which no finishReason
        closed, tells them apart. What it used may be reported in what is missing.
        """

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        return self._reader is not None and self._reader.usage_seen

    @property
    def status(self) -> str | None:
        """How the interaction stands, by what the answer said last; None where it said nothing of that."""
        return self._reader.status if isinstance(self._reader, InteractionsReader) else None

    @property
    def continuations(self) -> tuple[str, ...]:
        """The tokens that the answer showed, with which its decode can be gone on with."""
        return self._reader.continuations if isinstance(self._reader, _STOPS_SHORT) else ()

    @property
    def is_unreadable(self) -> bool:
        """Whether there was nothing in the answer that any surface writes."""
        if self._seen:
            return self._strange > 0 and not self._recognised
        return not self._frames.is_events and not self._frames.is_open_array

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes as they came over the wire."""
        for piece in self._decoder.feed(chunk):
            for event in self._frames.feed(piece):
                self.feed_object(event)

    def feed_object(self, event: object) -> None:
        """Take the next object of an answer that is parsed already."""
        if isinstance(event, list):
            # The OpenAI-compatible surface writes its errors as lists of one, also within a stream.
            for each in event:
                self.feed_object(each)
            return
        if not isinstance(event, (dict, Mapping)):
            self._strange += 1
            return
        self._seen += 1
        self._is_empty = self._is_empty and not event
        self.error_seen = self.error_seen or event.get("error") is not None or event.get("event_type") == "error"
        if self._reader is None or not self._recognised:
            self._recognise(event)
        if self._reader is not None:
            self._reader.read(event)

    def finish(self, complete: bool = True) -> Usage:
        """Say what the answer used. ``complete`` is the transport's word that it did not break off.

        An answer whose structure shows that it broke off is partial all the same.
        """
        for event in self._frames.finish():
            self.feed_object(event)
        if self._reader is None:
            self._begin(None)
        assert self._reader is not None, "a reader was just made"
        whole = complete and not self._frames.broke_off and not self._decoder.broken and self._decoder.ended
        ending = Ending(whole=whole, done=self._frames.done)
        usage = self._reader.finish(ending)
        self.broke_off = not whole or (isinstance(self._reader, _WITH_ENDS) and self._reader.is_open(ending))
        if self._is_empty:
            usage = replace(usage, is_empty=True)
        if self.is_unreadable and not usage.anomalies:
            return replace(usage, anomalies=(Anomaly.USAGE_MISSING,))
        return usage

    def _recognise(self, event: Mapping[str, Any]) -> None:
        """See whether an object is one that a surface writes, and begin to read as soon as one is."""
        named = self._surface
        shape = surface_of(event) if named is None else named if shows_a_surface(event) else None
        is_error = event.get("error") is not None
        if shape is not None or is_error or not event:
            self._recognised = True
        else:
            self._strange += 1
        if self._reader is None and (shape is not None or named is not None or is_error):
            self._begin(shape)

    def _begin(self, shape: Surface | None) -> None:
        """Choose the reader: the caller's word first, then the shape; chunks of generateContent are a stream."""
        surface = self._surface or shape or Surface.GENERATE_CONTENT
        if surface is Surface.GENERATE_CONTENT and self._frames.is_stream:
            surface = Surface.STREAM_GENERATE_CONTENT
        self._reader = reader_for(surface, self._context)
