"""Files that a command writes: each is there whole or not at all, and without a name it is standard output."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jangbu.errors import JangbuError

__all__ = ["write_pieces"]


async def write_pieces(pieces: AsyncIterator[bytes], out: str | None) -> int:
    """Write all pieces to a file, or to standard output, and give how many they were. Raises JangbuError."""
    written = 0
    try:
        with _whole_file(Path(out)) if out is not None else _standard_output() as stream:
            async for piece in pieces:
                stream.write(piece)
                written += 1
            stream.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`); what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise JangbuError(f"the export cannot be written: {error.strerror}") from None
    return written


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write beside a file, and put what was written in its place at the end; nobody else may read it."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        try:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink()
            raise


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    """Write bytes as they are, whatever the terminal's encoding."""
    sys.stdout.flush()
    yield sys.stdout.buffer
