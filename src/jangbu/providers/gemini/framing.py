"""Bytes into JSON objects, as they arrive: server-sent events, a JSON array, one JSON object, or one after another.

Chunks may be cut anywhere. At most one event is kept, and of a long base64 string only its beginning: a 2 MB image
passes through in a few kilobytes.
"""

import re
from collections.abc import Iterator
from typing import Any

from jangbu.providers.gemini.json_values import BLANK, JsonValues, load
from jangbu.providers.gemini.server_sent_events import ServerSentEvents

_RUN_KEPT = 4096
_TOKEN_BEGINS = re.compile(rb'ontinuation_?[tT]oken"\s*:\s*"\Z')
_TOKEN_NAME_LONGEST = 40
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-="
_EVENT_STREAM_START = (b"data", b"event", b"id", b"retry", b":")
_EVENT_STREAM_FIELD_LONGEST = max(map(len, _EVENT_STREAM_START))


class Frames:
    """Finds out how the bytes are framed and gives the JSON objects in them."""

    def __init__(self) -> None:
        self._head = b""
        self._strings = LongStrings()
        self._events: ServerSentEvents | None = None
        self._values: JsonValues | None = None
        self.malformed = False

    @property
    def is_stream(self) -> bool:
        """Whether the framing is that of a stream: server-sent events or an array."""
        return self._events is not None or (self._values is not None and self._values.is_array)

    @property
    def is_events(self) -> bool:
        """Whether the bytes are server-sent events."""
        return self._events is not None

    @property
    def is_open_array(self) -> bool:
        """Whether the bytes are an array that was sound as far as it went, and was not closed."""
        values = self._values
        return values is not None and values.is_array and values.is_open and not values.malformed and not self.malformed

    @property
    def done(self) -> bool:
        """Whether the stream said ``[DONE]``."""
        return self._events is not None and self._events.done

    @property
    def broke_off(self) -> bool:
        """Whether the bytes end inside an object or an array, or hold what could not be read."""
        values, events = self._values, self._events
        return (
            self.malformed
            or (values is not None and (values.is_open or values.malformed or values.oversized))
            or (events is not None and events.oversized)
        )

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Give each JSON object that the chunk completes."""
        if self._events is None and self._values is None:
            chunk = self._begin(chunk)
        if self._values is not None and self._values.is_untouched and (whole := self._whole(chunk)) is not None:
            return iter((whole,))
        if self._events is not None and (data := self._events.lone(chunk)) is not None:
            # No string in it reaches over its edges, so there is nothing to cut.
            return self._loaded(data)
        return self._feed(self._strings.cut(chunk))

    def finish(self) -> Iterator[Any]:
        """Give what the end of the bytes completes."""
        if self._head:
            self.malformed = True
        if self._events is not None:
            for data in self._events.finish():
                yield from self._loaded(data)
        if self._values is not None:
            self._values.finish()

    def _begin(self, chunk: bytes) -> bytes:
        """Look at the first bytes; keep them until they tell how the rest is framed."""
        head = (self._head + chunk).removeprefix(b"\xef\xbb\xbf").lstrip(BLANK)
        self._head = b""
        if self.malformed or not head:
            return b""
        if head[:1] in (b"{", b"["):
            self._values = JsonValues()
        elif head.startswith(_EVENT_STREAM_START):
            self._events = ServerSentEvents()
        elif len(head) < _EVENT_STREAM_FIELD_LONGEST:
            self._head = head
            return b""
        else:
            self.malformed = True
            return b""
        return head

    def _feed(self, chunk: bytes) -> Iterator[Any]:
        if self._events is not None:
            for data in self._events.feed(chunk):
                yield from self._loaded(data)
        elif self._values is not None:
            for value in self._values.feed(chunk):
                yield from self._loaded(value)

    def _whole(self, chunk: bytes) -> Any:
        """Give the object that a chunk is, if it is just one: most answers come so, and need no looking for its end."""
        if not (chunk.startswith(b"{") and chunk.rstrip(BLANK).endswith(b"}")):
            return None
        try:
            return load(chunk)
        except ValueError:
            return None

    def _loaded(self, data: bytes) -> Iterator[Any]:
        try:
            yield load(data)
        except ValueError:
            self.malformed = True


class LongStrings:
    """Cuts what follows the first 4,096 characters of a base64 run, across chunks.

    Such a run can only stand inside a string, so what is left is still JSON. Only runs that reach over the edge of a
    chunk are cut, for only they pile up. A token with which an answer is gone on with is known by all of it, and stays.
    """

    def __init__(self) -> None:
        self._run = 0
        self._recent = b""
        self._is_token = False

    def cut(self, chunk: bytes) -> bytes:
        """Give the chunk without what is beyond the run."""
        if not chunk.translate(None, _BASE64):
            kept = self._kept(len(chunk))
            self._run += len(chunk)
            self._remember(chunk)
            return chunk[:kept]
        rest = chunk.lstrip(_BASE64)
        leading = len(chunk) - len(rest)
        kept = self._kept(leading)
        trailing = len(rest) - len(rest.rstrip(_BASE64))
        self._begin_run(chunk, trailing)
        if trailing > (most := self._kept(trailing)):
            rest = rest[: len(rest) - trailing + most]
        self._run = trailing
        return chunk[:kept] + rest if leading else rest

    def _begin_run(self, chunk: bytes, length: int) -> None:
        """Begin the run that the chunk ends with, and see what it is by what stands before it."""
        start = len(chunk) - length
        before = self._recent + chunk[max(start - _TOKEN_NAME_LONGEST, 0) : start]
        self._is_token = _TOKEN_BEGINS.search(before) is not None
        self._run = 0
        self._remember(chunk)

    def _remember(self, chunk: bytes) -> None:
        """Keep what may be the name of the field that a run stands in."""
        self._recent = (self._recent + chunk[-_TOKEN_NAME_LONGEST:])[-_TOKEN_NAME_LONGEST:]

    def _kept(self, length: int) -> int:
        """Give how many more characters of the run are kept, out of so many."""
        return length if self._is_token else max(min(length, _RUN_KEPT - self._run), 0)
