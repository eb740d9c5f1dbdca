"""Compressed answers, decoded as they arrive and in small steps, so that no chunk unfolds into much memory."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import brotli
import zstandard

_STEP_BYTES = 256 * 1024
# A zstd block of 4 bytes may unfold to 128 KiB and its decoder has no output limit: small inputs bound it instead.
_ZSTD_INPUT_BYTES = 256
_ZSTD_WINDOW_MOST = 2**27
_ZLIB_HEADER_BYTES = 2


class Decoder(Protocol):
    """Undoes one content encoding."""

    @property
    def broken(self) -> bool:
        """Whether the bytes were not of the encoding."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the compressed stream came to its end."""
        ...

    def feed(self, chunk: bytes, /) -> Iterable[bytes]:
        """Give the decoded bytes, piece by piece; never raises."""
        ...


def decoder(content_encoding: str | None) -> Decoder:
    """Make the decoder for a Content-Encoding header; several encodings are undone from the last to the first."""
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    stages = [_stage(name) for name in reversed(names) if name not in ("", "identity")]
    if not stages:
        return _Plain()
    return stages[0] if len(stages) == 1 else _Chain(stages)


class _Plain:
    """Nothing to undo, as in nearly every answer."""

    broken = False
    ended = True

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        return (chunk,)


class _Chain:
    def __init__(self, stages: list[Decoder]) -> None:
        self._stages = stages

    @property
    def broken(self) -> bool:
        return any(stage.broken for stage in self._stages)

    @property
    def ended(self) -> bool:
        return all(stage.ended for stage in self._stages)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield from self._through(0, chunk)

    def _through(self, index: int, chunk: bytes) -> Iterator[bytes]:
        if index == len(self._stages):
            yield chunk
            return
        for piece in self._stages[index].feed(chunk):
            yield from self._through(index + 1, piece)


class _Zlib:
    """gzip of one member or several, and deflate."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._object = zlib.decompressobj(window_bits)
        self.broken = False

    @property
    def ended(self) -> bool:
        return self._object.eof

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk and not self.broken:
            if self._object.eof:
                self._object = zlib.decompressobj(self._window_bits)
            try:
                piece = self._object.decompress(chunk, _STEP_BYTES)
            except zlib.error:
                self.broken = True
                return
            chunk = self._object.unused_data if self._object.eof else self._object.unconsumed_tail
            if piece:
                yield piece


class _Deflate:
    """deflate as the standard asks, or without its header, as some servers send it; the first two bytes tell."""

    def __init__(self) -> None:
        self._head = b""
        self._inner: _Zlib | None = None

    @property
    def broken(self) -> bool:
        return self._inner is not None and self._inner.broken

    @property
    def ended(self) -> bool:
        return self._inner is not None and self._inner.ended

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if self._inner is None:
            chunk = self._head = self._head + chunk
            if len(chunk) < _ZLIB_HEADER_BYTES:
                return
            has_header = chunk[0] & 15 == zlib.DEFLATED and int.from_bytes(chunk[:_ZLIB_HEADER_BYTES]) % 31 == 0
            self._inner = _Zlib(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        yield from self._inner.feed(chunk)


class _Brotli:
    def __init__(self) -> None:
        self._object = brotli.Decompressor()
        self.broken = False

    @property
    def ended(self) -> bool:
        return bool(self._object.is_finished())

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while not self.broken and not self._object.is_finished():
            try:
                piece = self._object.process(chunk, output_buffer_limit=_STEP_BYTES)
            except brotli.error:
                self.broken = True
                return
            chunk = b""
            if piece:
                yield piece
            if self._object.can_accept_more_data():
                return


class _Zstandard:
    def __init__(self) -> None:
        self._object = self._new()
        self._between = True
        self.broken = False

    @property
    def ended(self) -> bool:
        return self._between

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), _ZSTD_INPUT_BYTES):
            step = chunk[start : start + _ZSTD_INPUT_BYTES]
            while step and not self.broken:
                self._between = False
                try:
                    piece = self._object.decompress(step)
                except zstandard.ZstdError:
                    self.broken = True
                    return
                step = b""
                if self._object.eof:
                    step = self._object.unused_data
                    self._object = self._new()
                    self._between = True
                if piece:
                    yield piece

    @staticmethod
    def _new() -> "zstandard.ZstdDecompressionObj":
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MOST).decompressobj()


class _Unknown:
    """An encoding that nobody here can undo."""

    broken = True
    ended = True

    def feed(self, _chunk: bytes, /) -> Iterator[bytes]:
        yield from ()


def _stage(name: str) -> Decoder:
    match name:
        case "gzip" | "x-gzip":
            return _Zlib(zlib.MAX_WBITS | 16)
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstandard()
    return _Unknown()
