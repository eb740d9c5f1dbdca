"""Files that a command writes: each is there whole or not at all, and without a name it is standard output."""

import os
import secrets
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, BinaryIO, NoReturn

import typer

from jangbu.errors import InvalidInput, JangbuError

__all__ = ["Out", "write_pieces"]


def _named(out: str | None) -> str | None:
    if out == "":
        raise InvalidInput("the file to write has no name", hint="name one after --out, or leave it out")
    # As - is standard input where a file is read.
    return None if out == "-" else out


Out = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Where to write it.", show_default="standard output", callback=_named),
]
"""The file that a command writes."""


async def write_pieces(pieces: AsyncIterator[bytes], out: str | None) -> int:
    """Write all pieces to a file, or to standard output, and give how many they were. Raises JangbuError."""
    written = 0
    try:
        with _standard_output() if out is None else _file(Path(out)) as stream:
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
def _file(path: Path) -> Iterator[BinaryIO]:
    """Write a file whole; what is there and is no file, as a pipe with a name or a device, is written to as it is."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        is_file = True
    if is_file:
        # A link to a file stays one: it is the file that is written.
        with _ended_in_order(), _whole_file(Path(os.path.realpath(path))) as stream:
            yield stream
    else:
        with path.open("wb") as stream:
            yield stream


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have a process that is told to end leave its contexts first: what is half written would stay there for good."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    # How a shell tells of a process that a signal ended.
    raise SystemExit(128 + number)


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
