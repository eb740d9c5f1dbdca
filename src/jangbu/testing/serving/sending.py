"""Sending one reply: its delays, where it breaks off, and the log's line before its last byte."""

import asyncio
from dataclasses import dataclass, replace

from jangbu.testing.answering import Answering
from jangbu.testing.serving.wire import LAST_CHUNK, compressed, frame_chunk, reply_head
from jangbu.testing.surfaces.exchange import Chunk, Exchange, Reply

__all__ = ["Sending"]


@dataclass(frozen=True, slots=True)
class Sending:
    """How replies go out on one connection. ``chunk_delay`` is in seconds."""

    answering: Answering
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    gzip: bool
    chunk_delay: float

    async def send(self, exchange: Exchange, reply: Reply) -> bool:
        """Send a reply and tell whether the connection can take another request."""
        if exchange.behaviour.delay:
            await asyncio.sleep(exchange.behaviour.delay)
        if self.gzip and "gzip" in exchange.request.headers.get("accept-encoding", ""):
            reply = compressed(reply)
        if exchange.request.version == "HTTP/1.0":
            reply = _joined(reply)
        close = _wants_close(exchange)
        head = reply_head(reply, close=close)
        going_on = await (self._stream if reply.streamed else self._send_whole)(exchange, reply, head)
        return going_on and not close

    async def _send_whole(self, exchange: Exchange, reply: Reply, head: bytes) -> bool:
        chunk = _joined(reply).chunks[0]
        if exchange.behaviour.cut is not None:
            self.answering.answer(exchange, reply, reported=None, complete=False)
            return await self._break_off(head + chunk.data[: len(chunk.data) // 2])
        answer = self.answering.answer(exchange, reply, reported=chunk.usage, complete=not self._client_gone())
        if not await self._write(head + chunk.data):
            if answer.completely_sent:
                self.answering.log.amend_as_cut(answer)
            return False
        return True

    async def _stream(self, exchange: Exchange, reply: Reply, head: bytes) -> bool:
        """Send chunk after chunk; the line is written before the last of them, or as soon as the client has left."""
        delay = exchange.behaviour.chunk_delay
        delay = self.chunk_delay if delay is None else delay
        sent: Chunk | None = None
        self.writer.write(head)
        for index, chunk in enumerate(reply.chunks):
            if index and delay:
                await asyncio.sleep(delay)
            if index == exchange.behaviour.cut or self._client_gone():
                self.answering.answer(exchange, reply, reported=sent.usage if sent else None, complete=False)
                return await self._break_off(frame_chunk(chunk.data)[: -len(chunk.data) // 2])
            if index == len(reply.chunks) - 1:
                return await self._end_stream(exchange, reply, frame_chunk(chunk.data))
            await self._write(frame_chunk(chunk.data))
            sent = chunk
        return await self._end_stream(exchange, reply, b"")

    async def _end_stream(self, exchange: Exchange, reply: Reply, data: bytes) -> bool:
        cut = exchange.behaviour.cut is not None
        reported = reply.chunks[-1].usage if reply.chunks else None
        answer = self.answering.answer(exchange, reply, reported=reported, complete=not cut)
        if cut:
            return await self._break_off(data)
        if not await self._write(data + LAST_CHUNK):
            self.answering.log.amend_as_cut(answer)
            return False
        return True

    async def _write(self, data: bytes) -> bool:
        """Hand bytes over, and tell whether somebody was still there to take them."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return False
        return not self.writer.is_closing()

    async def _break_off(self, data: bytes) -> bool:
        """Hand over the first bytes of more, see them out, and drop the connection."""
        await self._write(data)
        self.writer.close()
        return False

    def _client_gone(self) -> bool:
        return self.writer.is_closing() or self.reader.at_eof()


def _joined(reply: Reply) -> Reply:
    """Give the reply in one piece, of known length."""
    if len(reply.chunks) == 1:
        return replace(reply, streamed=False) if reply.streamed else reply
    data = b"".join(chunk.data for chunk in reply.chunks)
    usage = reply.chunks[-1].usage if reply.chunks else None
    return replace(reply, chunks=(Chunk(data, usage),), streamed=False)


def _wants_close(exchange: Exchange) -> bool:
    connection = exchange.request.headers.get("connection", "").lower()
    if exchange.request.version == "HTTP/1.0":
        return connection != "keep-alive"
    return "close" in connection
