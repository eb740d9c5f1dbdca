"""Uploads of files: begun with a key, gone on with by the token that the gateway put into the provider's own address.

Google's Python client sends no key with the bytes, so the token is all that says whose file it is. The provider's
address never reaches the client, and only an address of the provider's own origin is ever written to.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from urllib.parse import quote, urlsplit

from jangbu.errors import InvalidInput, NotFound, TooLarge, Unauthenticated, UpstreamUnreachable
from jangbu.gateway.batch_files import PassingFile
from jangbu.gateway.bodies import ClientGone, Receive
from jangbu.gateway.client import Client
from jangbu.gateway.exchange import Exchange, Limits, Parts
from jangbu.gateway.file_names import chosen_names, require_free
from jangbu.gateway.headers import forwarded_with_upload, returned
from jangbu.gateway.keeping import require_room, reserve, room_for
from jangbu.gateway.limits import AdmittedClient
from jangbu.gateway.multipart import file_part
from jangbu.gateway.owning import require_admitted, require_something_left
from jangbu.gateway.upload_files import claim_made_file, claim_once, file_made
from jangbu.gateway.upstream import REDIRECT, Outgoing, UpstreamAnswer, UpstreamFailure
from jangbu.gateway.upstream_answer import KeyRefused
from jangbu.metering.admission import require_unblocked
from jangbu.metering.resources import Owned

__all__ = ["begin_upload", "continue_upload"]

UPLOAD_SECONDS = 48 * 3600
ANSWER_BYTES_MAX = 1_000_000
_ADDRESS = b"x-goog-upload-url"
_LENGTH = b"content-length"
_COMMAND = b"x-goog-upload-command"
_OFFSET = b"x-goog-upload-offset"
_ANNOUNCED = b"x-goog-upload-header-content-length"
_NAMES = "names"
"""Where it is written down with an upload which names it chose."""
_WITHOUT_BYTES = frozenset({b"query", b"cancel"})
_DIGITS_MOST = 15
_PORTS = {"http": 80, "https": 443}


async def begin_upload(exchange: Exchange) -> None:
    """Begin an upload, or make a small one in a single request (multipart).

    Raises InsufficientBalance for who has nothing left, and TooMuchKept for who keeps as much as one may.
    """
    await require_admitted(exchange)
    await require_something_left(exchange)
    body = await exchange.body()
    await require_room(exchange, max(len(body), _number(exchange.headers, _ANNOUNCED)))
    names = chosen_names(exchange.headers, exchange.query, body)
    await require_free(exchange.parts.ledger, names)
    answer = await exchange.send(body)
    content = await answer.read(ANSWER_BYTES_MAX)
    headers = exchange.answer_headers(answer)
    address = answer.header(_ADDRESS.decode())
    if answer.status < REDIRECT and address is not None:
        headers.append((_ADDRESS, await _own_address(exchange, address, names, len(body))))
    elif answer.status < REDIRECT:
        read = await _multipart_read(exchange, body)
        await claim_made_file(exchange, file_made(content, read, len(body)))
    await exchange.client.answer(answer.status, content, headers)


async def continue_upload(
    parts: Parts,
    token: str,
    method: str,
    raw_headers: tuple[tuple[bytes, bytes], ...],
    receive: Receive,
    client: AdmittedClient,
) -> None:
    """Pass the bytes of an upload on as they come. The request counts under the limits of the key with which the upload
    was begun, as any other does: whoever has the address may ask as often as they like.

    Raises NotFound for a token that stands for nothing, Unauthenticated where that key is in force no more,
    LimitReached, NotPermitted where the account is blocked, StillRunning where a batch began to read another file by
    the name that was chosen, and TooMuchKept where its user keeps as much as one may.
    """
    keys = parts.ledger.keys
    upload = await parts.ledger.resources.upload(token)
    if upload is None or upload.target is None:
        raise NotFound("there is no such upload")
    key = None if upload.key is None else await keys.active(upload.key)
    if key is None:
        raise Unauthenticated("the key with which this upload was begun is not accepted")
    async with keys.limits.admitted(key) if key.has_limits else nullcontext() as admission:
        client.admission = admission
        await _go_on(parts, upload, upload.target, method, raw_headers, receive, client)


async def _go_on(
    parts: Parts,
    upload: Owned,
    target: str,
    method: str,
    raw_headers: tuple[tuple[bytes, bytes], ...],
    receive: Receive,
    client: Client,
) -> None:
    await require_unblocked(parts.ledger, upload.user)
    given = dict(raw_headers)
    if not _has_no_bytes(given):
        digest = await parts.ledger.resources.digest(upload.account, upload.name)
        await require_free(parts.ledger, digest.get(_NAMES, ()))
    incoming = _Incoming(receive, parts.limits, await _reserved(parts, upload, given))
    file = await _whole_file(parts, upload, given)
    pieces = incoming.pieces() if file is None else file.read(incoming.pieces())
    headers = (*forwarded_with_upload(raw_headers), *((name, value) for name, value in raw_headers if name == _LENGTH))
    try:
        answer = await parts.upstream.send(Outgoing(method, target, headers, pieces))
    except KeyRefused:
        raise
    except UpstreamFailure:
        raise incoming.failure or UpstreamUnreachable(
            "the upload broke off", hint="ask how far it came, and go on"
        ) from None
    content = await answer.read(ANSWER_BYTES_MAX)
    await _follow(parts, upload, answer, content, file, _number(given, _OFFSET) + incoming.size)
    await client.answer(answer.status, content, returned(answer.headers))


async def _reserved(parts: Parts, upload: Owned, headers: Mapping[bytes, bytes]) -> int:
    """Take room for the bytes that an upload is gone on with; give how many there may be.

    Where nobody says how many there will be, there may be as many as there is room for.
    """
    if _has_no_bytes(headers):
        return 0
    most, offset = parts.limits.upload_bytes, _number(headers, _OFFSET)
    length = _number(headers, _LENGTH) if _LENGTH in headers else None
    if length is None:
        length = min(most, max(await room_for(parts, upload) - offset, 1))
    if length > most:
        raise _too_large(most)
    await reserve(parts, upload, offset + length)
    return length


class _Incoming:
    """The bytes of an upload, as they come; one whose client leaves or dawdles ends in the middle."""

    def __init__(self, receive: Receive, limits: Limits, most: int) -> None:
        self._receive = receive
        self._limits = limits
        self._most = most
        self.size = 0
        """How many bytes came so far."""
        self.failure: Exception | None = None
        """Why there were no more: whoever sends them on sees only that they ended."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the bytes."""
        goes_on = True
        while goes_on:
            piece, goes_on = await self._next()
            self.size += len(piece)
            if self.size > self._most:
                raise self._failed(_too_large(self._most))
            if piece:
                yield piece

    async def _next(self) -> tuple[bytes, bool]:
        seconds = self._limits.client_seconds
        try:
            async with asyncio.timeout(seconds):
                message = await self._receive()
        except TimeoutError:
            raise self._failed(InvalidInput(f"the upload stopped for {seconds} s")) from None
        if message["type"] == "http.disconnect":
            raise self._failed(ClientGone())
        return message.get("body", b""), message.get("more_body", False)

    def _failed(self, failure: Exception) -> Exception:
        self.failure = failure
        return failure


async def _own_address(exchange: Exchange, address: str, names: tuple[str, ...], size: int) -> bytes:
    """Give the gateway's own address in the place of the provider's. ``size`` is the bytes of the beginning."""
    if _origin(address) != _origin(exchange.parts.upstream.origin):
        raise UpstreamUnreachable("the provider named another host for the upload")
    resources = exchange.parts.ledger.resources
    has_bytes = _command(exchange.headers) != (b"start",)
    token = await resources.open_upload(
        exchange.account, address, UPLOAD_SECONDS, key=exchange.payer.key.id, digest={_NAMES: names} if names else None
    )
    if has_bytes and (upload := await resources.upload(token)) is not None:
        # Bytes that came with the beginning were not read.
        await resources.resize(upload.account, upload.name, size)
        await resources.first_bytes(upload)
    return f"{exchange.origin()}/upload/{exchange.route.version}/files?upload_id={quote(token)}".encode()


def _origin(address: str) -> tuple[str, str | None, int | None, bool]:
    found = urlsplit(address)
    try:
        port = found.port or _PORTS.get(found.scheme)
    except ValueError:
        port = None
    return found.scheme, found.hostname, port, "@" in found.netloc


async def _whole_file(parts: Parts, upload: Owned, headers: Mapping[bytes, bytes]) -> PassingFile | None:
    """Give what reads the file, where all of it comes in this one request, and nothing of it came before.

    What came in an earlier request, also one that broke off, may be kept in the place of what this one says.
    """
    if _has_no_bytes(headers):
        return None
    is_first = await parts.ledger.resources.first_bytes(upload)
    is_whole = _command(headers) == (b"upload", b"finalize") and headers.get(_OFFSET) == b"0"
    return PassingFile() if is_first and is_whole else None


async def _multipart_read(exchange: Exchange, body: bytes) -> PassingFile | None:
    """Read the file of a multipart request, where nothing asks the provider to take the request as something else."""
    headers = exchange.headers
    if headers.get(b"x-goog-upload-protocol") != b"multipart" or _COMMAND in headers or "upload" in exchange.query:
        return None
    data = file_part(headers.get(b"content-type", b""), body)
    if data is None:
        return None
    file = PassingFile()
    await file.read_whole(data)
    return file


def _has_no_bytes(headers: Mapping[bytes, bytes]) -> bool:
    command = _command(headers)
    return len(command) == 1 and command[0] in _WITHOUT_BYTES


def _command(headers: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    return tuple(word.strip() for word in headers.get(_COMMAND, b"").lower().split(b","))


async def _follow(
    parts: Parts, upload: Owned, answer: UpstreamAnswer, content: bytes, passed: PassingFile | None, size: int
) -> None:
    """Write down whose a new file is, or how far the upload came: ``size`` bytes. The token of an upload that is done
    still tells how it ended, until its time is up: the answer may not have reached the client.
    """
    resources = parts.ledger.resources
    status = (answer.header("x-goog-upload-status") or "final").lower()
    if status == "cancelled":
        await resources.forget(upload.account, upload.name)
    elif answer.status >= REDIRECT:
        await resources.resize(upload.account, upload.name, upload.size)
    elif status == "final":
        await claim_once(parts.ledger, upload, file_made(content, passed, size))
    elif size:
        await resources.resize(upload.account, upload.name, max(size, upload.size or 0))


def _number(headers: Mapping[bytes, bytes], name: bytes) -> int:
    """Read a header that counts bytes; 0 where it says nothing that could be read."""
    value = headers.get(name, b"").strip()
    return int(value) if value.isdigit() and len(value) <= _DIGITS_MOST else 0


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the upload is larger than {most:,} bytes")
