"""The files of batches: the lines of one with requests are read as it is uploaded, and judged when a batch names it.

Whose the things are that the lines name is asked then, because it may have changed since the upload. Until the batch
has ended, its files stay what they were: a user may choose a name, and another content could bear it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from uuid import UUID

from jangbu.domain.flow import Bounds
from jangbu.errors import InvalidInput, NotFound, StillRunning, UncountedInput
from jangbu.gateway.bodies import json_object
from jangbu.gateway.exchange import Exchange
from jangbu.gateway.owning import require_admitted
from jangbu.gateway.results import Shows, is_gone, settle_by_asking
from jangbu.gateway.upstream import ERROR_BYTES_MAX, REDIRECT, UpstreamAnswer
from jangbu.metering.later import FILE_SECONDS
from jangbu.metering.resources import Owned, ResourceKind
from jangbu.providers.gemini.batch_lines import BatchLines, BatchLinesReader

__all__ = ["BatchFiles", "PassingFile", "deleted", "file_bounds", "files_among", "judged"]

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


@dataclass(frozen=True, slots=True)
class BatchFiles:
    """The files that a batch reads: all by their names, and the lines of the one in which its requests stand, as they
    were judged.
    """

    names: tuple[str, ...]
    source: str | None = None
    lines: BatchLines | None = None

    async def keep(self, exchange: Exchange, call: UUID) -> None:
        """Have the files stay what they were judged by until a call has ended, whose hold is taken.

        Raises NotFound, or InvalidInput, where one became another meanwhile.
        """
        found = await exchange.parts.ledger.resources.use(exchange.account, self.names, call)
        for name in self.names:
            if name not in found:
                raise NotFound(f"{name[:_NAME_SHOWN_MOST]} was not found")
        if self.source is not None and (not found[self.source] or BatchLines.loaded(found[self.source]) != self.lines):
            raise InvalidInput(f"{self.source[:_NAME_SHOWN_MOST]} became another file meanwhile", hint="try again")


async def judged(exchange: Exchange, file: str) -> BatchFiles:
    """Judge the lines of a batch's file.

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
    return BatchFiles((file, *files_among(lines.references)), file, lines)


def files_among(references: Iterable[str]) -> tuple[str, ...]:
    """Give those of the references that are files, whose names a user may choose."""
    return tuple(name for name in references if name.startswith("files/"))


def file_bounds(files: BatchFiles, model: str | None, *, writes: bool) -> Bounds:
    """Bound a batch by the lines of its file, whose output cannot be limited any more. Raises UncountedInput."""
    assert files.lines is not None, "the lines were judged"
    bounds = files.lines.bounds(model, writes=writes)
    if bounds.input_most is None:
        raise UncountedInput(
            f"nothing tells how many tokens the input of {files.lines.unbounded:,} lines has",
            hint="send what the lines name along, inline",
        )
    return bounds


async def deleted(exchange: Exchange, found: Owned) -> tuple[UpstreamAnswer, bytes]:
    """Have the provider delete a file; give its answer and what that says. Raises StillRunning for one that a batch
    reads.

    It is its owner's no more before that, so that no batch begins to read it meanwhile; where it stays, it is again.
    """
    resources = exchange.parts.ledger.resources
    for user in await resources.users(found.account, found.name):
        if user.holds and not await _has_ended(exchange, found.account, user.work):
            raise _is_read(found.name)
        await resources.unuse(found.account, user.call)
    if found.call is not None:
        # The result of a batch bears a name of the provider's own.
        answer = await exchange.send(None)
        return answer, await answer.read(ERROR_BYTES_MAX)
    digest = await resources.digest(found.account, found.name)
    if not await resources.forget(found.account, found.name):
        raise _is_read(found.name)
    stays = True
    try:
        answer = await exchange.send(None)
        content = await answer.read(ERROR_BYTES_MAX)
        stays = answer.status >= REDIRECT and not is_gone(found, answer.status, content)
    finally:
        if stays:
            await resources.claim(
                found.account, found.name, ResourceKind.FILE, seconds=FILE_SECONDS, digest=digest or None
            )
            await resources.resize(found.account, found.name, found.size)
    return answer, content


async def _has_ended(exchange: Exchange, account: UUID, work: str | None) -> bool:
    """Tell whether a batch has ended, by asking for it; what nobody knows of may be running."""
    parts = exchange.parts
    found = None if work is None else await parts.ledger.resources.find(account, work)
    if found is None:
        return False
    return await settle_by_asking(parts.ledger, parts.upstream, parts.vertex, found) is not Shows.RUNNING


def _is_read(name: str) -> StillRunning:
    return StillRunning(
        f"{name[:_NAME_SHOWN_MOST]} is read by a batch that has not ended", hint="wait for the batch, or cancel it"
    )
