"""Uploads of files: begun with a key, gone on with by the token that the gateway put into the provider's own address.

Google's Python client sends no key with the bytes, so the token is all that says whose file it is. The provider's
address never reaches the client, and only an address of the provider's own origin is ever written to.
"""

import json
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

from jangbu.errors import NotFound, TooLarge, UpstreamUnreachable
from jangbu.gateway.bodies import ClientGone, Receive
from jangbu.gateway.client import Client
from jangbu.gateway.exchange import Exchange, Parts
from jangbu.gateway.headers import forwarded, returned
from jangbu.gateway.results import short_name
from jangbu.gateway.upstream import Outgoing, UpstreamAnswer
from jangbu.metering.resources import ResourceKind

__all__ = ["begin_upload", "continue_upload"]

UPLOAD_SECONDS = 48 * 3600
FILE_SECONDS = 48 * 3600
"""Google deletes a file after 48 hours (ai.google.dev/gemini-api/docs/files)."""
ANSWER_BYTES_MAX = 1_000_000
_ADDRESS = b"x-goog-upload-url"


async def begin_upload(exchange: Exchange) -> None:
    """Begin an upload, or make a small one in a single request (multipart)."""
    body = await exchange.body()
    answer = await exchange.send(body)
    content = await answer.read(ANSWER_BYTES_MAX)
    headers = exchange.answer_headers(answer)
    address = answer.header(_ADDRESS.decode())
    if answer.status < 400 and address is not None:
        headers.append((_ADDRESS, await _own_address(exchange, address)))
    elif answer.status < 400:
        await _claim(exchange.parts, exchange.payer.user, content)
    await exchange.client.answer(answer.status, content, headers)


async def continue_upload(
    parts: Parts,
    token: str,
    method: str,
    raw_headers: tuple[tuple[bytes, bytes], ...],
    receive: Receive,
    client: Client,
) -> None:
    """Pass the bytes of an upload on as they come. Raises NotFound for a token that stands for nothing."""
    upload = await parts.ledger.resources.upload(token)
    if upload is None or upload.target is None:
        raise NotFound("there is no such upload")
    body = _bytes_of(receive, parts.limits.upload_bytes)
    answer = await parts.upstream.send(Outgoing(method, upload.target, forwarded(raw_headers), body))
    content = await answer.read(ANSWER_BYTES_MAX)
    if answer.status < 400 and _is_final(answer):
        await _claim(parts, upload.user, content)
        await parts.ledger.resources.forget(upload.account, upload.name)
    await client.answer(answer.status, content, returned(answer.headers))


async def _own_address(exchange: Exchange, address: str) -> bytes:
    """Give the gateway's own address in the place of the provider's."""
    here, there = urlsplit(exchange.parts.upstream.origin), urlsplit(address)
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise UpstreamUnreachable("the provider named another host for the upload")
    token = await exchange.parts.ledger.resources.open_upload(exchange.account, address, UPLOAD_SECONDS)
    return f"{exchange.origin}/upload/{exchange.route.version}/files?upload_id={quote(token)}".encode()


async def _claim(parts: Parts, user: str, content: bytes) -> None:
    """Write down whose a new file is."""
    try:
        shown = json.loads(content)
    except ValueError:
        return
    file = shown.get("file", shown) if isinstance(shown, dict) else {}
    name = file.get("name") if isinstance(file, dict) else None
    if isinstance(name, str):
        account = parts.ledger.accounts.id_of(user)
        await parts.ledger.resources.claim(account, short_name(name), ResourceKind.FILE, seconds=FILE_SECONDS)


def _is_final(answer: UpstreamAnswer) -> bool:
    return (answer.header("x-goog-upload-status") or "final").lower() == "final"


async def _bytes_of(receive: Receive, most: int) -> AsyncIterator[bytes]:
    """Give the request's body as it comes. An upload whose client leaves ends in the middle."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise TooLarge(f"the upload is larger than {most:,} bytes")
        if piece:
            yield piece
        if not message.get("more_body", False):
            return
