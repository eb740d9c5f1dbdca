"""Batches whose requests stand in a file: its lines are read as the file is uploaded, and judged when a batch names it.

Whose the things are that the lines name is asked then, because it may have changed since the upload.
"""

import asyncio
from collections.abc import AsyncIterator

from jangbu.domain.flow import Bounds
from jangbu.errors import InvalidInput, NotFound, UncountedInput
from jangbu.gateway.bodies import json_object
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.owning import require_admitted
from jangbu.providers.gemini.batch_lines import BatchLines, BatchLinesReader

__all__ = ["PassingFile", "file_bounds"]

_PIECE_BYTES = 65_536
_NAME_SHOWN_MOST = 100


class PassingFile:
    """A file that passes whole, and is read on its way. ``lines`` is None until its end, and for what is no batch."""

    def __init__(self) -> None:
        self._reader = BatchLinesReader(json_object)
        self.lines: BatchLines | None = None

    async def read(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Give the pieces as they come."""
        async for piece in pieces:
            self._reader.feed(piece)
            yield piece
        self.lines = self._reader.finish()

    async def read_whole(self, data: memoryview) -> None:
        """Read a file that is here already, in pieces between which others are served."""
        for begin in range(0, len(data), _PIECE_BYTES):
            self._reader.feed(bytes(data[begin : begin + _PIECE_BYTES]))
            await asyncio.sleep(0)
        self.lines = self._reader.finish()


async def file_bounds(exchange: Exchange, file: str, *, writes: bool) -> Bounds:
    """Bound a batch by the lines of its file, whose output cannot be limited any more.

    Raises NotFound or NotPermitted for what a line may not name, and InvalidInput for a file whose lines were not read.
    """
    await require_admitted(exchange)
    resources = exchange.parts.ledger.resources
    digest = await resources.digest(exchange.account, file)
    if not digest:
        raise InvalidInput(
            f"the lines of {file[:_NAME_SHOWN_MOST]} are not known, so no batch can be made of it",
            hint="upload the file through the gateway in one request, each line {key, request}, or send them inline",
        )
    lines = BatchLines.loaded(digest)
    for named in lines.app_resources:
        exchange.parts.allowed.require(exchange.payer.user, named)
    model = exchange.route.model or ""
    for other in lines.models:
        if other.removeprefix("models/") != model:
            raise InvalidInput(f"a line of the batch names {other[:_NAME_SHOWN_MOST]}, the path names {model}")
    foreign = await resources.owns_all(exchange.account, lines.references)
    if foreign:
        raise NotFound(f"{foreign[0][:_NAME_SHOWN_MOST]} was not found")
    bounds = lines.bounds(model, writes=writes)
    if bounds.input_most is None:
        raise UncountedInput(
            f"nothing tells how many tokens the input of {lines.unbounded:,} lines has",
            hint="send what the lines name along, inline",
        )
    return bounds
