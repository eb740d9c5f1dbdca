"""HTTP/1.1 on an asyncio stream, as much of it as Gemini's clients speak.

It is written out here because a fake has to do what HTTP libraries refuse to: break off in the middle of a body.
"""

import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from jangbu.testing.surfaces.exchange import Chunk, Reply, Request

__all__ = ["HEAD_MOST", "MalformedRequest", "compressed", "frame_chunk", "read_request", "reply_head"]

HEAD_MOST = 256 * 1024
"""The longest request head, in bytes."""
LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class MalformedRequest(Exception):
    """The bytes are no HTTP request that the fake reads."""


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """Read the next request of a connection, None where the client has ended it. Raises MalformedRequest."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as failure:
        raise MalformedRequest("the head is too long") from failure
    request = _parse_head(head)
    if request.headers.get("expect", "").lower() == "100-continue":
        writer.write(CONTINUE)
    body = await _read_body(reader, request)
    return replace(request, body=body) if body else request


def reply_head(reply: Reply, *, close: bool) -> bytes:
    """Give the head of a reply: with the length of the body, or chunked where it is streamed."""
    lines = [f"HTTP/1.1 {reply.status} {_reason(reply.status)}", f"content-type: {reply.content_type}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if reply.streamed:
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {sum(len(chunk.data) for chunk in reply.chunks)}")
    if close:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def frame_chunk(data: bytes) -> bytes:
    """Frame one piece of a streamed body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def compressed(reply: Reply) -> Reply:
    """Give the same reply with its body in gzip; each chunk can be read as soon as it has come."""
    headers = {**reply.headers, "content-encoding": "gzip"}
    return replace(reply, chunks=tuple(_compress(reply.chunks)), headers=headers)


def _compress(chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    compressor = zlib.compressobj(wbits=31)
    for index, chunk in enumerate(chunks):
        last = index == len(chunks) - 1
        data = compressor.compress(chunk.data) + compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        yield Chunk(data, chunk.usage)


def _parse_head(head: bytes) -> Request:
    lines = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError as failure:
        raise MalformedRequest("the request line has not three words") from failure
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise MalformedRequest("a header has no colon")
        headers[name.strip().lower()] = value.strip()
    path, _, query = target.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
    return Request(method, target, unquote(path), parameters, headers, b"", head, version)


async def _read_body(reader: asyncio.StreamReader, request: Request) -> bytes:
    if "chunked" in request.headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise MalformedRequest("the content-length is no number")
    return await reader.readexactly(int(length)) if length != "0" else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        try:
            size = int(line.split(b";", 1)[0], 16)
        except ValueError as failure:
            raise MalformedRequest("a chunk has no size") from failure
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return bytes(body)
        body += await reader.readexactly(size)
        await reader.readexactly(2)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
